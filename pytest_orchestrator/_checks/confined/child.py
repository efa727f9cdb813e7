"""The process in which contracts are judged and compared: stdin asks, stdout answers.

What it is at stands on stderr, one line each, so that whoever loses patience can say.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

from pytest_orchestrator._domain.verdict import Finding


def main() -> None:
    """Do what stdin asks for."""
    request = json.loads(sys.stdin.buffer.read())
    _confine(request["limits"])
    sys.stdout.buffer.write(json.dumps(_answer(request)).encode())


def _answer(request: dict[str, Any]) -> dict[str, list[Any]]:
    """Findings, and what else was asked for: the files a contract is made of, or changes."""
    path = request["path"]
    last = ""

    def at(place: str) -> None:
        nonlocal last
        last = place
        sys.stderr.write(f"{place[:1000]!a}\n")

    from pytest_orchestrator._checks.rules.faults import told  # noqa: PLC0415 - likewise

    try:
        # Imported within the limits, since it is most of what a small contract costs.
        from pytest_orchestrator._checks.confined.verdicts import judge  # noqa: PLC0415

        root, kind = Path(request["root"]), request["kind"]
        if "old" in request:
            from pytest_orchestrator._checks.confined.judgement import Place  # noqa: PLC0415
            from pytest_orchestrator._checks.confined.revisions import compare  # noqa: PLC0415

            old = Place(Path(request["old"]["root"]), request["old"]["path"])
            changes, verdict = compare(old, Place(root, path), kind, at)
            return _answered(verdict.findings, changes=[astuple(change) for change in changes])
        judged = judge(root, path, kind, request["operations"], at)
        return _answered(judged.verdict.findings, made_of=list(judged.made_of))
    except MemoryError:
        what = f"needs more memory than is given, at {last}"
        return _answered((told(path, what, "memory", "split it, or publish less"),))
    except Exception as broken:  # noqa: BLE001 - whatever breaks here is a finding there
        what = f"cannot be judged: {type(broken).__name__} at {last}"
        return _answered((told(path, what, "broken", "simplify what is there"),))


def _answered(findings: tuple[Finding, ...], **more: list[Any]) -> dict[str, list[Any]]:
    return {"findings": [astuple(finding) for finding in findings], **more}


def _confine(limits: dict[str, int]) -> None:
    """Bound what this process may use; macOS knows no bound of its memory."""
    for name, amount in limits.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            amount = min(amount, hard)  # noqa: PLW2901
        try:
            resource.setrlimit(kind, (amount, hard))
        except (OSError, ValueError):
            if sys.platform != "darwin":
                raise


if __name__ == "__main__":
    main()
