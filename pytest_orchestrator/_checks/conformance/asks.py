"""All there is to ask of one operation: what must be taken, what must be refused, and the odd."""

from __future__ import annotations

import contextlib
import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

from pytest_orchestrator._checks.conformance.flat import is_understood
from pytest_orchestrator._checks.conformance.promises import is_json
from pytest_orchestrator._checks.conformance.requests import Ask, Request, Values, plain, written
from pytest_orchestrator._checks.conformance.values import ValuesOf
from pytest_orchestrator._checks.conformance.variants import variants

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hypothesis.strategies import SearchStrategy

    from pytest_orchestrator._checks.conformance.promises import Promise, Schema
    from pytest_orchestrator._checks.conformance.requests import Kind


class NothingToAsk(Exception):
    """No request could be made that fits what is documented."""


def explicit_asks(promise: Promise, samples: Mapping[str, Sequence[str]]) -> Iterator[Ask]:
    """A request as it should be, then each bound, each oddity and each mistake, one at a time."""
    base = _simplest(promise, samples, whole=True)
    yield _ask(promise, _sure(promise, "valid"), base)
    yield _ask(promise, _sure(promise, "valid"), _simplest(promise, samples, whole=False))
    if promise.body is not None:
        yield from _body_asks(promise, samples, base)
    for parameter in promise.parameters:
        yield from _parameter_asks(promise, samples, base, (parameter.where, parameter.name))
    if any(parameter.where == "query" for parameter in promise.parameters) or not promise.body:
        request = written(promise, base)
        joined = "&" if "?" in request.target else "?"
        more = Request(
            request.method, f"{request.target}{joined}x-unknown=1", request.headers, request.body
        )
        yield Ask("odd", more, "there is a parameter nobody knows", _may_be_missing(promise))


def _body_asks(
    promise: Promise, samples: Mapping[str, Sequence[str]], base: Values
) -> Iterator[Ask]:
    body = promise.body
    assert body is not None  # noqa: S101 - by the caller
    for example in body.examples:
        if body.schema.fits(example):
            values = Values(base.parameters, (example,))
            yield _ask(promise, _sure(promise, "valid"), values, "the document's example")
    for kind, why, value in variants(body.schema, base.body[0], samples):
        if is_json(body.media_type) or isinstance(value, dict):
            values = Values(base.parameters, (value,))
            yield _ask(promise, _sure(promise, kind), values, why)
    yield from _no_bodies(promise, written(promise, base), required=body.required)


def _no_bodies(promise: Promise, request: Request, *, required: bool) -> Iterator[Ask]:
    """What is no body at all, or of another kind."""
    missing = _may_be_missing(promise)
    kind: Kind = "invalid" if required else "odd"
    bare = tuple(h for h in request.headers if h[0] != "Content-Type")
    empty = Request(request.method, request.target, request.headers, b"")
    yield Ask(kind, empty, "the body is empty", missing)
    yield Ask(kind, Request(request.method, request.target, bare), "there is no body", missing)
    as_text = Request(request.method, request.target, (*bare, ("Content-Type", "text/plain")))
    text = Request(as_text.method, as_text.target, as_text.headers, request.body)
    yield Ask("odd", text, "the content type is text/plain", missing)
    if promise.body is not None and is_json(promise.body.media_type):
        for broken in (b'{"', (request.body or b"")[:-1], b"not json", b"\xff\xfe{}"):
            wrong = Request(request.method, request.target, request.headers, broken)
            yield Ask("invalid", wrong, "the body is not JSON", missing)


def _parameter_asks(
    promise: Promise,
    samples: Mapping[str, Sequence[str]],
    base: Values,
    key: tuple[str, str],
) -> Iterator[Ask]:
    parameter = next(p for p in promise.parameters if (p.where, p.name) == key)
    if key not in base.parameters:
        return
    if parameter.required and parameter.where != "path":
        rest = {k: v for k, v in base.parameters.items() if k != key}
        yield _ask(promise, "invalid", Values(rest, base.body), f"{key[0]} {key[1]} is missing")
    for kind, why, value in variants(
        parameter.schema, base.parameters[key], samples, parameter.name
    ):
        if _can_be_sent(parameter.where, value, parameter.schema, kind):
            values = Values({**base.parameters, key: value}, base.body)
            title = f"{key[0]} {key[1]}{why.removeprefix('all of it')}"
            yield _ask(promise, _sure(promise, kind), values, title)


