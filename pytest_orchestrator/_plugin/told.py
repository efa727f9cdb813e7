"""What the report of a test means for its gate, and how that travels: as the report's properties.

They cross from xdist's workers to the controller, and pytest writes them into the
JUnit report, so all of it is text.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_orchestrator._domain.verdict import Finding, Outcome, worst
from pytest_orchestrator.errors import GateFailed, RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

GATE = "orchestrator_gate"
VERDICT = "orchestrator_verdict"
REASON = "orchestrator_reason"
FINDINGS = "orchestrator_findings"
REUSED = "orchestrator_reused"


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a test so far.

    Attributes:
        verdict: What it says for its gate.
        reason: Why it did not pass, as text.
        findings: What its checks have found.
    """

    verdict: Outcome
    reason: str = ""
    findings: tuple[Finding, ...] = ()

    @classmethod
    def read(cls, properties: Mapping[str, object]) -> Told:
        """Read it back from a report's properties, which have a verdict."""
        findings = json.loads(str(properties.get(FINDINGS, "[]")))
        return cls(
            Outcome(str(properties[VERDICT])),
            str(properties.get(REASON, "")),
            tuple(Finding(**each) for each in findings),
        )

    def properties(self, gate: str) -> list[tuple[str, object]]:
        """Write it as a report's properties; what is empty is left out."""
        findings = json.dumps([asdict(each) for each in self.findings]) if self.findings else ""
        told = ((GATE, gate), (VERDICT, self.verdict.value), (REASON, self.reason))
        return [(name, text) for name, text in (*told, (FINDINGS, findings)) if text]

    def or_worse(self, other: Told) -> Told:
        """The one of the two that decides; this one, if they say the same."""
        return self if worst((self.verdict, other.verdict)) is self.verdict else other


def read_report(report: pytest.TestReport, call: pytest.CallInfo[None]) -> Told:
    """What one report means for a gate.

    What was raised counts for more than the report's outcome, which any plugin may
    change; and nothing that was skipped or expected to fail is a pass.
    """
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, GateFailed):
        return Told(Outcome.FAILED, "\n".join(map(str, error.findings)), _findings(error))
    if isinstance(error, RunError):
        return Told(Outcome(error.verdict), str(error))
    if hasattr(report, "wasxfail"):
        expected = f"marked xfail: {report.wasxfail}".removesuffix(": ")
        return Told(Outcome.FAILED, f"{expected}; a gate has no expected failures")
    if isinstance(error, pytest.skip.Exception) or report.skipped:
        told = str(error) if error is not None else _message(report)
        return Told(Outcome.UNVERIFIABLE, f"skipped: {told}; what is skipped judges nothing")
    if error is None and report.passed:
        return Told(Outcome.PASSED)
    if report.when == "call" or isinstance(error, pytest.UsageError):
        return Told(Outcome.FAILED, _message(report) or repr(error))
    return Told(Outcome.INFRA, f"{report.when} broke: {_message(report) or repr(error)}")


def _findings(failed: GateFailed) -> tuple[Finding, ...]:
    return tuple(
        each if isinstance(each, Finding) else Finding(failed.check, str(each))
        for each in failed.findings
    )


def _message(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(getattr(crash, "message", "") or report.longreprtext)
