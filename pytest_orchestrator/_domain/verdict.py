"""What a check concludes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from pytest_orchestrator.errors import GateFailed

if TYPE_CHECKING:
    from collections.abc import Iterable


class Outcome(StrEnum):
    """What a gate's verdict can be; everything but ``PASSED`` keeps dependents waiting."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    BLOCKED = "BLOCKED"
    UNVERIFIABLE = "UNVERIFIABLE"
    INFRA = "INFRA"
    BUDGET = "BUDGET"


PRECEDENCE = (
    Outcome.FAILED,
    Outcome.UNVERIFIABLE,
    Outcome.BUDGET,
    Outcome.INFRA,
    Outcome.BLOCKED,
    Outcome.PASSED,
)
"""Which of several outcomes speaks for all of them.

What the application did wrong comes first. Then what stays wrong until a person does
something: installs a tool, grants a budget. Then what may go away by itself, so that
whoever tries again on ``INFRA`` alone never tries in vain. ``BLOCKED`` follows from
another one, and hides none.
"""


class ExitStatus(IntEnum):
    """What a session ends with; 0 only if all that it was to judge has passed.

    ``FAILED`` is what pytest itself says of failed tests; the others are beyond
    pytest's own, which end at 5.
    """

    PASSED = 0
    FAILED = 1
    BLOCKED = 10
    UNVERIFIABLE = 11
    INFRA = 12
    BUDGET = 13
    NOT_JUDGED = 14


def exit_status(outcomes: Iterable[Outcome | None]) -> ExitStatus:
    """What a session ends with, by all that it was to judge; ``None`` was not judged.

    What was not judged comes after all that may have kept it from being judged, and
    before ``BLOCKED``, which may follow from it.
    """
    known = set(outcomes)
    speaks = worst(outcome for outcome in known if outcome is not None)
    if None in known and speaks in {Outcome.BLOCKED, Outcome.PASSED}:
        return ExitStatus.NOT_JUDGED
    return ExitStatus[speaks.name]


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome that speaks for all of them; ``PASSED`` if there are none."""
    return min(outcomes, key=PRECEDENCE.index, default=Outcome.PASSED)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        where: The place, as precise as it is known: ``"core-api.json:12#/paths/~1health"``
            is line 12, and a JSON pointer.
        what: A sentence for the person who will fix it.
        rule: Short stable name of the rule, e.g. ``"required"``; may be empty.
        cure: What to do about it, as an order: ``"declare it in parameters"``; empty
            where ``what`` already says it.
    """

    where: str
    what: str
    rule: str = ""
    cure: str = ""

    def __str__(self) -> str:
        rule = f" [{self.rule}]" if self.rule else ""
        cure = f"; {self.cure}" if self.cure else ""
        return f"{self.where}: {self.what}{rule}{cure}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The findings of one check, in document order; empty means passed."""

    check: str
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(self.check, self.findings + other.findings)

    def raise_for_findings(self) -> None:
        """Fail the gate, unless nothing was found.

        Raises:
            GateFailed: There are findings; the message lists them all.
        """
        __tracebackhide__ = True
        if self.findings:
            raise GateFailed(self.check, self.findings)
