"""Services as local processes: healthy or explained, and gone when told."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from pytest_orchestrator import errors
from pytest_orchestrator._stack import process
from tests.small_services import (
    HEALTHY,
    HOLDING,
    SERVER,
    STUBBORN,
    Project,
    all_dead,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project with a stack for Python without requirements."""
    with Project(tmp_path) as project:
        yield project


def test_healthy_service_is_described(project: Project) -> None:
    """A started service has an address that answers, a process, a log and a stack."""
    project.add("core")

    service = project.runtime().start("core")["core"]

    assert service.alive
    assert (service.name, service.stack) == ("core", "python")
    assert service.url == f"http://127.0.0.1:{service.port}"
    assert os.getpgid(service.pid) == service.pid
    assert "listening" in service.log_tail()
    assert httpx.get(service.url, trust_env=False).status_code == 200


def test_stopped_service_is_gone(project: Project) -> None:
    """Stopping returns the exit status; afterwards the process and its port are free."""
    project.add("core")
    runtime = project.runtime()
    service = runtime.start("core")["core"]

    assert runtime.stop("core") == {"core": 128 + signal.SIGTERM}

    assert not service.alive
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", service.port))
    assert runtime.stop("core") == {}


def test_restarted_service_keeps_its_address(project: Project) -> None:
    """Others know a service's address, so it is the same after a restart; the log is new."""
    project.add("core")
    runtime = project.runtime()
    first = runtime.start("core")["core"]
    runtime.stop("core")

    second = runtime.start("core")["core"]

    assert (second.url, second.log.name) == (first.url, "core-2.log")
    assert second.pid != first.pid
    assert not first.alive


def test_running_service_is_left_as_it_is(project: Project) -> None:
    """Starting a service twice, also from several threads, starts it once."""
    project.add("core")
    runtime = project.runtime()

    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(lambda _: runtime.start("core")["core"], range(4)))

    assert len({id(service) for service in started}) == 1


def test_services_start_side_by_side(project: Project) -> None:
    """Two services that each wait for the other to have been started become healthy."""
    for name, other in {"core": "api", "api": "core"}.items():
        meet = f"""
        import pathlib, time
        pathlib.Path("../{name}.started").touch()
        while not pathlib.Path("../{other}.started").exists():
            time.sleep(0.01)
        """
        project.add(name, textwrap.dedent(meet) + HEALTHY)

    started = project.runtime().start("core", "api")

    assert list(started) == ["core", "api"]
    assert all(service.alive for service in started.values())


def test_stubborn_service_is_stopped_with_its_child(project: Project) -> None:
    """A service that ignores SIGTERM, and what it forked, are killed."""
    folder = project.add("core", STUBBORN + HEALTHY)
    runtime = project.runtime()
    runtime.start("core")
    assert not all_dead(folder)

    assert runtime.stop("core") == {"core": 128 + signal.SIGKILL}

    assert all_dead(folder)


def test_killed_owner_leaves_no_service(project: Project) -> None:
    """``kill -9`` of the process that has the runtime ends its services and what they forked."""
    folder = project.add("core", STUBBORN + HEALTHY)
    code = """
    import pathlib, sys, time
    from pytest_orchestrator._domain.plan import Plan
    from pytest_orchestrator._stack.process import ProcessRuntime
    plan, tree, folder = Plan.model_validate_json(sys.argv[1]), *map(pathlib.Path, sys.argv[2:])
    print(ProcessRuntime(plan, tree, folder, folder).start("core")["core"].pid, flush=True)
    time.sleep(600)
    """
    arguments = [project.plan().model_dump_json(), str(project.tree), str(project.folder / "run")]
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(process.__file__).parents[2])},
        stdout=subprocess.PIPE,
    )
    try:
        assert owner.stdout is not None
        assert int(owner.stdout.readline()) > 1
        assert not all_dead(folder)
    finally:
        owner.kill()
        owner.communicate()

    wait_until(lambda: all_dead(folder))


def test_closed_runtime_starts_nothing(project: Project) -> None:
    """Closing stops all services; it may be done twice and is for good."""
    project.add("core")
    with project.runtime() as runtime:
        service = runtime.start("core")["core"]
    runtime.close()

    assert not service.alive
    with pytest.raises(errors.Cancelled):
        runtime.start("core")


