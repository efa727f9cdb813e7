"""What is wrong with a document, before and after it is known how its places are told."""

from __future__ import annotations

from typing import NamedTuple

from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._domain.verdict import Finding

_MAX_TEXT = 1_000


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        pointer: Where it stands, as a JSON pointer into the document.
        what: A sentence, without the place.
        rule: A name of ``rulebook.RULES``.
        cure: What to do about it, as an order.
    """

    pointer: str
    what: str
    rule: str
    cure: str


def told(where: str, what: str, rule: str, cure: str = "") -> Finding:
    """A finding that can be shown anywhere, whoever chose the names it quotes.

    Its texts are cut to a thousand characters each, and what is no printable character
    is escaped: a key must not be able to colour, move or overwrite what a terminal shows.
    """
    return Finding(_plain(where), _plain(what), rule, _plain(cure))


def _plain(text: str) -> str:
    cut = shortened(text, _MAX_TEXT)
    if cut.isprintable():
        return cut
    escaped = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut
    )
    return shortened(escaped, _MAX_TEXT)
