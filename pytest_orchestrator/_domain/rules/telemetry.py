"""Traces: a store that is named is named with both its ends, and can be seen from Grafana."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._domain.plan import Traces
from pytest_orchestrator._domain.rules.wording import Wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._domain.rules.book import Book


def check(book: Book) -> Iterator[Wrong]:
    """All that is wrong between the keys of ``[traces]``."""
    traces = book.traces
    url, otlp = traces.text("url"), traces.text("otlp")
    if url and not otlp:
        what = "needs otlp beside it: where do services send what is asked for here?"
        yield Wrong(traces.at("url"), what)
    if otlp and not url:
        what = "needs url beside it: where is asked for what services send here?"
        yield Wrong(traces.at("otlp"), what)
    if traces.text("grafana") and not url:
        what = "needs url and otlp: Grafana cannot look into the store that is embedded"
        yield Wrong(traces.at("grafana"), what)
    yield from _times(book)


def _times(book: Book) -> Iterator[Wrong]:
    settle_s, deadline_s = _number(book, "settle_s"), _number(book, "deadline_s")
    if settle_s is not None and deadline_s is not None and settle_s >= deadline_s:
        key = "settle_s" if "settle_s" in book.traces.values else "deadline_s"
        what = f"settle_s is {settle_s:g} and must be less than deadline_s, which is {deadline_s:g}"
        yield Wrong(book.traces.at(key), what)


def _number(book: Book, field: str) -> float | None:
    """A number as it is written, else its default; ``None`` for what is no number."""
    value = book.traces.values.get(field, getattr(Traces(), field))
    return value if isinstance(value, int | float) else None
