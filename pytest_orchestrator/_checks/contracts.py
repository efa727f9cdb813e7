"""The published contracts of a tree, as gates read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.bundle import read_bundle
from pytest_orchestrator._checks.confined import check_contract
from pytest_orchestrator._checks.models import check_drift
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_orchestrator._domain.plan import Contract

SCHEMA_SUFFIX = ".schema.json"


@dataclass(frozen=True, slots=True)
class PublishedContract:
    """One contract of a tree.

    Attributes:
        name: Its name in the runbook.
        path: Where it stands, relative to the tree.
        tree: The judged tree.
    """

    name: str
    path: str
    tree: Path

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
        path = str(Path(self.path).with_suffix(SCHEMA_SUFFIX))
        data = _read(self.tree, path, self.name)
        check_drift(self.read(), data, self.path, path).raise_for_findings()
        return json.loads(data)


class Contracts(Mapping[str, PublishedContract]):
    """All contracts of the runbook by name, whether they are published in this tree or not."""

    def __init__(self, contracts: Mapping[str, Contract], tree: Path) -> None:
        self._contracts = contracts
        self._tree = tree

    def __getitem__(self, name: str) -> PublishedContract:
        return PublishedContract(name, self._contracts[name].path, self._tree)

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
