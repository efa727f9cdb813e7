"""Has a running service asked whether it keeps to what it has published."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_orchestrator._checks.comparison.outline import Outline
from pytest_orchestrator._checks.conformance.second_opinion import ask_schemathesis
from pytest_orchestrator._checks.nodes import Node, shortened
from pytest_orchestrator._domain.verdict import Finding, Verdict
from pytest_orchestrator.errors import Infra, Unverifiable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_orchestrator._checks.contracts import PublishedContract

_START = """\
import sys
sys.path.insert(0, sys.argv[1])
from pytest_orchestrator._checks.conformance.child import main
main()
"""
_START_S = 60.0
"""Seconds for all that is not asking."""


def check_conforms(
    contract: PublishedContract, url: str, *, name: str, models: object = None
) -> Verdict:
    """Whether the answers of a running service are what it has published.

    Every operation is asked, as far as its body is JSON or a form: as its contract
    describes it; at each bound; oddly; and with one mistake at a time; then as often as
    ``[contracts.NAME.live]`` says by what Hypothesis makes up. The same contract, service
    and seed give the same requests.

    Args:
        contract: What is published, e.g. ``contracts["core-api"]``.
        url: Where the service is, without a path: ``"http://127.0.0.1:8000"``.
        name: What findings call it: the lane to blame, e.g. ``"core"``.
        models: The JSON Schema of the shared models, for operations whose ``responses`` are
            named in the runbook; ``None``: there is none.

    Returns:
        At most one finding for each operation and rule, with the smallest request that
        shows it, and the answer.

    Raises:
        GateFailed: The contract is not published, or cannot be read.
        Unverifiable: No request could be made that fits what is documented; or Schemathesis
            is to ask, too, and is not installed.
        Infra: The process that asks died, or did not come to its end.

    Source:
        docs/reference/gates/s2-s3.md has the rules.
    """
    document = contract.document()
    operations = sum(1 for _ in Outline(document).operations())
    request = {
        "document": document,
        "url": url,
        "name": name,
        "samples": contract.live.samples,
        "bounds": contract.live.model_dump(include={"examples", "seed", "wall_s"}),
        "models": {
            "definitions": Node(models).child("$defs").value or {},
            "responses": dict(contract.responses),
        },
    }
    answer = _answer(request, contract.live.wall_s * max(1, operations) + _START_S)
    if answer is None:
        # A document that is wrong can break anything, and is not the machinery's fault.
        if not (verdict := contract.check()).passed:
            return verdict
        raise Infra(f"{name}: asking for what {contract.path} describes did not come to its end")
    verdict = Verdict("conforms", tuple(Finding(*entry) for entry in answer["findings"]))
    if contract.live.schemathesis:
        verdict += ask_schemathesis(document, url, name, contract.live)
    if verdict.passed and answer["unasked"]:
        raise Unverifiable(
            f"{name}: no request could be made that fits {', '.join(answer['unasked'])} of "
            f"{contract.path}; describe it with simpler schemas, or give examples there"
        )
    return verdict


def _answer(request: Mapping[str, object], wall_s: float) -> dict[str, Any] | None:
    """What the process said; ``None`` if it died or did not come to its end."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        process = subprocess.Popen(
            # -I: what it imports depends neither on where it is started nor on who starts it.
            [sys.executable, "-I", "-B", "-c", _START, str(Path(__file__).parents[3])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={"HYPOTHESIS_STORAGE_DIRECTORY": folder, "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        with process:
            try:
                said, told = process.communicate(json.dumps(request).encode(), wall_s)
            except subprocess.TimeoutExpired:
                return None
            finally:
                _kill(process)
    if process.returncode:
        sys.stderr.write(shortened(told.decode(errors="replace")[-2000:], 2000))
        return None
    answer: dict[str, Any] = json.loads(said)
    return answer


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
