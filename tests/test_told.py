"""What a gate's tests say reaches the ledger: verdict, reason and findings."""

from __future__ import annotations

import json

import pytest

from pytest_orchestrator._domain.event import GateTestFinished, parse_event
from pytest_orchestrator._domain.verdict import Finding, Outcome
from pytest_orchestrator._plugin.told import Told
from tests.project import Project

FINDING = Finding("left /health", "answered 500", "status", "answer 200")
GATE_1 = f"""
import pytest
from pytest_orchestrator.checks import Finding, Verdict

pytestmark = pytest.mark.gate("G1")

@pytest.mark.lane("left")
def test_left(workspace):
    Verdict("health", ({FINDING!r},)).raise_for_findings()

@pytest.mark.lane("right")
def test_right(workspace):
    pass
"""
LEFT, RIGHT = "gates/test_g1.py::test_left", "gates/test_g1.py::test_right"


def test_findings_survive_the_way_through_a_report() -> None:
    """What is written as properties is read back, whatever a file is called."""
    told = Told(Outcome.FAILED, "text", (FINDING, Finding("caf\udce9", 'is "gone"\n')))

    assert told == Told.read(dict(told.properties("G1")))
    assert Told(Outcome.PASSED) == Told.read(dict(Told(Outcome.PASSED).properties("G1")))


def test_event_of_an_older_ledger_has_no_findings() -> None:
    """What was written before findings were kept is read as it was."""
    event = {"kind": "gate_test_finished", "gate": "G1", "key": "k", "test": "t"}

    read = parse_event(json.dumps(event | {"outcome": "FAILED", "reason": "why"}))

    assert read == GateTestFinished(
        gate="G1", key="k", test="t", outcome=Outcome.FAILED, reason="why"
    )


def test_finding_that_names_a_file_beyond_unicode_can_be_written() -> None:
    """Its name is spelled out, as in a reason."""
    finding = Finding("caf\udce9", "gone")
    event = GateTestFinished(
        gate="G1", key="k", test="t", outcome=Outcome.FAILED, findings=(finding,)
    )

    assert parse_event(event.model_dump_json()) == event
    assert event.findings == (Finding(r"caf\udce9", "gone"),)


@pytest.mark.parametrize("mode", ["-n0", "-n2"])
def test_findings_are_in_the_ledger(project: Project, mode: str) -> None:
    """Each with its place, rule and cure, by test, also from another process."""
    project.finish()
    project.write("gates/test_g1.py", GATE_1)

    project.run("gates/test_g1.py", mode, "--agents=off")

    record = project.state(project.root / ".orchestrator/runs/verify").gate("G1").record
    assert record is not None
    assert record.findings == {LEFT: (FINDING,), RIGHT: ()}
    assert record.reasons == {LEFT: str(FINDING), RIGHT: ""}


def test_findings_of_a_gate_that_is_obtained_are_in_the_ledger(project: Project) -> None:
    """A gate that is judged by a pytest of its own tells as much as one that was selected."""
    project.write("gates/test_g1.py", GATE_1.replace('@pytest.mark.lane("left")', ""))

    project.run("gates/test_g2.py", "-n0")

    record = project.state().gate("G1").record
    assert record is not None
    assert record.findings == {LEFT: (FINDING,), RIGHT: ()}
