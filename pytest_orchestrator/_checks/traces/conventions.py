"""What spans and their resources say: OpenTelemetry's conventions, present and former."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pytest_orchestrator._domain import trace
from pytest_orchestrator._domain.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._checks.traces.structure import Chain
    from pytest_orchestrator._domain.trace import Span

# The name that is stable since 2023, then the one many instrumentations still write.
METHOD: Final = ("http.request.method", "http.method")
STATUS: Final = ("http.response.status_code", "http.status_code")
ROUTE: Final = ("http.route",)
URL: Final = ("url.full", "http.url")
_HOST: Final = ("server.address", "net.peer.name", "http.host")
_PATH: Final = ("url.path", "http.target")
_ERROR_FROM: Final = 400


def conventions(chain: Chain) -> Iterator[Finding]:
    """What is missing or wrong in what the chain's spans say of themselves."""
    yield from _errors(chain)
    yield from _versions(chain)
    for span in _servers(chain):
        yield from _method_and_status(span, chain, span.service)
        if not _said(span, ROUTE):
            yield _lacks(span, ROUTE, "http-route")
    for span, called in _clients(chain):
        yield from _method_and_status(span, chain, called)
        yield from _url(span)


def _servers(chain: Chain) -> list[Span]:
    """The spans that stand for a request of the chain, on the side that answers."""
    hops = [span for link in chain.links for span in chain.hops(*link)]
    return [*chain.entries, *hops]


def _clients(chain: Chain) -> list[tuple[Span, str]]:
    """The spans that stand for a request of the chain, on the side that asks; and whom."""
    found = {}
    for link in chain.links:
        for server in chain.hops(*link):
            client = trace.leading_to(server, chain.known, chain.services)
            if client is not None:
                found[client.span_id] = (client, server.service)
    return list(found.values())


def _errors(chain: Chain) -> Iterator[Finding]:
    for span in chain.own:
        if span.status == "ERROR":
            why = f": {span.status_message}" if span.status_message else ""
            what = f"it ended with status ERROR{why}; see the log of {span.service}"
            yield Finding(str(span), what, "status")
        elif "exception" in span.events:
            what = f"it recorded an exception; see the log of {span.service}"
            yield Finding(str(span), what, "exception")


def _versions(chain: Chain) -> Iterator[Finding]:
    for service in chain.services:
        if any(span.service == service and not span.version for span in chain.own):
            yield Finding(
                f"{service} resource",
                "it has no service.version, so nobody can tell which build made the spans",
                "version",
                "give the resource one, or set OTEL_RESOURCE_ATTRIBUTES=service.version=...",
            )


def _method_and_status(span: Span, chain: Chain, called: str) -> Iterator[Finding]:
    calls = chain.calls.get(called, ())
    method = _said(span, METHOD)
    methods = sorted({call.method for call in calls if call.method})
    if not method:
        yield _lacks(span, METHOD, "http-method")
    elif methods and str(method).upper() not in methods:
        what = f"it says {method!r} for the method, which was {' or '.join(methods)}"
        yield Finding(str(span), what, "http-method")
    yield from _status(span, sorted({call.status for call in calls if call.status}))


def _status(span: Span, statuses: list[int]) -> Iterator[Finding]:
    status = _said(span, STATUS)
    if status is None:
        yield _lacks(span, STATUS, "http-status")
    elif not isinstance(status, int) or isinstance(status, bool):
        what = f"its status code is {status!r}, which is no whole number"
        yield Finding(str(span), what, "http-status")
    elif statuses and status not in statuses:
        what = f"it says {status} for the status, which was {' or '.join(map(str, statuses))}"
        yield Finding(str(span), what, "http-status")
    elif not statuses and status >= _ERROR_FROM:
        yield Finding(str(span), f"it says {status} for the status", "http-status")


def _url(span: Span) -> Iterator[Finding]:
    url = _said(span, URL)
    if url is None and _said(span, _HOST) and _said(span, _PATH):
        return
    if not url:
        yield _lacks(span, URL, "http-url")
    elif not _is_full(str(url)):
        yield Finding(str(span), f"its URL is {url!r}, which is not a full one", "http-url")


def _is_full(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)


def _said(span: Span, names: tuple[str, ...]) -> object:
    """The value of the first attribute that is there; ``None`` if none is."""
    return next((span.attributes[name] for name in names if name in span.attributes), None)


def _lacks(span: Span, names: tuple[str, ...], rule: str) -> Finding:
    former = f", formerly {names[1]}" if names[1:] else ""
    return Finding(str(span), f"it lacks the attribute {names[0]}{former}", rule)
