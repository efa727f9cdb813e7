"""``publish``, ``contracts`` and ``contract``: an agent's way to the registry, and people's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._run import tool_client
from pytest_orchestrator._run.tool_client import FINDINGS, FINE
from pytest_orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    import argparse

    from pytest_orchestrator._domain.plan import Plan
    from pytest_orchestrator._run.ledger import Ledger


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Say how these commands are called."""
    publish = commands.add_parser(
        "publish",
        help="publish a contract; for an agent at work on a task",
        description="Publish a new revision of a contract, once it has been found to be valid. "
        "Only the agent that is its publisher can, while it works on a task.",
    )
    publish.add_argument("name", metavar="NAME", help="the contract's name in the runbook")
    publish.add_argument("file", type=Path, metavar="FILE", help="the whole document")
    publish.add_argument(
        "--expected-revision", type=_revision, metavar="R",
        help="the revision yours is built on, 0 for none; if another is the latest, do nothing",
    )  # fmt: skip
    publish.set_defaults(run=_publish)
    listing = commands.add_parser("contracts", help="list the contracts of a run")
    listing.set_defaults(run=_list)
    contract = commands.add_parser("contract", help="print a contract as it was published")
    contract.add_argument("name", metavar="NAME", help="the contract's name in the runbook")
    contract.add_argument(
        "--revision", type=_revision, metavar="R", help="which revision, 0 for the draft"
    )
    contract.set_defaults(run=_print)
    for command in (listing, contract):
        add_run_options(command, "outside of a task: ")


def add_run_options(command: argparse.ArgumentParser, when: str = "") -> None:
    """Let a command be told which run to look at."""
    command.add_argument(
        "--runbook", type=Path, default=Path("runbook.toml"), metavar="FILE",
        help=f"{when}whose runs are looked at (default: %(default)s)",
    )  # fmt: skip
    command.add_argument("--run-id", metavar="ID", help=f"{when}which run (default: the newest)")


def _revision(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _publish(asked: argparse.Namespace) -> int:
    try:
        data = asked.file.read_bytes()
    except OSError as error:
        raise OrchestratorError(f"{asked.file}: cannot be read: {error.strerror}") from error
    if not tool_client.is_at_hand():
        raise OrchestratorError(
            "only an agent at work on a task can publish, and this is none "
            f"({tool_client.VARIABLE} is not set); `check {asked.file}` validates a document"
        )
    return _call(
        "publish_contract",
        name=asked.name,
        content=data.decode(errors="surrogateescape"),
        expected_revision=asked.expected_revision,
    )


def _list(asked: argparse.Namespace) -> int:
    if tool_client.is_at_hand():
        return _call("list_contracts")
    from pytest_orchestrator._run.contract_tools import listing  # noqa: PLC0415 - on demand

    plan, ledger = newest_run(asked)
    print(listing(plan, ledger))  # noqa: T201
    return FINE


def _print(asked: argparse.Namespace) -> int:
    if tool_client.is_at_hand():
        return _call("read_contract", name=asked.name, revision=asked.revision)
    from pytest_orchestrator._run.registry import Unpublished, find  # noqa: PLC0415 - on demand

    plan, ledger = newest_run(asked)
    try:
        _, data = find(plan, ledger, asked.name, asked.revision)
    except Unpublished as error:
        print(error, file=sys.stderr)  # noqa: T201
        return FINDINGS
    _write(data)
    return FINE


def _call(tool: str, **arguments: object) -> int:
    """Have the orchestrator do it, for the task this process works on."""
    text, status, is_document = tool_client.call(tool, **arguments)
    if is_document:
        _write(text.encode(errors="surrogateescape"))
    else:
        print(text, file=sys.stderr if status else sys.stdout)
    return status


def newest_run(asked: argparse.Namespace) -> tuple[Plan, Ledger]:
    """The plan of a runbook, and the ledger of the run of it that was written to last.

    Raises:
        OrchestratorError: There is no such runbook, or no such run.
    """
    from pytest_orchestrator._run.ledger import Ledger  # noqa: PLC0415 - on demand
    from pytest_orchestrator._run.runbook import load_runbook  # noqa: PLC0415 - on demand

    plan = load_runbook(asked.runbook.resolve())
    runs = asked.runbook.resolve().parent / ".orchestrator" / "runs"
    found = sorted(runs.glob(f"{asked.run_id or '*'}/ledger.sqlite"), key=_last_written_s)
    if not found:
        which = f"run {asked.run_id}" if asked.run_id else "run"
        raise OrchestratorError(f"there is no {which} below {runs}; `pytest` begins one")
    return plan, Ledger(found[-1].parent)


def _last_written_s(ledger: Path) -> float:
    files = (ledger, ledger.with_name(f"{ledger.name}-wal"))
    return max(f.stat().st_mtime for f in files if f.exists())


def _write(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
