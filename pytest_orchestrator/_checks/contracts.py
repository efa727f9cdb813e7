"""The published contracts of a tree, as gates read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_orchestrator._checks.confined.process import check_contract
from pytest_orchestrator._checks.models.document import check_drift
from pytest_orchestrator._checks.reading.bundle import read_bundle
from pytest_orchestrator._domain.plan import Live
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_orchestrator._domain.change import Change
    from pytest_orchestrator._domain.plan import Contract, Generated

SCHEMA_SUFFIX = ".schema.json"


@dataclass(frozen=True, slots=True)
class PublishedContract:
    """One contract of a tree.

    Attributes:
        name: Its name in the runbook.
        path: Where it stands, relative to the tree.
        tree: The judged tree.
        kind: What kind of document it is.
        draft: Where what stands in for it stands, relative to the tree; ``None``: nothing does.
        generated: What consumers generate from it, in the order of the runbook, as pairs of the
            consumer's name and the value; may be empty.
        operations: What it must at least describe, e.g. ``("GET /health",)``.
        parameters: By operation: the names of parameters it must at least describe.
        requests: By operation: the shared model that is its request body.
        responses: By operation: the shared model that is its answer.
        live: How the running service is asked whether it keeps to this.
    """

    name: str
    path: str
    tree: Path
    kind: Literal["openapi", "models"] = "openapi"
    draft: str | None = None
    generated: tuple[tuple[str, Generated], ...] = ()
    operations: tuple[str, ...] = ()
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    requests: Mapping[str, str] = field(default_factory=dict)
    responses: Mapping[str, str] = field(default_factory=dict)
    live: Live = field(default_factory=Live)

    def read(self) -> bytes:
        """The exact bytes.

        Raises:
            GateFailed: It was not published.
        """
        return _read(self.tree, self.path, self.name)

    def document(self) -> object:
        """The document, read from JSON or YAML, with what it refers to in other files.

        Returns:
            A document of one piece: what other files of its folder say is below
            ``/x-files``.

        Raises:
            GateFailed: It was not published, or cannot be read.
        """
        self.read()
        file = self.tree / self.path
        bundle, verdict = read_bundle(file.parent, file.name)
        verdict.raise_for_findings()
        return None if bundle is None else bundle.document

    def check(self, operations: Sequence[str] = ()) -> Verdict:
        """All that is wrong with it, looked for in a process with bounds.

        Args:
            operations: Those it has to describe, e.g. ``["GET /health"]``.

        Raises:
            GateFailed: It was not published.

        Source:
            docs/reference/contract-rules.md.
        """
        self.read()
        file = self.tree / self.path
        return check_contract(file.parent, file.name, operations=operations)

    def schema(self) -> object:
        """The JSON Schema of shared models, which is generated from the page next to it.

        Raises:
            GateFailed: The page is wrong, or the schema is not what the page makes.
        """
        data = _read(self.tree, self.schema_path, self.name)
        check_drift(self.read(), data, self.path, self.schema_path).raise_for_findings()
        return json.loads(data)

    @property
    def schema_path(self) -> str:
        """Where the JSON Schema of shared models stands, relative to the tree."""
        return Path(self.path).with_suffix(SCHEMA_SUFFIX).as_posix()

    def drafts(self) -> dict[int, bytes]:
        """The exact bytes of the draft under its revision, 0; empty if the tree has none."""
        file = self.tree / (self.draft or "")
        return {0: file.read_bytes()} if file.is_file() and not file.is_symlink() else {}


@dataclass(frozen=True, slots=True)
class Consumption:
    """A contract, and one of its consumers.

    Attributes:
        contract: The contract, whether it is published or not.
        consumer: The consumer's name.
        known: The exact bytes of every revision that is known, by number; 0 is the draft.
        built_on: Revision and SHA-256 of what the consumer's work rests on; ``None``: nothing is
            recorded, e.g. because no agent worked.
        changes: What has changed from one of the known revisions to another, by number.
    """

    contract: PublishedContract
    consumer: str
    known: Mapping[int, bytes]
    built_on: tuple[int, str] | None
    changes: Callable[[int, int], tuple[Change, ...]]

    @property
    def published(self) -> tuple[int, str]:
        """Revision and SHA-256 of what the judged tree has published; 0 if that is not known."""
        data = self.contract.read()
        numbers = (number for number, known in self.known.items() if known == data)
        return max(numbers, default=0), sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Agreement(Consumption):
    """A contract, and what one of its consumers generates from it.

    Attributes:
        generated: The consumer's command and files.
    """

    generated: Generated


class Contracts(Mapping[str, PublishedContract]):
    """All contracts of the runbook by name, whether they are published in this tree or not."""

    def __init__(self, contracts: Mapping[str, Contract], tree: Path) -> None:
        self._contracts = contracts
        self._tree = tree

    def __getitem__(self, name: str) -> PublishedContract:
        contract = self._contracts[name]
        return PublishedContract(
            name,
            contract.path,
            self._tree,
            kind=contract.kind,
            draft=contract.draft,
            generated=tuple(contract.generated.items()),
            operations=contract.operations,
            parameters=contract.parameters,
            requests=contract.requests,
            responses=contract.responses,
            live=contract.live,
        )

    def models(self) -> object:
        """The JSON Schema of the shared models; ``None`` if the runbook has no page of them.

        Raises:
            GateFailed: The page is wrong or not published, or the schema is not what it makes.
        """
        pages = [name for name, contract in self._contracts.items() if contract.kind == "models"]
        return self[pages[0]].schema() if pages else None

    def __iter__(self) -> Iterator[str]:
        return iter(self._contracts)

    def __len__(self) -> int:
        return len(self._contracts)


def _read(tree: Path, path: str, name: str) -> bytes:
    file = tree / path
    if not file.is_file() or file.is_symlink():
        missing = Finding(path, f"contract {name} is not published", "contract")
        Verdict(name, (missing,)).raise_for_findings()
    return file.read_bytes()
