"""Requests as values: what is sent, and how it is told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlencode

from pytest_orchestrator._checks.conformance.promises import FORM
from pytest_orchestrator._checks.nodes import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_orchestrator._checks.conformance.promises import Parameter, Promise

Kind = Literal["valid", "odd", "invalid"]
"""``"valid"`` has to be taken, ``"invalid"`` has to be refused. ``"odd"`` fits its schema, but a
service may have its reasons, e.g. against a text of nothing but blanks."""


@dataclass(frozen=True, slots=True)
class Request:
    """What goes over the wire.

    Attributes:
        target: Path and query, escaped.
        headers: Besides those every client sends.
        body: ``None``: there is none.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    def __str__(self) -> str:
        sent = [f"{self.method} {shortened(self.target, 200)}"]
        shown = (h for h in self.headers if h != ("Content-Type", "application/json"))
        sent += [f"{name}: {shortened(value, 60)}" for name, value in shown]
        if self.body is not None:
            text = self.body.decode(errors="backslashreplace")
            sent.append(shortened(text, 240) + _length(text) if text else "an empty body")
        return ", ".join(sent)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and what is to be expected of it."""

    kind: Kind
    request: Request
    why: str = ""
    """What is wrong or odd about it."""
    may_be_missing: bool = False
    """Whether it names something that need not be there."""

    @property
    def size(self) -> tuple[int, str]:
        """What to prefer when one of several is to be shown."""
        return len(self.request.target) + len(self.request.body or b""), str(self.request)


@dataclass(frozen=True, slots=True)
class Values:
    """What a request is made of.

    Attributes:
        parameters: By place and name; those left out are not there.
        body: One value, or none.
    """

    parameters: Mapping[tuple[str, str], object]
    body: tuple[object, ...] = ()


def written(promise: Promise, values: Values) -> Request:
    """Write down a request."""
    path, query = promise.path, []
    headers: list[tuple[str, str]] = []
    cookies: list[str] = []
    for parameter in promise.parameters:
        key = parameter.where, parameter.name
        if key not in values.parameters:
            continue
        value = values.parameters[key]
        if parameter.where == "path":
            path = path.replace(f"{{{parameter.name}}}", quote(plain(value), safe=""))
        elif parameter.where == "query":
            query += [(parameter.name, text) for text in _texts(parameter, value)]
        elif parameter.where == "header":
            headers.append((parameter.name, plain(value)))
        else:
            cookies.append(f"{parameter.name}={quote(plain(value), safe='')}")
    headers += [("Cookie", "; ".join(cookies))] if cookies else []
    target = promise.prefix + path + (f"?{urlencode(query)}" if query else "")
    body = None
    if promise.body is not None and values.body:
        headers.append(("Content-Type", promise.body.media_type))
        body = _body(promise.body.media_type, values.body[0])
    return Request(promise.method, target, tuple(headers), body)


def plain(value: object) -> str:
    """A value as a path, a query or a header has it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join(map(plain, value))
    return json.dumps(value)


def _texts(parameter: Parameter, value: object) -> Iterator[str]:
    if isinstance(value, list) and parameter.explode:
        yield from map(plain, value)
    else:
        yield plain(value)


def _body(media_type: str, value: object) -> bytes:
    if media_type == FORM:
        fields = value if isinstance(value, dict) else {}
        return urlencode({key: plain(each) for key, each in fields.items()}).encode()
    return json.dumps(value, ensure_ascii=False).encode()


def _length(text: str) -> str:
    return f" ({len(text)} characters)" if len(text) > 240 else ""  # noqa: PLR2004 - as above
