"""``python -m pytest_orchestrator``: what runs outside of pytest."""

from __future__ import annotations

import argparse
import sys

from pytest_orchestrator._commands import contracts, documents, proofs, verdicts
from pytest_orchestrator._run.tool_client import NOT_JUDGED
from pytest_orchestrator.errors import OrchestratorError


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 fine, 1 findings, 2 could not be judged."""
    asked = _parser().parse_args(arguments)
    try:
        return int(asked.run(asked))
    except OrchestratorError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return NOT_JUDGED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pytest_orchestrator",
        description="Contracts, verdicts, and proofs of gates. The orchestrator itself is a pytest "
        "plugin.",
        epilog="Exit status: 0 fine, 1 findings, 2 could not be judged.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    documents.add_to(commands)
    contracts.add_to(commands)
    proofs.add_to(commands)
    verdicts.add_to(commands)
    one = commands.add_parser("carry-out")  # internal: one part or gate, in its own process
    one.add_argument("order")
    one.set_defaults(run=_carry_out)
    return parser


def _carry_out(asked: argparse.Namespace) -> int:
    from pytest_orchestrator._plugin.carry_out import carry_out  # noqa: PLC0415 - on demand

    return carry_out(asked.order)


if __name__ == "__main__":
    sys.exit(main())
