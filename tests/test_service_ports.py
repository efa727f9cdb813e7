"""Ports that somebody else takes: replaced, or blamed on whom it is due."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_orchestrator import errors
from pytest_orchestrator._stack import process
from tests.small_services import (
    HEALTHY,
    Project,
    environment_of,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project with a stack for Python without requirements."""
    with Project(tmp_path) as project:
        yield project


@pytest.fixture
def squatter() -> Iterator[Callable[[int], None]]:
    """Holds a port until the end of the test, and answers nobody."""
    with ExitStack() as held:

        def hold(port: int) -> None:
            held.enter_context(socket.socket()).bind(("127.0.0.1", port))

        yield hold


@pytest.fixture
def stranger() -> Iterator[Callable[[int], None]]:
    """Another service that listens on a port and is perfectly healthy."""
    running: list[subprocess.Popen[bytes]] = []

    def listen(port: int) -> None:
        command = [sys.executable, "-c", HEALTHY, str(port)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert (running[-1].stdout or sys.stdin.buffer).readline() == b"listening\n"

    yield listen
    for process_ in running:
        process_.kill()
        process_.communicate()


def port_of(url: str) -> int:
    """The port of an address."""
    return int(url.rpartition(":")[2])


def test_port_taken_before_the_start_is_replaced(
    project: Project, stranger: Callable[[int], None]
) -> None:
    """If somebody listens on the chosen port, the service and who knows it get another one."""
    project.add("core")
    project.add("api", environment={"CORE_URL": "{core}"})
    runtime = project.runtime()
    taken = runtime.url("core")
    stranger(port_of(taken))

    started = runtime.start("core", "api")

    assert started["core"].url != taken
    assert environment_of(started["api"])["CORE_URL"] == started["core"].url


def test_port_lost_while_starting_is_replaced(
    project: Project, squatter: Callable[[int], None]
) -> None:
    """If the service exits because somebody was faster, it is started with another port."""
    meet = """
    import pathlib, time
    if not pathlib.Path("port").exists():
        pathlib.Path("port.new").write_text(sys.argv[1])
        pathlib.Path("port.new").rename("port")
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    """
    folder = project.add("core", "import sys\n" + textwrap.dedent(meet) + HEALTHY)
    runtime = project.runtime()

    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(runtime.start, "core")
        wait_until((folder / "port").exists)
        squatter(int((folder / "port").read_text()))
        (folder / "go").touch()

    service = start.result()["core"]
    assert service.port != int((folder / "port").read_text())
    assert "Address already in use" in (service.log.parent / "core.log").read_text()


def test_port_that_is_always_taken_is_not_the_services_fault(
    project: Project, squatter: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If also the second port is taken, the machinery is to blame, and the port is named."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        port = candidate.getsockname()[1]
    squatter(port)
    monkeypatch.setattr(process, "free_port", lambda: port)
    project.add("core")

    with pytest.raises(errors.Infra, match=f"core: port {port} was taken by another program"):
        project.runtime().start("core")


def test_port_known_to_a_running_service_is_not_replaced(
    project: Project, squatter: Callable[[int], None]
) -> None:
    """A service started before cannot be told of a new address, so it is not changed."""
    project.add("core")
    project.add("api", environment={"CORE_URL": "{core}"})
    runtime = project.runtime()
    runtime.start("api")
    squatter(port_of(runtime.url("core")))

    with pytest.raises(errors.Infra, match="core: port"):
        runtime.start("core")


def test_service_that_insists_on_a_port_of_its_own_is_at_fault(
    project: Project, squatter: Callable[[int], None]
) -> None:
    """Not to use the given port is the application's defect, also if its own is taken."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        port = candidate.getsockname()[1]
    squatter(port)
    project.add("core", HEALTHY.replace("int(sys.argv[1])", str(port)))

    with pytest.raises(errors.GateFailed, match="Address already in use"):
        project.runtime().start("core")
