"""Ask a running service over HTTP, as different clients would."""

from __future__ import annotations

import asyncio
import ssl
from http import HTTPStatus
from secrets import token_hex
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin, urlsplit

from pytest_orchestrator._domain.life import Answer
from pytest_orchestrator._stack.client import look_like

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import httpx

ANSWER_S = 5.0
"""Seconds an answer may take, to its last byte."""
_BODY_BYTES = 1048576
_REDIRECTS = frozenset(
    (
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    )
)
_BROWSER = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36"
)
PLAIN = "an ordinary client"
ASKERS: Mapping[str, Mapping[str, str]] = {
    PLAIN: {},
    "a browser": {
        "User-Agent": _BROWSER,
        "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "Accept-Language": "en",
    },
    "curl": {"User-Agent": "curl/8.5.0", "Accept": "*/*"},
    # Nobody can have expected this one.
    "an unknown client": {"User-Agent": f"probe-{token_hex(4)}/1.0", "Accept": "application/json"},
}
"""Who asks: a name for findings, and the headers that tell them apart."""


class Asker:
    """Asks one service; each question has a connection of its own. For one thread."""

    def __init__(self, url: str) -> None:
        """Prepare to ask the service at ``url``, e.g. ``"http://127.0.0.1:40213"``."""
        self._url = url
        self._runner = asyncio.Runner()
        self._client: httpx.AsyncClient | None = None

    def __enter__(self) -> Self:
        import httpx  # noqa: PLC0415 - on demand: most sessions start no service

        self._client = httpx.AsyncClient(
            trust_env=False,  # loopback needs neither a proxy nor the caller's netrc
            timeout=None,  # noqa: S113 - bounded as a whole, see `ask`
            limits=httpx.Limits(max_keepalive_connections=0),
            verify=ssl.SSLContext(
                ssl.PROTOCOL_TLS_CLIENT
            ),  # never used, but loading CAs takes time
        )
        look_like(self._client, self._url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._runner.run(self._client.aclose())
        self._runner.close()

    def ask(self, path: str, asked_as: str = PLAIN, *, at_s: float = 0.0) -> Answer:
        """GET a path, to the end of the answer or for ``ANSWER_S``.

        A redirect that only adds or removes the path's last slash is followed, no other.

        Args:
            path: E.g. ``"/health"``.
            asked_as: A key of ``ASKERS``.
            at_s: Noted in the answer.
        """
        import httpx  # noqa: PLC0415 - as above

        try:
            response = self._runner.run(self._within_time(self._url + path, asked_as))
        except httpx.ConnectError:
            return Answer(asked_as, error="connection refused", at_s=at_s)
        except TimeoutError:
            return Answer(asked_as, error=f"no answer within {ANSWER_S:g} s", at_s=at_s)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            return Answer(asked_as, error=f"no HTTP answer: {why}", at_s=at_s)
        status, content_type, body = response
        return Answer(asked_as, status, content_type, body, at_s=at_s)

    async def _within_time(self, url: str, asked_as: str) -> tuple[int, str, str]:
        async with asyncio.timeout(ANSWER_S):
            status, headers, body = await self._get(url, asked_as)
            target = urljoin(url, headers.get("location", ""))
            if status in _REDIRECTS and _differ_by_a_slash(url, target):
                status, headers, body = await self._get(target, asked_as)
            return status, headers.get("content-type", ""), body

    async def _get(self, url: str, asked_as: str) -> tuple[int, httpx.Headers, str]:
        assert self._client is not None  # noqa: S101 - entered
        async with self._client.stream("GET", url, headers=dict(ASKERS[asked_as])) as response:
            body = b""
            async for part in response.aiter_bytes():
                body += part
                if len(body) >= _BODY_BYTES:
                    break
            text = body[:_BODY_BYTES].decode(response.encoding or "utf-8", errors="replace")
            return response.status_code, response.headers, text


def _differ_by_a_slash(one: str, other: str) -> bool:
    here, there = urlsplit(one), urlsplit(other)
    same_place = here.netloc == there.netloc and here.scheme == there.scheme
    return same_place and {here.path, there.path} == {
        here.path.rstrip("/"),
        here.path.rstrip("/") + "/",
    }
