"""One pytest session's view of its run; the same in every process of the session."""

from __future__ import annotations

import contextlib
import filecmp
import os
import time
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_orchestrator._domain.event import (
    WORKSPACE,
    AttemptNoticed,
    GateBlocked,
    GateTestFinished,
    RunCreated,
    SessionStarted,
)
from pytest_orchestrator._domain.phase import PhaseResult
from pytest_orchestrator._domain.plan import Part, Plan
from pytest_orchestrator._domain.reuse import has_passed, is_done
from pytest_orchestrator._domain.scheduler import (
    brief,
    gates_before,
    how_to_unblock,
    over_budget,
    standing,
    why_blocked,
    why_over_budget,
)
from pytest_orchestrator._domain.verdict import Outcome
from pytest_orchestrator._plugin.referee import ContractReferee
from pytest_orchestrator._run.gate_key import AsIs, Judges, opening
from pytest_orchestrator._run.git import Git
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.locks import RUN_LOCK, FileLock
from pytest_orchestrator._run.obtain import Obtainer
from pytest_orchestrator._run.registry import Registry, snapshots_of
from pytest_orchestrator._run.seal import Sources
from pytest_orchestrator._run.watch import GRACE_S
from pytest_orchestrator._run.workspace import STORE, Workspaces, attempts_in, rewritten
from pytest_orchestrator.errors import Blocked, BudgetSpent, Infra, PhaseFailed, RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_orchestrator._domain.basis import Basis
    from pytest_orchestrator._domain.change import Change
    from pytest_orchestrator._domain.state import PhaseState, RunState
    from pytest_orchestrator._plugin.told import Told
    from pytest_orchestrator._run.judge import Project
    from pytest_orchestrator._run.obtain import KnownBases

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
        rejudge: Whether gates are judged although nothing has changed.
        options: Other options of pytest that change what gates do, by name.
        command: How pytest was called, without the tests that were asked for.
    """

    session: str
    worker: str
    agents: str
    identity: str
    folder: str
    workspace: str
    alone: bool = False
    of_run: str = ""
    rejudge: bool = False
    options: dict[str, str] = field(default_factory=dict)
    command: str = "pytest"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a gate is about to judge."""

    lay_out: Callable[[], Path]
    """Puts it where tests can see it, the first time it is called."""
    key: str
    built: dict[str, str] = field(default_factory=dict)
    """The commits of the parts it judges; empty if it is a tree as it is."""
    basis: Basis | None = None
    """What its verdict rests on; ``None`` if it is given to another session."""
    stamp: str = ""
    """Of a tree as it is: see ``AsIs``."""

    @property
    def tree(self) -> Path:
        """The folder."""
        return self.lay_out()


