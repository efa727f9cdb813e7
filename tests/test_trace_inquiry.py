"""From a request to the verdict on its trace, with a real store and a small application."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from pytest_orchestrator._checks.traces import TraceClient, Traces
from pytest_orchestrator._checks.traces.grafana import check_grafana
from pytest_orchestrator._domain.plan import Traces as Settings
from pytest_orchestrator._stack.trace_store import TraceStore
from pytest_orchestrator.errors import Infra
from pytest_orchestrator.types import Hop, Hops
from tests.traced_application import (
    ANSWER,
    CHAIN,
    Application,
    Grafana,
    Witness,
    renamed,
    running,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpx

    from pytest_orchestrator._domain.trace import Span
    from pytest_orchestrator._domain.verdict import Verdict

QUICK = Settings(deadline_s=0.6, settle_s=0.05)
TOKEN = "glsa_never-to-be-seen"  # noqa: S105 - of a Grafana that is not one


@pytest.fixture
def store() -> Iterator[TraceStore]:
    """A store of one's own."""
    with TraceStore() as started:
        yield started


@pytest.fixture
def application(store: TraceStore) -> Application:
    """An application that does everything right, until it is told otherwise."""
    return Application(store, Hops())


@pytest.fixture
def inquiry(store: TraceStore, application: Application) -> Iterator[Traces]:
    """Who judges it."""
    with TraceClient(store.url) as client:
        yield Traces(client, QUICK, application.hops, Witness(store))


def rules(verdict: Verdict) -> list[str]:
    """The rules that were broken."""
    return [finding.rule for finding in verdict.findings]


@pytest.mark.parametrize("continued", [True, False])
def test_an_unbroken_trace_passes(
    inquiry: Traces,
    application: Application,
    continued: bool,  # noqa: FBT001
) -> None:
    """Whether it was sent with the request, or begun by the first service."""
    assert inquiry.judge(application.answer, services=CHAIN, continued=continued).findings == ()
    assert application.answered == (1 if continued else 9)


def test_every_trace_that_is_begun_is_sampled(inquiry: Traces, application: Application) -> None:
    """A sampler that leaves some out is found, by the flags on the wire."""

    def leave_out(_: str, header: str) -> str:
        return header if application.answered % 4 else header[:-2] + "00"

    application.carried = leave_out

    (finding,) = inquiry.judge(application.answer, services=CHAIN, continued=False).findings

    assert (finding.where, finding.rule) == ("frontend", "sampled-out")
    assert "of 8 traces that it began, 2 were not" in finding.what


def test_every_trace_that_is_begun_has_an_id_of_its_own(
    inquiry: Traces, application: Application
) -> None:
    """Ids that come again mix requests up."""
    first = f"00-{'a' * 32}-{'b' * 16}-01"
    application.carried = lambda _, header: first if application.answered > 1 else header

    (finding,) = inquiry.judge(application.answer, services=CHAIN, continued=False).findings

    assert (finding.where, finding.rule) == ("frontend", "trace-id")
    assert "had 1 different ids" in finding.what


def test_requests_at_once_pass(inquiry: Traces, application: Application) -> None:
    """Each has a trace of its own."""
    verdict = inquiry.judge_at_once(application.answer, services=CHAIN, count=3)

    assert verdict.findings == ()
    assert application.answered == 3


def test_a_service_that_exports_nothing_is_named(inquiry: Traces, application: Application) -> None:
    """After the deadline; the gate has failed then, and later requests wait less."""
    application.change = without("core")

    (finding,) = inquiry.judge(application.answer, services=CHAIN).findings

    assert (finding.where, finding.rule) == ("core", "not-exported")


@pytest.mark.parametrize("continued", [True, False])
def test_what_the_wire_does_not_carry_is_not_waited_for(
    inquiry: Traces,
    application: Application,
    continued: bool,  # noqa: FBT001
) -> None:
    """The link is named, long before the deadline."""
    inquiry = Traces(inquiry.client, Settings(), application.hops, Witness(application.store))
    application.carried = lambda _service, _header: None
    application.change = without("api", "core")
    began_s = time.monotonic()

    (finding,) = inquiry.judge(application.answer, services=CHAIN, continued=continued).findings

    assert (finding.where, finding.rule) == ("frontend, frontend -> api", "propagation")
    assert time.monotonic() - began_s < Settings().deadline_s / 2


def test_a_service_that_begins_an_unsampled_trace_is_named(
    inquiry: Traces, application: Application
) -> None:
    """The flags on the wire tell."""
    application.carried = lambda _, header: header[:-2] + "00"
    application.change = without(*CHAIN)

    (finding,) = inquiry.judge(application.answer, services=CHAIN, continued=False).findings

    assert (finding.where, finding.rule) == ("frontend", "sampled-out")


def test_another_name_is_named(inquiry: Traces, application: Application) -> None:
    """By the address its spans came to."""
    application.change = renamed("core", "backend")

    (finding,) = inquiry.judge(application.answer, services=CHAIN).findings

    assert (finding.where, finding.rule) == ("core", "service-name")
    assert "backend" in finding.what


