"""Ask a service's health endpoint, and choose the port it will have."""

from __future__ import annotations

import errno
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from pytest_orchestrator._domain.life import Answer
from pytest_orchestrator._stack.ask import PLAIN, Asker

if TYPE_CHECKING:
    from types import TracebackType

HOST = "127.0.0.1"


class HealthProbe:
    """Asks one health endpoint again and again; ``last`` says in words what came back last."""

    def __init__(self, url: str, path: str) -> None:
        """Prepare to ask ``path`` at ``url``; nothing is sent yet."""
        self._asker = Asker(url)
        self._path = path
        self.answer = Answer(PLAIN, error="not asked")

    def __enter__(self) -> Self:
        self._asker.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._asker.__exit__(kind, error, traceback)

    @property
    def last(self) -> str:
        """What came back last, e.g. ``"503 Service Unavailable"``."""
        status = self.answer.status
        if self.answer.error:
            return self.answer.error
        phrase = HTTPStatus(status).phrase if status in _STATUSES else ""
        return f"{status} {phrase}".strip()

    def is_healthy(self) -> bool:
        """Ask once; whether the answer is 200. Only a redirect by a slash is followed."""
        self.answer = self._asker.ask(self._path)
        return self.answer.status == HTTPStatus.OK


_STATUSES = frozenset(HTTPStatus)


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as candidate:
        candidate.bind((HOST, 0))
        port: int = candidate.getsockname()[1]
        return port


def is_taken(port: int) -> bool:
    """Whether a service could not listen on the port, because somebody else does."""
    with socket.socket() as candidate:
        # As servers do: connections of the past that linger are no obstacle.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((HOST, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False
