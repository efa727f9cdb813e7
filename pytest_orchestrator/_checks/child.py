"""The process in which a contract is judged: a request on stdin, findings on stdout.

What it is at stands on stderr, one line each, so that whoever loses patience can say.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

from pytest_orchestrator._domain.verdict import Finding


def main() -> None:
    """Judge what stdin asks for."""
    request = json.loads(sys.stdin.buffer.read())
    _confine(request["limits"])
    answer = [
        [finding.where, finding.what, finding.rule, finding.cure] for finding in _judged(request)
    ]
    sys.stdout.buffer.write(json.dumps(answer).encode())


def _judged(request: dict[str, Any]) -> tuple[Finding, ...]:
    path = request["path"]
    last = ""

    def at(place: str) -> None:
        nonlocal last
        last = place
        sys.stderr.write(f"{place[:1000]!a}\n")

    from pytest_orchestrator._checks.faults import told  # noqa: PLC0415 - likewise

    try:
        # Imported within the limits, since it is most of what a small contract costs.
        from pytest_orchestrator._checks.verdicts import judge  # noqa: PLC0415

        return judge(
            Path(request["root"]), path, request["kind"], request["operations"], at
        ).findings
    except MemoryError:
        what = f"needs more memory than is given, at {last}"
        return (told(path, what, "memory", "split it, or publish less"),)
    except Exception as broken:  # noqa: BLE001 - whatever breaks here is a finding there
        what = f"cannot be judged: {type(broken).__name__} at {last}"
        return (told(path, what, "broken", "simplify what is there"),)


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
