"""Exchanges between two services: what was asked, what was answered, what answers instead."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Hop:
    """One exchange between two services.

    Attributes:
        service: Who answered.
        method: E.g. ``"POST"``.
        path: With its query, e.g. ``"/internal/query"``.
        status: Of the answer; 0 if there was none.
        answer: The answer's body as JSON; ``None`` if it is not JSON.
        asked: The request's body as JSON; ``None`` if it is not JSON.
        headers: The request's, by name in lower case, e.g. ``headers["traceparent"]``.
        answer_headers: The answer's, by name in lower case; empty if there was none.
        stood_in: Whether the answer is a stand-in's and the service was not asked.
    """

    service: str
    method: str
    path: str
    status: int
    answer: Any
    asked: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    stood_in: bool = False

    @property
    def question(self) -> str | None:
        """The question that was put, without white space around it; ``None`` if there is none."""
        asked = self.asked.get("question") if isinstance(self.asked, dict) else None
        return asked.strip() if isinstance(asked, str) else None


@dataclass(frozen=True, slots=True)
class Request:
    """What a service was about to be asked.

    Attributes:
        method: E.g. ``"POST"``.
        path: With its query, e.g. ``"/internal/query"``.
        headers: By name in lower case.
        body: As it was sent, without transfer coding.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; ``None`` if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:  # not JSON, or not even text
            return None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in a service's place.

    Attributes:
        status: HTTP's.
        body: All of it, whatever ``sent_bytes`` says.
        media_type: Its content type.
        headers: Besides content type and length.
        delay_s: Seconds before anything is sent.
        sent_bytes: How much of the body is sent before the line goes dead; ``None``: all.
        silence_s: Seconds the line is dead before it is closed.
    """

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0
    sent_bytes: int | None = None
    silence_s: float = 0.0


@dataclass(frozen=True, slots=True)
class HangUp:
    """No answer: the connection is closed after so many seconds of silence."""

    silence_s: float = 0.0


StandIn = Callable[[Request], Reply | HangUp | None]
"""What is answered in a service's place; ``None``: the service itself is asked.

It is called in a thread of its own for each request, and may take its time.
"""
