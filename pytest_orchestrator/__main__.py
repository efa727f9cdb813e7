"""``python -m pytest_orchestrator``: what runs outside of pytest."""

from __future__ import annotations

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pytest_orchestrator",
        description="The orchestrator itself is a pytest plugin: run pytest.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser("carry-out", help="internal: one part or gate, in its own process")
    one.add_argument("order", help="what to do, as JSON")
    asked = parser.parse_args(arguments)

    from pytest_orchestrator._plugin.carry_out import carry_out  # noqa: PLC0415 - on demand

    return carry_out(asked.order)


if __name__ == "__main__":
    sys.exit(main())
