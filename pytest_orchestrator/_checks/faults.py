"""What is wrong with a document, before it is known how its places are told."""

from __future__ import annotations

from typing import NamedTuple


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
