"""``check``, ``diff`` and ``models``: documents, whether or not they belong to a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.confined.judgement import Place
from pytest_orchestrator._domain.verdict import Verdict
from pytest_orchestrator._run.tool_client import FINDINGS, FINE, NOT_JUDGED
from pytest_orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    import argparse


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Say how these commands are called."""
    check = commands.add_parser(
        "check",
        help="validate OpenAPI documents and pages of shared models (.md)",
        description="Validate OpenAPI documents (3.0 to 3.2, JSON or YAML) and pages of shared "
        "models (.md), and print every finding with its place and cure.",
    )
    check.add_argument("files", nargs="+", type=Path, metavar="FILE")
    check.set_defaults(run=_check)
    diff = commands.add_parser(
        "diff",
        help="tell how two revisions of a document differ, and whom that breaks",
        description="Compare two revisions of an OpenAPI document or of a page of shared models.",
        epilog="Exit status: 0 compatible, 1 breaking, 2 could not be judged.",
    )
    diff.add_argument("old", type=Path, metavar="OLD", help="what consumers were built against")
    diff.add_argument("new", type=Path, metavar="NEW", help="what is to take its place")
    diff.set_defaults(run=_diff)
    for command in (check, diff):
        command.add_argument(
            "--root", type=Path, metavar="FOLDER",
            help="documents may refer to files of this folder (default: the one each is in)",
        )  # fmt: skip
    models = commands.add_parser("models", help="generate the JSON Schema of shared models")
    models.add_argument("file", type=Path, metavar="FILE", help="e.g. docs/contracts/models.md")
    models.set_defaults(run=_models)


def _check(asked: argparse.Namespace) -> int:
    return max(_tell(file, _judge(file, asked.root)) for file in asked.files)


def _judge(file: Path, root: Path | None) -> Verdict:
    """What is wrong with a document, with files as they can be opened from here."""
    from pytest_orchestrator._checks.confined.process import check_contract  # noqa: PLC0415 - on demand

    place = _place(file, root)
    verdict = check_contract(*place)
    findings = tuple(replace(f, where=str(place.root / f.where)) for f in verdict.findings)
    return Verdict(verdict.check, findings)


def _place(file: Path, root: Path | None) -> Place:
    """Where a document is; it is not followed, if it is a link.

    Raises:
        OrchestratorError: It is not below ``root``.
    """
    folder = root or file.parent
    try:
        below = (file.parent.resolve() / file.name).relative_to(folder.resolve())
    except ValueError:
        raise OrchestratorError(f"{file} is not below {folder}; leave out --root") from None
    return Place(folder, below.as_posix())


def _diff(asked: argparse.Namespace) -> int:
    from pytest_orchestrator._checks.confined.judgement import kind_of  # noqa: PLC0415 - on demand
    from pytest_orchestrator._checks.confined.process import compare_contracts  # noqa: PLC0415 - on demand
    from pytest_orchestrator._domain.change import is_breaking, told  # noqa: PLC0415 - on demand

    if kind_of(asked.old.name) != kind_of(asked.new.name):
        raise OrchestratorError(f"{asked.old} and {asked.new} are not of one kind")
    for file in (asked.old, asked.new):
        verdict = _judge(file, asked.root)
        if not verdict.passed:
            _print(verdict)
            raise OrchestratorError(f"{file} is not valid, so it cannot be compared")
    changes, verdict = compare_contracts(
        _place(asked.old, asked.root), _place(asked.new, asked.root)
    )
    if not verdict.passed:
        _print(verdict)
        return NOT_JUDGED
    print(told(changes))  # noqa: T201
    return FINDINGS if is_breaking(changes) else FINE


def _models(asked: argparse.Namespace) -> int:
    """Write the schema next to its page."""
    from pytest_orchestrator._checks.models.document import schema_bytes  # noqa: PLC0415 - on demand

    verdict = _judge(asked.file, None)
    if not verdict.passed:
        return _tell(asked.file, verdict)
    schema, _ = schema_bytes(asked.file.read_bytes(), str(asked.file))
    target = asked.file.with_suffix(".schema.json")
    target.write_bytes(schema)
    print(f"{target}: written")  # noqa: T201
    return FINE


def _tell(file: Path, verdict: Verdict) -> int:
    from pytest_orchestrator._checks.rules.rulebook import NOT_JUDGED as UNKNOWN  # noqa: PLC0415

    if verdict.passed:
        print(f"{file}: fine")  # noqa: T201
        return FINE
    _print(verdict)
    return NOT_JUDGED if any(f.rule in UNKNOWN for f in verdict.findings) else FINDINGS


def _print(verdict: Verdict) -> None:
    for finding in verdict.findings:
        print(finding)  # noqa: T201
