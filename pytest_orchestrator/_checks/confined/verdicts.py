"""The verdict on one contract of a folder, whatever kind it is."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.confined.judgement import Judged, kind_of
from pytest_orchestrator._checks.models.document import check_models
from pytest_orchestrator._checks.openapi import cover_faults, openapi_faults
from pytest_orchestrator._checks.reading.bundle import read_bundle
from pytest_orchestrator._checks.reading.files import read_below
from pytest_orchestrator._checks.reading.limits import Unreadable
from pytest_orchestrator._checks.rules.faults import told
from pytest_orchestrator._domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from pytest_orchestrator._checks.confined.judgement import Kind
    from pytest_orchestrator._checks.rules.faults import Fault

MAX_FINDINGS = 200
_MAX_FAULTS = 600  # that many are looked for, since each costs time to word and to place
_WHERE = re.compile(r"(.*?):(\d+)")


def judge(
    root: Path, path: str, kind: Kind | None, operations: Sequence[str], at: Callable[[str], None]
) -> Judged:
    """All that is wrong with a contract; two hundred findings at most.

    Args:
        root: The folder nothing is read outside of.
        path: The contract, relative to ``root``.
        kind: ``None``: shared models if it is called ``*.md``, else OpenAPI.
        operations: Those an OpenAPI document has to describe.
        at: Told what is looked at next.
    """
    at("reading it")
    if (kind or kind_of(path)) == "models":
        return Judged(_capped(path, _of_models(root, path)), (path,))
    bundle, verdict = read_bundle(root, path)
    if bundle is None:
        return Judged(verdict, (path,))
    known = {finding.where for finding in verdict.findings}
    faults = [*islice(_each_once(openapi_faults(bundle.document, at)), _MAX_FAULTS)]
    faults += cover_faults(bundle.document, operations)
    at("the lines of its findings")
    found = bundle.findings(faults)
    # A reference to a file that cannot be read leads nowhere, but that is told already.
    found = tuple(f for f in found if f.where not in known or not f.rule.startswith("ref-"))
    files = list(bundle.lines)
    both = sorted(verdict.findings + found, key=lambda finding: _order(finding.where, files))
    return Judged(_capped(path, Verdict("contract", tuple(both))), tuple(files))


def _each_once(faults: Iterable[Fault]) -> Iterator[Fault]:
    seen: set[Fault] = set()
    for fault in faults:
        if fault not in seen:
            seen.add(fault)
            yield fault


def _order(where: str, files: list[str]) -> tuple[int, int]:
    """By file, as they were read, and by line."""
    found = _WHERE.match(where)
    if found is None or found[1] not in files:
        return len(files), 0
    return files.index(found[1]), int(found[2])


def _of_models(root: Path, path: str) -> Verdict:
    try:
        return check_models(read_below(root, path), path)
    except Unreadable as problem:
        return Verdict("contract", (problem.found_in(path),))


def _capped(path: str, verdict: Verdict) -> Verdict:
    more = len(verdict.findings) - MAX_FINDINGS
    if more <= 0:
        return verdict
    what = f"has at least {more} more finding(s)"
    rest = told(path, what, "more", "mend these, then look again")
    return Verdict(verdict.check, (*verdict.findings[:MAX_FINDINGS], rest))
