"""The name that was probably meant, looked for within bounds."""

from __future__ import annotations

from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_NAMES = 500
_MAX_LENGTH = 100


class Hints:
    """Looks for the nearest name so many times, since every look takes a while.

    Args:
        looks: As many as findings are told.
    """

    def __init__(self, looks: int = 200) -> None:
        self._left = looks

    def nearest(self, word: str, names: Iterable[object], cutoff: float = 0.6) -> str:
        """The nearest of the first names; empty if none is near, or it is not looked for."""
        if self._left == 0 or len(word) > _MAX_LENGTH:
            return ""
        self._left -= 1
        short = (str(name) for name in names if len(str(name)) <= _MAX_LENGTH)
        near = get_close_matches(word, islice(short, _MAX_NAMES), n=1, cutoff=cutoff)
        return near[0] if near else ""
