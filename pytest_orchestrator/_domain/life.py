"""What was seen of a service from its start to its end."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back when somebody asked a service once.

    Attributes:
        asked_as: Who asked, e.g. ``"a browser"``.
        status: E.g. ``200``; 0: no complete answer came back, and ``error`` says why.
        content_type: As it was sent; empty: there was none.
        body: Decoded; of a long one the beginning.
        error: E.g. ``"connection refused"``; empty if there was an answer.
        at_s: Seconds since the service was healthy for the first time.
    """

    asked_as: str
    status: int = 0
    content_type: str = ""
    body: str = ""
    error: str = ""
    at_s: float = 0.0


@dataclass(frozen=True, slots=True, order=True)
class Program:
    """A process, as a sentence names it.

    Attributes:
        pid: Its id; 0: not known, e.g. because it is another user's.
        command: Its command line, on one line and not too long; may be empty.
    """

    pid: int
    command: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return "a program that could not be identified"
        return f"process {self.pid} ({self.command})" if self.command else f"process {self.pid}"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One look at the processes of a service, and at who listens on its port.

    Attributes:
        at_s: Seconds since the service was healthy for the first time.
        alive: The process that was started, and all that it has started.
        listening: Those of them that listen on the port.
        strangers: Others that listen on the port, in the service's place.
        unknown: Why it could not be told who listens; empty if it could.
    """

    at_s: float
    alive: frozenset[int] = frozenset()
    listening: frozenset[Program] = frozenset()
    strangers: tuple[Program, ...] = ()
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a service that was sent SIGTERM.

    Attributes:
        status: Its exit status, 128 plus the signal's number if one ended it.
        obeyed: Whether the process that was started had ended when ``within_s`` was over.
        left: What it had started and was still there then; it was ended.
        took_s: Seconds until all were gone.
        within_s: Seconds they had for it.
        listening: Who held the port when all were gone.
    """

    status: int
    obeyed: bool = True
    left: tuple[Program, ...] = ()
    took_s: float = 0.0
    within_s: float = 0.0
    listening: tuple[Program, ...] = ()


@dataclass(frozen=True, slots=True)
class Life:
    """A service from its start to its end, as far as it could be seen from outside.

    Attributes:
        name: The service's name in the runbook.
        health: Path of its health endpoint.
        port: The one it was given.
        answers: What its health endpoint answered, in the order of the questions.
        page: Path of its root page; empty if it has none.
        pages: What its root page answered, likewise.
        sightings: Its processes, several times while it was to stay healthy.
        died: How its process ended by itself, in words; empty if it did not.
        lived_s: Seconds from when it was healthy until it died, or was sent SIGTERM.
        ending: What SIGTERM made of it; of one that died, how it ended.
        wrote_bytes: Size of its log.
        log: The end of a sentence: the last lines of its log.
    """

    name: str
    health: str
    port: int
    answers: tuple[Answer, ...]
    ending: Ending
    page: str = ""
    pages: tuple[Answer, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    died: str = ""
    lived_s: float = 0.0
    wrote_bytes: int = 0
    log: str = field(default="", repr=False)