def _can_be_sent(where: str, value: object, schema: Schema, kind: Kind) -> bool:
    """Whether a value means the same when it is written as a text, in this place."""
    if value is None or isinstance(value, dict) or value == []:
        return False
    text = plain(value)
    if where == "path" and (kind == "valid" or not text.strip(". ")):
        return bool(re.fullmatch(r"[\w:.,@+-]+", text, re.ASCII)) and bool(text.strip("."))
    if where in {"header", "cookie"} and not (
        text.isascii() and text.isprintable() and text.strip() == text
    ):
        return False
    # An empty text often means that nothing is there.
    return kind != "invalid" or not (
        text == "" or any(schema.fits(reading) for reading in _readings(text))
    )


def _readings(text: str) -> Iterator[object]:
    yield text
    yield [text]
    try:
        yield json.loads(text)
    except ValueError:
        return


def _may_be_missing(promise: Promise) -> bool:
    return any(parameter.where == "path" for parameter in promise.parameters)


def _sure(promise: Promise, kind: Kind) -> Kind:
    """What can be expected, if something is documented that is not understood here."""
    schemas = [p.schema for p in promise.parameters]
    schemas += [promise.body.schema] if promise.body else []
    understood = all(is_understood(s.written, s.definitions) for s in schemas)
    return kind if understood or kind != "valid" else "odd"


def _ask(promise: Promise, kind: Kind, values: Values, why: str = "") -> Ask:
    return Ask(kind, written(promise, values), why, _may_be_missing(promise))


def _simplest(promise: Promise, samples: Mapping[str, Sequence[str]], *, whole: bool) -> Values:
    """The values that Hypothesis thinks the simplest."""
    found: list[Values] = []

    def keep(values: Values) -> None:
        found.append(values)

    simple = settings(
        max_examples=20,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    with contextlib.suppress(HypothesisException):
        seed(0)(simple(given(_values(promise, samples, odd=False, whole=whole))(keep)))()
    if not found:
        raise NothingToAsk(promise.title)
    # Hypothesis begins with what it would shrink to.
    return found[0]


def generated_asks(promise: Promise, samples: Mapping[str, Sequence[str]]) -> SearchStrategy[Ask]:
    """Requests that fit what is documented, sensible and odd ones."""
    sure = _sure(promise, "valid")

    def asks(kind: Kind) -> SearchStrategy[Ask]:
        values = _values(promise, samples, odd=kind == "odd", whole=False)
        return values.map(lambda made: _ask(promise, kind, made))

    return st.one_of(asks(sure), asks("odd"))


def _values(
    promise: Promise, samples: Mapping[str, Sequence[str]], *, odd: bool, whole: bool
) -> SearchStrategy[Values]:
    needed: dict[tuple[str, str], SearchStrategy[Any]] = {}
    optional: dict[tuple[str, str], SearchStrategy[Any]] = {}
    for parameter in promise.parameters:
        of = ValuesOf(parameter.schema.definitions, samples, odd=odd, whole=whole)
        where, schema = parameter.where, parameter.schema
        values = of.of(schema.written, parameter.name).filter(schema.fits)
        sent = values.filter(partial(_may_be_sent, where, schema))
        chosen = needed if parameter.required or whole else optional
        chosen[where, parameter.name] = sent
    parameters = st.fixed_dictionaries(needed, optional=optional)
    return st.builds(Values, parameters, _bodies(promise, samples, odd=odd, whole=whole))


def _bodies(
    promise: Promise, samples: Mapping[str, Sequence[str]], *, odd: bool, whole: bool
) -> SearchStrategy[tuple[object, ...]]:
    body = promise.body
    if body is None:
        return st.just(())
    of = ValuesOf(body.schema.definitions, samples, odd=odd, whole=whole)
    values = of.of(body.schema.written).filter(body.schema.fits).map(lambda value: (value,))
    return values if body.required or whole else st.one_of(values, st.just(()))


def _may_be_sent(where: str, schema: Schema, value: object) -> bool:
    return _can_be_sent(where, value, schema, "valid")
