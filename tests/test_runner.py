"""Carrying out one part: task by task, attempt by attempt."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from pytest_orchestrator._domain.agent import AgentResult, Assignment, ToolAnswer, Usage
from pytest_orchestrator._domain.event import (
    AttemptFinished,
    AttemptStarted,
    ContractPublished,
    Event,
    PhaseFinished,
    Revision,
    TaskParked,
)
from pytest_orchestrator._domain.plan import Part, Plan, Task
from pytest_orchestrator._domain.scheduler import is_decided
from pytest_orchestrator._domain.staleness import stale
from pytest_orchestrator._domain.state import PhaseState
from pytest_orchestrator._domain.verdict import Finding, Outcome, Verdict
from pytest_orchestrator._run import tool_client
from pytest_orchestrator._run.deliveries import Deliveries
from pytest_orchestrator._run.ledger import Fenced, Ledger
from pytest_orchestrator._run.registry import Registry
from pytest_orchestrator._run.runner import PhaseRunner
from pytest_orchestrator._run.snapshots import digest_of
from pytest_orchestrator._run.tool_client import VARIABLE
from pytest_orchestrator._run.watch import Claim, Watch
from pytest_orchestrator._run.workspace import Workspaces
from tests.histories import finished, judged, small_document
from tests.referees import WordReferee
from tests.strategies import Document, plan_of

E = TypeVar("E", bound=Event)
WRITER, LEFT, RIGHT = Part("writer", 0), Part("left", 2), Part("right", 2)
NO = AgentResult("failed", "I could not")
Work = Callable[[Assignment], AgentResult | None]


def writes(*paths: str, content: str = "written") -> Work:
    """An agent that writes these files and is done."""

    def work(assignment: Assignment) -> None:
        for path in paths:
            file = assignment.workspace / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)

    return work


def fails(_: Assignment) -> AgentResult:
    """An agent that gives up."""
    return NO


@dataclass
class Agents:
    """A back-end whose agents do, attempt by attempt, what is listed for their task."""

    work: dict[str, list[Work]] = field(default_factory=dict)
    asked: list[Assignment] = field(default_factory=list)
    name: str = "listed"

    def carry_out(self, assignment: Assignment) -> AgentResult:
        """Do the next thing on the task's list; the last one again and again."""
        self.asked.append(assignment)
        listed = self.work.get(assignment.task.name, [writes(f"{assignment.agent.name}/file")])
        work = listed.pop(0) if len(listed) > 1 else listed[0]
        return work(assignment) or AgentResult("succeeded", usage=Usage(cost_usd=0.5))

    def fingerprint(self) -> str:
        """Nobody asks."""
        raise NotImplementedError


@dataclass
class Judged:
    """A judge who says what is listed, and then that all is well."""

    on_lane: list[str] = field(default_factory=list)
    on_task: list[str] = field(default_factory=list)

    def own_checks(self, task: Task, tree: Path) -> Verdict:
        """The next word on a task."""
        assert tree.is_dir()
        return _verdict(task.name, self.on_task)

    def gates(self, part: Part, tree: Path) -> Verdict:
        """The next word on a lane."""
        assert tree.is_dir()
        return _verdict(str(part), self.on_lane)


def _verdict(check: str, words: list[str]) -> Verdict:
    word = words.pop(0) if words else ""
    return Verdict(check, (Finding(check, word),) if word else ())


class NoWatch(Watch):
    """Nobody watches; only what time is allowed is noted."""

    def __init__(self) -> None:
        self.allowed: list[float | None] = []

    def allow(self, seconds: float | None) -> None:
        """Note it."""
        self.allowed.append(seconds)


