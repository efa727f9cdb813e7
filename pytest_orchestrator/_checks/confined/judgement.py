"""What is asked about contracts, and what is answered: plain values, for either side of a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from pytest_orchestrator._domain.change import Change
from pytest_orchestrator._domain.verdict import Verdict

Kind = Literal["openapi", "models"]


class Place(NamedTuple):
    """Where a contract is: a folder nothing is read outside of, and a path below it."""

    root: Path
    path: str


class Judged(NamedTuple):
    """What there is to say of a contract.

    Attributes:
        verdict: All that is wrong with it, by file and line.
        made_of: The files it consists of, itself first, relative to its folder.
    """

    verdict: Verdict
    made_of: tuple[str, ...]


class Compared(NamedTuple):
    """How two revisions differ; nothing, if one of them cannot be read, as the verdict says."""

    changes: tuple[Change, ...]
    verdict: Verdict


def kind_of(path: str) -> Kind:
    """What a contract is, going by its name."""
    return "models" if path.endswith(".md") else "openapi"
