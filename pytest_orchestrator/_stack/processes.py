"""The processes of a service, and who listens on a port; on Linux and macOS."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._domain.life import Program, Sighting
from pytest_orchestrator._domain.service import last_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import psutil

_COMMAND_CHARACTERS = 160
# Where a client that asks 127.0.0.1 may end up; the exact address goes before the others.
_EXACT = "127.0.0.1"
_REACHED = frozenset((_EXACT, "0.0.0.0", "::", "::ffff:127.0.0.1"))  # noqa: S104 - read, not bound


class Socket(NamedTuple):
    """A socket on which a process listens.

    Attributes:
        address: E.g. ``"127.0.0.1"`` or ``"::"``.
        port: E.g. ``8000``.
        owner: The process.
    """

    address: str
    port: int
    owner: Program

    def __str__(self) -> str:
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else (f"{self.address}:{self.port}")
        )


def members(leader: int) -> dict[int, psutil.Process]:
    """The process that was started and all that it has started, by id; zombies do not count.

    Args:
        leader: Its process id, which is that of its process group, too.
    """
    import psutil  # noqa: PLC0415 - on demand: only a gate on health looks at processes

    found: dict[int, psutil.Process] = {}
    for pid in psutil.pids():
        with suppress(OSError, psutil.Error):
            if os.getpgid(pid) == leader:
                found[pid] = psutil.Process(pid)
    with suppress(psutil.Error):
        # Also those that have made a group of their own.
        found |= {child.pid: child for child in psutil.Process(leader).children(recursive=True)}
    return {pid: process for pid, process in found.items() if _lives(process)}


def escaped(home: Path) -> dict[int, psutil.Process]:
    """Processes that have a service's home folder in their environment, wherever they belong."""
    import psutil  # noqa: PLC0415 - as above

    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get("HOME") == str(home) and _lives(process):
                found[process.pid] = process
    return found


def kill(processes: Iterable[psutil.Process]) -> None:
    """End processes that have left their group, at once."""
    import psutil  # noqa: PLC0415 - as above

    for process in processes:
        with suppress(psutil.Error, OSError):
            process.send_signal(signal.SIGKILL)


def named(processes: Iterable[psutil.Process]) -> tuple[Program, ...]:
    """What findings call processes, by id."""
    return tuple(sorted(_program(process) for process in processes))


def sockets(processes: Iterable[psutil.Process]) -> tuple[tuple[Socket, ...], str]:
    """The TCP sockets on which processes listen, and why some may be missing."""
    import psutil  # noqa: PLC0415 - as above

    found: list[Socket] = []
    unknown = ""
    for process in processes:
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.AccessDenied:
            unknown = f"the connections of {_program(process)} may not be looked at"
            continue
        except (psutil.Error, OSError):
            continue
        found += [
            Socket(c.laddr.ip, c.laddr.port, _program(process))
            for c in connections
            if c.status == psutil.CONN_LISTEN and c.laddr
        ]
    return tuple(found), unknown


def listeners(port: int) -> tuple[Program, ...]:
    """Who listens on a port where a client that asks 127.0.0.1 ends up; empty: nobody seen."""
    everywhere = [s for s in _all_sockets() if s.port == port and s.address in _REACHED]
    exact = [s for s in everywhere if s.address == _EXACT]
    return tuple(sorted({s.owner for s in exact or everywhere}))


def look(leader: int, home: Path, port: int, *, at_s: float, for_others: bool = True) -> Sighting:
    """Look at a service's processes once, and at who listens on its port.

    Args:
        leader: The process that was started.
        home: The service's home folder.
        port: The one it was given.
        at_s: Noted in the sighting.
        for_others: Whether to look for strangers also if the service listens itself, which
            takes a look at all processes of the machine.
    """
    own = members(leader)
    open_, unknown = sockets(own.values())
    listening = {s.owner for s in open_ if s.port == port and s.address in _REACHED}
    alive = set(own)
    strangers: tuple[Program, ...] = ()
    look_further = for_others or not listening
    others = [p for p in listeners(port) if p.pid not in own] if look_further else []
    if others:
        # Perhaps born since we looked, or gone its own way: still the service's.
        alive |= members(leader).keys() | escaped(home).keys()
        listening |= {program for program in others if program.pid in alive}
        strangers = tuple(program for program in others if program.pid not in alive)
    return Sighting(
        at_s, frozenset(alive), frozenset(listening), strangers, "" if listening else unknown
    )


def _all_sockets() -> Iterator[Socket]:
    """All listening sockets of this machine, as far as this user may see them."""
    import psutil  # noqa: PLC0415 - as above

    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS, unless one is root
        yield from sockets(psutil.process_iter())[0]
        return
    for c in connections:
        if c.status == psutil.CONN_LISTEN and c.laddr:
            yield Socket(c.laddr.ip, c.laddr.port, _by_id(c.pid))


def _by_id(pid: int | None) -> Program:
    import psutil  # noqa: PLC0415 - as above

    if pid is None:  # another user's
        return Program(0)
    try:
        return _program(psutil.Process(pid))
    except psutil.Error:
        return Program(pid)


def _program(process: psutil.Process) -> Program:
    import psutil  # noqa: PLC0415 - as above

    command = ""
    with suppress(psutil.Error, OSError):
        command = " ".join(last_lines(" ".join(process.cmdline()), 99).split())
    cut = len(command) > _COMMAND_CHARACTERS
    return Program(process.pid, f"{command[:_COMMAND_CHARACTERS]}…" if cut else command)


def _lives(process: psutil.Process) -> bool:
    import psutil  # noqa: PLC0415 - as above

    try:
        return bool(process.status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD})
    except psutil.Error:
        return False
