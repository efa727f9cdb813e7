"""The name that was meant, at a cost that does not depend on how many there are."""

from __future__ import annotations

from difflib import get_close_matches
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_NAMES = 500  # that many are looked through
_MAX_LENGTH = 100  # the time it takes to compare two grows with their lengths, multiplied
_MAX_COMPARED = 60  # what is misspelt is mostly about as long as what is meant


def nearest(name: str, names: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The name of those there are that is most like another; ``None`` if none is.

    Args:
        name: What was written.
        names: What there is; of the first five hundred of at most a hundred
            characters, the sixty are compared whose length is most alike.
        cutoff: From 0 to 1, as ``difflib`` has it; how alike they must be.
    """
    if len(name) > _MAX_LENGTH:
        return None
    short = (each for each in islice(names, _MAX_NAMES) if len(each) <= _MAX_LENGTH)
    alike = nsmallest(_MAX_COMPARED, short, key=lambda each: abs(len(each) - len(name)))
    near = get_close_matches(name, alike, n=1, cutoff=cutoff)
    return near[0] if near else None
