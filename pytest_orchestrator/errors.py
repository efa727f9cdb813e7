"""Everything this package raises on purpose.

::

    OrchestratorError
    ├── RunbookError      the runbook makes no sense; nothing was started
    ├── GateFailed        a gate judged and found something
    └── RunError          something could not be asked, so nothing is known
        ├── Blocked       by a gate, a phase or a contract that is not there yet
        ├── Unverifiable  a tool, an image or a contract is missing on this machine
        ├── Infra         the machinery broke: runtime, trace store, disk
        ├── BudgetSpent   an agent was ended by its budget, so what it built is unfinished
        ├── PhaseFailed   an agent did not get its phase done
        └── Cancelled     the session is stopping
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class OrchestratorError(Exception):
    """Base of everything raised on purpose."""


class RunbookError(OrchestratorError):
    """The runbook contradicts itself; says all that is wrong, one line each."""

    def __init__(self, source: str, findings: Sequence[object]) -> None:
        self.source = source
        self.findings = tuple(findings)
        lines = "\n".join(f"  {finding}" for finding in self.findings)
        super().__init__(f"{source}: {len(self.findings)} finding(s), nothing was started\n{lines}")


class GateFailed(OrchestratorError):
    """A check said no; the message lists every finding."""

    def __init__(self, check: str, findings: Sequence[object]) -> None:
        self.check = check
        self.findings = tuple(findings)
        lines = "\n".join(f"  {finding}" for finding in self.findings)
        super().__init__(f"{check}: {len(self.findings)} finding(s)\n{lines}")


class RunError(OrchestratorError):
    """Something could not be asked. pytest reports it as an error, never as a pass."""

    verdict: ClassVar[str] = "INFRA"


class Blocked(RunError):
    """What this needs has not been reached."""

    verdict: ClassVar[str] = "BLOCKED"


class Unverifiable(RunError):
    """This machine lacks what it takes to judge; the message says what to install."""

    verdict: ClassVar[str] = "UNVERIFIABLE"


class Infra(RunError):
    """The machinery around the application broke, not the application."""


class BudgetSpent(RunError):
    """A part was ended by its budget; the message says what was spent, and which key to raise."""

    verdict: ClassVar[str] = "BUDGET"


class PhaseFailed(RunError):
    """An agent's part of a phase is over and was not done."""

    verdict: ClassVar[str] = "FAILED"


class Cancelled(RunError):
    """The session is stopping, so this was not carried out."""

    verdict: ClassVar[str] = "BLOCKED"
