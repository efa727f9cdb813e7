"""What judges a run: read before agents begin, and compared before each verdict."""

from __future__ import annotations

import stat
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.event import SourcesChanged, SourcesSealed
from pytest_orchestrator._run.gate_key import PACKAGE, sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_orchestrator._domain.plan import Plan
    from pytest_orchestrator._run.judge import Project
    from pytest_orchestrator._run.ledger import Ledger

INSTALLED = "(installed) "
_Signature = tuple[int, int, int, int]


class Sources:
    """The files a project is judged by; a file is read again only if the kernel says it changed.

    Args:
        plan: The plan of this run.
        project: Where the runbook and the gates are.
    """

    def __init__(self, plan: Plan, project: Project) -> None:
        self._plan = plan
        self._project = project
        self._known: dict[Path, tuple[_Signature, str]] = {}

    def digests(self) -> dict[str, str]:
        """sha256 of each file, by its path in the project; what is not there is left out."""
        found = ((file, self._digest(file)) for file in self._files())
        return {self._called(file): digest for file, digest in found if digest}

    def seal(self, ledger: Ledger, session: str) -> None:
        """Write down what judges in a session."""
        ledger.append(SourcesSealed(session=session, files=self.digests()))

    def changed(self, ledger: Ledger, session: str) -> str:
        """What is not as it was sealed, as a sentence, and written down; empty if all is."""
        state = ledger.state()
        if state.session != session or not state.sealed:
            return ""
        files = differing(state.sealed, self.digests())
        if set(files) - state.changed.keys():
            ledger.append(SourcesChanged(session=session, files=files))
        return told(ledger.state().changed)

    def _files(self) -> tuple[Path, ...]:
        briefs = {self._project.root / brief for brief in self._plan.briefs}
        return tuple(sorted(briefs.union(sources(self._plan, self._project).values())))

    def _digest(self, file: Path) -> str:
        try:
            about = file.stat()
            if not stat.S_ISREG(about.st_mode):
                return ""
            # The change time is the kernel's own: nobody sets it back, as they do with mtime.
            signature = (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
            known = self._known.get(file)
            if known is None or known[0] != signature:
                known = self._known[file] = signature, sha256(file.read_bytes()).hexdigest()
        except OSError:
            return ""
        return known[1]

    def _called(self, file: Path) -> str:
        if file.is_relative_to(PACKAGE):
            return f"{INSTALLED}{file.relative_to(PACKAGE.parent)}"
        if file.is_relative_to(self._project.root):
            return str(file.relative_to(self._project.root))
        return str(file)


def differing(sealed: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """The paths that are new, gone or of another content; sorted."""
    return tuple(sorted(f for f in sealed.keys() | now if sealed.get(f) != now.get(f)))


def told(changed: Mapping[str, float]) -> str:
    """What has changed, since when, and what to do about it; empty if nothing has."""
    if not changed:
        return ""
    clock = time.strftime("%H:%M:%S", time.localtime(min(changed.values())))
    files = sorted(changed)
    own = [file for file in files if not file.startswith(INSTALLED)]
    installed = "`pip install --force-reinstall pytest-orchestrator`" if own != files else ""
    look = f"`git diff -- {' '.join(own)}` shows what, `git checkout` undoes it" if own else ""
    return (
        f"{', '.join(files)} changed during the session (seen at {clock}), so nothing is "
        f"judged by what was agreed; {'; '.join(filter(None, (look, installed)))}. If it was you, "
        "run again"
    )