class Bench:
    """A run of the small plan, some of its events, and one part to carry out.

    Attributes:
        ledger: The run's ledger.
        agents: Who does the work.
        judge: Who judges it.
    """

    def __init__(self, folder: Path, document: Document | None = None) -> None:
        self.plan: Plan = plan_of(document or small_document())
        self.ledger = Ledger(folder / "run")
        (folder / "project").mkdir(exist_ok=True)
        self.workspaces = Workspaces(self.plan, folder / "run", folder / "project")
        self.agents = Agents()
        self.judge = Judged()
        self.watch = NoWatch()
        self.referee = WordReferee()
        self.registry = Registry(self.plan, self.ledger, self.referee)
        self.events(*judged("G1", Outcome.PASSED))

    def events(self, *events: Event) -> None:
        """Have this happened before."""
        for event in events:
            self.ledger.append(event)

    def runner(self, part: Part, session: str = "now") -> PhaseRunner:
        """A runner that has claimed a part."""
        claimed = self.ledger.claim(str(part), session=session, worker="gw0", still=lambda _: True)
        assert claimed is not None
        claimed[0].release()
        claim = Claim(str(part), session, claimed[1])
        deliveries = Deliveries(self.plan, self.ledger, self.workspaces, self.registry, part)
        return PhaseRunner(
            self.plan, self.ledger, self.workspaces, self.agents, self.judge, self.registry,
            deliveries, claim, self.watch, part,
        )  # fmt: skip

    def publish(self, text: str, contract: str = "api", *, draft: bool = False) -> None:
        """Have a contract published by whoever may."""
        value = self.plan.contracts[contract]
        part = WRITER if draft or contract == "notes" else LEFT
        path = (value.draft if draft else value.path) or ""
        self.registry.publish(value, {path: text.encode()}, part, draft=draft)

    def run(self, part: Part, session: str = "now") -> PhaseState:
        """Carry out a part and return where it stands."""
        self.runner(part, session).run()
        return self.ledger.state().phase(part)

    def told(self, kind: type[E]) -> list[E]:
        """All events of a kind."""
        events = (entry.event for entry in self.ledger.entries())
        return [event for event in events if isinstance(event, kind)]

    def attempts(self) -> list[tuple[str, int, str]]:
        """Task, number and status of every attempt that ended."""
        return [(e.task, e.attempt, e.status) for e in self.told(AttemptFinished)]

    def published(self) -> list[tuple[str, int]]:
        """Name and revision of everything that was published."""
        return [(event.name, event.revision) for event in self.told(ContractPublished)]

    def files(self, commit: str) -> list[str]:
        """The files of a commit."""
        tree = self.workspaces.lay_out(commit, "seen")
        return sorted(str(f.relative_to(tree)) for f in tree.rglob("*") if f.is_file())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A run in which the first gate has passed."""
    return Bench(tmp_path)


# ---------------------------------------------------------------- what an agent is told


def test_part_is_done_task_by_task(bench: Bench) -> None:
    """In the order of the runbook, each with what it takes, and what was built is handed over."""
    bench.agents.work = {
        "left-two": [writes("left/two")],
        "left-spec": [writes("docs/contracts/api.json")],
    }

    phase = bench.run(LEFT)

    assert "succeeded" == phase.status
    assert ["docs/contracts/api.json", "left/two"] == bench.files(phase.commit)
    assert [("left-two", 1, "succeeded"), ("left-spec", 1, "succeeded")] == bench.attempts()
    first = bench.agents.asked[0]
    assert ("left-two", 1, "", "any") == (
        first.task.name, first.attempt, first.error_context, first.stack
    )  # fmt: skip
    assert ("What brief.md asks for.", ("git",)) == (first.brief, first.tools)
    assert bench.workspaces.lane("left") == first.workspace
    assert bench.plan.budget_of("left") == first.budget
    assert bench.ledger.state().cost_usd == 1.0


def test_agent_without_a_service_has_no_stack(bench: Bench) -> None:
    """There is nothing to build or to start for it."""
    bench.agents.work = {"write-notes": [writes("docs/contracts/notes.md")]}
    bench.run(WRITER)

    assert ("", ()) == (bench.agents.asked[0].stack, bench.agents.asked[0].tools)


def test_agent_is_told_what_is_published(bench: Bench) -> None:
    """Each contract with its latest revision."""
    for text in ("one", "two"):
        bench.publish(text)

    bench.run(RIGHT)

    (contract,) = bench.agents.asked[0].contracts.values()
    assert ("api", 2, "docs/contracts/api.json") == (
        contract.name, contract.revision, contract.path
    )  # fmt: skip


# ---------------------------------------------------------------- again


def test_failed_attempt_is_followed_by_one_that_knows_why(bench: Bench) -> None:
    """What the agent itself said is the context of the next attempt."""
    bench.agents.work["left-two"] = [fails, writes("left/two")]
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json")]

    phase = bench.run(LEFT)

    assert "succeeded" == phase.status
    assert ["", "left: I could not [agent]", ""] == [a.error_context for a in bench.agents.asked]
    assert [1, 2, 1] == [assignment.attempt for assignment in bench.agents.asked]


def test_attempts_are_bounded(bench: Bench) -> None:
    """After ``max_attempts`` the part has failed, with the last findings, and nothing goes on."""
    bench.agents.work["left-two"] = [fails]

    phase = bench.run(LEFT)

    assert ("failed", "left: I could not [agent]", "") == (
        phase.status, phase.reason, phase.commit
    )  # fmt: skip
    assert [("left-two", 1, "failed"), ("left-two", 2, "failed")] == bench.attempts()
    assert not bench.published()


def test_broken_back_end_is_a_failed_attempt(bench: Bench) -> None:
    """An exception in it does not end the run, and is told."""

    def breaks(_: Assignment) -> None:
        raise OSError("no network")

    bench.agents.work["left-two"] = [breaks, writes("left/two")]
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json")]

    assert bench.run(LEFT).status == "succeeded"
    told = "left: the back-end listed broke: OSError: no network [agent]"
    assert told == bench.agents.asked[1].error_context


def test_what_is_outside_of_an_agents_paths_fails_the_attempt(bench: Bench) -> None:
    """The next attempt starts without it, knows of it, and still has its own files."""
    bench.agents.work["left-two"] = [writes("left/two", "right/mine"), lambda _: None]
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json")]

    phase = bench.run(LEFT)

    told = bench.agents.asked[1].error_context.splitlines()
    assert "right/mine: left changed a file outside its own paths [ownership]" == told[0]
    assert ["docs/contracts/api.json", "left/two"] == bench.files(phase.commit)


def test_own_checks_of_a_task_send_it_back(bench: Bench) -> None:
    """A build that fails is a failed attempt, though the agent thinks it is done."""
    bench.judge.on_task = ["does not build"]
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json")]

    assert bench.run(LEFT).status == "succeeded"
    assert "left-two: does not build" == bench.agents.asked[1].error_context


def test_gates_give_the_last_task_back(bench: Bench) -> None:
    """What the gates find on the lane is the context of one more attempt at what was done last."""
    bench.judge.on_lane = ["the page is empty"]
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json")]

    phase = bench.run(LEFT)

    assert "succeeded" == phase.status
    last = bench.agents.asked[-1]
    assert ("left-spec", 2, "left_phase2: the page is empty") == (
        last.task.name, last.attempt, last.error_context
    )  # fmt: skip


def test_gates_that_never_agree_fail_the_part(bench: Bench) -> None:
    """As often as there are attempts; then nothing is published or handed over."""
    bench.judge.on_lane = ["no", "still no", "never"]
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json")]

    phase = bench.run(LEFT)

    assert ("failed", "left_phase2: still no", "") == (phase.status, phase.reason, phase.commit)
    assert ["left-two", "left-spec", "left-spec"] == [a.task.name for a in bench.agents.asked]
    assert not bench.published()


def test_attempt_after_the_gates_spoke_may_fail_too(bench: Bench) -> None:
    """Then that is why the part failed."""
    bench.judge.on_lane = ["no"]
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json"), fails]

    phase = bench.run(LEFT)

    assert ("failed", "left: I could not [agent]") == (phase.status, phase.reason)


def test_attempt_is_given_its_time_and_no_more(bench: Bench) -> None:
    """Only the agent's turn counts, not what is checked afterwards."""
    bench.agents.work["left-two"] = [fails]

    bench.run(LEFT)

    assert [60.0, None, 60.0, None] == bench.watch.allowed


