"""Services of a few lines, runtimes for them, and how to see that none is left."""

from __future__ import annotations

import fcntl
import textwrap
import time
from typing import TYPE_CHECKING, Any, Self

import httpx

from pytest_orchestrator._domain.plan import Plan
from pytest_orchestrator._stack.process import ProcessRuntime, RunningService

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEADLINE_S = 30.0
PYTHON = {"recognised_by": ["main.py"], "start": ["{python}", "main.py", "{port}"]}
# Shows its environment; what varies comes before it (`status`: of /health).
SERVER = """
import http.server, json, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(status() if self.path == "/health" else 200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())

server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("listening", flush=True)
server.serve_forever()
"""
HEALTHY = "status = lambda: 200\n" + SERVER

# Both processes hold a lock that is free when they are dead; zombies do not hold it.
HOLDING = """
import fcntl, os, signal, time
held = open("held", "w")
fcntl.flock(held, fcntl.LOCK_SH)
if os.fork() == 0:
    time.sleep(600)
"""
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HOLDING


class Project:
    """A tree of services under a folder, and runtimes for it that are closed in the end.

    It begins with one stack, for Python without requirements, and no service.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = folder / "tree"
        self.services: dict[str, dict[str, Any]] = {}
        self.stacks: dict[str, dict[str, Any]] = {"python": dict(PYTHON)}
        self.runtimes: list[ProcessRuntime] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for runtime in self.runtimes:
            runtime.close()

    def add(self, name: str, main: str = HEALTHY, **values: object) -> Path:
        """Write a service; return its folder."""
        self.services[name] = {"agent": name, "path": name, "stack": "python", "port": 1, **values}
        (self.tree / name).mkdir(parents=True)
        (self.tree / name / "main.py").write_text(textwrap.dedent(main))
        return self.tree / name

    def plan(self) -> Plan:
        """The plan with all services so far."""
        return Plan.model_validate(
            {
                "run": {"name": "test"},
                "budget": {},
                **{key: {} for key in ("agents", "tasks", "contracts", "gates")},
                "stacks": {name: {"name": name, **s} for name, s in self.stacks.items()},
                "services": {name: {"name": name, **s} for name, s in self.services.items()},
            }
        )

    def runtime(self, traces_url: str | dict[str, str] | None = None) -> ProcessRuntime:
        """A runtime with a folder of its own."""
        folder = self.folder / f"runtime-{len(self.runtimes)}"
        self.runtimes.append(
            ProcessRuntime(
                self.plan(), self.tree, folder, self.folder / "cache", traces_url=traces_url
            )
        )
        return self.runtimes[-1]


def wait_until(fact: Callable[[], bool]) -> None:
    """Wait for something that happens in another process or thread."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not fact():
        assert time.monotonic() < deadline_s, "it did not happen"
        time.sleep(0.01)


def environment_of(service: RunningService) -> dict[str, str]:
    """What the service sees as its environment."""
    shown: dict[str, str] = httpx.get(service.url, trust_env=False).json()
    return shown


def all_dead(folder: Path) -> bool:
    """Whether nobody holds the lock any more."""
    with (folder / "held").open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