def test_what_the_store_took_and_does_not_show_is_named() -> None:
    """A store that is too small drops traces again; that is not the application's doing."""
    with TraceStore(max_spans=5) as store, TraceClient(store.url) as client:
        application = Application(store, Hops())
        inquiry = Traces(client, QUICK, application.hops, Witness(store))

        found = inquiry.judge(application.answer, services=CHAIN).findings
        application.change = lambda spans: (*spans[:-1], *_of_another_trace(spans))
        all_found = inquiry.judge(application.answer, services=CHAIN).findings

    assert found == ()  # the last one, a client span below core's server span, was refused
    assert [each.rule for each in all_found] == ["not-searchable"] * 3


def _of_another_trace(spans: Sequence[Span]) -> tuple[Span, ...]:
    return tuple(replace(span, trace_id="e" * 32, parent_id="") for span in spans)


def test_spans_that_come_when_a_service_is_stopped_are_late(
    store: TraceStore, application: Application
) -> None:
    """They were not lost, but came after the deadline."""
    held: list[Span] = []

    def hold(spans: tuple[Span, ...]) -> Sequence[Span]:
        held.extend(span for span in spans if span.service == "core")
        return without("core")(spans)

    def release() -> None:
        for span in held:
            application._export(span)

    application.change = hold
    with TraceClient(store.url) as client:
        inquiry = Traces(client, QUICK, application.hops, Witness(store, on_flush=release))
        (finding,) = inquiry.judge(application.answer, services=CHAIN).findings

    assert (finding.where, finding.rule) == ("core", "exported-late")


def test_what_comes_after_the_last_look_is_late_and_not_hidden(
    store: TraceStore, application: Application
) -> None:
    """Of several requests, the second one's spans may come while the first is judged."""
    held: list[Span] = []

    def hold(spans: tuple[Span, ...]) -> Sequence[Span]:
        held.extend(span for span in spans if span.service == "core")
        return without("core")(spans)

    def release() -> None:
        while held:
            application._export(held.pop())

    application.change = hold
    with TraceClient(store.url) as client:
        inquiry = Traces(client, QUICK, application.hops, Witness(store, on_flush=release))
        found = inquiry.judge_at_once(application.answer, services=CHAIN, count=2).findings

    assert {finding.rule for finding in found} == {"exported-late"}


def test_addresses_elsewhere_are_named(store: TraceStore, application: Application) -> None:
    """What the witness knows is in the finding."""
    application.change = without("core")
    with TraceClient(store.url) as client:
        witness = Witness(store, addresses=("it is connected to 10.0.0.7:4317",))
        inquiry = Traces(client, QUICK, application.hops, witness)
        (finding,) = inquiry.judge(application.answer, services=CHAIN).findings

    assert finding.rule == "exported-elsewhere"
    assert "10.0.0.7:4317" in finding.what


def test_what_is_exported_twice_is_found(inquiry: Traces, application: Application) -> None:
    """The store shows it once; its record tells."""
    application.change = lambda spans: [*spans, *without("frontend", "api")(spans)]

    (finding,) = inquiry.judge(application.answer, services=CHAIN).findings

    assert (finding.where, finding.rule) == ("core", "exported-twice")


def test_one_span_that_is_repeated_is_no_defect(inquiry: Traces, application: Application) -> None:
    """An exporter that heard no answer sends a batch again."""
    application.change = lambda spans: [*spans, spans[-1]]

    assert inquiry.judge(application.answer, services=CHAIN).findings == ()


def ending_late(spans: tuple[Span, ...]) -> Sequence[Span]:
    """Core's answer ends long after the api has it."""
    return [
        replace(s, end_ns=s.end_ns + 10**9) if (s.service, s.kind) == ("core", "SERVER") else s
        for s in spans
    ]


def test_a_span_that_ends_late_counts_if_it_does_so_each_time(
    inquiry: Traces, application: Application
) -> None:
    """A busy machine makes one end late now and then."""
    application.change = ending_late
    assert rules(inquiry.judge(application.answer, services=CHAIN)) == ["nesting"]
    assert application.answered == 3

    def only_once(spans: tuple[Span, ...]) -> Sequence[Span]:
        application.change = tuple
        return ending_late(spans)

    application.change = only_once
    assert inquiry.judge(application.answer, services=CHAIN).findings == ()
    application.change = only_once
    assert inquiry.judge_at_once(application.answer, services=CHAIN, count=2).findings == ()


def test_requests_that_share_a_context_are_found(inquiry: Traces, application: Application) -> None:
    """One request's ids on the wire of another break its trace."""
    first: list[str] = []

    def share(_: str, header: str) -> str:
        first.append(header)
        return first[0]

    application.carried = share
    application.change = without("api", "core")

    found = inquiry.judge_at_once(application.answer, services=CHAIN, count=2).findings

    assert {finding.rule for finding in found} >= {"propagation"}