def test_attempt_that_took_too_long_is_recorded(bench: Bench) -> None:
    """Whoever ends it leaves a failed attempt with a sentence; afterwards there is nothing to say.

    The watch ends the whole process right after that, so here the agent goes on.
    """
    runner = bench.runner(LEFT)
    bench.agents.work["left-two"] = [lambda _: runner.out_of_time()]
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json")]

    runner.run()
    runner.out_of_time()

    late, *others = bench.told(AttemptFinished)
    assert ("left-two", 1, "failed") == (late.task, late.attempt, late.status)
    assert late.reason.startswith("attempt 1 of left-two took longer than max_wall_s = 60 s")
    assert late.overspent == "max_wall_s"
    assert not any(event.overspent for event in others)
    assert ["succeeded", "succeeded"] == [event.status for event in others]


@pytest.mark.parametrize("overspent", ["max_turns", ""])
def test_part_says_which_budget_of_a_back_end_has_ended_it(bench: Bench, overspent: str) -> None:
    """A back-end knows bounds of its own; a failure without one is no matter of budgets."""
    ended = AgentResult("failed", "40 of 40 turns are over", overspent=overspent)
    bench.agents.work["left-two"] = [lambda _: ended]

    bench.run(LEFT)

    (finished,) = bench.told(PhaseFinished)
    assert (finished.status, finished.overspent) == ("failed", overspent)


# ---------------------------------------------------------------- parked


def test_task_that_has_to_wait_is_parked_while_others_go_on(tmp_path: Path) -> None:
    """What can be done is done and handed over; the part says what it waits for."""
    document = small_document()
    document["tasks"]["left-more"] = {
        "agent": "left", "phase": 2, "brief": "brief.md", "needs": []
    }  # fmt: skip
    bench = Bench(tmp_path, document)
    bench.events(*judged("G1", Outcome.FAILED))
    bench.agents.work["left-more"] = [writes("left/more")]

    phase = bench.run(LEFT)

    assert ["left-more"] == [assignment.task.name for assignment in bench.agents.asked]
    assert ("parked", ["left/more"]) == (phase.status, bench.files(phase.commit))
    assert phase.reason == (
        "left-two waits: gate G1 is FAILED: G1 says so; left-spec waits: task left-two is not done"
    )
    assert {e.task: e.reason for e in bench.told(TaskParked)} == {
        "left-two": "gate G1 is FAILED: G1 says so",
        "left-spec": "task left-two is not done",
    }


