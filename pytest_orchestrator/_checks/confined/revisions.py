"""Two revisions of a contract, read from their folders and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.changes import changes
from pytest_orchestrator._checks.confined.judgement import Compared, kind_of
from pytest_orchestrator._checks.models.changes import model_changes
from pytest_orchestrator._checks.models.document import read_models
from pytest_orchestrator._checks.reading.bundle import FILES, read_bundle
from pytest_orchestrator._checks.reading.files import read_below
from pytest_orchestrator._checks.reading.limits import Unreadable
from pytest_orchestrator._domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_orchestrator._checks.confined.judgement import Kind, Place

EMBEDDED = f"/{FILES}"


def compare(old: Place, new: Place, kind: Kind | None, at: Callable[[str], None]) -> Compared:
    """Read two revisions of a contract and tell how they differ.

    Args:
        old: What consumers were built against.
        new: What is to take its place.
        kind: ``None``: shared models if the new one is called ``*.md``, else OpenAPI.
        at: Told what is looked at next.
    """
    at("reading both revisions")
    read = _models if (kind or kind_of(new.path)) == "models" else _openapi
    before, verdict = read(old)
    after, other = read(new)
    verdict += other
    if not verdict.passed:
        return Compared((), verdict)
    at("what has changed")
    if read is _models and isinstance(before, dict) and isinstance(after, dict):
        return Compared(model_changes(before, after), verdict)
    # What other files say is compared where it is referred to; the rest of them is not meant.
    told = tuple(change for change in changes(before, after) if change.pointer != EMBEDDED)
    return Compared(told, verdict)


def _openapi(place: Place) -> tuple[object, Verdict]:
    bundle, verdict = read_bundle(place.root, place.path)
    return None if bundle is None else bundle.document, verdict


def _models(place: Place) -> tuple[object, Verdict]:
    try:
        return read_models(read_below(place.root, place.path), place.path)
    except Unreadable as problem:
        return None, Verdict("contract", (problem.found_in(place.path),))
