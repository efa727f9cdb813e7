"""Virtual environments for Python services: made once per set of requirements."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import sys
import sysconfig
from typing import TYPE_CHECKING, Protocol

from pytest_orchestrator._domain.service import (
    ended,
    environment_key,
    read_requirements,
)
from pytest_orchestrator._domain.verdict import Finding, Verdict
from pytest_orchestrator._stack.logs import quoted
from pytest_orchestrator.errors import Cancelled, GateFailed, Unverifiable

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_orchestrator._domain.plan import Service

_POLL_S = 0.05


class Run(Protocol):
    """Runs one command, its output going to the log; ``None``: it took too long."""

    def __call__(
        self, command: Sequence[str], *, folder: Path, hold_fds: Sequence[int]
    ) -> int | None:
        """Return its exit status."""
        ...


def python_environment(
    service: Service,
    requirements: Path,
    *,
    tree: Path,
    cache: Path,
    log: Path,
    run: Run,
    stop: threading.Event,
) -> Path:
    """Make the virtual environment of a service, unless it has been made before.

    However many processes ask at the same time, one makes it and the others wait
    for it. A half-made one, e.g. after ``kill -9``, is thrown away, never used.

    Args:
        service: Who needs it, for messages.
        requirements: The file of requirements; may be a file an agent wrote.
        tree: The folder the file must be in, also after links are followed.
        cache: Environments are kept in its ``environments``, and stay there.
        log: Where ``run`` puts output.
        run: Runs a command.
        stop: Set by another thread to stop waiting.

    Returns:
        The environment's interpreter.

    Raises:
        GateFailed: The file is missing, has lines that are refused, or pip cannot install it.
        Unverifiable: This Python cannot make virtual environments.
        Cancelled: ``stop`` was set.
    """
    data = _read(service, requirements, tree)
    accepted, refused = read_requirements(data, f"{service.path}/{requirements.name}")
    Verdict("requirements", refused).raise_for_findings()
    home = cache.absolute() / "environments" / environment_key(_interpreter(), data)
    if not _is_made(home):
        with _exclusive(home.with_suffix(".lock"), stop) as lock:
            if not _is_made(home):
                _make(home, accepted, service=service, log=log, run=run, lock=lock)
    return _python(home)


def _read(service: Service, requirements: Path, tree: Path) -> bytes:
    real = requirements.resolve()
    if real.is_relative_to(tree.resolve()) and real.is_file():
        return real.read_bytes()
    raise _failed(service, f"{requirements.name} is not a file in {service.path}")


def _interpreter() -> str:
    return "\n".join((sys.version, sysconfig.get_platform(), os.path.realpath(sys.executable)))


def _python(home: Path) -> Path:
    return home / "venv" / "bin" / "python"


def _is_made(home: Path) -> bool:
    # The interpreter is a link, and dangles once the one it was made with is uninstalled.
    return (home / "complete").exists() and _python(home).exists()


@contextlib.contextmanager
def _exclusive(path: Path, stop: threading.Event) -> Iterator[int]:
    """Hold a lock that the kernel frees when its holders are gone; yields its descriptor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stop.wait(_POLL_S):
                    message = "the session is stopping, so nobody waits for the environment"
                    raise Cancelled(message) from None
        yield file.fileno()


def _make(
    home: Path, requirements: tuple[str, ...], *, service: Service, log: Path, run: Run, lock: int
) -> None:
    """Make it where it stays, since virtual environments cannot be moved; the mark comes last.

    Each command's supervisor holds the lock too: when we are killed, nobody
    starts anew before the last of our commands has ended.
    """
    if home.exists():
        shutil.rmtree(home)
    home.mkdir()
    listed = home / "requirements.txt"
    listed.write_text("".join(f"{line}\n" for line in requirements), encoding="ascii")
    own_pip = importlib.util.find_spec("pip") is None
    venv = ["-m", "venv", *([] if own_pip else ["--without-pip"]), str(home / "venv")]
    if (status := run([sys.executable, *venv], folder=home, hold_fds=[lock])) != 0:
        message = (
            f"{service.name}: this Python cannot make a virtual environment: `python -m venv` "
            f"{_how(status)}. Install its venv package{quoted(log)}"
        )
        raise Unverifiable(message)
    python = str(_python(home))
    pip = [python, "-m", "pip"] if own_pip else [sys.executable, "-m", "pip", "--python", python]
    install = [*pip, "install", "--disable-pip-version-check", "-q", "-r", str(listed)]
    if requirements and (status := run(install, folder=home, hold_fds=[lock])) != 0:
        what = (
            f"pip {_how(status)} and did not install its requirements. Either one of them cannot "
            "be had, or the package index cannot be reached from this machine: pip does not tell "
            f"which{quoted(log)}"
        )
        raise _failed(service, what)
    (home / "complete").touch()


def _failed(service: Service, what: str) -> GateFailed:
    rule = "requirements"
    return GateFailed(rule, [Finding(service.name, what, rule)])


def _how(status: int | None) -> str:
    return "took too long" if status is None else ended(status)