def test_parked_part_goes_on_where_it_was(tmp_path: Path) -> None:
    """The next session does only what was parked, on top of what was done."""
    document = small_document()
    document["tasks"]["left-more"] = {
        "agent": "left", "phase": 2, "brief": "brief.md", "needs": []
    }  # fmt: skip
    bench = Bench(tmp_path, document)
    bench.events(*judged("G1", Outcome.FAILED))
    bench.agents.work = {
        "left-more": [writes("left/more")],
        "left-two": [writes("left/two")],
        "left-spec": [writes("docs/contracts/api.json")],
    }
    bench.run(LEFT)
    bench.workspaces.prepare(bench.ledger.state(), Part("left", 3))
    bench.events(*judged("G1", Outcome.PASSED))

    phase = bench.run(LEFT, "later")

    assert ["left-more", "left-two", "left-spec"] == [a.task.name for a in bench.agents.asked]
    assert "succeeded" == phase.status
    assert ["docs/contracts/api.json", "left/more", "left/two"] == bench.files(phase.commit)


def test_task_may_need_a_contract_of_its_own_part(tmp_path: Path) -> None:
    """It is in the workspace, so it is not waited for, though it is published only at the end."""
    document = small_document()
    document["tasks"]["left-more"] = {
        "agent": "left", "phase": 2, "brief": "brief.md", "needs": ["api"]
    }  # fmt: skip
    del document["contracts"]["api"]["draft"]
    bench = Bench(tmp_path, document)
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json")]

    assert bench.run(LEFT).status == "succeeded"
    assert [("api", 1)] == bench.published()


# ---------------------------------------------------------------- contracts


def test_contract_is_published_when_the_part_has_succeeded(bench: Bench) -> None:
    """Not before the gates agree: nobody builds on what may still change."""
    seen: list[list[tuple[str, int]]] = []
    bench.judge.on_lane = ["no"]

    def spec(assignment: Assignment) -> None:
        seen.append(bench.published())
        writes("docs/contracts/api.json")(assignment)

    bench.agents.work["left-spec"] = [spec]

    bench.run(LEFT)

    assert [[], []] == seen
    assert [("api", 1)] == bench.published()
    assert isinstance(bench.ledger.entries()[-1].event, PhaseFinished)


def test_contract_that_was_not_written_fails_the_attempt(bench: Bench) -> None:
    """The agent is told which file is missing."""
    bench.agents.work["left-spec"] = [writes("left/x"), writes("docs/contracts/api.json")]

    assert bench.run(LEFT).status == "succeeded"
    told = "docs/contracts/api.json: contract api was not written [contract]"
    assert told == bench.agents.asked[-1].error_context


def test_contract_that_is_not_valid_fails_the_attempt(bench: Bench) -> None:
    """Only what was judged is published."""
    bench.agents.work["left-spec"] = [
        writes("docs/contracts/api.json", content="invalid"),
        writes("docs/contracts/api.json"),
    ]

    assert bench.run(LEFT).status == "succeeded"
    told = "docs/contracts/api.json: is not valid [word]; write something else"
    assert told == bench.agents.asked[-1].error_context


def test_contract_that_a_later_task_breaks_fails_that_task(tmp_path: Path) -> None:
    """What is published in the end is what was judged last."""
    document = small_document()
    document["tasks"]["left-more"] = {
        "agent": "left", "phase": 2, "brief": "brief.md", "needs": ["left-spec"]
    }  # fmt: skip
    bench = Bench(tmp_path, document)
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json")]
    bench.agents.work["left-more"] = [writes("docs/contracts/api.json", content="invalid")]

    assert bench.run(LEFT).status == "failed"
    assert not bench.published()


@pytest.mark.parametrize("owns", ["docs/contracts/api.draft.json", "docs/contracts/"])
def test_draft_is_published_as_revision_zero(tmp_path: Path, owns: str) -> None:
    """By whoever owns its file, or the folder it is in, once that part is done."""
    document = small_document()
    document["agents"]["writer"]["owns"] = [owns]
    document["contracts"]["api"]["publisher"] = "writer"
    document["tasks"]["left-spec"]["publishes"] = []
    document["tasks"]["later"] = {
        "agent": "writer", "phase": 2, "brief": "brief.md", "publishes": ["api"]
    }  # fmt: skip
    bench = Bench(tmp_path, document)
    bench.agents.work["write-notes"] = [
        writes("docs/contracts/notes.md", "docs/contracts/api.draft.json")
    ]

    assert bench.run(WRITER).status == "succeeded"

    assert [("notes", 1), ("api", 0)] == bench.published()


