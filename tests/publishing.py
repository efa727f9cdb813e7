"""Processes that publish contracts, for tests that kill them."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path

from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.registry import Conflict, Registry
from tests.histories import small_plan
from tests.referees import WordReferee

PLAN = small_plan()
API = PLAN.contracts["api"]
LEFT = Part("left", 2)
LONG = 200_000
"""Bytes of a document at the most: enough to be cut off in the middle of writing."""


def registry_of(folder: Path) -> tuple[Ledger, Registry]:
    """A process's own door to a run."""
    ledger = Ledger(folder)
    return ledger, Registry(PLAN, ledger, WordReferee())


def publish_times(folder: Path, who: int, times: int) -> None:
    """Publish so many revisions, each on top of the one that is the latest."""
    ledger, registry = registry_of(folder)
    for number in range(times):
        while not _published_on_top(ledger, registry, f"{who} {number}"):
            pass


def publish_for_ever(folder: Path, who: int) -> None:
    """Publish long documents until somebody ends this; says when it begins."""
    _, registry = registry_of(folder)
    (folder / f"{who}.ready").touch()
    for number in count():
        much = "x" * random.Random(number).randrange(LONG)  # noqa: S311 - no secret
        registry.publish(API, {API.path: f"{who} {number} {much} end".encode()}, LEFT)


def _published_on_top(ledger: Ledger, registry: Registry, text: str) -> bool:
    head = ledger.state().contracts.get("api")
    latest = head.revision if head else 0
    try:
        registry.publish(API, {API.path: text.encode()}, LEFT, expected=latest)
    except Conflict:
        return False
    return True
