"""HTML pages: that it is one, its title, and the fields it shows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection

# Elements without an end tag, so nothing can be in them.
_VOID = frozenset(
    """
    area base br col embed hr img input link meta param source track wbr
    """.split()  # noqa: SIM905 - a paragraph, not a column
)
_UNSEEN = frozenset(("noscript", "script", "style", "template"))
# Elements that show something without any text in them.
_PICTURES = frozenset(("button", "canvas", "img", "input", "select", "svg", "textarea", "video"))


def check_page(html: str, *, title: str | None, name: str) -> Verdict:
    """Whether a text is an HTML page with the title it should have.

    Args:
        html: The body of the answer.
        title: What the page's ``<title>`` must contain; ``None``: not looked at.
        name: What findings call the page, e.g. ``"GET http://127.0.0.1:3000/"``.

    Returns:
        At most one finding, with the title there is or the start of the body. Of several
        titles, the first counts, as in a browser. A page that shows nothing is found, too:
        one without a visible text, picture or field.
    """
    page = _read(html)
    if not page.is_html:
        what = f"is not an HTML page: {shortened(html)!r}" if html else "is empty"
        return Verdict("page", (Finding(name, what, "html"),))
    if title is not None and title not in "".join(page.titles[:1]):
        shown = f"the title is {page.titles[0]!r}" if page.titles else "there is no title"
        what = f"{shown}; it must contain {title!r}"
        return Verdict("page", (Finding(name, what, "title"),))
    if not page.shows:
        what = f"shows nothing: no text, picture or field is rendered in {shortened(html)!r}"
        return Verdict("page", (Finding(name, what, "empty"),))
    return Verdict("page")


def page_fields(html: str) -> dict[str, list[str]]:
    """The text a page shows in its marked elements, in document order.

    ``<td data-field="page">3</td>`` is ``{"page": ["3"]}``; runs of white space
    count as one space, and elements within the marked one belong to it. What
    only the browser would add is not there.
    """
    fields: dict[str, list[str]] = {}
    for element in _read(html).marked:
        fields.setdefault(element.marked_as, []).append(element.text)
    return fields


@dataclass(slots=True)
class _Element:
    """An element that has begun."""

    tag: str
    marked_as: str = ""
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.parts).split())


class _Page(HTMLParser):
    """Collects titles and marked elements; forgives what browsers forgive."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.is_html = False
        self.shows = False
        self.marked: list[_Element] = []
        self._titles: list[_Element] = []
        self._open: list[_Element] = []

    @property
    def titles(self) -> list[str]:
        return [element.text for element in self._titles]

    def handle_decl(self, decl: str) -> None:
        self.is_html |= decl.lower().split() == ["doctype", "html"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.is_html |= tag == "html"
        element = _Element(tag, dict(attrs).get("data-field") or "")
        if element.marked_as:
            self.marked.append(element)
        unseen = self._is_inside(_UNSEEN)
        self.shows |= tag in _PICTURES and not unseen
        # The title of a drawing is not that of the page.
        if tag == "title" and not unseen and not self._is_inside({"svg"}):
            self._titles.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        tags = [element.tag for element in self._open]
        if tag in tags:
            del self._open[len(tags) - 1 - tags[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if not self._is_inside(_UNSEEN):
            self.shows |= bool(data.strip()) and not self._is_inside({"title"})
            for element in self._open:
                element.parts.append(data)

    def _is_inside(self, tags: Collection[str]) -> bool:
        return any(element.tag in tags for element in self._open)


def _read(html: str) -> _Page:
    page = _Page()
    # Its answer to some broken declarations, ``<![;``; what came before them is read.
    with suppress(AssertionError):
        page.feed(html)
        page.close()
    return page