def test_health_checks_between_services_are_not_judged(
    inquiry: Traces, application: Application
) -> None:
    """Nobody's question leads to them."""

    def answer(headers: dict[str, str]) -> httpx.Response:
        application.hops.add(Hop("core", "GET", "/health?deep=1", 200, None))
        return application.answer(headers)

    assert inquiry.judge(answer, services=CHAIN).findings == ()


# ---------------------------------------------------------------- Grafana


def asking(store: TraceStore, application: Application, grafana: Grafana, uid: str = "tempo",
           token: str = "") -> Verdict:  # fmt: skip
    """The verdict, with a Grafana that is asked for the same trace."""
    look = partial(check_grafana, grafana.url, uid, token=SecretStr(token))
    with TraceClient(store.url) as client:
        inquiry = Traces(client, QUICK, application.hops, Witness(store), look)
        return inquiry.judge(application.answer, services=CHAIN)


def test_grafana_that_shows_the_same_trace_passes(
    store: TraceStore, application: Application
) -> None:
    """To anybody, or to who has the token."""
    with running(Grafana(store.url)) as grafana:
        assert asking(store, application, grafana).findings == ()
    with running(Grafana(store.url, token=TOKEN)) as grafana:
        assert asking(store, application, grafana, token=TOKEN).findings == ()


def test_grafana_without_the_datasource_is_found(
    store: TraceStore, application: Application
) -> None:
    """The uid is named."""
    with running(Grafana(store.url)) as grafana:
        (finding,) = asking(store, application, grafana, "tempos").findings

    assert finding.rule == "grafana-datasource"
    assert finding.where == "orchestrator, Grafana's datasource 'tempos'"
    assert "Unable to find datasource" in finding.what


def test_grafana_whose_datasource_leads_nowhere_is_found(
    store: TraceStore, application: Application
) -> None:
    """Its proxy answers 502."""
    with running(Grafana(store.url, down=True)) as grafana:
        (finding,) = asking(store, application, grafana).findings

    assert finding.rule == "grafana-datasource"
    assert "502" in finding.what


def test_grafana_that_asks_another_store_is_found(
    store: TraceStore, application: Application
) -> None:
    """That one does not know the trace."""
    with TraceStore() as other, running(Grafana(other.url)) as grafana:
        (finding,) = asking(store, application, grafana).findings

    assert finding.rule == "grafana-empty"


def test_grafana_that_shows_something_else_is_found(
    store: TraceStore, application: Application
) -> None:
    """Span by span: one is missing, one is too many, or says something else."""
    change = lambda body: body.replace(b"/query", b"/quary")  # noqa: E731
    with running(Grafana(store.url, change=change)) as grafana:
        found = asking(store, application, grafana).findings

    assert {each.rule for each in found} == {"grafana-differs"}
    assert len(found) == 6
    assert "another attributes" in found[0].what
    with running(Grafana(store.url, change=lambda _: b"")) as grafana:
        (finding,) = asking(store, application, grafana).findings
    assert finding.rule == "grafana-empty"


@pytest.mark.parametrize("given", ["", "another"])
def test_grafana_that_does_not_let_us_look_is_infra(
    store: TraceStore, application: Application, given: str
) -> None:
    """The message says what to set, and no token is in it."""
    with (
        running(Grafana(store.url, token=TOKEN)) as grafana,
        pytest.raises(Infra, match=r"does not let us ask .* GRAFANA_TOKEN") as raised,
    ):
        asking(store, application, grafana, token=given)

    assert TOKEN not in str(raised.value)
    assert "another" not in str(raised.value)


def test_a_token_is_in_no_traceback(store: TraceStore, application: Application) -> None:
    """Not even in one that shows variables."""
    with running(Grafana(store.url, token=TOKEN + "!")) as grafana, pytest.raises(Infra) as raised:
        asking(store, application, grafana, token=TOKEN)

    shown = [repr(e.locals) for e in raised.traceback if "_checks" in str(e.path)]
    assert len(shown) > 2
    assert not [each for each in shown if TOKEN in each]


def test_grafana_that_is_not_there_is_infra(store: TraceStore, application: Application) -> None:
    """Nothing is known of what it would show; the token stays out of message and traceback."""
    with running(Grafana(store.url)) as grafana:
        pass

    with pytest.raises(Infra, match=r"does not answer .*take grafana out") as raised:
        asking(store, application, grafana, token=TOKEN)

    assert TOKEN not in str(raised.value)


def test_a_store_that_goes_down_is_infra(store: TraceStore, application: Application) -> None:
    """The application is not to blame."""
    with TraceClient(store.url) as client:
        inquiry = Traces(client, QUICK, application.hops, Witness(store))

        def answer(headers: dict[str, str]) -> httpx.Response:
            del headers
            store.stop()
            return ANSWER

        with pytest.raises(Infra, match="does not answer"):
            inquiry.judge(answer, services=CHAIN)
