"""The same trace, as Grafana shows it through its datasource proxy.

Source:
    Grafana's HTTP API, "Data source proxy calls".
"""

from __future__ import annotations

from dataclasses import fields
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pytest_orchestrator._checks.traces.client import TraceClient
from pytest_orchestrator._checks.traces.decoding import NotATrace, decode
from pytest_orchestrator._domain.trace import Span
from pytest_orchestrator._domain.verdict import Finding, Verdict
from pytest_orchestrator.errors import Infra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpx
    from pydantic import SecretStr

CHECK: Final = "grafana"
_SHOWN: Final = 10
_COMPARED: Final = tuple(field.name for field in fields(Span))


def check_grafana(
    url: str,
    datasource: str,
    trace_id: str,
    spans: Sequence[Span],
    *,
    token: SecretStr | None = None,
) -> Verdict:
    """Judge whether Grafana shows the spans that the store itself has shown.

    Args:
        url: Where Grafana listens, e.g. ``"http://127.0.0.1:3001"``.
        datasource: Uid of its datasource for the trace store.
        trace_id: 32 hex digits.
        spans: The store's own answer.
        token: Of a service account; ``None`` if anonymous users may look. Stands in no message,
            and in no traceback that shows variables.

    Returns:
        Rules: ``grafana-datasource``, there is none of that uid, or it leads nowhere;
        ``grafana-empty``, it does not know the trace; ``grafana-differs``, a span is
        missing, is one too many, or says something else.

    Raises:
        Infra: Grafana does not answer, or does not let us look.
    """
    with TraceClient(url, headers=_authorisation(token)) as client:
        answer = _asked(client, url, f"/api/datasources/proxy/uid/{datasource}", trace_id)
    found = _refusal(answer, datasource)
    if found is None and answer.status_code != HTTPStatus.NOT_FOUND:
        return Verdict(CHECK, tuple(_differences(_decoded(answer), spans, datasource)))
    return Verdict(CHECK, (found or _empty(datasource, trace_id),))


def _authorisation(token: SecretStr | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}


def _asked(client: TraceClient, url: str, proxy: str, trace_id: str) -> httpx.Response:
    try:
        return client.get(f"{proxy}/api/traces/{trace_id}")
    except Infra as error:
        raise Infra(
            f"Grafana at {url} does not answer ({error.__cause__!r}); start it, or take grafana "
            "out of [traces] of the runbook"
        ) from None


def _refusal(answer: httpx.Response, datasource: str) -> Finding | None:
    """What Grafana itself says no to; ``None`` if the answer is the store's."""
    said = answer.text.strip()[:200]
    match answer.status_code:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            raise Infra(
                f"Grafana does not let us ask its datasource {datasource!r} ({answer.status_code} "
                f"{said!r}); allow anonymous users to look, or set GRAFANA_TOKEN to the token of "
                "a service account"
            )
        case HTTPStatus.BAD_REQUEST | HTTPStatus.NOT_FOUND if said and "page not found" not in said:
            what = f"Grafana has no datasource of this uid: {answer.status_code} {said!r}"
            cure = "provision it, see deploy/grafana-datasources.yaml, or name another in [traces]"
            return Finding(_where(datasource), what, "grafana-datasource", cure)
        case HTTPStatus.OK | HTTPStatus.NOT_FOUND:
            return None
        case status:
            what = f"Grafana's datasource does not reach the trace store: {status} {said!r}"
            cure = "correct the url of the datasource"
            return Finding(_where(datasource), what, "grafana-datasource", cure)


def _decoded(answer: httpx.Response) -> tuple[Span, ...]:
    try:
        return decode(answer.content, answer.headers.get("content-type", ""), version=1)
    except NotATrace as error:
        raise Infra(
            f"{answer.url} answered something that is not a trace: {answer.text[:200]!r}; is this "
            "Grafana?"
        ) from error


def _empty(datasource: str, trace_id: str) -> Finding:
    what = f"it does not know the trace {trace_id}, which the store itself shows"
    cure = "have the datasource ask the store that the services export to"
    return Finding(_where(datasource), what, "grafana-empty", cure)


def _where(datasource: str) -> str:
    return f"orchestrator, Grafana's datasource {datasource!r}"


def _differences(
    shown: Sequence[Span], spans: Sequence[Span], datasource: str
) -> Iterator[Finding]:
    if not shown and spans:
        yield _empty(datasource, spans[0].trace_id)
        return
    found = [
        Finding(f"{_where(datasource)}, {what}", sentence, "grafana-differs")
        for what, sentence in _compared(_by_key(shown), _by_key(spans))
    ]
    yield from found[:_SHOWN]
    if len(found) > _SHOWN:
        more = f"{len(found) - _SHOWN} more spans differ"
        yield Finding(_where(datasource), more, "grafana-differs")


def _by_key(spans: Sequence[Span]) -> dict[tuple[str, str], Span]:
    return {(span.span_id, span.kind): span for span in spans}


def _compared(
    shown: dict[tuple[str, str], Span], spans: dict[tuple[str, str], Span]
) -> Iterator[tuple[str, str]]:
    for key in dict.fromkeys((*spans, *shown)):
        one, other = shown.get(key), spans.get(key)
        if one is None:
            yield str(other), "the store shows this span, Grafana does not"
        elif other is None:
            yield str(one), "Grafana shows this span, the store does not"
        elif differing := [n for n in _COMPARED if getattr(one, n) != getattr(other, n)]:
            said = f"{getattr(one, differing[0])!r} instead of {getattr(other, differing[0])!r}"
            yield str(one), f"Grafana shows another {differing[0]}: {said}"
