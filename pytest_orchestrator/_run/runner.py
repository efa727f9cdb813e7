"""Carrying out one part of a phase: task by task, attempt by attempt."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from pytest_orchestrator._domain.agent import AgentResult, Assignment
from pytest_orchestrator._domain.event import (
    AttemptFinished,
    AttemptStarted,
    Event,
    PhaseFinished,
    TaskParked,
)
from pytest_orchestrator._domain.plan import owns
from pytest_orchestrator._domain.scheduler import missing_for
from pytest_orchestrator._domain.verdict import Finding, Verdict
from pytest_orchestrator._run import registry

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pytest_orchestrator._domain.agent import AgentBackend
    from pytest_orchestrator._domain.plan import Contract, Part, Plan, Task
    from pytest_orchestrator._run.ledger import Ledger
    from pytest_orchestrator._run.watch import Claim, Watch
    from pytest_orchestrator._run.workspace import Workspaces


class Judge(Protocol):
    """Who says whether an attempt is good enough. Agents cannot reach it."""

    def own_checks(self, task: Task, tree: Path) -> Verdict:
        """The task's own checks, on the lane's workspace."""
        ...

    def gates(self, part: Part, tree: Path) -> Verdict:
        """What the gates of this phase have to say on this lane alone."""
        ...

    def contract(self, contract: Contract, data: bytes) -> Verdict:
        """Whether a document may be published."""
        ...


@dataclass(frozen=True, slots=True)
class _Done:
    commit: str
    verdict: Verdict


class PhaseRunner:
    """Carries out one part, and writes to the ledger how it went.

    Tasks whose needs are not met are parked while the others go on. When all
    that could be done is done, the gates judge the lane by itself; on a finding
    the last task is given back to its agent, with the findings as context.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        workspaces: Workspaces,
        backend: AgentBackend,
        judge: Judge,
        claim: Claim,
        watch: Watch,
        part: Part,
    ) -> None:
        self.plan = plan
        self.ledger = ledger
        self.workspaces = workspaces
        self.backend = backend
        self.judge = judge
        self.claim = claim
        self.watch = watch
        self.part = part
        self.budget = plan.budget_of(part.agent)
        self.under_way: tuple[Task, int, float] | None = None
        """The task, attempt and monotonic start of the attempt that is running."""

    def run(self) -> None:
        """Do the part; returns when its end is in the ledger."""
        state = self.ledger.state()
        context = state.phase(self.part).reason
        commit = self.workspaces.prepare(state, self.part)
        done, parked = self._all_tasks(commit, context)
        if done.verdict.passed:
            done = self._until_gates_agree(done)
        if done.verdict.passed:
            self._publish(done.commit)
        self._finish(done, parked)

    def out_of_time(self) -> None:
        """Record that the attempt under way has used up its wall-clock budget."""
        if self.under_way is None:
            return
        task, attempt, began_s = self.under_way
        reason = (
            f"attempt {attempt} of {task.name} took longer than max_wall_s = "
            f"{self.budget.max_wall_s:g} s and was ended"
        )
        self._record_attempt(task, attempt, AgentResult("failed", reason), began_s)

    def _all_tasks(self, commit: str, context: str) -> tuple[_Done, dict[str, str]]:
        """Do every task whose needs are met, until none is left that could be done."""
        state = self.ledger.state()
        todo = [t for t in self.plan.tasks_of(self.part) if t.name not in state.tasks_done]
        done = _Done(commit, Verdict(str(self.part)))
        while True:
            waits = {t.name: self._missing(t) for t in todo}
            task = next((t for t in todo if not waits[t.name]), None)
            if task is None:
                break
            done = self._until_done(task, done.commit, context)
            context = ""
            if not done.verdict.passed:
                return done, {}
            todo.remove(task)
        for name, reason in waits.items():
            self._write(TaskParked(part=str(self.part), task=name, reason=reason))
        return done, waits

    def _until_done(self, task: Task, commit: str, context: str) -> _Done:
        """Give a task to its agent until it is done, or the attempts are used up."""
        done = _Done(commit, Verdict(task.name))
        for _ in range(self.budget.max_attempts):
            done = self._attempt(task, done.commit, context)
            if done.verdict.passed:
                return done
            context = _told(done.verdict)
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

    def _attempt(self, task: Task, commit: str, context: str) -> _Done:
        """One attempt: the agent's turn, then ownership, contracts and the task's own checks."""
        attempt = self.ledger.state().phase(self.part).attempts.get(task.name, 0) + 1
        self._write(AttemptStarted(part=str(self.part), task=task.name, attempt=attempt))
        began_s = time.monotonic()
        self.under_way = (task, attempt, began_s)
        self.watch.allow(self.budget.max_wall_s)
        result = self._ask(task, attempt, context)
        self.watch.allow(None)
        self.under_way = None
        label = f"{task.name} attempt {attempt}"
        collected = self.workspaces.collect(self.part.agent, commit, label)
        verdict = collected.verdict
        if result.status == "failed":
            verdict += Verdict(label, (Finding(self.part.agent, result.reason, "agent"),))
        if verdict.passed:
            verdict += self._contracts(task, collected.commit)
            verdict += self.judge.own_checks(task, self.workspaces.lane(self.part.agent))
        judged = AgentResult(
            "succeeded" if verdict.passed else "failed", _told(verdict), result.usage
        )
        built = collected.commit if verdict.passed else ""
        self._record_attempt(task, attempt, judged, began_s, built)
        return _Done(collected.commit, verdict)

    def _ask(self, task: Task, attempt: int, context: str) -> AgentResult:
        stack = next((s.stack for s in self.plan.services.values() if s.agent == task.agent), "")
        assignment = Assignment(
            task=task,
            agent=self.plan.agents[task.agent],
            brief=self.plan.briefs.get(task.brief, ""),
            workspace=self.workspaces.lane(task.agent),
            stack=stack,
            tools=self.plan.stacks[stack].tools if stack else (),
            attempt=attempt,
            budget=self.budget,
            contracts=registry.references(self.plan, self.ledger.state()),
            error_context=context,
        )
        try:
            return self.backend.carry_out(assignment)
        except Exception as error:  # noqa: BLE001 - a broken back-end is a failed attempt, not a lost run
            return AgentResult(
                "failed", f"the back-end {self.backend.name} broke: {type(error).__name__}: {error}"
            )

    def _contracts(self, task: Task, commit: str) -> Verdict:
        """Whether everything is there and valid that the part publishes once this task is done."""
        verdict = Verdict(task.name)
        for name in self._published_by(self.ledger.state().tasks_done | {task.name}):
            contract = self.plan.contracts[name]
            data = self.workspaces.read(self.part.agent, commit, contract.path)
            if data is None:
                missing = Finding(contract.path, f"contract {name} was not written", "contract")
                verdict += Verdict(task.name, (missing,))
            else:
                verdict += self.judge.contract(contract, data)
        return verdict

    def _publish(self, commit: str) -> None:
        """Publish the contracts that finished tasks have written, and drafts of others'."""
        published = self._published_by(self.ledger.state().tasks_done)
        owned = self.plan.agents[self.part.agent].owns
        for contract in self.plan.contracts.values():
            is_final = contract.name in published
            path = contract.path if is_final else contract.draft
            if path is None or not (is_final or owns(owned, path)):
                continue
            data = self.workspaces.read(self.part.agent, commit, path)
            if data is not None:
                registry.publish(
                    self.ledger, contract, data, self.part, draft=not is_final,
                    token=self.claim.token,
                )  # fmt: skip

    def _published_by(self, tasks: Collection[str]) -> tuple[str, ...]:
        """The contracts that those of the part's tasks publish."""
        own = (t for t in self.plan.tasks_of(self.part) if t.name in tasks)
        return tuple(name for task in own for name in task.publishes)

    def _finish(self, done: _Done, parked: dict[str, str]) -> None:
        status: Literal["succeeded", "failed", "parked"] = "parked" if parked else "succeeded"
        if not done.verdict.passed:
            status = "failed"
        waits = "; ".join(f"{task} waits: {reason}" for task, reason in parked.items())
        self._write(
            PhaseFinished(
                part=str(self.part),
                session=self.claim.session,
                status=status,
                reason=_told(done.verdict) if status == "failed" else waits,
                commit="" if status == "failed" else done.commit,
            )
        )

    def _last_done(self) -> Task | None:
        done = self.ledger.state().tasks_done
        own = [t for t in self.plan.tasks_of(self.part) if t.name in done]
        return own[-1] if own else None

    def _missing(self, task: Task) -> str:
        return missing_for(self.plan, self.ledger.state(), task, session=self.claim.session)

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
            )
        )

    def _write(self, event: Event) -> None:
        self.ledger.append(event, node=self.claim.node, token=self.claim.token)


def _told(verdict: Verdict) -> str:
    """The findings as text, for whoever is to mend them."""
    return "\n".join(str(finding) for finding in verdict.findings)
