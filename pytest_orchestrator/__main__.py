"""``python -m pytest_orchestrator``: what runs outside of pytest."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._commands import contracts

if TYPE_CHECKING:
    from pytest_orchestrator._domain.verdict import Verdict

FINE, FINDINGS, NOT_JUDGED = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 fine, 1 findings, 2 could not be judged."""
    asked = _parser().parse_args(arguments)
    if "run" in asked:
        return int(asked.run(asked))
    match asked.command:
        case "check":
            return max(_check(file) for file in asked.files)
        case "models":
            return _generate(asked.file)
        case _:
            from pytest_orchestrator._plugin.carry_out import carry_out  # noqa: PLC0415 - on demand

            return carry_out(asked.order)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pytest_orchestrator",
        description="Contracts, outside of a run. The orchestrator itself is a pytest plugin.",
        epilog="Exit status: 0 fine, 1 findings, 2 could not be judged.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="validate OpenAPI documents and shared models (.md)")
    check.add_argument("files", nargs="+", type=Path, metavar="FILE")
    models = commands.add_parser("models", help="generate the JSON Schema of shared models")
    models.add_argument("file", type=Path, metavar="FILE", help="e.g. docs/contracts/models.md")
    contracts.add_to(commands)
    one = commands.add_parser("carry-out")  # internal: one part or gate, in its own process
    one.add_argument("order")
    return parser


def _check(file: Path) -> int:
    """Print what is wrong with a document."""
    data = _read(file)
    if data is None:
        return NOT_JUDGED
    return _tell(str(file), _verdict(file, data))


def _verdict(file: Path, data: bytes) -> Verdict:
    if file.suffix == ".md":
        from pytest_orchestrator._checks.models import check_models  # noqa: PLC0415 - on demand

        return check_models(data, str(file))
    from pytest_orchestrator._checks.documents import read_document  # noqa: PLC0415 - on demand
    from pytest_orchestrator._checks.openapi import check_openapi  # noqa: PLC0415 - on demand

    document, verdict = read_document(data, str(file))
    return check_openapi(document, str(file)) if verdict.passed else verdict


def _generate(file: Path) -> int:
    """Write the schema next to its page."""
    from pytest_orchestrator._checks.models import schema_bytes  # noqa: PLC0415 - on demand

    data = _read(file)
    if data is None:
        return NOT_JUDGED
    schema, verdict = schema_bytes(data, str(file))
    target = file.with_suffix(".schema.json")
    if verdict.passed:
        target.write_bytes(schema)
    return _tell(f"{target} written", verdict)


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError as error:
        print(f"{file}: cannot be read: {error.strerror}", file=sys.stderr)  # noqa: T201
        return None


def _tell(subject: str, verdict: Verdict) -> int:
    for finding in verdict.findings:
        print(finding)  # noqa: T201
    if not verdict.passed:
        return FINDINGS
    print(f"{subject}: fine")  # noqa: T201
    return FINE


if __name__ == "__main__":
    sys.exit(main())
