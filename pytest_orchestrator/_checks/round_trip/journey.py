"""What became of one question: what its asker got, and what services said to each other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_orchestrator._checks.pages import read_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_orchestrator._checks.pages import Element, Page
    from pytest_orchestrator._domain.hop import Hop


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back over HTTP, or why nothing did.

    Attributes:
        status_code: 0 if nothing came back.
        headers: By name in lower case.
        text: The decoded body.
        took_s: Seconds from the request to the end of the answer.
        why: Why nothing came back, in words; empty if something did.
        rule: What rule that breaks.
    """

    status_code: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    took_s: float = 0.0
    why: str = ""
    rule: str = "timeout"

    @property
    def media_type(self) -> str:
        """Its content type without parameters, in lower case; may be empty."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    @property
    def json(self) -> Any:
        """The body as JSON; ``None`` if it is not JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Journey:
    """One question, and every exchange it caused.

    Attributes:
        question: As it was typed or sent.
        heard: What the asker got: a page, or the api's answer.
        at: Who was asked: ``"frontend"`` or ``"api"``.
        asked_api: What the frontend asked the api about it, in the order of the answers.
        asked_core: What the api asked core about it, in the order of the answers.
        strangers: What services were asked meanwhile about questions that nobody has put.
        in_browser: Whether a browser asked: then only what the page shows is known of it.
    """

    question: str
    heard: Heard
    at: str
    asked_api: tuple[Hop, ...] = ()
    asked_core: tuple[Hop, ...] = ()
    strangers: tuple[Hop, ...] = ()
    in_browser: bool = False


@dataclass(frozen=True, slots=True)
class ShownCitation:
    """One citation on a page: all its text, and the marked elements in it."""

    text: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page says became of a question; each list in document order.

    Attributes:
        statuses: Texts of the elements marked ``status``; one, on a right page.
        answers: Likewise ``answer``.
        interaction_ids: Likewise ``interaction_id``.
        citations: The elements marked ``citation``.
    """

    statuses: tuple[str, ...]
    answers: tuple[str, ...]
    interaction_ids: tuple[str, ...]
    citations: tuple[ShownCitation, ...]


def shown_on(page: Page | str) -> Shown:
    """Read from a page what became of a question."""
    marked = (page if not isinstance(page, str) else read_page(page)).marked
    return Shown(
        _texts(marked, "status"),
        _texts(marked, "answer"),
        _texts(marked, "interaction_id"),
        tuple(_citation(e, marked) for e in marked if e.marked_as == "citation"),
    )


def _texts(marked: list[Element], field_name: str) -> tuple[str, ...]:
    texts = (element.text for element in marked if element.marked_as == field_name)
    return tuple(filter(None, texts))


def _citation(element: Element, marked: list[Element]) -> ShownCitation:
    inner = {e.marked_as: e.text for e in marked if any(o is element for o in e.around)}
    # Cells side by side are apart on the screen, though nothing in the text says so.
    return ShownCitation(" ".join(" ".join(element.parts).split()), inner)