class RunSession:
    """What fixtures and hooks ask for the run.

    Args:
        plan: The validated runbook.
        project: Where it is.
        settings: What was asked for.
        before: Another view that this process has had of the same run; what it has found out
            need not be found out again.
    """

    def __init__(
        self, plan: Plan, project: Project, settings: Settings, before: RunSession | None = None
    ) -> None:
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
        self._reusable: dict[str, frozenset[str]] = {}
        self._told: dict[str, list[GateTestFinished]] = {}
        # Before any test module is imported: what is read later may be something else.
        self.judges: Judges = before.judges if before else Judges(plan, project)
        self.known_bases: KnownBases = before.known_bases if before else {}
        self._trees: dict[str, Path] = {}
        self._snapshots: dict[str, str] = {}
        """Git's trees of a tree as it is, by gate, from when it was about to be judged."""

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
            judges=self.judges,
            options=self.settings.options,
            known=self.known_bases,
            selected=self.selected,
            tick=self._tick,
        )

    def _tick(self) -> None:
        self.tick()

    def services_folder(self, module: str) -> Path:
        """Where a module's services keep logs and what they write; one per process."""
        return self.folder / "services" / f"{Path(module).stem}-{self.settings.worker}"

    def browser_folder(self, module: str) -> Path:
        """Where a module's browser keeps its profile and screenshots; one per process."""
        return self.folder / "browser" / f"{Path(module).stem}-{self.settings.worker}"

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
            BudgetSpent: It was ended by its budget.
            Blocked: It had to be parked.
        """
        part = Part(agent, phase)
        if not self.with_agents:
            return PhaseResult(agent, phase, "off", "", {})
        state = self.obtainer.part(part)
        if spent := over_budget(self.plan, self.ledger.state(), part):
            raise BudgetSpent(spent)
        if state.status == "failed":
            raise PhaseFailed(f"{part} failed after {_attempts(state)}:\n{state.reason}")
        if state.status == "parked":
            raise Blocked(f"{part} is parked: {state.reason}")
        return PhaseResult(agent, phase, "succeeded", state.commit, dict(state.attempts))

    def open_gate(self, gate: str) -> Judged:
        """Get everything ready for a gate's tests.

        Raises:
            Blocked: A gate before it has not passed; the message says which, why, and what to do.
            BudgetSpent: What it is to judge is unfinished, as a budget is spent.
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
            self._open(gate, judged)
        if changed := self.sources_changed():
            raise Infra(changed)
        return judged

    def _open(self, gate: str, judged: Judged) -> None:
        tests = self.tests.get(gate, ())
        self.ledger.append(opening(gate, judged.key, judged.basis, tests, judged.built))

    def is_reusable(self, gate: str, test: str) -> bool:
        """Whether a test's gate has passed before on exactly what it would judge now.

        Once a gate is judged again in this session, all of its tests are.
        """
        if self.settings.alone or self.settings.rejudge:
            return False
        if gate not in self._reusable:
            state = self.ledger.state()
            key = None if self.judges.changed else self.key(state, gate)
            passed = has_passed(state, gate, key)
            outcomes = state.gate(gate).records[str(key)].outcomes if passed else {}
            self._reusable[gate] = frozenset(outcomes)
        return test in self._reusable[gate]

    def key(self, state: RunState, gate: str) -> str | None:
        """The key of what a gate would judge now; ``None`` while that is not built yet."""
        if not self.with_agents:
            return self._basis_as_is(gate).key
        if not all(is_done(self.plan, state, part) for part in self.plan.judged_by(gate)):
            return None
        return self.obtainer.basis(state, gate).key

    def record(self, gate: str, test: str, told: Told) -> None:
        """Write down what one of a gate's tests says, or why the gate could not be asked."""
        try:
            self.open_gate(gate)
        except RunError as error:
            # Whatever kept the test from starting: to the gate it is this.
            self.ledger.append(
                GateBlocked(
                    gate=gate, session=self.settings.session, outcome=Outcome(error.verdict),
                    reason=str(error).removeprefix(BLOCKED),
                )
            )  # fmt: skip
            return
        self._reopen_if_changed(gate)
        event = GateTestFinished(
            gate=gate, key=self._judged[gate].key, test=test, outcome=told.verdict,
            reason=told.reason, findings=told.findings,
        )  # fmt: skip
        self._write(event)
        record = self.ledger.state().gate(gate).record
        if record is None or record.verdict() is not Outcome.PASSED:
            return
        # Here, since with several workers nobody knows before which test is the gate's last.
        if changed := self._tree_changed(gate):
            self._write(event.model_copy(update={"outcome": Outcome.INFRA, "reason": changed}))

    def _write(self, event: GateTestFinished) -> None:
        self.ledger.append(event)
        self._told.setdefault(event.gate, []).append(event)

    def _reopen_if_changed(self, gate: str) -> None:
        """Keep a verdict from being reused if what it rests on was changed while it was given.

        It is this session's verdict all the same, and is kept under a key of its own.
        """
        judged = self._judged.get(gate)
        if judged is None or judged.basis is None or not self._is_changed(judged):
            return
        key = self._own_key(judged.basis)
        self._judged[gate] = replace(judged, key=key)
        if key != judged.key:
            self._open(gate, self._judged[gate])
            for event in self._told.get(gate, ()):
                self.ledger.append(event.model_copy(update={"key": key}))

    def _is_changed(self, judged: Judged) -> bool:
        return self.judges.changed or (bool(judged.stamp) and self._as_is.stamp() != judged.stamp)

    def _own_key(self, basis: Basis) -> str:
        """A key that no other session looks for."""
        return f"{basis.key}-{self.settings.session}"

    def _tree_changed(self, gate: str) -> str:
        """What of the judged tree is not as it was when the gate was opened; empty if nothing."""
        judged = self._judged.get(gate)
        if judged is None or judged.basis is None:
            return ""
        if gate not in self._trees and gate not in self._snapshots:
            return ""  # no test of this process has asked for it
        if self.with_agents:
            return self.workspaces.changed(judged.basis.tree, gate)
        with self._git_as_is() as git:
            return rewritten(git, self._snapshots[gate])

    def verdict_now(self, gate: str) -> Outcome | None:
        """What was said before of just what a gate would judge now; ``None``: nothing."""
        state = self.ledger.state()
        key = self.key(state, gate)
        record = state.gate(gate).records.get(str(key))
        return record.verdict() if record else None

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
        if self.settings.alone:
            return Judged(lambda: self._tree_as_is, "alone")
        self._require_gates_before(gate)
        stamp = self._as_is.stamp()
        basis = self._basis_as_is(gate)
        judged = Judged(partial(self._look_at, gate), basis.key, basis=basis, stamp=stamp)
        return replace(judged, key=self._own_key(basis)) if self._is_changed(judged) else judged

    def _look_at(self, gate: str) -> Path:
        """The tree as it is; what somebody changes in it from now on is noticed."""
        if gate not in self._snapshots:
            paths = {p for agent in self.plan.agents for p in self.plan.delivered_paths(agent)}
            with self._git_as_is() as git:
                self._notice_attempts(git, sorted(paths))
                self._snapshots[gate] = git.snapshot(*sorted(paths))
        return self._tree_as_is

    def _built_tree(self, gate: str) -> Judged:
        """What the agents have built, as far as this gate is concerned."""
        self.obtainer.gate(gate)
        state = self.ledger.state()
        if reason := why_blocked(self.plan, state, gate, session=self.settings.session):
            raise Blocked(f"{BLOCKED}{reason}; {self._way_out(state, gate)}")
        if reason := why_over_budget(self.plan, state, gate):
            raise BudgetSpent(reason)
        basis = self.obtainer.basis(state, gate)
        key = self._own_key(basis) if self.judges.changed else basis.key
        built = self.obtainer.built(state, gate)
        return Judged(partial(self._lay_out, gate, basis.tree), key, built, basis)

    def _lay_out(self, gate: str, tree: str) -> Path:
        """Once: services may be running there."""
        if gate not in self._trees:
            self._trees[gate] = self.workspaces.lay_out(tree, gate)
        return self._trees[gate]

    def _require_gates_before(self, gate: str) -> None:
        """Without agents: the gates before this one must have passed on this very tree."""
        state = self.ledger.state()
        known = {before: self._standing(state, before) for before in gates_before(self.plan, gate)}
        left = [before for before, (outcome, _) in known.items() if outcome is not Outcome.PASSED]
        if not left:
            return
        # One that is blocked itself says less than what blocks it.
        before = min(left, key=lambda each: known[each][0] is Outcome.BLOCKED)
        outcome, why = known[before]
        because = f": {brief(why)}" if why else ""
        said = f"{before} is {outcome or 'not judged for this tree'}{because}"
        raise Blocked(f"{BLOCKED}{said}; {self._way_out(state, gate)}")

    def _standing(self, state: RunState, gate: str) -> tuple[Outcome | None, str]:
        """What a gate says, and why: in this session or, without agents, of this very tree."""
        if self.with_agents or gate in self.selected:
            return standing(state, gate, session=self.settings.session)
        record = state.gate(gate).records.get(self._basis_as_is(gate).key)
        return (record.verdict(), record.reason()) if record else (None, "")

    def _way_out(self, state: RunState, gate: str) -> str:
        before = gates_before(self.plan, gate)
        known = {each: self._standing(state, each)[0] for each in before}
        return how_to_unblock(self.plan, gate, known, command=self.settings.command)

    def _basis_as_is(self, gate: str) -> Basis:
        """What a verdict on the tree as it is now would rest on."""
        tree, contracts = self._as_is.digest(), self._as_is.contracts()
        return self.judges.basis(gate, tree, contracts, self.settings.options)

    @property
    def _as_is(self) -> AsIs:
        return AsIs(self.plan, self._tree_as_is)

    @property
    def _tree_as_is(self) -> Path:
        return self.project.root / self.settings.workspace

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
        index = self.folder / "indexes" / f"as-is-{os.getpid()}"
        index.parent.mkdir(parents=True, exist_ok=True)
        git = Git(self.folder / "repository", self._tree_as_is, index)
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
