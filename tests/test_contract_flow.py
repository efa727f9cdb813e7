"""A contract on its way from one lane to another, through processes as in a real run."""

from __future__ import annotations

import json

import pytest

from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._plugin.referee import ContractReferee
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.registry import Registry
from tests.project import LANES, Project, build

API = """
[agents.writer]
role = "writer"
owns = ["docs/contracts/api.draft.json"]

[contracts.api]
kind = "openapi"
path = "docs/contracts/api.json"
draft = "docs/contracts/api.draft.json"
draft_after_s = {draft_after_s}
publisher = "left"
consumers = ["right"]
operations = ["GET /health"]

[tasks.draft]
agent = "writer"
phase = 0
brief = "brief.md"

[tasks.left-spec]
agent = "left"
phase = 1
brief = "brief.md"
needs = ["draft"]
publishes = ["api"]

[tasks.right-two]
agent = "right"
phase = 1
brief = "brief.md"
needs = ["draft", "api"]

[tasks.right-more]
agent = "right"
phase = 1
brief = "brief.md"
needs = ["draft"]

[gates.G1]
title = "both are done"
phase = 1
tests = "gates/test_g1.py"
needs = ["api", "right-two", "right-more"]
"""
CONFTEST = """
from pytest_orchestrator import phase_fixture

writer_phase0 = phase_fixture("writer", 0)
left_phase1 = phase_fixture("left", 1)
right_phase1 = phase_fixture("right", 1)
"""
# The consumer comes first: its lane must not keep the publisher's from being started.
PHASES = """
def test_right_phase1(right_phase1):
    assert right_phase1.status == "succeeded"

def test_left_phase1(left_phase1):
    assert left_phase1.status == "succeeded"
"""
GATE = """
import pytest
from pytest_orchestrator.checks import check_still_fits

pytestmark = pytest.mark.gate("G1")

def test_fits(consumption):
    assert consumption.built_on is not None
    check_still_fits(consumption).raise_for_findings()

def test_it(workspace, contracts):
    assert (workspace / "right" / "two.txt").is_file()
    assert "/health" in contracts["api"].document()["paths"]
"""
PUBLISH = """
import json, subprocess, sys
from meeting import ROOT, happened, until

{wait}
spec = ROOT / "published.json"
done = subprocess.run([sys.executable, "-m", "pytest_orchestrator", "publish", "api", str(spec)])
sys.exit(done.returncode)
"""
TWO = """
from pathlib import Path
from meeting import ROOT, happened, until

(ROOT / "right-two.here").touch()
{wait}
Path("right").mkdir(exist_ok=True)
Path("right/two.txt").write_text("done")
"""
# Conditions for agents to wait for; they look into the ledger as no agent could in a sandbox.
LEDGER = """
import sqlite3

def happened(kind, what):
    (found,) = (ROOT / ".orchestrator" / "runs").glob("*/ledger.sqlite")
    bodies = [row[0] for row in sqlite3.connect(found).execute("SELECT body FROM event")]
    return any(f'"{kind}"' in body and what in body for body in bodies)
"""
RIGHT_IS_HERE = '(ROOT / "right-two.here").exists()'
RIGHT_IS_OVER = 'happened("phase_finished", "right_phase1")'
API_IS_THERE = """happened("contract_published", '"revision":1')"""


def spec(*paths: str) -> str:
    """An OpenAPI document with these paths."""
    operation = {"responses": {"200": {"description": "Fine."}}}
    return json.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "API", "version": "1"},
            "paths": {path: {"get": operation} for path in paths},
        }
    )


@pytest.fixture
def flow(project: Project) -> Project:
    """A publisher, a consumer with two tasks, and a draft that promises ``/old`` as well."""
    project.write("conftest.py", CONFTEST)
    project.write("gates/test_phases.py", PHASES)
    project.write("gates/test_g1.py", GATE)
    (project.root / "gates/test_g2.py").unlink()
    project.append("agents/meeting.py", LEDGER)
    draft = "docs/contracts/api.draft.json"
    project.agent(
        "draft",
        f"""
        from pathlib import Path
        Path("docs/contracts").mkdir(parents=True)
        Path({draft!r}).write_text({spec("/health", "/old")!r})
        """,
    )
    project.agent("right-more", build("right/more.txt"))
    return project


def prepare(project: Project, *, draft_after_s: float, publish_when: str, two_waits: str) -> None:
    """Say how long the draft is waited for, and who waits for whom."""
    project.write("runbook.toml", LANES + API.format(draft_after_s=draft_after_s))
    project.agent("left-spec", PUBLISH.format(wait=publish_when))
    project.agent("right-two", TWO.format(wait=two_waits))


def starts_of(project: Project, task: str) -> list[dict[str, object]]:
    """Every start of a task."""
    return [start for start in project.starts() if start["task"] == task]


