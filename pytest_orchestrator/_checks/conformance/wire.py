"""Sends requests to one service over HTTP; what goes wrong there is an answer, too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import httpx

from pytest_orchestrator._checks.conformance.judgement import Answer

if TYPE_CHECKING:
    from types import TracebackType

    from pytest_orchestrator._checks.conformance.requests import Request

ANSWER_S = 15.0
"""Seconds an answer may take, from the first byte sent to the last one read."""
_MAX_BYTES = 5_000_000
_KEEPS_METHOD = (307, 308)


class Wire:
    """A connection to a service, without proxies, and following no redirect but one.

    A redirect that only adds or takes a slash at the end, and keeps the method, is followed:
    frameworks differ in which of the two they mean.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        # A service may close a connection that is kept, at the moment it is used again.
        fresh = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(
            timeout=ANSWER_S, trust_env=False, follow_redirects=False, limits=fresh
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.close()

    def send(self, request: Request) -> Answer:
        """Send a request and read the whole answer."""
        answer = self._sent(request, request.target)
        target = urlsplit(request.target)
        location = urlsplit(answer.headers.get("location", ""))
        is_slash = location.path.rstrip("/") == target.path.rstrip("/") != location.path
        is_slash = is_slash or f"{location.path}/" == target.path
        if answer.status in _KEEPS_METHOD and is_slash:
            query = f"?{target.query}" if target.query else ""
            return self._sent(request, location.path + query)
        return answer

    def _sent(self, request: Request, target: str) -> Answer:
        headers = [(name.encode(), value.encode()) for name, value in request.headers]
        end_s = time.monotonic() + ANSWER_S
        try:
            with self._client.stream(
                request.method, self._url + target, headers=headers, content=request.body
            ) as response:
                body = _read(response, end_s)
        except httpx.TimeoutException:
            return Answer(0, {}, failure=f"nothing within {ANSWER_S:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer(0, {}, failure=f"{type(error).__name__}: {error}")
        return Answer(response.status_code, dict(response.headers), body)


def _read(response: httpx.Response, end_s: float) -> bytes:
    body = b""
    for piece in response.iter_bytes():
        body += piece
        if len(body) > _MAX_BYTES:
            break
        if time.monotonic() > end_s:
            message = "the answer does not come to its end"
            raise httpx.ReadTimeout(message)
    return body
