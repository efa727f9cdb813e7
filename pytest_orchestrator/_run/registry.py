"""Where contracts are published and found: validated bytes, revision by revision."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pytest_orchestrator._domain.agent import ContractRef
from pytest_orchestrator._domain.change import EFFECTS, Change, Effect, told
from pytest_orchestrator._domain.event import ContractPublished, Revision
from pytest_orchestrator._domain.plan import owns
from pytest_orchestrator._run.snapshots import Snapshots, digest_of, write_below
from pytest_orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_orchestrator._domain.plan import Contract, Part, Plan
    from pytest_orchestrator._domain.state import RunState
    from pytest_orchestrator._domain.verdict import Verdict
    from pytest_orchestrator._run.ledger import Ledger


class NotPublisher(OrchestratorError):
    """Somebody wants to publish a contract that is another's."""


class Conflict(OrchestratorError):
    """Somebody publishes on top of a revision that is not the latest."""


class Unpublished(OrchestratorError):
    """There is no such contract, or no such revision of it."""


class Document(NamedTuple):
    """A file in a folder that has everything the file refers to."""

    root: Path
    path: str


class Judged(NamedTuple):
    """What there is to say of a document.

    Attributes:
        verdict: Whether it may be published.
        made_of: All files it refers to, by way of others as well, itself included.
    """

    verdict: Verdict
    made_of: frozenset[str]


class Referee(Protocol):
    """Who knows what contracts may say. Agents cannot reach it."""

    def check(self, contract: Contract, document: Document, *, draft: bool) -> Judged:
        """Whether a document may be published as a contract, or as its draft."""
        ...

    def changes(self, contract: Contract, old: Document, new: Document) -> tuple[Change, ...]:
        """How two revisions of a contract differ, and whom that breaks."""
        ...

    def schema(self, contract: Contract, page: bytes) -> bytes | None:
        """The JSON Schema that belongs to a page of shared models; ``None`` if it is no page."""
        ...