def test_draft_that_is_not_valid_fails_the_attempt(bench: Bench) -> None:
    """Nobody begins on a document that says nothing."""
    draft = "docs/contracts/api.draft.json"
    bench.agents.work["write-notes"] = [writes("docs/contracts/notes.md", draft, content="invalid")]

    assert bench.run(WRITER).status == "failed"
    assert not bench.published()


def test_schema_is_generated_next_to_its_page(bench: Bench) -> None:
    """By nobody who could make a mistake; it is handed over and published with the page."""
    bench.agents.work["write-notes"] = [writes("docs/contracts/notes.md", content="page")]

    phase = bench.run(WRITER)

    schema = "docs/contracts/notes.schema.json"
    assert ["docs/contracts/notes.md", schema] == bench.files(phase.commit)
    assert b"PAGE" == bench.workspaces.read("writer", phase.commit, schema)
    (event,) = bench.told(ContractPublished)
    assert {schema: digest_of(b"PAGE")} == event.files


def test_contract_that_is_changed_without_a_task_for_it_is_a_new_revision(tmp_path: Path) -> None:
    """Whoever edits its contract in a later phase does not change it behind anybody's back."""
    document = small_document()
    document["tasks"]["left-three"] = {"agent": "left", "phase": 3, "brief": "brief.md"}
    bench = Bench(tmp_path, document)
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json")]
    bench.agents.work["left-three"] = [writes("docs/contracts/api.json", content="breaking")]
    bench.run(LEFT)

    bench.run(Part("left", 3))

    assert [("api", 1), ("api", 2)] == bench.published()
    assert "breaking" == bench.told(ContractPublished)[-1].effect


# ---------------------------------------------------------------- waiting for a contract


def waiting_document(**contract: object) -> Document:
    """The right lane has a task that needs the contract, and behind it one that does not."""
    document = small_document()
    document["contracts"]["api"] |= contract
    document["tasks"]["right-more"] = {"agent": "right", "phase": 2, "brief": "brief.md"}
    return document


def test_independent_tasks_are_done_while_one_waits_for_a_contract(tmp_path: Path) -> None:
    """And the one that waits begins when the contract is published, and has it."""
    bench = Bench(tmp_path, waiting_document(draft_after_s=60.0))
    bench.publish("draft", draft=True)
    found: list[bytes] = []

    def more(assignment: Assignment) -> None:
        writes("right/more")(assignment)
        threading.Timer(0.3, lambda: bench.publish("real")).start()

    def two(assignment: Assignment) -> None:
        found.append((assignment.workspace / "docs/contracts/api.json").read_bytes())

    bench.agents.work |= {"right-more": [more], "right-two": [two]}

    phase = bench.run(RIGHT)

    assert ["right-more", "right-two"] == [a.task.name for a in bench.agents.asked]
    assert ("succeeded", [b"real"]) == (phase.status, found)
    assert [1] == [r.revision for r in bench.told(AttemptStarted)[-1].contracts]


def test_task_begins_on_the_draft_when_the_contract_is_late(tmp_path: Path) -> None:
    """Not before the time the runbook names, and not without the draft."""
    bench = Bench(tmp_path, waiting_document(draft_after_s=0.5))
    bench.publish("draft", draft=True)
    began_s = time.monotonic()
    begun: list[float] = []
    bench.agents.work["right-two"] = [lambda _: begun.append(time.monotonic() - began_s)]

    assert bench.run(RIGHT).status == "succeeded"

    assert ["right-more", "right-two"] == [a.task.name for a in bench.agents.asked]
    assert begun[0] >= 0.5
    held = Revision(name="api", revision=0, sha256=digest_of(b"draft"))
    assert held == bench.ledger.state().built_on["right"]["api"][0]


def test_task_with_a_draft_does_not_wait_unless_it_is_told_to(bench: Bench) -> None:
    """Without ``draft_after_s`` the draft is taken at once."""
    bench.publish("draft", draft=True)

    assert bench.run(RIGHT).status == "succeeded"


def test_task_without_a_draft_waits_until_its_publisher_is_over(tmp_path: Path) -> None:
    """Then nothing will come any more, and the task is parked."""
    document = waiting_document()
    del document["contracts"]["api"]["draft"]
    bench = Bench(tmp_path, document)
    over = finished("left_phase2", "failed")
    bench.agents.work["right-more"] = [
        lambda _: threading.Timer(0.3, lambda: bench.events(over)).start()
    ]

    phase = bench.run(RIGHT)

    assert ["right-more"] == [a.task.name for a in bench.agents.asked]
    assert ("parked", "right-two waits: contract api is not published, and there is no draft") == (
        phase.status, phase.reason.removesuffix(" of it")
    )  # fmt: skip


def test_task_that_is_blocked_anyway_does_not_wait_for_a_contract(tmp_path: Path) -> None:
    """A gate that has failed will not pass because a contract arrives."""
    bench = Bench(tmp_path, waiting_document(draft_after_s=60.0))
    bench.publish("draft", draft=True)
    bench.events(*judged("G1", Outcome.FAILED))

    assert bench.run(RIGHT).status == "parked"


