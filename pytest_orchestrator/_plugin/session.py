"""One pytest session's view of its run; the same in every process of the session."""

from __future__ import annotations

import contextlib
import filecmp
import os
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_orchestrator._domain.event import (
    WORKSPACE,
    AttemptNoticed,
    GateBlocked,
    GateOpened,
    GateTestFinished,
    RunCreated,
    SessionStarted,
)
from pytest_orchestrator._domain.phase import PhaseResult
from pytest_orchestrator._domain.plan import Part, Plan
from pytest_orchestrator._domain.scheduler import gates_before, standing, why_blocked
from pytest_orchestrator._domain.staleness import stale_work
from pytest_orchestrator._domain.verdict import Outcome
from pytest_orchestrator._plugin.referee import ContractReferee
from pytest_orchestrator._run.git import Git
from pytest_orchestrator._run.judge import Project, gate_key
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.locks import RUN_LOCK, FileLock
from pytest_orchestrator._run.obtain import Obtainer
from pytest_orchestrator._run.registry import Registry, snapshots_of
from pytest_orchestrator._run.seal import Sources
from pytest_orchestrator._run.watch import GRACE_S
from pytest_orchestrator._run.workspace import STORE, Workspaces, attempts_in, rewritten
from pytest_orchestrator.errors import Blocked, Infra, PhaseFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_orchestrator._domain.change import Change
    from pytest_orchestrator._domain.state import PhaseState

