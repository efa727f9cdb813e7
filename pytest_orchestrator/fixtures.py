"""What a test can ask for: the run, what was built, and the running application.

pytest knows these fixtures only in a session that has a runbook.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pytest_orchestrator._domain.phase import PhaseResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import httpx
    from _pytest.fixtures import FixtureFunctionDefinition

    from pytest_orchestrator._checks.contracts import Agreement, Consumption, Contracts
    from pytest_orchestrator._checks.traces.inquiry import Traces
    from pytest_orchestrator._domain.plan import Plan
    from pytest_orchestrator._domain.trace import Span
    from pytest_orchestrator._domain.verdict import Verdict
    from pytest_orchestrator._plugin.session import RunSession
    from pytest_orchestrator._run.ledger import Ledger
    from pytest_orchestrator._stack.browser import Browser
    from pytest_orchestrator._stack.lives import Lives
    from pytest_orchestrator._stack.process import ProcessRuntime
    from pytest_orchestrator._stack.relay import Hops
    from pytest_orchestrator._stack.trace_store import TraceStore

HTTP_TIMEOUT_S = 15.0


def phase_fixture(agent: str, phase: int) -> FixtureFunctionDefinition:
    """Make the fixture for one agent's part of one phase.

    The fixture has the part carried out, exactly once per run, whatever the
    number of workers; if it is done already, it is not done again.

    Args:
        agent: Name of an agent of the runbook.
        phase: Number of a phase in which it has tasks.

    Returns:
        A session fixture for ``conftest.py``, to be assigned to a name made of
        both: ``core_phase1 = phase_fixture("core", 1)``. Its value is a
        ``PhaseResult``.

    Raises:
        PhaseFailed: From the fixture: the agent did not get it done within its
            attempts; the message has the last findings.
        Blocked: From the fixture: a gate, task or contract it needs is missing.
    """

    def fixture(request: pytest.FixtureRequest) -> PhaseResult:
        return _session(request).obtain_phase(agent, phase)

    fixture.__doc__ = f"Phase {phase} of {agent}, carried out once per run."
    return pytest.fixture(scope="session", name=f"{agent}_phase{phase}")(fixture)


@pytest.fixture(scope="session")
def plan(request: pytest.FixtureRequest) -> Plan:
    """The runbook of this session, validated."""
    return _session(request).plan


@pytest.fixture(scope="session")
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """The run's ledger, shared by all workers."""
    return _session(request).ledger


@pytest.fixture(scope="module")
def workspace(request: pytest.FixtureRequest) -> Path:
    """The tree this module's gate judges: what the agents have built, or the tree as it is."""
    marker = request.node.get_closest_marker("gate")
    if marker is None:
        raise pytest.UsageError(
            f"{request.node.name} asks for the tree of a gate, but does not say of which; "
            'write pytestmark = pytest.mark.gate("S1") in the module'
        )
    return _session(request).open_gate(marker.args[0]).tree


@pytest.fixture(scope="module")
def contracts(plan: Plan, workspace: Path) -> Contracts:
    """The contracts as they are published in the judged tree, by name."""
    from pytest_orchestrator._checks.contracts import Contracts  # noqa: PLC0415 - on demand

    return Contracts(plan.contracts, workspace)


@pytest.fixture
def agreement(request: pytest.FixtureRequest, contracts: Contracts) -> Agreement:
    """A contract with a consumer that generates files from it; a test of a gate runs once for each.

    Of the runbook's contracts and consumers those whose publication and whose work the
    gate judges. A test that asks for this is not collected where there are none.
    """
    from pytest_orchestrator._checks.contracts import Agreement  # noqa: PLC0415 - on demand

    consumption = _consumption(request, contracts)
    generated = dict(consumption.contract.generated)[consumption.consumer]
    own = {field.name: getattr(consumption, field.name) for field in fields(consumption)}
    return Agreement(**own, generated=generated)


@pytest.fixture
def consumption(request: pytest.FixtureRequest, contracts: Contracts) -> Consumption:
    """A contract with a consumer whose work rests on it; a test of a gate runs once for each.

    Of the runbook's contracts and consumers those whose publication and whose work the
    gate judges. A test that asks for this is not collected where there are none, nor
    without agents: nobody has recorded then what the work rests on.
    """
    return _consumption(request, contracts)


def _consumption(request: pytest.FixtureRequest, contracts: Contracts) -> Consumption:
    from pytest_orchestrator._checks.contracts import Consumption  # noqa: PLC0415 - on demand

    name, consumer = request.param
    contract, session = contracts[name], _session(request)
    return Consumption(
        contract,
        consumer,
        known=session.revisions(name) or contract.drafts(),
        built_on=session.built_on(name, consumer),
        changes=partial(session.changes, name),
    )


