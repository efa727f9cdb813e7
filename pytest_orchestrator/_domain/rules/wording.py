"""How a mistake in a runbook is located and put into words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

At = tuple[str | int, ...]
"""A place in the document: ``("tasks", "core-spec", "needs", 1)``."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN_CHARACTERS = 60
_SHOWN_NAMES = 8
_SHOWN_INTEGER = 10**18


class Wrong(NamedTuple):
    """One mistake: where it is, and a sentence about it."""

    at: At
    what: str


def key(at: At) -> str:
    """A place as people write it, e.g. ``tasks.core-spec.needs[1]``."""
    written = ""
    for step in at:
        if isinstance(step, int):
            written += f"[{step}]"
        else:
            name = step if _BARE.fullmatch(step) else json.dumps(step, ensure_ascii=False)
            written += f".{name}" if written else name
    return written


def shown(value: object) -> str:
    """A value of the document, as a sentence can quote it: short and on one line."""
    match value:
        case str():
            cut = len(value) > _SHOWN_CHARACTERS
            return repr(f"{value[:_SHOWN_CHARACTERS]}…" if cut else value)
        case bool():
            return str(value).lower()
        case int() if abs(value) >= _SHOWN_INTEGER:
            return "a number of very many digits"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case dict():
            return "a table"
        case _:
            return str(value)


def suggestion(name: str, known: Collection[str]) -> str:
    """The nearest of the known names, or what there is to choose from."""
    # Only a runbook with a mistake pays for this import.
    from difflib import get_close_matches  # noqa: PLC0415

    folded = {other.casefold(): other for other in known}
    if close := get_close_matches(name.casefold(), folded, n=1):
        return f"did you mean '{folded[close[0]]}'?"
    if not known:
        return "there are none"
    more = len(known) - _SHOWN_NAMES
    names = ", ".join(shown(other) for other in list(known)[:_SHOWN_NAMES])
    return f"expected one of {names}{f' and {more} more' if more > 0 else ''}"
