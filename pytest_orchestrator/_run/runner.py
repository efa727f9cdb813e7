"""Carrying out one part of a phase: task by task, attempt by attempt."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

from pytest_orchestrator._domain.agent import AgentResult, Assignment
from pytest_orchestrator._domain.attempts import Attempt
from pytest_orchestrator._domain.event import (
    LONGEST_REASON,
    AttemptFinished,
    AttemptNoticed,
    AttemptStarted,
    Event,
    PhaseFinished,
    Revision,
    TaskParked,
)
from pytest_orchestrator._domain.plan import owns
from pytest_orchestrator._domain.scheduler import awaited_for, missing_for
from pytest_orchestrator._domain.staleness import stale, stale_work
from pytest_orchestrator._domain.text import shortened
from pytest_orchestrator._domain.verdict import Finding, Verdict
from pytest_orchestrator._run.contract_tools import ContractTools
from pytest_orchestrator._run.leftovers import descendants, end_leftovers
from pytest_orchestrator._run.registry import references
from pytest_orchestrator._run.tool_socket import tool_socket

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pytest_orchestrator._domain.agent import AgentBackend
    from pytest_orchestrator._domain.plan import Part, Plan, Task
    from pytest_orchestrator._domain.staleness import Stale
    from pytest_orchestrator._domain.state import RunState
    from pytest_orchestrator._run.deliveries import Deliveries
    from pytest_orchestrator._run.ledger import Ledger
    from pytest_orchestrator._run.registry import Registry
    from pytest_orchestrator._run.watch import Claim, Watch
    from pytest_orchestrator._run.workspace import Workspaces

MENDS = 3
"""How often a part is mended in one session, in attempts of a task, before it has failed."""
LISTEN_S = 0.01
"""Seconds between two looks at the ledger while a task waits for a contract."""


class Judge(Protocol):
    """Who says whether an attempt is good enough. Agents cannot reach it."""

    def own_checks(self, task: Task, tree: Path) -> Verdict:
        """The task's own checks, on the lane's workspace."""
        ...

    def gates(self, part: Part, tree: Path) -> Verdict:
        """What the gates of this phase have to say on this lane alone."""
        ...


@dataclass(frozen=True, slots=True)
class _Done:
    commit: str
    verdict: Verdict


class PhaseRunner:
    """Carries out one part, and writes to the ledger how it went.

    Tasks that wait for a contract begin as soon as it is published; meanwhile the
    others go on. Tasks whose needs will not be met are parked. When all that could
    be done is done, what was built on a revision that a later one breaks is given
    back, with the differences as context; then the gates judge the lane by itself,
    and on a finding the last task is given back, with the findings.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        workspaces: Workspaces,
        backend: AgentBackend,
        judge: Judge,
        registry: Registry,
        deliveries: Deliveries,
        claim: Claim,
        watch: Watch,
        part: Part,
    ) -> None:
        self.plan = plan
        self.ledger = ledger
        self.workspaces = workspaces
        self.backend = backend
        self.judge = judge
        self.registry = registry
        self.deliveries = deliveries
        self.claim = claim
        self.watch = watch
        self.part = part
        self.budget = plan.budget_of(part.agent)
        self.under_way: tuple[Task, int, float] | None = None
        """The task, attempt and monotonic start of the attempt that is running."""
        self._began_s = time.monotonic()
        self._placed: dict[str, str] = {}
        """Digests of the contracts' files in the workspace, by path."""

    def run(self) -> None:
        """Do the part; returns when its end is in the ledger."""
        state = self.ledger.state()
        context = state.phase(self.part).reason
        self._placed = self.registry.shown(state)
        published = {path: self.registry.snapshot(d) for path, d in self._placed.items()}
        commit = self.workspaces.prepare(state, self.part, published)
        done, parked = self._all_tasks(commit, context)
        done = self._reconciled(done)
        if done.verdict.passed:
            done = self._until_gates_agree(done)
        if done.verdict.passed:
            done = _Done(done.commit, self.deliveries.publish(done.commit, self.claim.token))
        self._finish(done, parked)

    def out_of_time(self) -> None:
        """Record that the attempt under way has used up its wall-clock budget."""
        if self.under_way is None:
            return
        task, attempt, began_s = self.under_way
        reason = (
            f"attempt {attempt} of {task.name} took longer than max_wall_s = "
            f"{self.budget.max_wall_s:g} s and was ended after {time.monotonic() - began_s:.1f} s"
        )
        result = AgentResult("failed", reason, overspent="max_wall_s")
        self._record_attempt(task, attempt, result, began_s)

    def _all_tasks(self, commit: str, context: str) -> tuple[_Done, dict[str, str]]:
        """Do every task whose needs are met, until none is left that could be done."""
        state = self.ledger.state()
        todo = [t for t in self.plan.tasks_of(self.part) if t.name not in state.tasks_done]
        done = _Done(commit, Verdict(str(self.part)))
        while todo:
            state = self.ledger.state()
            awaited = {t.name: self._awaited(state, t) for t in todo}
            waits = {t.name: self._missing(state, t, but=awaited[t.name]) for t in todo}
            task = next((t for t in todo if not (waits[t.name] or awaited[t.name])), None)
            if task is not None:
                done = self._begun(state, task, done.commit, context)
                context = ""
                if not done.verdict.passed:
                    return done, {}
                todo.remove(task)
            elif any(awaited[t.name] and not waits[t.name] for t in todo):
                time.sleep(LISTEN_S)
            else:
                break
        parked = {t.name: self._missing(self.ledger.state(), t) for t in todo}
        for name, reason in parked.items():
            self._write(TaskParked(part=str(self.part), task=name, reason=reason))
        return done, parked

    def _begun(self, state: RunState, task: Task, commit: str, context: str) -> _Done:
        """Have a task done; one that was given back for a contract is still told of that."""
        unmended = [
            each
            for each in stale(self.plan, state)
            if each.agent == task.agent and each.held.name in state.reconciles.get(task.name, ())
        ]
        told = "\n".join(filter(None, (*map(self._outdated, unmended), context)))
        names = tuple(each.held.name for each in unmended)
        return self._until_done(task, commit, told, reconciles=names)

    def _reconciled(self, done: _Done) -> _Done:
        """Give back what rests on a revision of a contract that a later one breaks."""
        while done.verdict.passed:
            work = stale_work(self.plan, self.ledger.state(), self.part)
            if not work:
                break
            if self.ledger.state().phase(self.part).mends >= MENDS * self.budget.max_attempts:
                held = work[0].held.name
                what = f"contract {held} keeps changing beneath it; have its publisher settle it"
                return _Done(done.commit, Verdict(held, (Finding(held, what, "unsettled"),)))
            task = self.plan.tasks[work[0].task]
            mine = [each for each in work if each.task == task.name]
            told = "\n".join(map(self._outdated, mine))
            names = tuple(each.held.name for each in mine)
            done = self._until_done(task, done.commit, told, reconciles=names)
        return done

    def _outdated(self, each: Stale) -> str:
        held, head = each.held, each.head
        was = f"revision {held.revision}" if held.revision else "its draft"
        return (
            f"contract {held.name}: you built on {was}; revision {head.revision} is published by "
            f"now, and is {each.effect} for you. It lies in your workspace; these are the "
            f"differences:\n{self.registry.differences(held)}"
        )

    def _until_done(
        self, task: Task, commit: str, context: str, *, reconciles: tuple[str, ...] = ()
    ) -> _Done:
        """Give a task to its agent until it is done, or the attempts are used up.

        Args:
            task: What is to be done.
            commit: What there is so far.
            context: Why it is given back; empty if it is new.
            reconciles: The contracts whose changes the context tells; each attempt is told.
        """
        done = _Done(commit, Verdict(task.name))
        changes = f"{context}\n" if reconciles else ""
        for _ in range(self.budget.max_attempts):
            done = self._attempt(task, done.commit, context, reconciles)
            if done.verdict.passed:
                return done
            context = changes + _told(done.verdict)
        return done

    def _until_gates_agree(self, done: _Done) -> _Done:
        """Have the gates judge the lane; on findings, give the last task back."""
        task = self._last_done()
        if task is None:
            return done
        tree = self.workspaces.lane(self.part.agent)
        verdict = self.judge.gates(self.part, tree)
        left = self.budget.max_attempts - 1
        while not verdict.passed and left > 0:
            left -= 1
            done = self._attempt(task, done.commit, _told(verdict))
            verdict = done.verdict if not done.verdict.passed else self.judge.gates(self.part, tree)
        return _Done(done.commit, verdict)

    def _attempt(
        self, task: Task, commit: str, context: str, reconciles: tuple[str, ...] = ()
    ) -> _Done:
        """One attempt: the agent's turn, then ownership, contracts and the task's own checks."""
        state = self.ledger.state()
        attempt = state.phase(self.part).attempts.get(task.name, 0) + 1
        before = self._with_latest_contracts(state, commit)
        self._write(
            AttemptStarted(
                part=str(self.part), task=task.name, attempt=attempt,
                contracts=self._in_hand(state, task, reconciles), reconciles=reconciles,
            )
        )  # fmt: skip
        began_s = time.monotonic()
        self.under_way = (task, attempt, began_s)
        self.watch.allow(self.budget.max_wall_s)
        spared = frozenset(descendants())
        result = self._ask(state, task, attempt, context)
        left = end_leftovers(spared)
        self.watch.allow(None)
        self.under_way = None
        label = f"{task.name} attempt {attempt}"
        collected = self.workspaces.collect(self.part.agent, before, label)
        running = [Attempt(name, "a process that was left running") for name in left]
        for noticed in (*collected.attempts, *running):
            session, where, what = self.claim.session, noticed.where, noticed.what
            self._write(AttemptNoticed(session=session, by=label, where=where, what=what))
        commit, verdict = collected.commit, collected.verdict
        if result.status == "failed":
            verdict += Verdict(label, (Finding(self.part.agent, result.reason, "agent"),))
        if verdict.passed:
            commit = self.deliveries.complete(before, commit)
            verdict += self.deliveries.check(commit, task)
            verdict += self.judge.own_checks(task, self.workspaces.lane(self.part.agent))
        judged = replace(
            result, status="succeeded" if verdict.passed else "failed", reason=_told(verdict)
        )
        self._record_attempt(task, attempt, judged, began_s, commit if verdict.passed else "")
        return _Done(commit, verdict)

    def _with_latest_contracts(self, state: RunState, commit: str) -> str:
        """Have in the workspace what was published since it was laid out."""
        shown = self.registry.shown(state)
        own = self.plan.delivered_paths(self.part.agent)
        new = {
            path: self.registry.snapshot(digest)
            for path, digest in shown.items()
            if self._placed.get(path) != digest and not owns(own, path)
        }
        self._placed = shown
        return self.workspaces.place(self.part.agent, commit, new) if new else commit

    def _in_hand(
        self, state: RunState, task: Task, reconciles: tuple[str, ...]
    ) -> tuple[Revision, ...]:
        built_on = state.built_on.get(task.agent, {})
        # Files that were generated from an earlier revision are not made anew by any task that
        # has a later one in hand, but by the one that is told of it.
        names = {
            c.name: None
            for c in self.plan.consumed_by(task)
            if task.agent not in c.generated or c.name not in built_on
        }
        heads = (state.contracts.get(name) for name in (*names, *reconciles))
        return tuple(
            Revision(name=head.name, revision=head.revision, sha256=head.sha256)
            for head in heads
            if head is not None and (head.revision or head.name in task.needs)
        )

    def _ask(self, state: RunState, task: Task, attempt: int, context: str) -> AgentResult:
        stack = next((s.stack for s in self.plan.services.values() if s.agent == task.agent), "")
        tools = ContractTools(self.plan, self.ledger, self.registry, task, self.claim.token)
        sockets = self.ledger.folder / "sockets"
        with tool_socket(tools, sockets, str(self.part)) as environment:
            assignment = Assignment(
                task=task,
                agent=self.plan.agents[task.agent],
                brief=self.plan.briefs.get(task.brief, ""),
                workspace=self.workspaces.lane(task.agent),
                stack=stack,
                tools=self.plan.stacks[stack].tools if stack else (),
                attempt=attempt,
                budget=self.budget,
                contracts=references(self.plan, state),
                error_context=context,
                contract_tools=tools,
                environment=environment,
            )
            try:
                return self.backend.carry_out(assignment)
            except Exception as error:  # noqa: BLE001 - a broken back-end is a failed attempt, not a lost run
                what = f"the back-end {self.backend.name} broke: {type(error).__name__}: {error}"
                return AgentResult("failed", what)

    def _finish(self, done: _Done, parked: dict[str, str]) -> None:
        status: Literal["succeeded", "failed", "parked"] = "parked" if parked else "succeeded"
        if not done.verdict.passed:
            status = "failed"
        overspent = self.ledger.state().phase(self.part).overspent
        waits = "; ".join(f"{task} waits: {reason}" for task, reason in parked.items())
        self._write(
            PhaseFinished(
                part=str(self.part),
                session=self.claim.session,
                status=status,
                reason=_told(done.verdict) if status == "failed" else waits,
                commit="" if status == "failed" else done.commit,
                overspent=overspent if status == "failed" else "",
            )
        )

    def _last_done(self) -> Task | None:
        done = self.ledger.state().tasks_done
        own = [t for t in self.plan.tasks_of(self.part) if t.name in done]
        return own[-1] if own else None

    def _missing(self, state: RunState, task: Task, *, but: Collection[str] = ()) -> str:
        return missing_for(self.plan, state, task, session=self.claim.session, but=but)

    def _awaited(self, state: RunState, task: Task) -> tuple[str, ...]:
        waited_s = time.monotonic() - self._began_s
        return awaited_for(self.plan, state, task, session=self.claim.session, waited_s=waited_s)

    def _record_attempt(
        self, task: Task, attempt: int, result: AgentResult, began_s: float, commit: str = ""
    ) -> None:
        self._write(
            AttemptFinished(
                part=str(self.part),
                task=task.name,
                attempt=attempt,
                status=result.status,
                reason=result.reason,
                commit=commit,
                seconds=time.monotonic() - began_s,
                cost_usd=result.usage.cost_usd,
                overspent=result.overspent if result.status == "failed" else "",
            )
        )

    def _write(self, event: Event) -> None:
        self.ledger.append(event, node=self.claim.node, token=self.claim.token)


def _told(verdict: Verdict) -> str:
    """The findings as text, for whoever is to mend them."""
    told = "\n".join(str(finding) for finding in verdict.findings)
    return shortened(told, LONGEST_REASON)