OFF = "off"
BLOCKED = "blocked: "
TAKEOVER_S = GRACE_S + 3.0
"""Seconds the runners of a session that was killed may still need to end."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a session was asked for, as plain data that can be sent to workers.

    Attributes:
        session: Id of this pytest session.
        worker: xdist's worker id, or ``"master"``.
        agents: Name of the back-end; ``"off"`` for none.
        identity: Digest of what the agents are told and of who they are.
        folder: The run's folder.
        workspace: The tree the gates judge when no agent works.
        alone: Whether gates judge without asking what the gates before them said: on
            behalf of another session, or one lane by itself.
        of_run: Without agents: the folder of the run that has built the tree; may be empty.
    """

    session: str
    worker: str
    agents: str
    identity: str
    folder: str
    workspace: str
    alone: bool = False
    of_run: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a gate is about to judge."""

    tree: Path
    key: str
    built: dict[str, str] = field(default_factory=dict)
    """The commits of the parts it judges; empty if it is a tree as it is."""
    tree_id: str = ""
    """The git tree of what is handed over in ``tree``; empty if nobody asks afterwards."""


class RunSession:
    """What fixtures and hooks ask for the run.

    Args:
        plan: The validated runbook.
        project: Where it is.
        settings: What was asked for.
    """

    def __init__(self, plan: Plan, project: Project, settings: Settings) -> None:
        self.plan = plan
        self.project = project
        self.settings = settings
        self.selected: frozenset[str] = frozenset()
        """The gates with tests in this session; known after collection."""
        self.tests: dict[str, tuple[str, ...]] = {}
        """All tests of each gate; empty where not all of them were collected."""
        self.tick: Callable[[], None] = lambda: None
        self._run_lock = FileLock(self.folder / RUN_LOCK)
        self._judged: dict[str, Judged] = {}

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.project.root / self.settings.folder

    @property
    def with_agents(self) -> bool:
        """Whether phases are carried out."""
        return self.settings.agents != OFF

    @cached_property
    def ledger(self) -> Ledger:
        """The run's ledger, opened when it is first needed."""
        return Ledger(self.folder)

    @cached_property
    def record_of_work(self) -> Ledger | None:
        """The ledger that tells how the judged tree came to be; ``None`` if nobody knows."""
        if self.with_agents:
            return self.ledger
        return Ledger(Path(self.settings.of_run)) if self.settings.of_run else None

    @cached_property
    def sources(self) -> Sources:
        """The files that judge."""
        return Sources(self.plan, self.project)

    def sources_changed(self) -> str:
        """What judges and is not what it was before agents began, as a sentence; or empty."""
        return self.sources.changed(self.ledger, self.settings.session)

    @cached_property
    def workspaces(self) -> Workspaces:
        """The run's trees."""
        return Workspaces(self.plan, self.folder, self.project.root)

    @cached_property
    def obtainer(self) -> Obtainer:
        """Whoever gets phases and gates decided for this process."""
        return Obtainer(
            self.plan,
            self.ledger,
            self.workspaces,
            self.project,
            session=self.settings.session,
            worker=self.settings.worker,
            agents=self.settings.agents,
            selected=self.selected,
            tick=self._tick,
        )

    def _tick(self) -> None:
        self.tick()

    def services_folder(self, module: str) -> Path:
        """Where a module's services keep logs and what they write; one per process."""
        return self.folder / "services" / f"{Path(module).stem}-{self.settings.worker}"

    def begin(self) -> None:
        """Take the run: nobody else may carry it out while this session lives.

        Raises:
            Infra: Another session has it, or it belongs to another runbook.
        """
        ledger = self.ledger  # an unusable folder is reported before anything is locked
        self._take_lock()
        try:
            self._take_up(ledger)
        except BaseException:
            self._run_lock.release()
            raise

    def _take_up(self, ledger: Ledger) -> None:
        state = ledger.state()
        if state.identity not in {"", self.settings.identity}:
            raise Infra(
                f"run {self.folder.name} was started for another runbook or another back-end "
                f"({state.agents}); choose another --run-id, or leave it out"
            )
        if not state.identity:
            ledger.append(RunCreated(identity=self.settings.identity, agents=self.settings.agents))
        ledger.append(SessionStarted(session=self.settings.session, pid=os.getpid()))
        self.sources.seal(ledger, self.settings.session)

    def _take_lock(self) -> None:
        deadline_s = time.monotonic() + TAKEOVER_S
        while not self._run_lock.acquire():
            if time.monotonic() > deadline_s:
                raise Infra(
                    f"run {self.folder.name} is being carried out by process "
                    f"{self._run_lock.read() or 'unknown'}; wait for it, look at it with "
                    "--run-status, or choose another --run-id"
                )
            time.sleep(0.1)
        self._run_lock.write(str(os.getpid()))

    def end(self) -> None:
        """Give the run back."""
        self._run_lock.release()

    @property
    def begun(self) -> bool:
        """Whether this process holds the run."""
        return self._run_lock.fd is not None

    def obtain_phase(self, agent: str, phase: int) -> PhaseResult:
        """Have one agent's part of a phase carried out, or find that it is done.

        Raises:
            PhaseFailed: It failed.
            Blocked: It had to be parked.
        """
        part = Part(agent, phase)
        if not self.with_agents:
            return PhaseResult(agent, phase, "off", "", {})
        state = self.obtainer.part(part)
        if state.status == "failed":
            raise PhaseFailed(f"{part} failed after {_attempts(state)}:\n{state.reason}")
        if state.status == "parked":
            raise Blocked(f"{part} is parked: {state.reason}")
        return PhaseResult(agent, phase, "succeeded", state.commit, dict(state.attempts))

    def open_gate(self, gate: str) -> Judged:
        """Get everything ready for a gate's tests.

        Raises:
            Blocked: A gate before it has not passed; the message says which and why.
            Infra: What judges is not what it was before agents began.
        """
        if gate not in self._judged:
            self._judged[gate] = self._judged_tree(gate)
        judged = self._judged[gate]
        state = self.ledger.state()
        known = state.gate(gate)
        tests = self.tests.get(gate, ())
        fresh = known.current == judged.key and known.opened_s >= state.session_started_s
        if not fresh or known.record is None or known.record.tests != tests:
            self.ledger.append(
                GateOpened(gate=gate, key=judged.key, tests=tests, built=judged.built)
            )
        if changed := self.sources_changed():
            raise Infra(changed)
        return judged

    def is_reusable(self, gate: str, test: str) -> bool:
        """Whether a test passed before on exactly what it would judge now."""
        if not self.with_agents:
            return False
        state = self.ledger.state()
        parts = self.plan.judged_by(gate)
        if any(
            state.phase(p).status != "succeeded" or stale_work(self.plan, state, p) for p in parts
        ):
            return False
        _, key = self.obtainer.key(state, gate)
        record = state.gate(gate).records.get(key)
        return record is not None and record.outcomes.get(test) is Outcome.PASSED

    def record(self, gate: str, test: str, outcome: Outcome, reason: str) -> None:
        """Write down one outcome of a gate's test."""
        if outcome is Outcome.BLOCKED and gate not in self._judged:
            told = reason.removeprefix(BLOCKED)
            self.ledger.append(GateBlocked(gate=gate, session=self.settings.session, reason=told))
            return
        key = (
            self._judged[gate].key
            if gate in self._judged
            else self.ledger.state().gate(gate).current
        )
        if outcome is Outcome.PASSED and (changed := self.sources_changed()):
            outcome, reason = Outcome.INFRA, changed
        event = GateTestFinished(gate=gate, key=key, test=test, outcome=outcome, reason=reason)
        self.ledger.append(event)
        passed = self.ledger.state().gate(gate).record
        if passed is None or passed.verdict() is not Outcome.PASSED:
            return
        # Here, since with several workers nobody knows before which test is the gate's last.
        if changed := self._tree_changed(gate):
            broken = {"outcome": Outcome.INFRA, "reason": changed}
            self.ledger.append(event.model_copy(update=broken))

    def _tree_changed(self, gate: str) -> str:
        """What of the judged tree is not as it was when the gate was opened; empty if nothing."""
        judged = self._judged.get(gate)
        if judged is None or not judged.tree_id:
            return ""
        if self.with_agents:
            return self.workspaces.changed(judged.tree_id, gate)
        with self._git_as_is() as git:
            return rewritten(git, judged.tree_id)

    def revisions(self, contract: str) -> dict[int, bytes]:
        """The exact bytes of every revision the run has of a contract; empty without a run."""
        if self.record_of_work is None:
            return {}
        snapshots = snapshots_of(self.record_of_work)
        events = self.record_of_work.state().revisions.get(contract, ())
        return {event.revision: snapshots.read(event.sha256) for event in events}

    def changes(self, contract: str, old: int, new: int) -> tuple[Change, ...]:
        """What has changed from one revision of a contract to another."""
        registry = Registry(self.plan, self.record_of_work or self.ledger, ContractReferee())
        return registry.changes(contract, old, new)

    def built_on(self, contract: str, consumer: str) -> tuple[int, str] | None:
        """Revision and digest of the contract a consumer's work rests on; ``None``: not known."""
        if self.record_of_work is None:
            return None
        known = self.record_of_work.state().built_on.get(consumer, {}).get(contract)
        return (known[0].revision, known[0].sha256) if known else None

    def _judged_tree(self, gate: str) -> Judged:
        if self.with_agents:
            return self._built_tree(gate)
        tree = self.project.root / self.settings.workspace
        if self.settings.alone:
            return Judged(tree, "alone")
        self._require_gates_before(gate)
        return Judged(tree, self._key_as_is(gate), tree_id=self._tree_as_is)

    def _built_tree(self, gate: str) -> Judged:
        """What the agents have built, as far as this gate is concerned."""
        self.obtainer.gate(gate)
        state = self.ledger.state()
        reason = why_blocked(self.plan, state, gate, session=self.settings.session)
        if reason:
            raise Blocked(f"{BLOCKED}{reason}")
        tree, key = self.obtainer.key(state, gate)
        built = self.obtainer.built(state, gate)
        return Judged(self.workspaces.lay_out(tree, gate), key, built, tree)

    def _require_gates_before(self, gate: str) -> None:
        """Without agents: the gates before this one must have passed on this very tree."""
        state = self.ledger.state()
        for before in gates_before(self.plan, gate):
            if before in self.selected:
                outcome, _ = standing(state, before, session=self.settings.session)
            else:
                record = state.gate(before).records.get(self._key_as_is(before))
                outcome = record.verdict() if record else None
            if outcome is not Outcome.PASSED:
                phases = " or ".join(
                    f"phase{p}" for p in sorted({self.plan.gates[g].phase for g in (before, gate)})
                )
                raise Blocked(
                    f"{BLOCKED}{before} is {outcome or 'not judged for this tree'}; "
                    f'run pytest -m "{phases}"'
                )

    def _key_as_is(self, gate: str) -> str:
        return gate_key(self.plan, self.project, gate, self._tree_as_is)

    @cached_property
    def _tree_as_is(self) -> str:
        """Digest of everything in the judged tree that some agent hands over."""
        paths = {p for agent in self.plan.agents for p in self.plan.delivered_paths(agent)}
        with self._git_as_is() as git:
            self._notice_attempts(git, sorted(paths))
            return git.snapshot(*sorted(paths))

    def _notice_attempts(self, git: Git, delivered: list[str]) -> None:
        """Write down what a tree as it is holds to reach the judge.

        In the project's own folder only what agents hand over: all else judges. A tree may
        have been built from a copy of that; what is still like it was left by nobody.
        """
        root, own = self.project.root, git.tree.samefile(self.project.root)
        listed = git.listed(*(delivered if own else ()))
        left = listed if own else [p for p in listed if not _is_same(git.tree / p, root / p)]
        for noticed in attempts_in(self.plan, git.tree, left):
            session, where, what = self.settings.session, noticed.where, noticed.what
            event = AttemptNoticed(session=session, by=WORKSPACE, where=where, what=what)
            if not (own and where == STORE) and event not in self.ledger.state().attempts:
                self.ledger.append(event)

    @contextlib.contextmanager
    def _git_as_is(self) -> Iterator[Git]:
        """The run's repository over the tree as it is, with an index for this once."""
        tree = self.project.root / self.settings.workspace
        index = self.folder / "indexes" / f"as-is-{os.getpid()}"
        index.parent.mkdir(parents=True, exist_ok=True)
        git = Git(self.folder / "repository", tree, index)
        with FileLock(self.folder / "locks" / "base.lock").held():
            git.create()
        try:
            yield git
        finally:
            index.unlink(missing_ok=True)


def _is_same(file: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(file, other, shallow=False)
    except OSError:
        return False


SESSION_KEY: pytest.StashKey[RunSession] = pytest.StashKey()


def run_session(config: pytest.Config) -> RunSession:
    """The session's view of its run; the plugin puts it there when there is a runbook."""
    return config.stash[SESSION_KEY]


def _attempts(state: PhaseState) -> str:
    most = max(state.attempts.values(), default=0)
    return f"{most} attempt{'s' if most != 1 else ''}"