# ---------------------------------------------------------------- built on something else


def test_work_on_a_draft_that_turns_out_wrong_is_given_back(bench: Bench) -> None:
    """Its agent is told the differences, has the published contract, and then all is well."""
    bench.publish("draft", draft=True)
    bench.agents.work["right-two"] = [
        lambda _: bench.publish("breaking one"), writes("right/mended")
    ]  # fmt: skip

    phase = bench.run(RIGHT)

    first, second = bench.agents.asked
    assert ("succeeded", "", "right-two", 2) == (
        phase.status, first.error_context, second.task.name, second.attempt
    )  # fmt: skip
    assert second.error_context.splitlines() == [
        (
            "contract api: you built on its draft; revision 1 is published by now, and is breaking "
            "for you. It lies in your workspace; these are the differences:"
        ),
        "1 breaking, 0 compatible, 0 annotation",
        "  breaking (both): #/: draft became breaking one",
    ]
    assert ["docs/contracts/api.draft.json", "docs/contracts/api.json"] == sorted(
        str(p.relative_to(second.workspace)) for p in second.workspace.glob("docs/contracts/*")
    )
    assert 1 == bench.ledger.state().built_on["right"]["api"][0].revision


@pytest.mark.parametrize("effect", ["compatible", "annotation"])
def test_work_that_still_fits_is_not_paid_for_twice(bench: Bench, effect: str) -> None:
    """What changed is harmless; that it was built on the draft can still be seen."""
    bench.publish("draft", draft=True)
    bench.agents.work["right-two"] = [lambda _: bench.publish(f"{effect} one")]

    assert bench.run(RIGHT).status == "succeeded"

    assert 1 == len(bench.agents.asked)
    (each,) = stale(bench.plan, bench.ledger.state())
    assert ("right", 0, effect, False) == (
        each.agent, each.held.revision, each.effect, each.demands_work
    )  # fmt: skip


def test_part_that_was_over_is_taken_up_again_when_a_contract_breaks_it(bench: Bench) -> None:
    """What it rests on was replaced after it had succeeded."""
    bench.publish("draft", draft=True)
    bench.run(RIGHT)
    assert is_decided(bench.plan, bench.ledger.state(), RIGHT, session="now")
    bench.publish("breaking one")
    assert not is_decided(bench.plan, bench.ledger.state(), RIGHT, session="now")

    assert bench.run(RIGHT).status == "succeeded"

    assert [1, 2] == [assignment.attempt for assignment in bench.agents.asked]
    assert is_decided(bench.plan, bench.ledger.state(), RIGHT, session="now")


def test_draft_that_lay_around_is_nothing_the_work_rests_on(tmp_path: Path) -> None:
    """A consumer's earlier tasks are not given back for a document they never needed."""
    document = small_document()
    document["tasks"]["right-one"]["needs"] = []
    bench = Bench(tmp_path, document)
    bench.publish("draft", draft=True)
    bench.run(Part("right", 1))
    assert () == bench.told(AttemptStarted)[0].contracts

    bench.publish("one")
    bench.run(RIGHT)

    assert [1] == [r.revision for r in bench.told(AttemptStarted)[1].contracts]


def test_work_that_cannot_be_mended_fails_its_part(bench: Bench) -> None:
    """After as many attempts as any task has."""
    bench.publish("draft", draft=True)
    bench.run(RIGHT)
    bench.publish("breaking one")
    bench.agents.work["right-two"] = [fails]

    phase = bench.run(RIGHT)

    assert ("failed", "right: I could not [agent]") == (phase.status, phase.reason)
    assert [1, 2, 3] == [assignment.attempt for assignment in bench.agents.asked]


def generating(*, later: bool = False) -> Document:
    """The small runbook, in which right generates a file from the api; used later, if asked."""
    document = small_document()
    document["contracts"]["api"]["generated"] = {
        "right": {"command": ["make", "{contract}", "{out}"], "files": ["right/client.py"]}
    }
    if later:
        document["tasks"]["right-three"] = {
            "agent": "right", "phase": 3, "brief": "brief.md", "needs": ["api"]
        }  # fmt: skip
    return document


def test_generated_files_are_made_again_whatever_has_changed(tmp_path: Path) -> None:
    """A consumer whose files a program makes of the contract gets its task back each time."""
    bench = Bench(tmp_path, generating())
    bench.publish("one")
    bench.run(RIGHT)
    bench.publish("compatible two")

    bench.run(RIGHT)

    assert [1, 2] == [assignment.attempt for assignment in bench.agents.asked]


