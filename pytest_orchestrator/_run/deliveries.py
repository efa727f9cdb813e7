"""What a lane's commit has of contracts: to be completed, checked and published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._domain.plan import Part, owns
from pytest_orchestrator._domain.verdict import Finding, Verdict
from pytest_orchestrator.errors import GateFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._domain.plan import Contract, Plan, Task
    from pytest_orchestrator._run.ledger import Ledger
    from pytest_orchestrator._run.registry import Registry
    from pytest_orchestrator._run.workspace import Workspaces


class _Delivery(NamedTuple):
    contract: Contract
    draft: bool

    @property
    def path(self) -> str:
        return (self.contract.draft or "") if self.draft else self.contract.path


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The contracts one part hands over.

    Attributes:
        plan: The plan of this run.
        ledger: The run's ledger.
        workspaces: Where commits are.
        registry: Where contracts are published.
        part: Whose contracts these are.
    """

    plan: Plan
    ledger: Ledger
    workspaces: Workspaces
    registry: Registry
    part: Part

    def complete(self, before: str, commit: str) -> str:
        """The commit with what belongs to the contracts in it, though no agent wrote it.

        That is the schema of each page of shared models, and what the agent has
        published without writing it down where the contract stands.

        Args:
            before: What the attempt began with.
            commit: What it left behind.
        """
        agent = self.part.agent
        made: dict[str, bytes] = {}
        for contract in self.plan.contracts.values():
            if contract.publisher != agent:
                continue
            document = self.workspaces.read(agent, commit, contract.path)
            published = self._published(contract)
            untouched = document == self.workspaces.read(agent, before, contract.path)
            if published is not None and untouched and document != published:
                made[contract.path] = document = published
            path = contract.schema_path
            schema = self.registry.schema(contract, document) if path and document else None
            if path and schema and schema != self.workspaces.read(agent, commit, path):
                made[path] = schema
        return self.workspaces.place(agent, commit, made) if made else commit

    def _published(self, contract: Contract) -> bytes | None:
        """What this part has published of a contract last."""
        head = self.ledger.state().contracts.get(contract.name)
        if head is None or not head.revision or head.part != str(self.part):
            return None
        return self.registry.snapshot(head.sha256)

    def check(self, commit: str, task: Task) -> Verdict:
        """Whether all contracts are there, and valid, that there must be once a task is done."""
        verdict = Verdict(task.name)
        for delivery in self._due(self.ledger.state().tasks_done | {task.name}):
            files = self._files(delivery, commit)
            if delivery.path in files:
                judged = self.registry.check(delivery.contract, files, draft=delivery.draft)
                verdict += Verdict(task.name, judged.verdict.findings)
            elif not delivery.draft:
                what = f"contract {delivery.contract.name} was not written"
                verdict += Verdict(task.name, (Finding(delivery.path, what, "contract"),))
        return verdict

    def publish(self, commit: str, token: int) -> Verdict:
        """Publish what is new of all contracts that finished tasks have written.

        Returns:
            Nothing found, mostly: each was checked before. What somebody else has
            published since may have made one invalid.
        """
        verdict = Verdict(str(self.part))
        for delivery in self._due(self.ledger.state().tasks_done):
            files = self._files(delivery, commit)
            if delivery.path not in files:
                continue
            try:
                self.registry.publish(
                    delivery.contract, files, self.part, draft=delivery.draft, token=token
                )
            except GateFailed as failed:
                findings = tuple(f for f in failed.findings if isinstance(f, Finding))
                verdict += Verdict(str(self.part), findings)
        return verdict

    def _due(self, tasks: frozenset[str]) -> Iterator[_Delivery]:
        """The contracts that tasks of this part publish, those that were published, and drafts."""
        state = self.ledger.state()
        own = (t for t in self.plan.tasks_of(self.part) if t.name in tasks)
        names = {name for task in own for name in task.publishes}
        owned = self.plan.agents[self.part.agent].owns
        for contract in self.plan.contracts.values():
            head = state.contracts.get(contract.name)
            is_published = head is not None and head.revision > 0
            mine = contract.publisher == self.part.agent
            if mine and head is not None and Part.parse(head.part).phase > self.part.phase:
                continue  # a part that is done again does not put its own text in place of that
            if contract.name in names or (mine and is_published):
                yield _Delivery(contract, draft=False)
            elif contract.draft is not None and owns(owned, contract.draft):
                yield _Delivery(contract, draft=True)

    def _files(self, delivery: _Delivery, commit: str) -> dict[str, bytes]:
        """The contract's own file, and all that it may refer to beside it."""
        agent = self.part.agent
        paths = [delivery.path, *self._beside(delivery, commit)]
        read = {path: self.workspaces.read(agent, commit, path) for path in paths}
        return {path: data for path, data in read.items() if data is not None}

    def _beside(self, delivery: _Delivery, commit: str) -> list[str]:
        """The agent's own files next to a contract that are no contracts themselves."""
        agent = self.part.agent
        folder = delivery.path.rpartition("/")[0]
        contracts = {path for c in self.plan.contracts.values() for path in c.all_paths}
        owned = self.plan.agents[agent].owns
        return [
            path
            for path in self.workspaces.listed(agent, commit, folder)
            if owns(owned, path) and path not in contracts
        ]
