"""What a runner process does: one part with its agent, or one gate without any."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator import _backends
from pytest_orchestrator._domain.basis import Basis
from pytest_orchestrator._domain.event import GateBlocked, GateOpened, GateTestFinished
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._domain.verdict import Finding, Outcome, Verdict
from pytest_orchestrator._plugin.referee import ContractReferee
from pytest_orchestrator._run import ledger_key
from pytest_orchestrator._run.deliveries import Deliveries
from pytest_orchestrator._run.gate_key import Judges, opening
from pytest_orchestrator._run.judge import Project, judge
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.leftovers import adopt_orphans
from pytest_orchestrator._run.locks import RUN_LOCK
from pytest_orchestrator._run.obtain import Order
from pytest_orchestrator._run.registry import Registry
from pytest_orchestrator._run.runbook import load_runbook
from pytest_orchestrator._run.runner import PhaseRunner
from pytest_orchestrator._run.seal import Sources
from pytest_orchestrator._run.watch import Claim, Watch
from pytest_orchestrator._run.workspace import Workspaces
from pytest_orchestrator.errors import GateFailed, Infra, Unverifiable

if TYPE_CHECKING:
    from pytest_orchestrator._domain.plan import Gate, Plan, Task
    from pytest_orchestrator._stack.process import ProcessRuntime


def carry_out(text: str) -> int:
    """Do what an ``Order`` in JSON says; its end is in the ledger.

    Returns:
        The exit status: always 0, what matters is in the ledger.
    """
    ledger_key.take()  # or the agent would find it in its environment
    order = Order(**json.loads(text))
    # The claim's lock is ours now, and must not become our children's.
    os.set_inheritable(order.lock_fd, False)  # noqa: FBT003 - its only parameter
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run = _Run(order)
    if order.node in run.plan.gates:
        run.judge_gate()
    else:
        run.carry_out_part(Part.parse(order.node))
    return 0


class _Run:
    """The run as this process sees it."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.project = Project(Path(order.root), Path(order.runbook))
        self.plan = load_runbook(self.project.runbook)
        self.folder = Path(order.run_folder)
        self.ledger = Ledger(self.folder)
        self.claim = Claim(order.node, order.session, order.token)

    def carry_out_part(self, part: Part) -> None:
        backend = _backends.make_backend(
            self.plan.agents[part.agent].backend or self.order.agents, self.project.root
        )
        adopt_orphans()
        workspaces = Workspaces(self.plan, self.folder, self.project.root)
        judge_ = LaneJudge(self.plan, self.project, self.folder)
        watch = Watch(Ledger(self.folder), self.folder / RUN_LOCK, self.claim)
        registry = Registry(self.plan, self.ledger, ContractReferee())
        deliveries = Deliveries(self.plan, self.ledger, workspaces, registry, part)
        runner = PhaseRunner(
            self.plan, self.ledger, workspaces, backend, judge_, registry, deliveries, self.claim,
            watch, part,
        )  # fmt: skip
        watch.start(on_deadline=runner.out_of_time)
        runner.run()

    def judge_gate(self) -> None:
        """Judge a gate that is not part of the session, and copy the outcomes."""
        Watch(Ledger(self.folder), self.folder / RUN_LOCK, self.claim).start()
        gate, basis = self.order.node, Basis(**self.order.basis)
        judges, sources = Judges(self.plan, self.project), Sources(self.plan, self.project)
        if changed := sources.changed(self.ledger, self.order.session):
            self._not_judged((self.plan.gates[gate].tests,), changed)
            return
        workspaces = Workspaces(self.plan, self.folder, self.project.root)
        tree = workspaces.lay_out(self.order.tree, gate)
        folder = _fresh(self.folder / "judged" / gate)
        state = judge(self.project, tree, [self.plan.gates[gate]], folder, run=self.folder)
        known, record = state.gate(gate), state.gate(gate).record
        if changed := (
            sources.changed(self.ledger, self.order.session)
            or workspaces.changed(self.order.tree, gate)
        ):
            self._not_judged(record.tests if record else (), changed)
            return
        if judges.changed or judges.sources(gate) != basis.sources:
            reason = f"what judges {gate} was changed in the meantime; run it again"
            self._write(GateBlocked(gate=gate, session=self.order.session, reason=reason))
            return
        if known.blocked is not None:
            _, reason = known.blocked
            outcome, session = known.blocked_as, self.order.session
            self._write(GateBlocked(gate=gate, session=session, outcome=outcome, reason=reason))
            return
        if record is None or not record.tests:
            reason = f"{self.plan.gates[gate].tests} has no tests of {gate}: it cannot pass"
            self._write(GateBlocked(gate=gate, session=self.order.session, reason=reason))
            return
        key = basis.key
        self._write(opening(gate, key, basis, record.tests, self.order.built))
        for test, outcome in record.outcomes.items():
            self._write(
                GateTestFinished(
                    gate=gate, key=key, test=test, outcome=outcome,
                    reason=record.reasons[test], findings=record.findings[test],
                )
            )  # fmt: skip

    def _not_judged(self, tests: tuple[str, ...], reason: str) -> None:
        """Record that a gate could not be asked."""
        gate, basis = self.order.node, Basis(**self.order.basis)
        key = basis.key
        self._write(opening(gate, key, basis, tests, self.order.built))
        for test in tests:
            outcome = Outcome.INFRA
            self._write(
                GateTestFinished(gate=gate, key=key, test=test, outcome=outcome, reason=reason)
            )

    def _write(self, event: GateBlocked | GateOpened | GateTestFinished) -> None:
        self.ledger.append(event, node=self.claim.node, token=self.claim.token)