def test_generated_files_are_stale_until_somebody_is_told(tmp_path: Path) -> None:
    """Another task with the new revision in hand does not make them anew by having it."""
    bench = Bench(tmp_path, generating(later=True))
    bench.publish("one")
    bench.run(RIGHT)
    bench.publish("compatible two")

    assert bench.run(Part("right", 3)).status == "succeeded"

    told = [(a.task.name, bool(a.error_context)) for a in bench.agents.asked]
    assert [("right-two", False), ("right-three", False), ("right-three", True)] == told
    assert not stale(bench.plan, bench.ledger.state())


@pytest.mark.parametrize("session", ["now", "later"])
def test_mend_that_was_interrupted_is_not_begun_blindly(bench: Bench, session: str) -> None:
    """Whoever goes on with it is told the differences, at once, and once is enough."""
    bench.publish("one")
    bench.run(RIGHT)
    bench.publish("breaking two")

    def dies(_: Assignment) -> None:
        raise KeyboardInterrupt

    bench.agents.work["right-two"] = [dies, writes("right/mended")]
    with pytest.raises(KeyboardInterrupt):
        bench.run(RIGHT)

    assert bench.run(RIGHT, session).status == "succeeded"

    assert 3 == len(bench.agents.asked)
    assert "one became breaking two" in bench.agents.asked[-1].error_context
    assert not stale(bench.plan, bench.ledger.state())


def test_reading_a_contract_does_not_make_generated_files_anew(tmp_path: Path) -> None:
    """They are still given back to be made of the latest revision."""
    bench = Bench(tmp_path, generating(later=True))
    bench.publish("one")
    bench.run(RIGHT)
    bench.publish("compatible two")

    def reads(assignment: Assignment) -> None:
        assert assignment.contract_tools is not None
        assignment.contract_tools.call("read_contract", {"name": "api"})

    bench.agents.work["right-three"] = [reads]

    bench.run(Part("right", 3))

    assert ["right-two", "right-three", "right-three"] == [a.task.name for a in bench.agents.asked]


def test_part_that_is_done_again_does_not_publish_over_a_later_one(tmp_path: Path) -> None:
    """Its own text is the older one."""
    document = small_document()
    document["tasks"]["left-three"] = {
        "agent": "left", "phase": 3, "brief": "brief.md", "needs": ["G1"]
    }  # fmt: skip
    bench = Bench(tmp_path, document)
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json", content="early")]
    bench.agents.work["left-three"] = [writes("docs/contracts/api.json", content="late")]
    bench.run(LEFT)
    bench.run(Part("left", 3))
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json", content="again")]
    bench.events(AttemptStarted(part="left_phase2", task="left-spec", attempt=2))

    bench.run(LEFT, "later")

    assert [("api", 1), ("api", 2)] == bench.published()
    assert b"late" == bench.registry.read("api")[1]


def test_contract_may_stand_at_the_root_of_the_tree(tmp_path: Path) -> None:
    """There is no folder around it to look for files in."""
    document = small_document()
    document["contracts"]["api"]["path"] = "api.json"
    bench = Bench(tmp_path, document)
    bench.agents.work["left-spec"] = [writes("api.json")]

    assert bench.run(LEFT).status == "succeeded"
    assert [("api", 1)] == bench.published()


# ---------------------------------------------------------------- tools


def test_what_is_asked_at_the_end_is_answered_before_the_attempt_is_looked_at(
    bench: Bench,
) -> None:
    """Nothing is published behind the back of whoever hands the work over."""
    asked: list[socket.socket] = []

    def spec(assignment: Assignment) -> None:
        writes("docs/contracts/api.json", content="good")(assignment)
        path, secret = json.loads(assignment.environment[VARIABLE])
        arguments = {"name": "api", "content": "late"}
        call = {"secret": secret, "tool": "publish_contract", "arguments": arguments}
        asked.append(socket.socket(socket.AF_UNIX))
        asked[0].connect(path)
        tool_client.send(asked[0], json.dumps(call).encode())

    bench.agents.work["left-spec"] = [spec]

    bench.run(LEFT)
    asked[0].close()

    kinds = [entry.event.kind for entry in bench.ledger.entries()]
    last_published = len(kinds) - 1 - kinds[::-1].index("contract_published")
    assert last_published < kinds.index("phase_finished")
    assert b"good" == bench.registry.read("api")[1]


def test_agent_publishes_in_the_middle_of_its_attempt(bench: Bench) -> None:
    """At once, in the name of its own task, and once."""
    seen: list[object] = []

    def spec(assignment: Assignment) -> None:
        assert assignment.contract_tools is not None
        writes("docs/contracts/api.json", content="one")(assignment)
        arguments = {"name": "api", "content": "one"}
        seen.append(assignment.contract_tools.call("publish_contract", arguments))
        seen.append(bench.published())

    bench.agents.work["left-spec"] = [spec]

    assert bench.run(LEFT).status == "succeeded"
    assert seen == [ToolAnswer("api: revision 1 is published"), [("api", 1)]]
    assert [("api", 1)] == bench.published()


