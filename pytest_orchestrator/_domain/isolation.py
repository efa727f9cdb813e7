"""What of the caller's environment may reach a process that judges."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Each of them has code run, or settings read, before anything of ours is imported.
_DROPPED = frozenset(
    (
        "PYTHONSTARTUP",
        "PYTHONHOME",
        "PYTHONINSPECT",
        "PYTHONBREAKPOINT",
        "PYTHONUSERBASE",
        "PYTHONEXECUTABLE",
        "PYTHONPLATLIBDIR",
        "PYTHONOPTIMIZE",  # takes the asserts out of the gates
        "PYTHONPYCACHEPREFIX",
        "LD_PRELOAD",
        "LD_AUDIT",
        "DYLD_INSERT_LIBRARIES",
        "FAKETIME",
    )
)
_DROPPED_FAMILIES = ("PYTEST_", "GIT_", "FAKETIME_")
_SEARCHED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def judging_environment(
    caller: Mapping[str, str], away_from: Sequence[Path], not_from: Sequence[Path] = ()
) -> dict[str, str]:
    """The environment of a process that judges what agents have built.

    Args:
        caller: The environment there is.
        away_from: Folders agents write in, absolute: nothing is looked up there.
        not_from: Folders, absolute, that hold no modules; what is in folders below may.

    Returns:
        A new dictionary, without what would have Python, pytest, git or the loader run
        or read something, and with search paths from which relative places and those in
        ``away_from`` are gone.
    """
    kept = {
        key: value
        for key, value in caller.items()
        if key not in _DROPPED and not key.startswith(_DROPPED_FAMILIES)
    }
    for key in _SEARCHED:
        if key in kept:
            kept[key] = _safe(kept[key], away_from, not_from if key == "PYTHONPATH" else ())
    return {key: value for key, value in kept.items() if value or key not in _SEARCHED}


def _safe(places: str, away_from: Sequence[Path], not_from: Sequence[Path]) -> str:
    """A search path without its relative and reachable places; the first of equals stays."""
    kept = dict.fromkeys(places.split(os.pathsep))
    return os.pathsep.join(
        place
        for place in kept
        if _is_away(place, away_from) and Path(os.path.realpath(place)) not in not_from
    )


def _is_away(place: str, away_from: Sequence[Path]) -> bool:
    real = os.path.realpath(place)
    reached = any(os.path.commonpath((real, folder)) == str(folder) for folder in away_from)
    return Path(place).is_absolute() and not reached