# One after the other, the consumer first: here its publisher waits for it.
IN_TURN = ("-n0", "-p", "no:randomly")
MODES = [IN_TURN, pytest.param(("-n2",), marks=pytest.mark.slow)]


@pytest.mark.parametrize("mode", MODES)
def test_task_begins_when_its_contract_is_published_and_others_do_not_wait(
    flow: Project, mode: tuple[str, ...]
) -> None:
    """The independent task is done first; the other one has revision 1, and its bytes."""
    prepare(
        flow,
        draft_after_s=60,
        publish_when='until(lambda: "right-more" in (ROOT / "starts.log").read_text(), "more")',
        two_waits="assert '/health' in Path('docs/contracts/api.json').read_text()",
    )
    flow.write("published.json", spec("/health"))

    result = flow.run(*mode)

    result.assert_outcomes(passed=4)
    assert flow.started() == ["draft", "left-spec", "right-more", "right-two"]
    assert starts_of(flow, "right-more")[0]["contracts"] == {"api": 0}
    assert starts_of(flow, "right-two")[0]["contracts"] == {"api": 1}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("paths", [("/health", "/old", "/more"), ("/health",)])
@pytest.mark.parametrize("is_over", [pytest.param(False, marks=pytest.mark.slow), True])
def test_task_that_began_on_the_draft_is_reconciled_afterwards(
    flow: Project, paths: tuple[str, ...], mode: tuple[str, ...], *, is_over: bool
) -> None:
    """Given back with the differences if they break it, noted if they do not; not done twice."""
    prepare(
        flow,
        draft_after_s=0.5,
        publish_when=f"until(lambda: {RIGHT_IS_OVER if is_over else RIGHT_IS_HERE}, 'right')",
        two_waits="" if is_over else f"until(lambda: {API_IS_THERE}, 'api')",
    )
    flow.write("published.json", spec(*paths))

    result = flow.run(*mode)

    result.assert_outcomes(passed=4)
    first, *again = starts_of(flow, "right-two")
    assert first["contracts"] == {"api": 0}
    if "/old" in paths:
        assert not again
        return
    (second,) = again
    assert second["contracts"] == {"api": 1}
    told = str(second["context"])
    assert told.startswith("contract api: you built on its draft; revision 1 is published by now")
    assert "breaking: #/paths/~1old: path /old is gone" in told
    assert flow.started().count("right-more") == 1


def test_gate_names_what_breaks_work_that_could_not_be_mended(flow: Project) -> None:
    """The agent that is given its work back gives up; what it was built on is gone all the same."""
    prepare(
        flow,
        draft_after_s=0.5,
        publish_when=f"until(lambda: {RIGHT_IS_OVER}, 'right')",
        two_waits="import os, sys\nif os.environ['ATTEMPT'] != '1': sys.exit('I give up')",
    )
    flow.write("published.json", spec("/health"))

    result = flow.run(*IN_TURN)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert flow.verdicts()["right_phase1"] == "failed"
    result.stdout.fnmatch_lines(
        [
            (
                "*docs/contracts/api.json#/paths/~1old: path /old is gone*[[]breaking[]]; have "
                "right, which was built on the draft, build on revision 1*"
            )
        ]
    )
    contexts = [str(start["context"]) for start in starts_of(flow, "right-two")]
    assert ["", "1 breaking", "1 breaking"] == [c and "1 breaking" for c in contexts]
    assert "1 breaking" in contexts[2]
    assert "I give up" in contexts[2]


def test_without_agents_nobody_knows_what_work_rests_on(flow: Project) -> None:
    """So the test of it is not there, rather than passed on nothing."""
    prepare(flow, draft_after_s=60, publish_when="", two_waits="")
    flow.write("docs/contracts/api.json", spec("/health"))
    flow.write("right/two.txt", "done")

    result = flow.run("--agents=off", *IN_TURN, "-v")

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*test_fits*")


@pytest.mark.slow
def test_verdict_is_not_reused_while_work_waits_to_be_mended(flow: Project) -> None:
    """A gate that passed passes no more, once a contract breaks what it has judged."""
    prepare(flow, draft_after_s=60, publish_when="", two_waits="")
    flow.write("published.json", spec("/health", "/old"))
    flow.run(*IN_TURN).assert_outcomes(passed=4)
    registry = Registry(flow.plan, Ledger(flow.run_folder), ContractReferee())
    contract = flow.plan.contracts["api"]
    files = {contract.path: spec("/health").encode()}
    assert registry.publish(contract, files, Part("left", 1)) is not None

    result = flow.run(*IN_TURN, "gates/test_g1.py")

    result.assert_outcomes(passed=2)
    assert [0, 1] == [bool(start["context"]) for start in starts_of(flow, "right-two")]
    result.stdout.no_fnmatch_line("*reused: nothing it judges has changed*")
