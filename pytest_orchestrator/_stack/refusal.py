"""Why a service that was started is not taken for healthy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._domain.verdict import Finding
from pytest_orchestrator._stack.logs import quoted
from pytest_orchestrator._stack.processes import escaped, kill, listeners, members, named, sockets
from pytest_orchestrator.errors import GateFailed, Infra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_orchestrator._domain.life import Program
    from pytest_orchestrator._domain.plan import Service
    from pytest_orchestrator._stack.health import HealthProbe
    from pytest_orchestrator._stack.process import RunningService

LOG_MOST_BYTES = 100_000_000
"""A service that has written so much before it is healthy is ended, or it would fill the disk."""


def not_started(
    service: RunningService, spec: Service, what: str, rule: str = "start"
) -> GateFailed:
    """A finding about a start, with the last lines of the log."""
    return GateFailed(
        "start", [Finding(spec.name, what + quoted(service.log, once=spec.health), rule)]
    )


def flooded(service: RunningService, spec: Service) -> GateFailed:
    """It has written more than anybody can read."""
    what = f"wrote more than {LOG_MOST_BYTES // 1_000_000} MB of log before it was healthy"
    return not_started(service, spec, what, "log")


def unhealthy(service: RunningService, spec: Service, probe: HealthProbe) -> GateFailed | Infra:
    """Say why it has not answered 200 in time, as far as its sockets tell."""
    what = f"{spec.health} did not answer 200 within {spec.start_s:g} s (last: {probe.last})"
    own = members(service.pid)
    others = [program for program in listeners(service.port) if program.pid not in own]
    if others and not {program.pid for program in others} & escaped(service.home).keys():
        return occupied(spec.name, service.port, others)
    if probe.answer.status:
        return not_started(service, spec, what, "status")
    open_, _ = sockets(own.values())
    ports = {socket.port for socket in open_}
    if service.port in ports and probe.answer.error.startswith("connection"):
        where = " and ".join(sorted({str(s) for s in open_ if s.port == service.port}))
        return not_started(service, spec, f"{what}; it listens on {where}, not on IPv4", "address")
    if service.port in ports:
        return not_started(service, spec, what, "no-answer")
    if ports:
        where = " and ".join(sorted(map(str, set(open_))))
        given = f"it listens on {where}, not on the port it was given, {service.port} (`PORT`)"
        return not_started(service, spec, f"{what}; {given}", "port")
    return not_started(service, spec, f"{what}; it listens on no port", "start")


def left_behind(service: RunningService) -> tuple[Program, ...]:
    """What a service that has ended left on its port, although its group is gone; ended here."""
    own = escaped(service.home)
    on_port = {program.pid for program in listeners(service.port)}
    found = named(process for pid, process in own.items() if pid in on_port)
    kill(own.values())
    return found


def occupied(name: str, port: int, by: Sequence[Program]) -> Infra:
    """Somebody else answers in the service's place, so nothing is known about the service."""
    who = " and ".join(map(str, by))
    return Infra(
        f"{name}: port {port}, which it was given, is held by {who}, which is none of its "
        "processes; what answers there is not the service. End that program and run again"
    )
