"""Ask a service's health endpoint, and choose the port it will have."""

from __future__ import annotations

import errno
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from pytest_orchestrator._stack.client import make_client

if TYPE_CHECKING:
    from types import TracebackType

HOST = "127.0.0.1"
_ANSWER_S = 5.0


class HealthProbe:
    """Asks one URL again and again; ``last`` says in words what came back last."""

    def __init__(self, url: str) -> None:
        """Prepare to ask ``url``; nothing is sent yet."""
        import httpx  # noqa: PLC0415 - on demand: most sessions start no service

        self._url = url
        # Loopback needs neither a proxy nor the caller's netrc. The port is another each time.
        self._client = make_client(url, timeout_s=_ANSWER_S)
        self._httpx = httpx
        self.last = "not asked"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.close()

    def is_healthy(self) -> bool:
        """Ask once; whether the answer is 200. Redirects are not followed."""
        try:
            with self._client.stream("GET", self._url) as response:
                self.last = f"{response.status_code} {response.reason_phrase}".strip()
                return response.status_code == HTTPStatus.OK
        except self._httpx.ConnectError:
            self.last = "connection refused"
        except self._httpx.TimeoutException:
            self.last = f"no answer within {_ANSWER_S:g} s"
        except self._httpx.HTTPError as error:
            self.last = f"no HTTP answer: {error}"
        return False


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