@pytest.mark.parametrize("written", ["", "old"])
def test_what_was_published_by_tool_is_in_the_workspace_afterwards(
    bench: Bench, written: str
) -> None:
    """Though the agent wrote no file, or an older one before; so nothing old is published again."""
    if written:
        bench.agents.work["left-two"] = [writes("docs/contracts/api.json", content=written)]

    def spec(assignment: Assignment) -> None:
        assert assignment.contract_tools is not None
        arguments = {"name": "api", "content": "one"}
        assignment.contract_tools.call("publish_contract", arguments)

    bench.agents.work["left-spec"] = [spec]

    phase = bench.run(LEFT)

    assert b"one" == bench.workspaces.read("left", phase.commit, "docs/contracts/api.json")
    assert [("api", 1)] == bench.published()


def test_contract_that_was_read_in_the_middle_is_what_the_work_rests_on(bench: Bench) -> None:
    """A later revision than the one that was there at first."""
    bench.publish("one")

    def two(assignment: Assignment) -> None:
        assert assignment.contract_tools is not None
        bench.publish("breaking two")
        answer = assignment.contract_tools.call("read_contract", {"name": "api"})
        assert "breaking two" == answer.text

    bench.agents.work["right-two"] = [two]

    assert bench.run(RIGHT).status == "succeeded"
    assert 1 == len(bench.agents.asked)
    assert 2 == bench.ledger.state().built_on["right"]["api"][0].revision


# ---------------------------------------------------------------- who comes late, who died


def test_runner_that_lost_its_claim_writes_nothing(bench: Bench) -> None:
    """Somebody else has taken over while its agent worked."""
    late = bench.runner(LEFT)

    def overtaken(assignment: Assignment) -> None:
        bench.runner(LEFT)
        writes("left/two")(assignment)

    bench.agents.work["left-two"] = [overtaken]

    with pytest.raises(Fenced):
        late.run()

    assert not bench.told(AttemptFinished)
    assert not bench.told(PhaseFinished)


def test_next_runner_goes_on_after_one_that_died(bench: Bench) -> None:
    """What was done is not done again, is not lost, and the interrupted task has its files."""
    bench.agents.work["left-two"] = [writes("left/two")]

    class DiedError(BaseException):
        """The process is no more."""

    def dies(assignment: Assignment) -> None:
        writes("left/half", "right/mine")(assignment)
        raise DiedError

    bench.agents.work["left-spec"] = [dies, writes("docs/contracts/api.json")]
    with pytest.raises(DiedError):
        bench.run(LEFT)

    phase = bench.run(LEFT)

    assert ["left-two", "left-spec", "left-spec"] == [a.task.name for a in bench.agents.asked]
    last = bench.agents.asked[-1]
    assert "the process that carried it out for gw0 ended before it was done" == last.error_context
    assert ("succeeded", 1, 2) == (phase.status, phase.died, last.attempt)
    assert ["docs/contracts/api.json", "left/half", "left/two"] == bench.files(phase.commit)


def test_part_whose_tasks_were_all_done_is_handed_over_whole(bench: Bench) -> None:
    """A runner that dies while the gates judge leaves nothing to do but that, and nothing out."""
    bench.agents.work["left-two"] = [writes("left/two")]
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json")]

    class DiedError(BaseException):
        """The process is no more."""

    class Deadly(Judged):
        """Whoever asks it is no more."""

        def gates(self, part: Part, tree: Path) -> Verdict:
            """Do not answer."""
            raise DiedError(part, tree)

    bench.judge = Deadly()
    with pytest.raises(DiedError):
        bench.run(LEFT)
    bench.judge = Judged()

    phase = bench.run(LEFT)

    assert ["left-two", "left-spec"] == [a.task.name for a in bench.agents.asked]
    assert ["docs/contracts/api.json", "left/two"] == bench.files(phase.commit)
    assert [("api", 1)] == bench.published()


def test_failed_part_knows_why_in_the_next_session(bench: Bench) -> None:
    """The first attempt of the next session is told what the last one of this was."""
    bench.agents.work["left-two"] = [fails]
    bench.run(LEFT)
    bench.agents.work["left-two"] = [writes("left/two")]
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json")]

    assert bench.run(LEFT, "later").status == "succeeded"
    third = bench.agents.asked[2]
    assert (3, "left: I could not [agent]") == (third.attempt, third.error_context)


def test_every_attempt_that_ended_had_begun(bench: Bench) -> None:
    """The ledger has a start and an end of each, in turn."""
    bench.agents.work["left-two"] = [fails, writes("left/two")]
    bench.agents.work["left-spec"] = [writes("docs/contracts/api.json")]

    bench.run(LEFT)

    started = [(event.task, event.attempt) for event in bench.told(AttemptStarted)]
    assert started == [(task, attempt) for task, attempt, _ in bench.attempts()]