class LaneJudge:
    """Judges one lane's workspace by itself, with everything agents cannot reach.

    Args:
        plan: The plan of the run.
        project: Whose gates judge.
        folder: The run's folder.
    """

    def __init__(self, plan: Plan, project: Project, folder: Path) -> None:
        self.plan = plan
        self.project = project
        self.folder = folder

    def own_checks(self, task: Task, tree: Path) -> Verdict:
        """Build or test the agent's services, as the task demands."""
        verdict = Verdict(task.name)
        services = [s.name for s in self.plan.services.values() if s.agent == task.agent]
        if not task.checks or not services:
            return verdict
        with self._runtime(task.name, tree) as runtime:
            for service in services:
                for check in task.checks:
                    try:
                        runtime.run_check(service, check)
                    except GateFailed as failed:
                        verdict += Verdict(task.name, _findings(failed))
                    except (Unverifiable, Infra):
                        # Not the agent's doing; the gate will say so.
                        continue
        return verdict

    def gates(self, part: Part, tree: Path) -> Verdict:
        """Have the gates of this phase judge the lane alone."""
        known = [self.plan.gates[name] for name in self.plan.gates_of_lane(part)]
        gates = [gate for gate in known if self._knows_lanes(gate)]
        if not gates:
            return Verdict(str(part))
        folder = _fresh(self.folder / "judged" / str(part))
        state = judge(self.project, tree, gates, folder, lane=part.agent)
        findings = [
            Finding(test.rpartition("::")[2], record.reasons[test], gate.name)
            for gate in gates
            if (record := state.gate(gate.name).record) is not None
            for test, outcome in record.outcomes.items()
            if outcome is Outcome.FAILED
        ]
        return Verdict(str(part), tuple(findings))

    def _knows_lanes(self, gate: Gate) -> bool:
        """Whether a gate's module can have a test of one lane; collecting it for nothing costs."""
        return "lane" in (self.project.root / gate.tests).read_text()

    def _runtime(self, name: str, tree: Path) -> ProcessRuntime:
        from pytest_orchestrator._stack.process import ProcessRuntime  # noqa: PLC0415 - on demand

        cache = self.project.root / ".orchestrator" / "cache"
        return ProcessRuntime(self.plan, tree, self.folder / "services" / name, cache)


def _fresh(folder: Path) -> Path:
    """A folder below ``folder`` that nobody has used, under a name that nobody can foresee."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = len(list(folder.glob("*")))
    return Path(tempfile.mkdtemp(prefix=f"{taken + 1}-", dir=folder))


def _findings(failed: GateFailed) -> tuple[Finding, ...]:
    return tuple(f for f in failed.findings if isinstance(f, Finding))
