"""Two versions of a file: the lines in which they differ, as findings."""

from __future__ import annotations

import difflib
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._domain.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_PLACES = 20
"""So many differing places of a file are named, and the rest counted."""

_ALIGNED_LINES = 2000
"""Longer stretches are compared line by line: aligning them may take quadratic time."""
_SHOWN_CHARACTERS = 120
_RULE = "drift"


class Place(NamedTuple):
    """One place where two texts differ: the 1-based line of the tree's file, and how."""

    line: int
    what: str


def differences(path: str, found: bytes, made: bytes) -> tuple[Finding, ...]:
    """In which lines a file differs from what a generator makes.

    Args:
        path: What findings call it.
        found: The bytes in the tree.
        made: The bytes the generator makes.

    Returns:
        Nothing if they are equal. Otherwise one finding per differing place, from
        the first on, e.g. ``"core_models.py:12: line 12 is 'page: float' but the generator
        makes 'page: float | None'"``, at most ``MAX_PLACES``, then one with the number of
        the others. One finding altogether where lines say nothing: for what is not
        text in UTF-8, or differs in line ends only.
    """
    if found == made:
        return ()
    texts = _text(found), _text(made)
    if texts[0] is None or texts[1] is None:
        return (Finding(path, _bytes_differ(found, made), _RULE),)
    if found.replace(b"\r\n", b"\n") == made.replace(b"\r\n", b"\n"):
        return (Finding(path, _line_ends_differ(found, made), _RULE),)
    places = _places(_lines(texts[0]), _lines(texts[1]))
    named = [
        Finding(f"{path}:{place.line}", place.what, _RULE) for place in islice(places, MAX_PLACES)
    ]
    more = sum(1 for _ in places)
    rest = Finding(path, f"differs in {more} more place{'s' if more > 1 else ''}", _RULE)
    return (*named, rest) if more else tuple(named)


def _text(data: bytes) -> str | None:
    """The text of a file; ``None`` if it is none."""
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def _lines(text: str) -> list[str]:
    """Lines with their line feeds; other breaks are characters like any other."""
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _bytes_differ(found: bytes, made: bytes) -> str:
    pairs = enumerate(zip(found, made, strict=False))
    at = next((i for i, (one, other) in pairs if one != other), min(len(found), len(made)))
    return (
        f"differs from byte {at} on, counted from 0, and is not text to compare line by line: it "
        f"has {len(found)} bytes, and the generator makes {len(made)}"
    )


def _line_ends_differ(found: bytes, made: bytes) -> str:
    crlf, lines = b"\r\n", b"\n"
    return (
        f"differs in line ends only: {found.count(crlf)} of {found.count(lines)} lines end in "
        f"CRLF, but {made.count(crlf)} of those the generator makes"
    )


def _places(found: Sequence[str], made: Sequence[str]) -> Iterator[Place]:
    """The differing places, in the order of the tree's file."""
    start, end = _common(found, made)
    ours, theirs = found[start : len(found) - end], made[start : len(made) - end]
    if max(len(ours), len(theirs)) <= _ALIGNED_LINES:
        matcher = difflib.SequenceMatcher(None, ours, theirs)
        stretches = [s for s in matcher.get_opcodes() if s[0] != "equal"]
    else:
        stretches = [("replace", 0, len(ours), 0, len(theirs))]
    for _, a, b, c, d in stretches:
        yield from _stretch(start + a, ours[a:b], theirs[c:d], last=start + a == len(found))


def _common(found: Sequence[str], made: Sequence[str]) -> tuple[int, int]:
    """How many lines at the start, and how many of the others at the end, are the same."""
    shorter = min(len(found), len(made))
    start = next((i for i in range(shorter) if found[i] != made[i]), shorter)
    left = range(1, shorter - start + 1)
    end = next((i - 1 for i in left if found[-i] != made[-i]), shorter - start)
    return start, end


def _stretch(
    before: int, ours: Sequence[str], theirs: Sequence[str], *, last: bool
) -> Iterator[Place]:
    """A stretch of lines in place of another: pairs of lines, then what one has more."""
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False), before + 1):
        if one != other:
            is_one, is_other = _pair(one, other)
            yield Place(number, f"line {number} is {is_one} but the generator makes {is_other}")
    paired = min(len(ours), len(theirs))
    number = before + paired + 1
    if extra := ours[paired:]:
        yield Place(number, _too_many(number, extra))
    elif missing := theirs[paired:]:
        where = "at the end" if last else f"before line {number}"
        yield Place(max(1, number - last), f"{where}, the generator makes {_first(missing)}")


def _too_many(number: int, extra: Sequence[str]) -> str:
    if len(extra) == 1:
        return f"line {number} is {_shown(extra[0])}, which the generator does not make"
    last = number + len(extra) - 1
    return f"the generator does not make lines {number} to {last}, the first {_shown(extra[0])}"


def _first(lines: Sequence[str]) -> str:
    more = f"{len(lines)} more lines, the first "
    return f"{more if len(lines) > 1 else 'also '}{_shown(lines[0])}"


def _pair(one: str, other: str) -> tuple[str, str]:
    """Two lines that differ, so that the difference can be seen."""
    if one.rstrip("\n") == other.rstrip("\n"):
        return repr(one[-_SHOWN_CHARACTERS:]), repr(other[-_SHOWN_CHARACTERS:])
    pairs = enumerate(zip(one, other, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
    cut = max(0, at - _SHOWN_CHARACTERS // 2) if at >= _SHOWN_CHARACTERS else 0
    return _shown(one, cut), _shown(other, cut)


def _shown(line: str, cut: int = 0) -> str:
    return repr(("…" if cut else "") + shortened(line.rstrip("\n")[cut:], _SHOWN_CHARACTERS))
