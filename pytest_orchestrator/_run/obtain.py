"""Getting a phase or a gate decided: reuse it, wait for it, or have it carried out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_orchestrator._domain.basis import Basis
from pytest_orchestrator._domain.event import GateBlocked, PhaseFinished
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._domain.scheduler import (
    Decision,
    Need,
    Reuse,
    Run,
    Wait,
    decide,
    gates_before,
    is_decided,
    standing,
    why_blocked,
    why_over_budget,
)
from pytest_orchestrator._domain.verdict import Outcome
from pytest_orchestrator._run.gate_key import contract_digest, opening
from pytest_orchestrator._run.judge import environment
from pytest_orchestrator._run.locks import RUN_LOCK, FileLock, is_free
from pytest_orchestrator.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_orchestrator._domain.plan import Plan
    from pytest_orchestrator._domain.state import PhaseState, RunState
    from pytest_orchestrator._run.gate_key import Judges
    from pytest_orchestrator._run.judge import Project
    from pytest_orchestrator._run.ledger import Ledger
    from pytest_orchestrator._run.workspace import Workspaces

POLL_S = 0.05
KnownBases = dict[str, tuple[object, Basis]]
"""By gate: what its verdict rests on, and what that was found out for."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a runner process is told; the JSON of it is its only argument."""

    node: str
    session: str
    token: int
    lock_fd: int
    run_folder: str
    root: str
    runbook: str
    agents: str
    tree: str = ""
    """For a gate: the tree id it judges."""
    basis: dict[str, Any] = field(default_factory=dict)
    """For a gate: what its verdict will rest on; a ``Basis``."""
    built: dict[str, str] = field(default_factory=dict)
    """For a gate: the commits of the parts it judges."""


