"""The form of a page, as a browser without scripts sends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from pytest_orchestrator._checks.pages import read_page
from pytest_orchestrator._domain.verdict import Finding
from pytest_orchestrator.errors import GateFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from pytest_orchestrator._checks.pages import Element, Page

QUESTION = "question"
_FIELDS = frozenset(("input", "textarea", "select"))
_BUTTONS = frozenset(("button", "input"))
_MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Form:
    """What a form sends, and where.

    Attributes:
        action: As it is written, relative to the page; empty for the page itself.
        method: ``"GET"`` or ``"POST"``.
        multipart: Whether the fields are sent as ``multipart/form-data``.
        fields: What is sent besides the question, by name.
    """

    action: str
    method: str
    multipart: bool
    fields: tuple[tuple[str, str], ...] = ()


def form_of(page: Page) -> Form | str:
    """The form in which a question is asked; in words, what is missing if there is none."""
    forms = [e for e in page.elements if e.tag == "form"]
    for form in forms:
        own = [e for e in page.elements if _belongs(e, form, forms)]
        if any(_is_question(e) for e in own):
            return _form(form, own)
    if any(_is_question(e) for e in page.elements):
        return 'its field "question" is in no form, so nothing is sent without JavaScript'
    return 'it has no form with a field named "question"; without JavaScript nobody can ask'


def submission(form: Form, question: str) -> dict[str, Any]:
    """What httpx sends for a question: ``params``, ``data`` or ``files``."""
    fields: dict[str, Any] = {}
    for name, value in (*form.fields, (QUESTION, question)):
        fields.setdefault(name, []).append(value)
    if form.method == "GET":
        return {"params": fields}
    if form.multipart:
        return {"files": [(n, (None, v)) for n, values in fields.items() for v in values]}
    return {"data": fields}


def ask_by_form(
    client: httpx.Client, url: str, question: str, headers: Mapping[str, str]
) -> httpx.Response:
    """Get a page and send its form, as a browser without scripts does.

    Args:
        client: Who asks.
        url: The page's address, e.g. ``"http://127.0.0.1:3000/"``.
        question: What is typed.
        headers: Sent with the form besides the client's own, not when the page is fetched.

    Returns:
        The answer to the form; redirects are followed as the client does.

    Raises:
        GateFailed: The page has no form in which a question can be asked.
        httpx.HTTPError: There was no answer.
    """
    form = form_of(read_page(client.get(url).text))
    if isinstance(form, str):
        rule = "form"
        raise GateFailed(rule, [Finding("frontend page", form, rule)])
    own = {"origin": url.rstrip("/"), "referer": url}
    target = urljoin(url, form.action)
    return client.request(
        form.method, target, headers={**own, **headers}, **submission(form, question)
    )


def _form(form: Element, own: list[Element]) -> Form | str:
    buttons = [e for e in own if _sends(e)]
    usable = [e for e in buttons if not _is_disabled(e)]
    if not usable:
        state = "is disabled" if buttons else "is missing"
        return f"the button that sends its form {state}; without JavaScript nobody can ask"
    if any(_is_question(e) and _is_disabled(e) for e in own):
        return 'its field "question" is disabled; without JavaScript nobody can ask'
    button = usable[0].attributes
    method = button.get("formmethod") or form.attributes.get("method") or "get"
    coding = button.get("formenctype") or form.attributes.get("enctype") or ""
    action = button.get("formaction") or form.attributes.get("action") or ""
    if action.strip().lower().startswith("javascript:"):
        return "its form is sent by JavaScript only"
    fields = tuple(_sent(own, usable[0]))
    return Form(action.strip(), method.upper(), coding.lower() == _MULTIPART, fields)


def _sent(own: list[Element], button: Element) -> Iterator[tuple[str, str]]:
    for element in own:
        name, kind = element.attributes.get("name", ""), element.attributes.get("type", "").lower()
        if not name or name == QUESTION or _is_disabled(element):
            continue
        if element is button or (element.tag in _FIELDS and not _sends(element)):
            if kind in {"checkbox", "radio"} and "checked" not in element.attributes:
                continue
            value = element.text if element.tag == "textarea" else ""
            yield name, element.attributes.get("value", value)


def _is_question(element: Element) -> bool:
    return element.tag in _FIELDS and element.attributes.get("name") == QUESTION


def _sends(element: Element) -> bool:
    kind = element.attributes.get("type", "").lower()
    if element.tag == "button":
        return kind in {"", "submit"}
    return element.tag == "input" and kind in {"submit", "image"}


def _is_disabled(element: Element) -> bool:
    return "disabled" in element.attributes or any(
        e.tag == "fieldset" and "disabled" in e.attributes for e in element.around
    )


def _belongs(element: Element, form: Element, forms: list[Element]) -> bool:
    by_id = element.attributes.get("form")
    if by_id is not None:
        return by_id == form.attributes.get("id")
    return next((e for e in element.around if e in forms), None) is form
