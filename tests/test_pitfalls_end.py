"""However a session ends, nothing that was started for it outlives it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pytest_orchestrator._domain.event import NodeClaimed
from pytest_orchestrator._run.ledger import Ledger
from tests.project import Project

# Promised are 5 s; the rest is for machines that have other things to do.
GONE_S = 5.0 + 25.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
STUBBORN = """
    import subprocess
    from meeting import *
    be_stubborn()
    life = live("agent-" + os.environ.get("RUN", ""))
    if __name__ == "__main__":
        child = Path(__file__).with_name("child.py")
        subprocess.Popen([sys.executable, str(child)])
    until(lambda: False, "the end of everything")
"""
CHILD = STUBBORN.replace("agent-", "child-").replace("__main__", "")
LIVING_WORKERS = """

def pytest_sessionstart(session):
    import fcntl, os
    from pathlib import Path
    told = getattr(session.config, "workerinput", None)
    if told:
        life = Path(__file__).with_name(f"{told['workerid']}-{os.environ['RUN']}.alive").open("w")
        fcntl.flock(life, fcntl.LOCK_EX)
        session.config.life = life
"""


def claims(run: Path) -> int:
    """How often somebody has set out to have a phase carried out."""
    ledger = Ledger(run)
    try:
        return sum(isinstance(entry.event, NodeClaimed) for entry in ledger.entries())
    finally:
        ledger.close()


@pytest.fixture
def stubborn(project: Project) -> Project:
    """A project of one phase whose agent cannot be asked to end, nor what it has started."""
    project.shrink("left")
    project.agent("left-one", STUBBORN)
    project.agent("child", CHILD)
    return project


# Pitfall 8.
@pytest.mark.parametrize("mode", ["-n0", "-n2"])
def test_nothing_outlives_a_session_that_is_ended_from_outside(
    stubborn: Project, mode: str
) -> None:
    """Ctrl-C, SIGTERM, kill -9 of the controller: agents, their children and workers are gone."""
    stubborn.append("conftest.py", LIVING_WORKERS)
    workers = ["gw0", "gw1"] if mode == "-n2" else []
    names = {f"{who}-{s.name}" for who in ("agent", "child", *workers) for s in SIGNALS}
    sessions = [stubborn.start(mode, f"--run-id={s.name}", RUN=s.name) for s in SIGNALS]
    try:
        stubborn.wait_until(lambda: stubborn.alive() == names)

        for session, signum in zip(sessions, SIGNALS, strict=True):
            session.send_signal(signum)

        stubborn.wait_until(lambda: not stubborn.alive(), timeout_s=GONE_S)
        ended = [session.wait(GONE_S) for session in sessions]
    finally:
        for session in sessions:
            session.kill()
            session.wait()
    assert ended == [pytest.ExitCode.INTERRUPTED, -signal.SIGTERM, -signal.SIGKILL]
    assert stubborn.started() == ["left-one"] * len(SIGNALS)
    # A worker that is left over for a moment starts nothing more.
    runs = stubborn.root / ".orchestrator" / "runs"
    assert {s.name: claims(runs / s.name) for s in SIGNALS} == {s.name: 1 for s in SIGNALS}


# Pitfall 9.
def test_first_failure_ends_the_agents_under_x(stubborn: Project) -> None:
    """``-x`` waits neither for an agent that works nor for one that does not want to end."""
    stubborn.append("gates/test_phases.py", """
        def test_fails():
            import pathlib, time
            deadline_s = time.monotonic() + 60
            while not pathlib.Path("child-.alive").exists() and time.monotonic() < deadline_s:
                time.sleep(0.02)
            assert False
    """)  # fmt: skip

    result = stubborn.run("-n2", "-x", timeout_s=2 * GONE_S)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["failed"] == 1
    stubborn.wait_until(lambda: not stubborn.alive())
    assert stubborn.started() == ["left-one"]