class Obtainer:
    """Gets parts and gates decided, on behalf of one process of a session.

    Whoever holds a claim never waits for another one: a node is claimed only
    when all it needs is decided. So nothing can deadlock, however many ask.

    Args:
        plan: The plan of this run.
        ledger: The run's ledger.
        workspaces: The run's trees.
        project: Whose gates judge.
        session: The session that asks.
        worker: xdist's worker id, or ``"master"``.
        agents: Name of the back-end.
        judges: What judges, as it was when the session began.
        options: What pytest was told that changes what tests do; for gates of this session.
        known: What verdicts rest on, as far as it has been found out; is added to.
        selected: Gates whose tests are part of this session; they are not obtained.
        tick: Called between two looks at the ledger, e.g. to print what is new.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        workspaces: Workspaces,
        project: Project,
        *,
        session: str,
        worker: str,
        agents: str,
        judges: Judges,
        options: dict[str, str],
        known: KnownBases,
        selected: frozenset[str],
        tick: Callable[[], None],
    ) -> None:
        self.plan = plan
        self.ledger = ledger
        self.workspaces = workspaces
        self.project = project
        self.session = session
        self.worker = worker
        self.agents = agents
        self.tick = tick
        self._judges = judges
        self._options = options
        self._selected = selected
        self._open_gates = frozenset(plan.gates) - selected
        self._bases = known
        self._runners: list[subprocess.Popen[bytes]] = []

    def part(self, part: Part) -> PhaseState:
        """See to it that a part is decided; blocking.

        Raises:
            Cancelled: The session is stopping.
        """
        while not self._is_decided((state := self.ledger.state()), part):
            self._advance(state, part)
        return state.phase(part)

    def gate(self, gate: str) -> None:
        """See to it that all a gate needs is decided; blocking.

        Also the gates before what it needs: that a phase was done does not mean
        that they would still let it begin.
        """
        parts, _ = self.plan.needed_by_gate(gate)
        self._side_by_side(parts)
        for before in gates_before(self.plan, gate):
            self._gate_itself(before)

    def _side_by_side(self, parts: frozenset[Part]) -> None:
        """Have several parts carried out side by side."""
        while True:
            state = self.ledger.state()
            left = [p for p in sorted(parts) if not self._is_decided(state, p)]
            if not left:
                return
            for part in left:
                self._start_what_can(state, part)
            self._pause(state)

    def _decide(self, state: RunState, part: Part) -> Decision:
        return decide(self.plan, state, part, session=self.session, open_gates=self._open_gates)

    def _is_decided(self, state: RunState, part: Part) -> bool:
        return is_decided(self.plan, state, part, session=self.session)

    def _gate_itself(self, gate: str) -> None:
        while gate in self._open_gates:
            state = self.ledger.state()
            self._start_gate(state, gate)
            if gate in self._open_gates:
                self._pause(state)

    def _advance(self, state: RunState, part: Part) -> None:
        self._start_what_can(state, part)
        self._pause(state)

    def _pause(self, state: RunState) -> None:
        if self.session in state.cancelled:
            raise Cancelled(f"cancelled: {state.cancelled[self.session]}")
        if is_free(self.ledger.folder / RUN_LOCK):
            # Or a worker that is left over for a moment would start what nobody waits for.
            raise Cancelled("cancelled: the pytest run is gone")
        self.tick()
        self._runners = [r for r in self._runners if r.poll() is None]
        time.sleep(POLL_S)

    def _start_what_can(
        self, state: RunState, part: Part, asked: set[Part | str] | None = None
    ) -> None:
        """Start a part and whoever publishes what it waits for, or what it needs before that.

        Args:
            state: What the ledger knows.
            part: What is needed.
            asked: What has been looked at; two parts may wait for each other's contracts.
        """
        asked = set() if asked is None else asked
        if part in asked:
            return
        asked.add(part)
        match self._decide(state, part):
            case Need(parts, gates):
                for needed in sorted(parts):
                    self._start_what_can(state, needed, asked)
                for gate in sorted(gates):
                    self._start_gate(state, gate, asked)
            case Run() | Wait():
                self._start_part(part)
                for publishing in sorted(self.plan.awaited_by(part)):
                    if not self._is_behind_a_selected_gate(state, publishing):
                        self._start_what_can(state, publishing, asked)
            case Reuse():
                pass

    def _is_behind_a_selected_gate(self, state: RunState, part: Part) -> bool:
        """Whether a gate before a part is still to be judged by tests of this session."""
        return any(
            standing(state, gate, session=self.session)[0] is None
            for gate in gates_before(self.plan, part)
            if gate in self._selected
        )

    def _start_part(self, part: Part) -> None:
        """Claim a part and start its runner; nothing happens if somebody alive has it."""
        node = str(part)
        claimed = self.ledger.claim(
            node,
            session=self.session,
            worker=self.worker,
            still=lambda s: isinstance(self._decide(s, part), Run | Wait),
        )
        if claimed is None:
            return
        lock, token = claimed
        phase = self.ledger.state().phase(part)
        limit = self.plan.budget_of(part.agent).max_attempts
        if phase.died >= limit:
            reason = f"its runner died {phase.died} times: {phase.reason}\n{self._log_tail(node)}"
            self._give_up(part, token, phase.reason if phase.overspent else reason)
            lock.release()
            return
        self._spawn(node, lock, token)

    def _log_tail(self, node: str) -> str:
        log = self.ledger.folder / "logs" / f"{node}.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return "\n".join([*text.splitlines()[-3:], f"see {log}"])

    def _give_up(self, part: Part, token: int, reason: str) -> None:
        event = PhaseFinished(
            part=str(part), session=self.session, status="failed", reason=reason,
            overspent=self.ledger.state().phase(part).overspent,
        )  # fmt: skip
        self.ledger.append(event, node=str(part), token=token)

    def _start_gate(self, state: RunState, gate: str, asked: set[Part | str] | None = None) -> None:
        """Get a gate judged that is not part of this session; done when it is in the ledger."""
        asked = set() if asked is None else asked
        if gate in asked:
            return
        asked.add(gate)
        parts, gates = self.plan.needed_by_gate(gate)
        undecided = [p for p in sorted(parts) if not self._is_decided(state, p)]
        for part in undecided:
            self._start_what_can(state, part, asked)
        for before in sorted(gates & self._open_gates):
            self._start_gate(state, before, asked)
        if undecided or gates & self._open_gates:
            return
        if reason := why_blocked(self.plan, state, gate, session=self.session):
            self._cannot_judge(gate, Outcome.BLOCKED, reason)
            return
        if reason := why_over_budget(self.plan, state, gate):
            self._cannot_judge(gate, Outcome.BUDGET, reason)
            return
        self._judge(state, gate)

    def _cannot_judge(self, gate: str, outcome: Outcome, reason: str) -> None:
        self.ledger.append(
            GateBlocked(gate=gate, session=self.session, outcome=outcome, reason=reason)
        )
        self._open_gates -= {gate}

    def _judge(self, state: RunState, gate: str) -> None:
        blocked = state.gate(gate).blocked
        if blocked is not None and blocked[0] == self.session:
            # Whoever was to judge it has found that it cannot be asked.
            self._open_gates -= {gate}
            return
        basis = self.basis(state, gate)
        key = basis.key
        known = state.gate(gate)
        record = known.records.get(key)
        verdict = record.verdict() if record else None
        fresh = record is not None and record.judged_s >= state.session_started_s
        if record is not None and verdict is not None and (fresh or verdict is Outcome.PASSED):
            if known.current != key or known.opened_s < state.session_started_s:
                built = self.built(state, gate)
                self.ledger.append(opening(gate, key, basis, record.tests, built))
            self._open_gates -= {gate}
            return
        claimed = self.ledger.claim(
            gate,
            session=self.session,
            worker=self.worker,
            still=lambda s: not self._is_judged(s, gate, key),
        )
        if claimed is not None:
            lock, token = claimed
            if self.ledger.state().phase(gate).died >= self.plan.budget.max_attempts:
                reason = f"the process that judges {gate} died, each time\n{self._log_tail(gate)}"
                self._cannot_judge(gate, Outcome.INFRA, reason)
                lock.release()
                return
            self._spawn(gate, lock, token, basis=basis, built=self.built(state, gate))

    def basis(self, state: RunState, gate: str) -> Basis:
        """What a gate's verdict rests on, once all it needs is decided."""
        built = self.built(state, gate)
        held = _held(self.plan, state, gate)
        # Who judges it for us is told none of the options that this session has.
        options = self._options if gate in self._selected else {}
        known = self._bases.get(gate)
        if known is None or known[0] != (built, held, options):
            tree = self.workspaces.merge(state, self.plan.judged_by(gate))
            files = self.workspaces.contracts_in(tree)
            contracts = {name: contract_digest(each) for name, each in files.items()} | held
            basis = self._judges.basis(gate, tree, contracts, options)
            known = self._bases[gate] = ((built, held, options), basis)
        return known[1]

    def built(self, state: RunState, gate: str) -> dict[str, str]:
        """The commits of the parts a gate judges."""
        return {str(part): state.phase(part).commit for part in self.plan.judged_by(gate)}

    def _is_judged(self, state: RunState, gate: str, key: str) -> bool:
        record = state.gate(gate).records.get(key)
        outcome, _ = standing(state, gate, session=self.session)
        blocked = outcome is Outcome.BLOCKED
        return blocked or (
            record is not None
            and record.verdict() is not None
            and record.judged_s >= state.session_started_s
        )

    def _spawn(
        self, node: str, lock: FileLock, token: int, *, basis: Basis | None = None,
        built: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Start a runner that holds the claim's lock; ours is let go."""
        assert lock.fd is not None  # noqa: S101 - just claimed
        order = Order(
            node=node, session=self.session, token=token, lock_fd=lock.fd,
            run_folder=str(self.ledger.folder), root=str(self.project.root),
            runbook=str(self.project.runbook), agents=self.agents, tree=basis.tree if basis else "",
            basis=asdict(basis) if basis else {}, built=built or {},
        )  # fmt: skip
        logs = self.ledger.folder / "logs"
        logs.mkdir(exist_ok=True)
        # Which worker asked is of use in what an agent logs, and no setting.
        asker = {k: os.environ[k] for k in ("PYTEST_XDIST_WORKER",) if k in os.environ}
        # -P: what is in the project's folder must not stand in for what is installed.
        command = [sys.executable, "-P", "-m", "pytest_orchestrator", "carry-out"]
        with (logs / f"{node}.log").open("ab") as log:
            runner = subprocess.Popen(
                [*command, json.dumps(asdict(order))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                cwd=self.project.root, env=environment(self.project) | asker, pass_fds=[lock.fd],
                start_new_session=True,
            )  # fmt: skip
        lock.release()
        self._runners.append(runner)


def _held(plan: Plan, state: RunState, gate: str) -> dict[str, str]:
    """What the consumers a gate judges were built on, and what is published by now."""
    found = {}
    for contract, consumer in plan.consumed_before(gate):
        held = state.built_on.get(consumer, {}).get(contract)
        head = state.contracts.get(contract)
        told = f"{held and held[0].sha256} of {head and head.sha256}"
        found[f"{contract} held by {consumer}"] = told
    return found
