"""Follow services from their start to their end, side by side."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import count
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.life import Answer, Ending, Life, Sighting
from pytest_orchestrator._domain.service import placeholders
from pytest_orchestrator._stack.ask import ASKERS, Asker
from pytest_orchestrator._stack.health import HOST, is_taken
from pytest_orchestrator._stack.logs import quoted
from pytest_orchestrator._stack.processes import escaped, kill, listeners, look, members, named
from pytest_orchestrator._stack.refusal import occupied
from pytest_orchestrator.errors import Cancelled, OrchestratorError, Unverifiable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_orchestrator._domain.plan import Plan, Service
    from pytest_orchestrator._stack.process import ProcessRuntime, RunningService

_ASK_EVERY_S = 0.05
_LOOK_EVERY_S = 0.5
_POLL_S = 0.05


class Lives:
    """What became of services that were started, watched for a while, and told to end.

    Nothing happens before the first one is asked for; then all are followed side
    by side, each once, so that together they take as long as the slowest. None of
    them can reach another, so that each is judged as if it were alone.
    """

    def __init__(self, runtime: ProcessRuntime, plan: Plan, names: Sequence[str]) -> None:
        """Prepare.

        Args:
            runtime: Starts them.
            plan: Has, for each service, how long it is watched, ``steady_s``, and how long it
                may take to end, ``stop_s``.
            names: Those that are followed.
        """
        self._runtime = runtime
        self._plan = plan
        self._names = tuple(names)
        self._stop = threading.Event()
        self._followed: dict[str, Future[Life]] = {}

    def __getitem__(self, name: str) -> Life:
        """The whole life of one service; it has ended.

        Raises:
            GateFailed: It could not be built, or was not healthy in time.
            Unverifiable: A tool is missing on this machine, or it may not be looked at whose
                the port is.
            Infra: Another program answers on its port; says which.
            Cancelled: The session is stopping.
        """
        if not self._followed:
            self._follow_all()
        return self._followed[name].result()

    def _follow_all(self) -> None:
        with self._each_on_its_own():
            # In one call, since who gets a new port concerns the others; errors come again below.
            with contextlib.suppress(OrchestratorError):
                self._runtime.start(*self._names)
            with ThreadPoolExecutor(max_workers=max(1, len(self._names))) as pool:
                followed = {name: pool.submit(self._follow, name) for name in self._names}
                try:
                    wait(followed.values())
                except BaseException:  # Ctrl-C, or a time limit of the test
                    self._stop.set()
                    raise
        self._followed = followed

    @contextlib.contextmanager
    def _each_on_its_own(self) -> Iterator[None]:
        """Tell services that the others are where nobody answers: each is to be up by itself."""
        own = self._plan.services
        alone = [name for name in own if name not in placeholders(own[name].environment.values())]
        with socket.socket() as nobody:
            nobody.bind((HOST, 0))  # held, so that nobody else listens there; it does not listen
            url = f"http://{HOST}:{nobody.getsockname()[1]}"
            before = self._runtime.reach_by(dict.fromkeys(alone, url))
            try:
                yield
            finally:
                self._runtime.reach_by(before)

    def _follow(self, name: str) -> Life:
        service = self._runtime.start(name)[name]
        watched = Watch(service, self._plan.services[name], self._stop)
        watched.go_on()
        self._runtime.release(name)
        try:
            ending = terminate(service, self._plan.services[name].stop_s)
        finally:
            service.end()
        life = watched.life(ending)
        _require_its_own_port(life)
        return life


class Watch:
    """What is seen of one service while it is to stay healthy."""

    def __init__(self, service: RunningService, spec: Service, stop: threading.Event) -> None:
        """Prepare; ``stop`` ends the watch early."""
        self._service = service
        self._spec = spec
        self._stop = stop
        self._began_s = time.monotonic()
        self._answers: list[Answer] = []
        self._pages: list[Answer] = []
        self._sightings: list[Sighting] = []
        self._lived_s = 0.0
        self._died = ""

    def go_on(self) -> None:
        """Ask and look, again and again, until ``steady_s`` are over or the service has died.

        Raises:
            Cancelled: The session is stopping.
        """
        with Asker(self._service.url) as asker:
            self._look()
            self._ask_pages(asker)
            for number in count():
                if self._is_over(number):
                    break
                self._ask_health(asker, number)
                if self._passed_s() - self._sightings[-1].at_s >= _LOOK_EVERY_S:
                    self._look(for_others=False)
            if self._stop.is_set():
                message = f"{self._service.name}: the session is stopping, so it is not watched"
                raise Cancelled(message)
            if not self._died:
                self._ask_pages(asker)
                self._look()
        self._died = self._service.ended
        self._lived_s = self._passed_s()

    def life(self, ending: Ending) -> Life:
        """All of it, now that the service has ended."""
        service, spec = self._service, self._spec
        return Life(
            service.name,
            spec.health,
            service.port,
            tuple(self._answers),
            ending,
            page=spec.page or "",
            pages=tuple(self._pages),
            sightings=tuple(self._sightings),
            died=self._died,
            lived_s=self._lived_s,
            wrote_bytes=service.log.stat().st_size,
            log=quoted(service.log, once=spec.health),
        )

    def _is_over(self, asked: int) -> bool:
        self._died = self._service.ended
        everybody = asked >= 2 * len(ASKERS)
        unanswered = any("no answer" in answer.error for answer in self._answers)
        return bool(
            self._died
            or unanswered
            or (everybody and self._passed_s() >= self._spec.steady_s)
            or self._stop.wait(_ASK_EVERY_S if asked else 0)
        )

    def _ask_health(self, asker: Asker, number: int) -> None:
        # In another order each round, so that what fails every other time fails for everybody.
        turn, place = divmod(number, len(ASKERS))
        asked_as = list(ASKERS)[(turn + place) % len(ASKERS)]
        self._answers.append(asker.ask(self._spec.health, asked_as, at_s=self._passed_s()))

    def _ask_pages(self, asker: Asker) -> None:
        if self._spec.page is not None:
            for asked_as in ASKERS:
                answer = asker.ask(self._spec.page, asked_as, at_s=self._passed_s())
                self._pages.append(answer)

    def _look(self, *, for_others: bool = True) -> None:
        service, at_s = self._service, self._passed_s()
        self._sightings.append(
            look(service.pid, service.home, service.port, at_s=at_s, for_others=for_others)
        )

    def _passed_s(self) -> float:
        return time.monotonic() - self._began_s


def terminate(service: RunningService, within_s: float) -> Ending:
    """Send SIGTERM to the process that was started, and see what ends by itself.

    What is left when ``within_s`` seconds are over is noted, then ended.
    """
    began_s = time.monotonic()
    service.terminate()
    deadline_s = began_s + within_s
    left = members(service.pid)
    while left and service.wait(_POLL_S) is None and time.monotonic() < deadline_s:
        left = members(service.pid)
    left = members(service.pid)
    took_s = time.monotonic() - began_s
    obeyed = service.pid not in left
    behind = named(process for pid, process in left.items() if pid != service.pid)
    status = service.end()
    astray = escaped(service.home)
    holding = listeners(service.port) if is_taken(service.port) else ()
    behind += named(process for pid, process in astray.items() if pid not in left)
    kill(astray.values())
    return Ending(status, obeyed, behind, took_s, within_s, holding)


def _require_its_own_port(life: Life) -> None:
    """Judge only what is the service's own doing."""
    for sighting in life.sightings:
        if sighting.strangers:
            raise occupied(life.name, life.port, sighting.strangers)
    if life.sightings and all(sighting.unknown for sighting in life.sightings):
        message = (
            f"{life.name}: it cannot be told who listens on port {life.port}: "
            f"{life.sightings[0].unknown}. Run this as the user who may"
        )
        raise Unverifiable(message)
