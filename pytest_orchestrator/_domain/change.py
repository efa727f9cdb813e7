"""How one revision of a contract differs from another, and for whom that matters."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Effect = Literal["breaking", "compatible", "annotation"]
Direction = Literal["request", "response", "both", ""]

EFFECTS: tuple[Effect, ...] = ("breaking", "compatible", "annotation")
# Enough to work on; who has read so many reads the documents next.
_TOLD = {"breaking": 50, "compatible": 20, "annotation": 10}


class Shift(Enum):
    """What a change does to the set of values that are allowed at a place."""

    NARROWER = "fewer values"
    WIDER = "more values"
    OTHER = "other values, or nobody knows"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two revisions of an OpenAPI document.

    Attributes:
        effect: ``"breaking"``: a consumer that was right may now be wrong.
            ``"compatible"``: it stays right. ``"annotation"``: nothing is sent or
            answered differently; at most, generated code changes.
        pointer: Where it stands, as a JSON pointer into the new document; into
            the old one if it is only there.
        what: A sentence with the old value and the new one.
        direction: ``"request"``: in what a consumer sends. ``"response"``: in what
            it reads. ``"both"``: the same in both. ``""``: in neither.
    """

    effect: Effect
    pointer: str
    what: str
    direction: Direction = ""

    def __str__(self) -> str:
        direction = f" ({self.direction})" if self.direction else ""
        text = f"{self.effect}{direction}: #{self.pointer}: {self.what}"
        # Names are the publisher's choice, and must not colour or overwrite what others read.
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def effect_of(shift: Shift, direction: Direction) -> Effect:
    """What a shift means to a consumer.

    Requests are contravariant: whoever sends must not be allowed less than
    before. Responses are covariant: whoever reads must not be given more.
    """
    harmless = {"request": Shift.WIDER, "response": Shift.NARROWER}
    return "compatible" if harmless.get(direction) is shift else "breaking"


def is_breaking(changes: Iterable[Change]) -> bool:
    """Whether a consumer that was right may now be wrong."""
    return any(change.effect == "breaking" for change in changes)


def told(changes: Iterable[Change]) -> str:
    """All that has changed, for people and for an agent's error context.

    Returns:
        One line with the numbers, then one line for each change: breaking ones
        first, at most 50, then at most 20 compatible ones and 10 annotations,
        each in the order given. What is left out is counted.
    """
    listed = tuple(changes)
    if not listed:
        return "nothing has changed"
    count = Counter(change.effect for change in listed)
    lines = [", ".join(f"{count[effect]} {effect}" for effect in EFFECTS)]
    for effect in EFFECTS:
        alike = [f"  {change}" for change in listed if change.effect == effect]
        shown = alike[: _TOLD[effect]]
        lines += shown
        if len(alike) > len(shown):
            lines.append(f"  {effect}: and {len(alike) - len(shown)} more")
    return "\n".join(lines)
