"""Exports handed on, as they came, to a trace store that somebody else runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_orchestrator._stack.trace_answers import Answer, Request

_PASSED_ON: Final = ("Content-Type", "Content-Encoding", "User-Agent")
_BAD_GATEWAY: Final = 502


class Forwarder:
    """Hands exports on to an OTLP/HTTP receiver and gives its answers.

    Args:
        url: The receiver's base URL, e.g. ``"http://127.0.0.1:4318"``.
        timeout_s: Seconds one export may take.
    """

    def __init__(self, url: str, timeout_s: float = 10.0) -> None:
        self._url = url.rstrip("/") + "/v1/traces"
        self._timeout_s = timeout_s

    def __call__(self, request: Request) -> Answer:
        """Send it; an answer of 502 if the receiver cannot be reached."""
        import httpx  # noqa: PLC0415 -- loaded by who needs it

        from pytest_orchestrator._stack.trace_answers import Answer  # noqa: PLC0415

        headers = {n: value for n in _PASSED_ON if (value := request.headers.get(n)) is not None}
        try:
            # A proxy from the environment would be asked for addresses of this machine.
            with httpx.Client(timeout=self._timeout_s, trust_env=False) as client:
                answer = client.post(self._url, content=request.body, headers=headers)
        except httpx.TransportError as error:
            said = f"{self._url} cannot be reached: {error!r}"
            return Answer(_BAD_GATEWAY, said.encode(), "text/plain")
        return Answer(answer.status_code, answer.content, answer.headers.get("Content-Type", ""))
