"""Asking Tempo's HTTP API, or whatever speaks like it, for one trace."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal, Self

from pytest_orchestrator._checks.traces.decoding import PROTOBUF, NotATrace, decode
from pytest_orchestrator.errors import Infra

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    import httpx

    from pytest_orchestrator._domain.trace import Span

_POLL_S: Final = 0.1
_PATHS: Final = {1: "/api/traces/{}", 2: "/api/v2/traces/{}"}


class TraceClient:
    """A client of Tempo's HTTP API; use it in a ``with`` statement, or ``close()`` it.

    Args:
        base_url: Where the trace store listens, e.g. ``"http://127.0.0.1:3200"``.
        version: Of the API: what v1 answers, every Tempo and every Grafana passes on.
        accept: What is asked for. Whatever comes is read by what it says it is.
        request_s: Seconds one request may take.
        headers: Further headers of every request; they stand in no message.
        clock: Seconds, monotonic.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        base_url: str,
        *,
        version: Literal[1, 2] = 1,
        accept: str = PROTOBUF,
        request_s: float = 10.0,
        headers: dict[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx  # noqa: PLC0415 -- loaded by who needs it

        self._version = version
        self._clock = clock
        self._sleep = sleep
        # A proxy from the environment would be asked for addresses of this machine.
        self._http = httpx.Client(
            base_url=base_url,
            timeout=request_s,
            trust_env=False,
            headers={**(headers or {}), "Accept": accept},
        )

    def ready(self) -> bool:
        """Whether the store says that it takes and answers; ``False`` also if nobody listens."""
        try:
            return self.get("/ready").is_success
        except Infra:
            return False

    def wait_until_ready(self, timeout_s: float) -> None:
        """Wait for a store that somebody else has started.

        Raises:
            Infra: It is not ready in time; the message says what to do.
        """
        deadline_s = self._clock() + timeout_s
        while not self.ready():
            if self._clock() >= deadline_s:
                raise Infra(
                    f"the trace store at {self._http.base_url} is not ready after {timeout_s:g} s: "
                    f"{self._reason()}. Start it, correct url in [traces] of the runbook, or take "
                    "url and otlp out to use the embedded store"
                )
            self._sleep(_POLL_S)

    def _reason(self) -> str:
        try:
            answer = self.get("/ready")
        except Infra as error:
            return str(error)
        return f"/ready answers {answer.status_code} {answer.text.strip()[:100]!r}"

    def spans(self, trace_id: str) -> tuple[Span, ...]:
        """What has arrived of a trace, which may be less than there will be.

        Args:
            trace_id: 32 hex digits.

        Returns:
            The spans in the order of the answer; empty if the trace is not known.

        Raises:
            Infra: The store does not answer, or answers something that is not a trace.
        """
        answer = self.get(_PATHS[self._version].format(trace_id))
        # For a trace it does not know, v1 answers 404, v2 an empty trace. A path that is
        # not offered is 404 as well: then this is no trace store.
        if answer.status_code == HTTPStatus.NOT_FOUND and b"page not found" not in answer.content:
            return ()
        try:
            if answer.status_code == HTTPStatus.OK:
                kind = answer.headers.get("content-type", "")
                return decode(answer.content, kind, version=self._version)
        except NotATrace as error:
            raise _no_trace(answer) from error
        raise _no_trace(answer)

    def wait_for(
        self,
        trace_id: str,
        is_whole: Callable[[Sequence[Span]], bool],
        *,
        timeout_s: float,
        settle_s: float = 1.0,
    ) -> tuple[Span, ...]:
        """Wait until a trace is complete, as far as one can tell.

        A trace is found as soon as its first spans have arrived. It counts as
        complete when it is whole and no span has been added for a while.

        Args:
            trace_id: 32 hex digits.
            is_whole: Whether the spans so far can be all there are.
            timeout_s: Seconds after which to return what there is.
            settle_s: Seconds for which the number of spans must stay the same.

        Returns:
            The spans, complete or not; perhaps none. Never waits longer than
            ``timeout_s`` and one request.

        Raises:
            Infra: As for ``spans``.
        """
        deadline_s = self._clock() + timeout_s
        count, since_s = -1, 0.0
        while True:
            spans, now_s = self.spans(trace_id), self._clock()
            if len(spans) != count:
                count, since_s = len(spans), now_s
            settled = now_s - since_s >= settle_s
            if now_s >= deadline_s or (settled and is_whole(spans)):
                return spans
            self._sleep(min(_POLL_S, deadline_s - now_s))

    def get(self, path: str) -> httpx.Response:
        """The answer to one request, whatever its status.

        Raises:
            Infra: There is none.
        """
        import httpx  # noqa: PLC0415 -- loaded by who needs it

        try:
            return self._http.get(path)
        except httpx.TransportError as error:
            raise Infra(
                f"the trace store at {self._http.base_url} does not answer ({error!r}); "
                "is it started?"
            ) from error

    def close(self) -> None:
        """Close the connections; afterwards the client cannot be used."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _no_trace(answer: httpx.Response) -> Infra:
    return Infra(
        f"{answer.url} answered {answer.status_code}, which is not a trace: {answer.text[:200]!r}"
    )
