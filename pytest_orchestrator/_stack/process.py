"""The process runtime: builds services and runs them as local processes."""

from __future__ import annotations

import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from pytest_orchestrator._domain.service import ended, placeholders, running_environment
from pytest_orchestrator._stack.build import Built, Place, build_service, run_tests
from pytest_orchestrator._stack.child import Child
from pytest_orchestrator._stack.health import HOST, HealthProbe, free_port, is_taken
from pytest_orchestrator._stack.logs import new_log, tail
from pytest_orchestrator._stack.processes import listeners
from pytest_orchestrator._stack.refusal import (
    LOG_MOST_BYTES,
    flooded,
    left_behind,
    not_started,
    unhealthy,
)
from pytest_orchestrator.errors import Cancelled, GateFailed, Infra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from pytest_orchestrator._domain.life import Program
    from pytest_orchestrator._domain.plan import Plan, Service

_POLL_S = 0.05
_STOPPING = "{}: stopped before it was healthy, since the session is stopping"
_IN_USE = re.compile(r"address (?:already )?in use|EADDRINUSE", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service that has answered its health endpoint.

    Attributes:
        name: Its name in the runbook.
        url: Without a path, e.g. ``"http://127.0.0.1:40213"``.
        port: On loopback.
        pid: Of the process, and of its process group.
        log: What it has written to its output and error output since this start.
        stack: Name of the stack it was recognised as.
        home: Its home folder, which no other service has.
    """

    name: str
    url: str
    port: int
    pid: int
    log: Path
    stack: str
    home: Path
    _child: Child = field(repr=False, compare=False)

    @property
    def alive(self) -> bool:
        """Whether its process still runs."""
        return self._child.poll() is None

    @property
    def ended(self) -> str:
        """How its process ended by itself, in words; empty while it runs."""
        status = self._child.poll()
        return "" if status is None else ended(status)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log; empty if it has written nothing."""
        return tail(self.log, lines)

    def terminate(self) -> None:
        """Send SIGTERM to its process alone, and leave what it has started to it until ``end``."""
        self._child.terminate()

    def wait(self, timeout_s: float) -> int | None:
        """Give it some time to end; its exit status, ``None`` if it and all it started have not."""
        return self._child.wait(timeout_s)

    def ask_to_end(self) -> None:
        """Have it stopped, with all it started, without waiting for that."""
        self._child.ask_to_end()

    def end(self) -> int:
        """Stop it, with all it started; returns its exit status, 128 plus a signal's number."""
        return self._child.end()


class _PortTaken(Infra):
    """Somebody else has the port that was chosen for a service."""

    def __init__(self, name: str, port: int, *, by: Sequence[Program] = ()) -> None:
        self.name = name
        who = ", by " + " and ".join(map(str, by)) if by else ""
        super().__init__(
            f"{name}: port {port} was taken by another program after it had been chosen and "
            f"before the service could use it{who}. Run again"
        )


class ProcessRuntime:
    """Builds, starts and stops the services of one tree, each as a local process.

    Nothing is done before it is asked for. Each service is built once per
    runtime and listens on a free loopback port of its own, which it keeps when
    it is started again. When the runtime is closed, or the process that owns it
    is gone, also by ``kill -9``, all services and what they started end within
    seconds. Several threads may use it.
    """

    def __init__(
        self,
        plan: Plan,
        tree: Path,
        folder: Path,
        cache: Path,
        *,
        traces_url: str | Mapping[str, str] | None = None,
    ) -> None:
        """Prepare; nothing is written or started yet.

        Args:
            plan: Has the services and stacks.
            tree: The folder the services' paths are relative to.
            folder: For this runtime alone: logs, home and temporary folders.
            cache: Kept and shared between runs: virtual environments, packages.
            traces_url: Where spans are posted, by all services or by each of its own; ``None``:
                there is no trace store, and variables that need its address are left out.
        """
        self._plan = plan
        self._place = Place(tree.absolute(), folder.absolute(), cache.absolute())
        self._traces_url = traces_url
        self._lock = threading.Lock()
        self._busy = {name: threading.Lock() for name in plan.services}
        self._stop = threading.Event()
        self._closed = False
        self._ports: dict[str, int] = {}
        self._addresses: dict[str, str] = {}
        self._built: dict[str, Built | GateFailed] = {}
        self._unhealthy: dict[str, GateFailed | Infra] = {}
        self._running: dict[str, RunningService] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def url(self, name: str) -> str:
        """The address a service has or will have, e.g. ``"http://127.0.0.1:40213"``."""
        return f"http://{HOST}:{self._port(name)}"

    @property
    def names(self) -> tuple[str, ...]:
        """All services there are, running or not."""
        return tuple(self._plan.services)

    @property
    def running(self) -> dict[str, RunningService]:
        """The services that were started and not stopped, by name."""
        with self._lock:
            return dict(self._running)

    def reach_by(self, addresses: Mapping[str, str]) -> Mapping[str, str]:
        """From now on, tell services these addresses of each other instead of the real ones.

        Args:
            addresses: By service; those not named keep their own.

        Returns:
            What they were told until now.
        """
        before, self._addresses = self._addresses, dict(addresses)
        return before

    def build(self, name: str) -> None:
        """Build a service, unless this runtime has done so before.

        Raises:
            GateFailed: No stack was recognised, its requirements could not be installed, or a
                command failed; with the last lines of the log. The same again next time.
            Unverifiable: A tool is missing on this machine.
            Cancelled: The runtime is being closed.
        """
        stop = self._token()
        with self._busy[name]:
            self._ready(name, stop)

    def run_check(self, name: str, check: Literal["build", "test"]) -> str:
        """Build a service and, if that is the check, run the tests it has of its own.

        Returns:
            What the test command wrote; empty for a build. That the command succeeded does
            not mean that it ran a test.

        Raises:
            GateFailed: It failed; with the last lines of the log.
            Unverifiable: A tool is missing, or the stack has no test command.
            Cancelled: The runtime is being closed.
        """
        stop = self._token()
        service = self._plan.services[name]
        with self._busy[name]:
            built = self._ready(name, stop)
            if check == "build":
                return ""
            return run_tests(service, built, self._place, self._environment(service), stop)

    def start(self, *names: str) -> dict[str, RunningService]:
        """Build and start services side by side; wait until all are healthy.

        A service that runs already is left as it is. If another program took a
        port before its service could, that service gets another one, and what
        was started in this call and knows the old one is started anew.

        Returns:
            The services by name, in the order of the arguments.

        Raises:
            GateFailed: At least one could not be built, exited early or did not become healthy;
                has the findings of all of them. Those that are healthy keep running. The same
                again next time, without another start.
            Unverifiable: A tool is missing on this machine.
            Infra: A port was taken, also at the second try; or another program answers on it.
            Cancelled: The runtime is being closed.
        """
        with self._lock:
            before = frozenset(self._running)
        try:
            return self._start_all(names, again=False)
        except _PortTaken as taken:
            self._give_up_port(taken, before)
            for name in names:
                self._unhealthy.pop(name, None)
        return self._start_all(names, again=True)

    def stop(self, *names: str) -> dict[str, int]:
        """Stop services: SIGTERM to their groups, SIGKILL after at most 3 seconds.

        Returns:
            Exit statuses by name, 128 plus the signal for one that a signal ended; only of
            those that had been started. Nothing they started is left.
        """
        with self._lock:
            stopped = {name: self._running.pop(name) for name in names if name in self._running}
        for service in stopped.values():
            service.ask_to_end()
        return {name: service.end() for name, service in stopped.items()}

    def release(self, name: str) -> RunningService | None:
        """Leave the ending of a service to the caller; ``None`` if it was not started."""
        with self._lock:
            return self._running.pop(name, None)

    def close(self) -> None:
        """Stop everything, for good; closing twice is allowed."""
        with self._lock:
            self._closed = True
            self._stop.set()
        self.stop(*self._plan.services)

    def _token(self) -> threading.Event:
        """What tells the work that begins now to stop."""
        with self._lock:
            if self._closed:
                message = "the services have been stopped for good"
                raise Cancelled(message)
            return self._stop

    def _port(self, name: str) -> int:
        with self._lock:
            if name not in self._ports:
                # Nobody listens on the ports given out before, as long as nothing is started.
                while (port := free_port()) in self._ports.values():
                    pass
                self._ports[name] = port
            return self._ports[name]

    def _known_to(self, service: Service) -> frozenset[str]:
        """The services whose addresses a service is given."""
        return placeholders(service.environment.values()) & self._plan.services.keys()

    def _environment(self, service: Service) -> dict[str, str]:
        values = {
            name: self._addresses.get(name) or self.url(name) for name in self._known_to(service)
        }
        values["port"] = str(self._port(service.name))
        if self._traces_url is not None:
            own = self._traces_url
            values["traces"] = own if isinstance(own, str) else own[service.name]
        return running_environment(
            service,
            values=values,
            caller=os.environ,
            home=self._place.home(service),
            cache=self._place.cache,
        )

    def _ready(self, name: str, stop: threading.Event) -> Built:
        """Build once; the caller has the service to itself."""
        if name not in self._built:
            service = self._plan.services[name]
            variables = self._environment(service)
            try:
                built = build_service(service, self._plan.stacks, self._place, variables, stop)
            except GateFailed as failed:
                self._built[name] = failed
            else:
                self._built[name] = built
        known = self._built[name]
        if isinstance(known, GateFailed):
            raise _anew(known)
        return known

    def _start_all(self, names: Sequence[str], *, again: bool) -> dict[str, RunningService]:
        stop = self._token()
        with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
            starts = {name: pool.submit(self._start, name, stop, again=again) for name in names}
            try:
                wait(starts.values())
            except BaseException:  # Ctrl-C, or a time limit of the test
                self._interrupt(stop)
                raise
        if errors := [error for start in starts.values() if (error := start.exception())]:
            raise _foremost(errors)
        return {name: start.result() for name, start in starts.items()}

    def _interrupt(self, stop: threading.Event) -> None:
        stop.set()
        with self._lock:
            if not self._closed:
                self._stop = threading.Event()

    def _start(self, name: str, stop: threading.Event, *, again: bool) -> RunningService:
        with self._busy[name]:
            running = self._running.get(name)
            if running is not None and running.alive:
                return running
            built = self._ready(name, stop)
            if (known := self._unhealthy.get(name)) is not None:
                # What was built has not changed, and its deadline need not pass once more.
                raise _anew(known)
            service = self._launch(name, built)
            try:
                self._await_health(service, stop, again=again)
                self._keep(service, stop)
            except BaseException as error:
                service.end()
                if isinstance(error, GateFailed | Infra) and not isinstance(error, _PortTaken):
                    self._unhealthy[name] = error
                raise
            return service

    def _launch(self, name: str, built: Built) -> RunningService:
        service = self._plan.services[name]
        variables = self._environment(service)
        # Or another program's answer would be taken for this one's.
        if is_taken(port := self._port(name)):
            raise _PortTaken(name, port, by=listeners(port))
        log = new_log(self._place.logs, name)
        child = Child(
            built.command(built.stack.start, variables),
            folder=self._place.tree / service.path,
            environment=variables,
            log=log,
        )
        home, stack = self._place.home(service), built.stack.name
        return RunningService(name, self.url(name), port, child.pid, log, stack, home, child)

    def _await_health(self, service: RunningService, stop: threading.Event, *, again: bool) -> None:
        spec = self._plan.services[service.name]
        deadline_s = time.monotonic() + spec.start_s
        with HealthProbe(service.url, spec.health) as probe:
            while service.alive:
                if probe.is_healthy() and service.alive:
                    return
                if time.monotonic() > deadline_s:
                    raise unhealthy(service, spec, probe)
                if service.log.stat().st_size > LOG_MOST_BYTES:
                    raise flooded(service, spec)
                if stop.wait(_POLL_S):
                    raise Cancelled(_STOPPING.format(service.name))
        what = f"{service.ended} before {spec.health} answered 200"
        if is_taken(service.port):
            if not (own := left_behind(service)):
                raise _PortTaken(service.name, service.port, by=listeners(service.port))
            what += f", and left {' and '.join(map(str, own))} on its port"
        elif not again and _says_port_in_use(service):
            raise _PortTaken(service.name, service.port)
        raise not_started(service, spec, what)

    def _keep(self, service: RunningService, stop: threading.Event) -> None:
        """Make it one that ``close`` stops; too late if that has begun."""
        with self._lock:
            if stop.is_set():
                raise Cancelled(_STOPPING.format(service.name))
            self._running[service.name] = service

    def _give_up_port(self, taken: _PortTaken, before: frozenset[str]) -> None:
        """Forget a port, and stop and rebuild who was told of it; not those of earlier calls."""
        told = {s.name for s in self._plan.services.values() if taken.name in self._known_to(s)}
        if told & before:
            raise taken
        self.stop(*told)
        with self._lock:
            self._ports.pop(taken.name, None)
            for name in told:
                self._built.pop(name, None)


def _anew(known: GateFailed | Infra) -> GateFailed | Infra:
    """The same error, without the traceback of the first time."""
    if isinstance(known, GateFailed):
        return GateFailed(known.check, known.findings)
    return Infra(str(known))


def _says_port_in_use(service: RunningService) -> bool:
    said = service.log_tail(100)
    return str(service.port) in said and _IN_USE.search(said) is not None


def _foremost(errors: Sequence[BaseException]) -> BaseException:
    """The one to raise: a lost port, since it can be mended; else all findings together."""
    lost = [error for error in errors if isinstance(error, _PortTaken)]
    failed = [error for error in errors if isinstance(error, GateFailed)]
    if lost or not failed:
        return (*lost, *errors)[0]
    checks = " and ".join(dict.fromkeys(error.check for error in failed))
    return GateFailed(checks, [finding for error in failed for finding in error.findings])