class Registry:
    """Publishes contracts of one run, and finds what was published.

    Args:
        plan: The plan of this run.
        ledger: The run's ledger; snapshots are in its folder.
        referee: Who judges what is to be published.
    """

    def __init__(self, plan: Plan, ledger: Ledger, referee: Referee) -> None:
        self._plan = plan
        self._ledger = ledger
        self._referee = referee
        self._snapshots = snapshots_of(ledger)
        self._judged: dict[tuple[tuple[str, str], ...], Judged] = {}
        self._compared: dict[tuple[str, str, str], tuple[Change, ...]] = {}

    def check(self, contract: Contract, files: Mapping[str, bytes], *, draft: bool) -> Judged:
        """Judge a document among everything that is published; the same bytes only once.

        Args:
            contract: What it is to be a revision of.
            files: Its bytes by path, and those of files of its own it may refer to.
            draft: Whether it only stands in until the contract is published.
        """
        return self._check(self._ledger.state(), contract, files, draft=draft)

    def publish(
        self,
        contract: Contract,
        files: Mapping[str, bytes],
        part: Part,
        *,
        draft: bool = False,
        expected: int | None = None,
        token: int | None = None,
    ) -> ContractPublished | None:
        """Validate a document, store the exact bytes that were validated, then record it.

        The snapshot is on the disk before the event is written, so no reader ever
        sees half a contract, and whoever dies in between leaves the registry as it was.

        Args:
            contract: What is published.
            files: Its exact bytes by path, and those of files of its own it refers to.
            part: The part that publishes it.
            draft: Whether this only stands in until the contract is published.
            expected: The revision this is built on, 0 for none; ``None``: whatever it is.
            token: The writer's claim on ``part``; ``None`` publishes unconditionally.

        Returns:
            The new revision; ``None`` if these bytes are the latest one already, or
            if it is a draft and there is something. A draft that turns out to be
            final is published like anything else.

        Raises:
            NotPublisher: The contract is not this agent's.
            GateFailed: It is not valid; the message lists every finding.
            Conflict: The latest revision is not ``expected``.
            Fenced: ``part`` was claimed again after ``token``.
            In each case nothing is published.
        """
        files = self._completed(contract, files, draft=draft)
        self._require_publisher(contract, part, files, draft=draft)
        while True:
            state = self._ledger.state()
            judged = self._check(state, contract, files, draft=draft)
            judged.verdict.raise_for_findings()
            with self._ledger.lock("snapshots").held():
                digests = {path: self._snapshots.store(data) for path, data in files.items()}
            head = state.contracts.get(contract.name)
            _require_expected(contract, head, expected)
            files_of_it = self._files(state, contract, digests, judged.made_of)
            event = self._next(state, contract, files_of_it, part, draft=draft)
            if event is None:
                return None
            with self._ledger.lock(f"contract-{contract.name}").held():
                # If somebody was quicker, what this changes is to be judged anew.
                if self._ledger.state().contracts.get(contract.name) == head:
                    self._ledger.append(event, node=str(part), token=token)
                    return event

    def read(self, name: str, revision: int | None = None) -> tuple[ContractPublished, bytes]:
        """The exact bytes of a contract.

        Args:
            name: The contract's name in the runbook.
            revision: Which revision, 0 for the draft; ``None`` for the latest.

        Raises:
            Unpublished: There is none; the message says what there is.
            Infra: The snapshot was damaged.
        """
        return find(self._plan, self._ledger, name, revision)

    def differences(self, held: Revision) -> str:
        """What has changed between a revision somebody holds and the latest, for people."""
        return told(self.changes(held.name, held.revision, None))

    def changes(self, name: str, old: int, new: int | None) -> tuple[Change, ...]:
        """What has changed from one published revision to another, ``None`` for the latest."""
        revisions = self._ledger.state().revisions[name]
        numbers = {event.revision: event for event in revisions}
        after = revisions[-1] if new is None else numbers[new]
        return self._changes(self._plan.contracts[name], numbers[old], after)

    def shown(self, state: RunState) -> dict[str, str]:
        """What everybody gets to see in a workspace: digests by path."""
        return self._published_files(state, but="")

    def snapshot(self, digest: str) -> bytes:
        """The bytes with a digest."""
        return self._snapshots.read(digest)

    def beside(self, contract: Contract) -> dict[str, bytes]:
        """Files of its own that the latest revision of a contract refers to, by path."""
        head = self._ledger.state().contracts.get(contract.name)
        others = {p for c in self._plan.contracts.values() for p in c.all_paths}
        files = head.files if head is not None else {}
        return {p: self._snapshots.read(d) for p, d in files.items() if p not in others}

    def schema(self, contract: Contract, page: bytes) -> bytes | None:
        """What is generated from a page of shared models; ``None`` if it is no such page."""
        return self._referee.schema(contract, page) if contract.schema_path else None

    def _check(
        self, state: RunState, contract: Contract, files: Mapping[str, bytes], *, draft: bool
    ) -> Judged:
        files = self._completed(contract, files, draft=draft)
        others = self._published_files(state, but=contract.name)
        digests = others | {path: digest_of(data) for path, data in files.items()}
        key = (("draft", str(draft)), ("name", contract.name), *sorted(digests.items()))
        if key not in self._judged:
            with tempfile.TemporaryDirectory() as folder:
                self._snapshots.lay_out(Path(folder), others)
                for path, data in files.items():
                    write_below(Path(folder), path, data)
                document = Document(Path(folder), _path(contract, draft=draft))
                self._judged[key] = self._referee.check(contract, document, draft=draft)
        return self._judged[key]

    def _completed(
        self, contract: Contract, files: Mapping[str, bytes], *, draft: bool
    ) -> dict[str, bytes]:
        """The files, and what is generated from them."""
        path = contract.schema_path
        page = None if draft else files.get(contract.path)
        schema = self.schema(contract, page) if page is not None else None
        return {**files, path: schema} if path and schema is not None else dict(files)

    def _published_files(self, state: RunState, *, but: str) -> dict[str, str]:
        """Digests by path: each contract as it is by now, and the draft it began with."""
        places = {p: c.name for c in self._plan.contracts.values() for p in c.all_paths}
        files: dict[str, str] = {}
        for name, revisions in state.revisions.items():
            if name == but or name not in self._plan.contracts:
                continue
            drafts = [event for event in revisions[:1] if event.revision == 0]
            for event in (*drafts, revisions[-1]):
                of_it = self._digests(self._plan.contracts[name], event)
                # What it refers to of another contract is that one's to show.
                files |= {p: d for p, d in of_it.items() if places.get(p, name) == name}
        return files

    def _require_publisher(
        self, contract: Contract, part: Part, files: Mapping[str, bytes], *, draft: bool
    ) -> None:
        allowed = self._plan.delivered_paths(part.agent)
        foreign = [path for path in files if not owns(allowed, path)]
        if foreign or not (draft or contract.publisher == part.agent):
            raise NotPublisher(
                f"{part.agent} may not publish {', '.join(foreign) or contract.name}: "
                f"contract {contract.name} is published by {contract.publisher}"
            )

    def _files(
        self, state: RunState, contract: Contract, own: Mapping[str, str], made_of: frozenset[str]
    ) -> dict[str, str]:
        """Digests of everything a document is made of, by path; not of what merely lies beside."""
        known = {**self._published_files(state, but=contract.name), **own}
        wanted = made_of | own.keys() & set(contract.all_paths)
        return {path: known[path] for path in sorted(wanted) if path in known}

    def _next(
        self, state: RunState, contract: Contract, files: Mapping[str, str], part: Part, *,
        draft: bool,
    ) -> ContractPublished | None:  # fmt: skip
        """The event that publishes a document now; ``None`` if there is nothing to publish."""
        path = _path(contract, draft=draft)
        revisions = state.revisions.get(contract.name, ())
        head = revisions[-1] if revisions else None
        event = ContractPublished(
            name=contract.name,
            revision=0 if draft else (head.revision if head else 0) + 1,
            sha256=files[path],
            part=str(part),
            files={other: digest for other, digest in files.items() if other != path},
        )
        if head is None:
            return event
        is_same = (head.sha256, head.files) == (event.sha256, event.files)
        if draft or (is_same and head.revision):
            return None
        effects = {
            "effect": self._effect(contract, head, event),
            "effect_on_draft": self._effect(contract, revisions[0], event)
            if revisions[0].revision == 0
            else "",
        }
        return event.model_copy(update=effects)

    def _effect(self, contract: Contract, old: ContractPublished, new: ContractPublished) -> Effect:
        """What a revision does to whoever built on an earlier one."""
        effects = {change.effect for change in self._changes(contract, old, new)}
        return next((effect for effect in EFFECTS if effect in effects), "annotation")

    def _changes(
        self, contract: Contract, old: ContractPublished, new: ContractPublished
    ) -> tuple[Change, ...]:
        key = contract.name, old.model_dump_json(), new.model_dump_json()
        if key not in self._compared:
            with ExitStack() as stack:
                before, after = (self._laid_out(stack, contract, each) for each in (old, new))
                self._compared[key] = self._referee.changes(contract, before, after)
        return self._compared[key]

    def _laid_out(self, stack: ExitStack, contract: Contract, event: ContractPublished) -> Document:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._snapshots.lay_out(folder, self._digests(contract, event))
        return Document(folder, _path(contract, draft=event.revision == 0))

    @staticmethod
    def _digests(contract: Contract, event: ContractPublished) -> dict[str, str]:
        """All files of a revision by path."""
        return {_path(contract, draft=event.revision == 0): event.sha256, **event.files}


