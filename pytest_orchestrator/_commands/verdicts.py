"""``verdict``: what a gate has said, and of what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._commands.contracts import add_run_options, newest_run
from pytest_orchestrator._domain.scheduler import standing
from pytest_orchestrator._domain.verdict import Outcome
from pytest_orchestrator._report import verdict_lines
from pytest_orchestrator._run.tool_client import FINDINGS, FINE, NOT_JUDGED
from pytest_orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    import argparse


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Say how this command is called."""
    verdict = commands.add_parser(
        "verdict",
        help="print what a gate has said: every finding, and what was judged",
        description="Print a gate's verdict in the newest run, what each of its tests says, every "
        "finding with its rule and cure, and what was judged.",
        epilog="Exit status: 0 passed, 1 failed, 2 it could not judge, or has not been asked.",
    )
    verdict.add_argument("gate", metavar="GATE", help="the gate's name in the runbook")
    add_run_options(verdict)
    verdict.set_defaults(run=_verdict)


def _verdict(asked: argparse.Namespace) -> int:
    plan, ledger = newest_run(asked)
    if asked.gate not in plan.gates:
        raise OrchestratorError(f"there is no gate {asked.gate}; there are {', '.join(plan.gates)}")
    state = ledger.state()
    outcome, _ = standing(state, asked.gate, session=state.session)
    for line in verdict_lines(state, asked.gate):
        print(line)  # noqa: T201
    return {Outcome.PASSED: FINE, Outcome.FAILED: FINDINGS}.get(
        outcome or Outcome.INFRA, NOT_JUDGED
    )
