"""Run the program that generates a consumer's files from a contract."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.generated import Made, filled, generator_environment
from pytest_orchestrator._stack.child import run
from pytest_orchestrator._stack.logs import tail
from pytest_orchestrator.errors import Infra, Unverifiable

if TYPE_CHECKING:
    from pytest_orchestrator._domain.plan import Generated

_QUOTED_LINES = 15


def run_generator(
    generated: Generated, document: Path, data: bytes | None = None, *, key: str
) -> Made:
    """Run a generator's command in an empty folder; nothing of either is left behind.

    Args:
        generated: The command, what it makes, and how long it may take.
        document: Absolute path of the document it reads.
        data: If not ``None``, it reads a file of the same name with this content instead.
        key: Where the runbook has the command, e.g. ``"contracts.core-api.generated.api"``.

    Returns:
        What it did, and the files it made; symbolic links among them do not count.

    Raises:
        Unverifiable: Its program is not on this machine.
        Infra: It was not done within ``timeout_s`` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="generated-") as name:
        folder = Path(name).resolve()
        out, temporary, log = folder / "out", folder / "tmp", folder / "log"
        temporary.mkdir()
        for path in generated.files:
            (out / path).parent.mkdir(parents=True, exist_ok=True)
        if data is not None:
            document = folder / "contract" / document.name
            document.parent.mkdir()
            document.write_bytes(data)
        command = filled(
            generated.command, contract=str(document), out=str(out), python=sys.executable
        )
        environment = generator_environment(os.environ, str(temporary))
        _find(command[0], environment, key)
        status = run(
            command,
            folder=out,
            environment=environment,
            log=log,
            deadline_s=time.monotonic() + generated.timeout_s,
            stop=threading.Event(),
        )
        output = textwrap.indent(tail(log, _QUOTED_LINES), "    ")
        if status is None:
            raise Infra(_too_slow(generated, key, output))
        return Made(status, output, _collected(out, generated))


def _find(program: str, environment: dict[str, str], key: str) -> None:
    """Make sure a program is there.

    Raises:
        Unverifiable: It is not.
    """
    bare = os.path.basename(program) == program  # noqa: PTH119 - a word, not a path
    if not (bare or Path(program).is_absolute()):
        raise Unverifiable(
            f"{key}: the program {program!r} is named relative to a folder, but a generator runs "
            "in an empty one. Name a program that is on the PATH"
        )
    if shutil.which(program, path=environment.get("PATH")) is None:
        raise Unverifiable(
            f"{key}: there is no program {program!r} on this machine's PATH. Install {program}, "
            "in the version with which the files were generated"
        )


def _too_slow(generated: Generated, key: str, output: str) -> str:
    wrote = f"it wrote:\n{output}" if output else "it wrote nothing"
    return (
        f"{key}: the generator was ended, as {generated.timeout_s:g} s were over "
        f"(`timeout_s`); {wrote}"
    )


def _collected(out: Path, generated: Generated) -> dict[str, bytes]:
    """The promised files that are there."""
    places = {path: out / path for path in generated.files}
    return {
        path: place.read_bytes()
        for path, place in places.items()
        if place.is_file() and place.resolve() == place
    }