def find(
    plan: Plan, ledger: Ledger, name: str, revision: int | None = None
) -> tuple[ContractPublished, bytes]:
    """What `Registry.read` returns, for those who only read."""
    if name not in plan.contracts:
        raise Unpublished(f"there is no contract {name!r}; there are {', '.join(plan.contracts)}")
    revisions = ledger.state().revisions.get(name, ())
    wanted = [e for e in revisions if revision is None or e.revision == revision]
    if not wanted:
        there = ", ".join(str(e.revision) for e in revisions)
        told = f"its revisions are {there}" if there else "nothing of it is published yet"
        which = "contract" if revision is None else f"revision {revision} of"
        raise Unpublished(f"{which} {name} is not there: {told}")
    return wanted[-1], snapshots_of(ledger).read(wanted[-1].sha256)


def snapshots_of(ledger: Ledger) -> Snapshots:
    """Where the bytes are that a run has published."""
    return Snapshots(ledger.folder / "contracts")


def references(plan: Plan, state: RunState) -> dict[str, ContractRef]:
    """Every contract published so far, as an agent is shown it."""
    return {
        name: ContractRef(
            name=name,
            path=_path(plan.contracts[name], draft=event.revision == 0),
            revision=event.revision,
            sha256=event.sha256,
        )
        for name, event in state.contracts.items()
    }


def _path(contract: Contract, *, draft: bool) -> str:
    """Where a contract stands in the tree, or its draft."""
    return (contract.draft or contract.path) if draft else contract.path


def _require_expected(
    contract: Contract, head: ContractPublished | None, expected: int | None
) -> None:
    latest = head.revision if head else 0
    if expected is not None and expected != latest:
        raise Conflict(
            f"contract {contract.name} is at revision {latest}, not at {expected}: read it, and "
            f"publish on top of that"
        )
