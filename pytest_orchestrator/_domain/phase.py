"""What a phase fixture gives to a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """How an agent's part of a phase ended.

    Attributes:
        agent: Whose part it was.
        phase: Its number.
        status: ``"succeeded"``; ``"off"`` when gates judge a tree as it is and
            no agent works. A phase that failed is an error of the fixture.
        commit: The commit of the run's repository that holds what was built;
            empty when ``status`` is ``"off"``.
        attempts: How many attempts each of its tasks took, by name.
    """

    agent: str
    phase: int
    status: Literal["succeeded", "off"]
    commit: str
    attempts: dict[str, int]
