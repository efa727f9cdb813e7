"""Run what a stack has for building and testing a service."""

from __future__ import annotations

import itertools
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.service import (
    build_environment,
    ended,
    fetching,
    fill,
    placeholders,
)
from pytest_orchestrator._domain.verdict import Finding
from pytest_orchestrator._stack.artefacts import Artefacts
from pytest_orchestrator._stack.child import run
from pytest_orchestrator._stack.environment import python_environment
from pytest_orchestrator._stack.logs import quoted
from pytest_orchestrator._stack.recognise import recognise
from pytest_orchestrator.errors import GateFailed, Unverifiable

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_orchestrator._domain.plan import Service, Stack


@dataclass(frozen=True, slots=True)
class Place:
    """Where a runtime finds and leaves things; all paths are absolute.

    Attributes:
        tree: The folder the services' paths are relative to.
        folder: For logs, home and temporary folders of this runtime.
        cache: Kept and shared between runs.
    """

    tree: Path
    folder: Path
    cache: Path

    @property
    def logs(self) -> Path:
        """The folder of all logs."""
        return self.folder / "logs"

    @property
    def bytecode(self) -> Path:
        """Where Python leaves what it compiles while something is built."""
        return self.folder / "bytecode"

    def home(self, service: Service) -> Path:
        """A service's own home folder, made if need be, with ``tmp`` in it."""
        home = self.folder / "home" / service.name
        (home / "tmp").mkdir(parents=True, exist_ok=True)
        return home

    def emptied_log(self, service: Service, what: str) -> Path:
        """The log of one kind of command, e.g. ``core-build.log``; what it held is dropped."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{service.name}-{what}.log"
        log.write_bytes(b"")
        return log


@dataclass(frozen=True, slots=True)
class Built:
    """A service that is ready to be started.

    Attributes:
        stack: What it was recognised as.
        python: What ``{python}`` stands for in its commands.
    """

    stack: Stack
    python: str

    def command(self, template: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        """A command of the stack with its placeholders filled."""
        values = {"python": self.python, "port": environment["PORT"]}
        return [fill(part, values) for part in template]


def build_service(
    service: Service,
    stacks: Mapping[str, Stack],
    place: Place,
    environment: Mapping[str, str],
    stop: threading.Event,
) -> Built:
    """Recognise a service, make its Python environment and run its stack's build commands.

    Args:
        service: What is built; all of it together may take ``build_s``.
        stacks: All stacks of the runbook.
        place: Its log is ``logs/<service>-build.log``.
        environment: What the service will run in; the build gets it, too, and the caller's
            variables about proxies, certificates and package indexes.
        stop: Set by another thread to cancel.

    Returns:
        What is needed to start it.

    Raises:
        GateFailed: Not recognised, requirements not installed, a command failed or took too
            long, or an artefact was not made; the message ends with the last lines of the log.
        Unverifiable: A tool is missing on this machine.
        Cancelled: ``stop`` was set.
    """
    deadline_s = time.monotonic() + service.build_s
    stack = recognise(service, stacks, place.tree)
    built = Built(stack, _python(service, stack, place, deadline_s, stop))
    work = _Work("build", service, place, deadline_s, stop)
    variables = build_environment(environment, caller=os.environ, bytecode=place.bytecode)
    artefacts = Artefacts(stack.artefacts, place.tree / service.path, place.bytecode)
    artefacts.remove()
    for command in stack.build:
        work.do(built, command, variables)
    if missing := artefacts.missing():
        what = (
            f"its build succeeded, but made no file {' and none '.join(missing)} in "
            f"{service.path}; what had been there was removed before it"
        )
        raise GateFailed("build", [Finding(service.name, what + quoted(work.log), "artefact")])
    return built


def run_tests(
    service: Service,
    built: Built,
    place: Place,
    environment: Mapping[str, str],
    stop: threading.Event,
) -> str:
    """Run the tests a service has of its own; they may take ``build_s``.

    Returns:
        What the command wrote.

    Raises:
        GateFailed: The command failed or took too long.
        Unverifiable: The stack has no test command.
        Cancelled: ``stop`` was set.
    """
    if built.stack.test is None:
        message = (
            f"{service.name}: stack {built.stack.name!r} has no tests to run. "
            f"Give [stacks.{built.stack.name}] a `test` command"
        )
        raise Unverifiable(message)
    work = _Work("test", service, place, time.monotonic() + service.build_s, stop)
    work.do(built, built.stack.test, environment)
    return work.log.read_text(encoding="utf-8", errors="replace")


class _Work:
    """Commands of one kind, with one log and one deadline."""

    def __init__(
        self, rule: str, service: Service, place: Place, deadline_s: float, stop: threading.Event
    ) -> None:
        self.log = place.emptied_log(service, rule)
        self._rule = rule
        self._service = service
        self._folder = place.tree / service.path
        self._deadline_s = deadline_s
        self._stop = stop

    def do(self, built: Built, template: Sequence[str], environment: Mapping[str, str]) -> None:
        status = run(
            built.command(template, environment),
            folder=self._folder,
            environment=environment,
            log=self.log,
            deadline_s=self._deadline_s,
            stop=self._stop,
        )
        if status == 0:
            return
        bound = f"was ended, as {self._service.build_s:g} s were over (`build_s`)"
        what = f"`{' '.join(template)}` {bound if status is None else ended(status)}"
        finding = Finding(self._service.name, what + quoted(self.log), self._rule)
        raise GateFailed(self._rule, [finding])


def _python(
    service: Service, stack: Stack, place: Place, deadline_s: float, stop: threading.Event
) -> str:
    words = itertools.chain(*stack.build, stack.start, stack.test or ())
    if stack.requirements is None or "python" not in placeholders(words):
        return sys.executable
    log = place.emptied_log(service, "environment")
    # The caller's home, for pip's configuration: no program of an agent's runs here.
    kept = {
        key: os.environ[key] for key in ("PATH", "HOME", "LD_LIBRARY_PATH") if key in os.environ
    }

    def logged(command: Sequence[str], *, folder: Path, hold_fds: Sequence[int]) -> int | None:
        return run(
            command,
            folder=folder,
            environment={**kept, **fetching(os.environ)},
            log=log,
            deadline_s=deadline_s,
            stop=stop,
            hold_fds=hold_fds,
        )

    file = place.tree / service.path / stack.requirements
    python = python_environment(
        service, file, tree=place.tree, cache=place.cache, log=log, run=logged, stop=stop
    )
    return str(python)