@pytest.fixture(scope="module")
def services(request: pytest.FixtureRequest, workspace: Path) -> Iterator[ProcessRuntime]:
    """The application's services, built and started when they are asked for.

    They report traces if some test of the module uses ``traces``, and talk to
    each other through relays if some test uses ``hops``.
    """
    from pytest_orchestrator._stack.process import ProcessRuntime  # noqa: PLC0415 - on demand

    session = _session(request)
    runtime = ProcessRuntime(
        session.plan,
        workspace,
        session.services_folder(request.node.name),
        session.project.root / ".orchestrator" / "cache",
        traces_url=_intakes(request, session.plan) if _uses(request, "traces") else None,
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(runtime)
        if _uses(request, "hops"):
            from pytest_orchestrator._stack.relay import relays  # noqa: PLC0415 - on demand

            stack.enter_context(relays(runtime, request.getfixturevalue("hops")))
        yield runtime


@pytest.fixture(scope="module")
def lives(request: pytest.FixtureRequest, plan: Plan, services: ProcessRuntime) -> Lives:
    """What the services of this module's lanes do from their start to their end.

    Those of the lanes that selected tests are marked with, of all if there are none;
    they are started, watched and ended side by side when the first is asked for.
    """
    from pytest_orchestrator._stack.lives import Lives  # noqa: PLC0415 - on demand

    lanes = {
        mark.args[0] for i in _own_items(request) for mark in i.iter_markers("lane") if mark.args
    }
    own = [s.name for s in plan.services.values() if not lanes or s.agent in lanes]
    return Lives(services, plan, own)


@pytest.fixture(scope="module")
def hops() -> Hops:
    """What the services of this module said to each other, in the order of the answers."""
    from pytest_orchestrator._stack.relay import Hops  # noqa: PLC0415 - on demand

    return Hops()


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A real Chromium without a window; a gate's test that asks for it needs ``--browser``."""
    from pytest_orchestrator._stack.browser import Browser  # noqa: PLC0415 - on demand

    with Browser(_session(request).browser_folder(request.node.name)) as browser:
        yield browser


@pytest.fixture(scope="module")
def trace_store(plan: Plan) -> Iterator[TraceStore]:
    """Where the services of this module send their spans; hands them on if another store is named.

    Raises:
        Infra: The store that the runbook names is not ready.
    """
    from pytest_orchestrator._checks.traces.client import TraceClient  # noqa: PLC0415 - on demand
    from pytest_orchestrator._stack.trace_store import TraceStore  # noqa: PLC0415 - on demand

    if plan.traces.url is not None:
        with TraceClient(plan.traces.url) as client:
            client.wait_until_ready(plan.traces.ready_s)
    with TraceStore(forward_to=plan.traces.otlp) as store:
        yield store


@pytest.fixture(scope="module")
def traces(
    plan: Plan, trace_store: TraceStore, services: ProcessRuntime, hops: Hops
) -> Iterator[Traces]:
    """Sends requests through the services of this module, and judges the traces they leave."""
    from pytest_orchestrator._checks.traces.client import TraceClient  # noqa: PLC0415 - on demand
    from pytest_orchestrator._checks.traces.inquiry import Traces  # noqa: PLC0415 - on demand
    from pytest_orchestrator._stack.trace_decoy import TraceDecoy  # noqa: PLC0415 - on demand
    from pytest_orchestrator._stack.trace_witness import ServiceWitness  # noqa: PLC0415 - on demand

    with TraceDecoy() as decoy, TraceClient(plan.traces.url or trace_store.url) as client:
        witness = ServiceWitness(plan, services, trace_store, decoy)
        yield Traces(client, plan.traces, hops, witness, _grafana(plan))


def _intakes(request: pytest.FixtureRequest, plan: Plan) -> dict[str, str]:
    """An address for the spans of each service, so that it is known who sent what."""
    store: TraceStore = request.getfixturevalue("trace_store")
    return {name: store.intake(name) for name in plan.services}


def _grafana(plan: Plan) -> Callable[[str, Sequence[Span]], Verdict] | None:
    """How Grafana is judged, if there is one."""
    url, datasource = plan.traces.grafana, plan.traces.grafana_datasource
    if url is None:
        return None
    from pydantic import SecretStr  # noqa: PLC0415 - on demand

    from pytest_orchestrator._checks.traces.grafana import check_grafana  # noqa: PLC0415

    token = SecretStr(os.environ.get("GRAFANA_TOKEN", ""))
    return partial(check_grafana, url, datasource, token=token)


@pytest.fixture(scope="session")
def http(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """An HTTP client that follows no redirects, knows no proxies, and looks like any other."""
    from pytest_orchestrator._stack.client import make_client  # noqa: PLC0415 - on demand

    with make_client(_session(request).settings.session, timeout_s=HTTP_TIMEOUT_S) as client:
        yield client


def _uses(request: pytest.FixtureRequest, fixture: str) -> bool:
    """Whether some selected test of this module uses a fixture."""
    return any(fixture in getattr(item, "fixturenames", ()) for item in _own_items(request))


def _own_items(request: pytest.FixtureRequest) -> Iterator[pytest.Item]:
    """The selected tests of this module."""
    return (i for i in request.session.items if request.node in i.listchain())


def _session(request: pytest.FixtureRequest) -> RunSession:
    from pytest_orchestrator._plugin.session import SESSION_KEY  # noqa: PLC0415 - on demand

    session = request.config.stash.get(SESSION_KEY, None)
    if session is None:
        raise pytest.UsageError(
            f"the fixture {request.fixturename} needs a runbook, and none was found; "
            "add runbook.toml to the project's root, or give --runbook"
        )
    return session