@pytest.mark.parametrize("where", ["start", "build"])
def test_closing_ends_what_is_under_way(project: Project, where: str) -> None:
    """A start that waits for health, or for a build, ends when the runtime is closed."""
    waiting = HOLDING + "open('waiting', 'w').close()\ntime.sleep(600)"
    folder = project.add("core", waiting if where == "start" else HEALTHY, start_s=600)
    (folder / "build.py").write_text(waiting)
    project.stacks["python"]["build"] = [["{python}", "build.py"]] if where == "build" else []
    runtime = project.runtime()

    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(runtime.start, "core")
        wait_until((folder / "waiting").exists)
        runtime.close()

    assert isinstance(start.exception(), errors.Cancelled)
    assert all_dead(folder)


def test_interrupted_start_leaves_nothing_and_the_runtime_usable(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while services start ends these; others run on, and starting again works."""
    once = "import pathlib, time\nfirst = not pathlib.Path('held').exists()\n" + HOLDING
    folder = project.add("core", once + "if first:\n    time.sleep(600)\n" + HEALTHY, start_s=600)
    project.add("api")
    runtime = project.runtime()
    api = runtime.start("api")["api"]

    def interrupted(_: object) -> None:
        wait_until(lambda: (folder / "held").exists() and not all_dead(folder))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(process, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            runtime.start("core")

    assert all_dead(folder)
    assert api.alive
    assert runtime.start("core")["core"].alive


@pytest.mark.parametrize(
    ("main", "last"),
    [
        ("status = lambda: 503\n" + SERVER, "503 Service Unavailable)"),
        ("status = lambda: 204\n" + SERVER, "204 No Content)"),
        (
            "import time\nprint('listening')\ntime.sleep(600)",
            "connection refused); it listens on no port",
        ),
    ],
)
def test_service_that_is_never_healthy(project: Project, main: str, last: str) -> None:
    """Anything but 200 until time is up is a finding, with the last answer and the log."""
    project.add("core", "import sys\nprint('starting up', flush=True)\n" + main, start_s=1.5)
    runtime = project.runtime()

    with pytest.raises(errors.GateFailed) as caught:
        runtime.start("core")

    said = f"core: /health did not answer 200 within 1.5 s (last: {last}; the last lines of "
    assert said in str(caught.value)
    assert "    starting up" in str(caught.value)
    assert runtime.stop("core") == {}


def test_service_that_was_not_healthy_is_not_started_again(project: Project) -> None:
    """The second test that asks for it gets the same findings, and no second deadline passes."""
    folder = project.add(
        "core", "open('starts', 'a').write('x')\nstatus = lambda: 503\n" + SERVER, start_s=1.0
    )
    runtime = project.runtime()
    with pytest.raises(errors.GateFailed) as first:
        runtime.start("core")

    with pytest.raises(errors.GateFailed) as second:
        runtime.start("core")

    assert second.value.findings == first.value.findings
    assert (folder / "starts").read_text() == "x"


def test_service_that_takes_its_time(project: Project) -> None:
    """A service may say 503 for a while before it is healthy."""
    project.add(
        "core", "asked = [503, 503, 503]\nstatus = lambda: asked.pop() if asked else 200\n" + SERVER
    )

    assert project.runtime().start("core")["core"].alive


@pytest.mark.parametrize(
    ("main", "said"),
    [
        ("raise SystemExit(7)", "ended with status 7 before /health answered 200"),
        ("import os; os.abort()", "ended with status 134 (SIGABRT) before /health answered"),
        ("import nothing_like_this", "No module named 'nothing_like_this'"),
    ],
)
def test_service_that_exits_is_reported_at_once(project: Project, main: str, said: str) -> None:
    """A service that exits before it is healthy is not waited for."""
    project.add("core", main, start_s=600)

    with pytest.raises(errors.GateFailed, match=re.escape(said)):
        project.runtime().start("core")


def test_all_failures_are_reported_together(project: Project) -> None:
    """When several services fail, each has its finding; a healthy one runs on."""
    project.add("core", "raise SystemExit(1)")
    project.add("api", "raise SystemExit(2)")
    project.add("frontend")
    runtime = project.runtime()

    with pytest.raises(errors.GateFailed) as caught:
        runtime.start("core", "api", "frontend")

    assert [str(finding)[:4] for finding in caught.value.findings] == ["core", "api:"]
    assert list(runtime.stop("core", "api", "frontend")) == ["frontend"]
