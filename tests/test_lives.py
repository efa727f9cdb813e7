"""Services are followed from their start to their end; what is wrong is seen, and ended."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

from pytest_orchestrator import errors
from pytest_orchestrator._stack.lives import Lives
from pytest_orchestrator._stack.processes import escaped
from pytest_orchestrator.checks import check_ending, check_health, check_steady
from tests.small_services import Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_orchestrator._domain.life import Life
    from pytest_orchestrator._domain.verdict import Finding

pytestmark = pytest.mark.slow

# What varies comes before it: `answer(handler)` returns status, content type and text.
SERVER = """
import http.server, json, os, signal, socket, subprocess, sys, threading, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, media_type, text = answer(self)
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Location", "/health/")
        self.end_headers()
        self.wfile.write(text.encode())

def serve(port, host="127.0.0.1", family=socket.AF_INET):
    http.server.ThreadingHTTPServer.address_family = family
    http.server.ThreadingHTTPServer((host, port), Handler).serve_forever()

def answer(handler):
    return 200, "application/json", '{"status": "ok"}'

port = int(sys.argv[1])
"""
SERVE = "\nserve(port)\n"
WATCHED = {"steady_s": 0.5, "stop_s": 2.0, "start_s": 10.0}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project with a stack for Python without requirements."""
    with Project(tmp_path) as project:
        yield project


def main(code: str) -> str:
    """A service that does this in place of serving."""
    return SERVER + textwrap.dedent(code)


def followed(project: Project, *names: str) -> Lives:
    """The lives of services of a project."""
    return Lives(project.runtime(), project.plan(), names or tuple(project.services))


def life_of(project: Project, code: str = SERVE, **values: object) -> Life:
    """The life of a service with this code."""
    project.add("core", main(code), **{**WATCHED, **values})
    lives = followed(project)
    return lives["core"]


def findings_of(life: Life) -> list[Finding]:
    """All that is wrong with a life."""
    verdict = check_steady(life) + check_health(life, {"status": "ok"}) + check_ending(life)
    return list(verdict.findings)


def nobody_left(project: Project) -> bool:
    """Whether no process has a home folder of a runtime of this project."""
    homes = [r._place.home(s) for r in project.runtimes for s in r._plan.services.values()]
    return not any(escaped(home) for home in homes)


@pytest.mark.parametrize(
    "code",
    [
        SERVE,
        "serve(port, '0.0.0.0')",
        "serve(port, '::', socket.AF_INET6)",
        # The listener is a child of the process that was started, and is ended by it.
        """
        if (child := os.fork()) == 0:
            serve(port)
        signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
        os.waitpid(child, 0)
        """,
        # A port more, and a helper that ends a little later than the process itself.
        """
        parent = os.getpid()
        if os.fork() == 0:
            while os.getppid() == parent:
                time.sleep(0.2)
            os._exit(0)
        threading.Thread(target=serve, args=(0,), daemon=True).start()
        serve(port)
        """,
        """
        def answer(handler):
            if handler.path == "/health":
                return 308, "text/plain", ""
            return 200, "application/json", '{"more": 1, "status": "ok"}'
        serve(port)
        """,
    ],
)
def test_honest_service_has_no_finding(project: Project, code: str) -> None:
    """Addresses, helpers and redirects by a slash are a service's own business."""
    life = life_of(project, code)

    assert findings_of(life) == []
    assert life.lived_s >= 0.5
    assert {answer.asked_as for answer in life.answers} > {"curl", "a browser"}
    assert nobody_left(project)


@pytest.mark.parametrize(
    ("code", "rule", "said"),
    [
        ("threading.Timer(0.7, os._exit, (0,)).start()\nserve(port)", "died", "with status 0"),
        (
            """
            threading.Timer(2.5, os.execv, (sys.executable, sys.orig_argv)).start()
            time.sleep(1)
            serve(port)
            """,
            "unsteady",
            "times in",
        ),
        (
            """
            def answer(handler):
                known = "curl" in handler.headers["User-Agent"]
                return 500 if known else 200, "application/json", '{"status": "ok"}'
            serve(port)
            """,
            "asker",
            "when curl asks",
        ),
        (
            """
            while True:
                if (child := os.fork()) == 0:
                    signal.signal(signal.SIGTERM, signal.SIG_DFL)
                    serve(port)
                signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
                time.sleep(1.2)
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            """,
            "restart",
            "was gone",
        ),
        ("print('x' * 1_500_000)\nserve(port)", "log", "wrote 1.5 MB of log"),
        (
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nserve(port)",
            "ignores-sigterm",
            "had not ended 2 s later",
        ),
        (
            "signal.signal(signal.SIGTERM, lambda *_: os._exit(3))\nserve(port)",
            "exit-status",
            "ended with status 3",
        ),
        (
            "if os.fork() == 0:\n    serve(0)\nserve(port)",
            "left-behind",
            "main.py",
        ),
        (
            """
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(600)
                os._exit(0)
            serve(port)
            """,
            "left-behind",
            "main.py",
        ),
    ],
)
def test_what_is_wrong_is_seen_and_ended(project: Project, code: str, rule: str, said: str) -> None:
    """Each fault has its rule; whatever the service does, no process of it is left."""
    life = life_of(project, code, steady_s=4.0 if rule in {"restart", "unsteady"} else 1.5)

    found = {finding.rule: finding.what for finding in findings_of(life)}

    assert said in found[rule]
    assert nobody_left(project)


@pytest.mark.parametrize(
    ("code", "rule", "said"),
    [
        ("serve(0)", "port", r"it listens on 127\.0\.0\.1:\d+, not on the port it was given"),
        ("serve(port, '::1', socket.AF_INET6)", "address", r"it listens on \[::1\]:\d+, not on"),
        ("time.sleep(600)", "start", "it listens on no port"),
        (
            "def answer(handler):\n    return 500, 'text/plain', 'no'\nserve(port)",
            "status",
            "last: 500 Internal Server Error",
        ),
        ("def answer(handler):\n    time.sleep(600)\nserve(port)", "no-answer", "no answer within"),
        (
            "if os.fork() == 0:\n    os.setsid()\n    serve(port)\ntime.sleep(0.5)\nos._exit(0)",
            "died",
            "ended with status 0",
        ),
        (
            """
            if os.fork() == 0:
                os.setsid()
                answer = lambda handler: (503, 'text/plain', 'wait')
                serve(port)
            time.sleep(0.5)
            """,
            "start",
            r"ended with status 0 before /health answered 200, and left process \d+",
        ),
    ],
)
def test_start_that_fails_says_why(project: Project, code: str, rule: str, said: str) -> None:
    """The finding says where it listens instead, or what it answers, and comes in time."""
    began_s = time.monotonic()
    project.add("core", main(code), **{**WATCHED, "start_s": 4.0})
    lives = followed(project)

    try:
        (finding, *_) = findings_of(lives["core"])
    except errors.GateFailed as failed:
        (finding,) = failed.findings  # type: ignore[assignment] # findings are Findings here

    assert finding.rule == rule
    assert time.monotonic() - began_s < 4.0 + 5.0 + 5.0  # its deadline, one answer, its end
    assert re.search(said, finding.what)
    assert nobody_left(project)


@pytest.mark.parametrize("healthy", [True, False])
def test_answer_of_a_stranger_is_not_judged(project: Project, *, healthy: bool) -> None:
    """A foreign process on the service's port is the machine's fault, and is named."""
    folder = project.add(
        "core", "import sys, time\nopen('port', 'w').write(sys.argv[1])\ntime.sleep(600)", **WATCHED
    )
    status = 200 if healthy else 503
    foreign = main(f"""
    import pathlib
    def answer(handler):
        return {status}, "application/json", json.dumps({{"status": "ok"}})
    file = pathlib.Path({str(folder / "port")!r})
    while not file.exists() or not file.read_text():
        time.sleep(0.01)
    serve(int(file.read_text()))
    """)
    stranger = subprocess.Popen([sys.executable, "-c", foreign, "0"], stderr=subprocess.DEVNULL)
    try:
        project.services["core"]["start_s"] = 8.0
        lives = followed(project)
        with pytest.raises(errors.Infra, match=f"core: port .* is held by process {stranger.pid} "):
            lives["core"]
    finally:
        stranger.kill()
        stranger.wait()


def test_services_are_followed_side_by_side(project: Project) -> None:
    """Both are watched before either is ended, so that together they take as long as one."""
    for name, other in {"core": "api", "api": "core"}.items():
        code = f"""
        import pathlib
        asked = []
        def answer(handler):
            asked.append(1)
            if len(asked) == 3:
                pathlib.Path("../{name}.watched").touch()
            return 200, "application/json", json.dumps({{"status": "ok"}})
        met = pathlib.Path("../{other}.watched").exists
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0 if met() else 1))
        serve(port)
        """
        project.add(name, main(code), **{**WATCHED, "steady_s": 1.5})
    lives = followed(project)

    assert [lives[name].ending.status for name in ("core", "api")] == [0, 0]
    assert lives["core"] is lives["core"]


def test_services_cannot_reach_each_other(project: Project) -> None:
    """Each is told an address of the other where nobody answers, but its own as it is."""
    code = """
    import urllib.request
    def answer(handler):
        if handler.path != "/health":
            return 200, "text/plain", "here"
        try:
            return 200, "text/plain", urllib.request.urlopen(os.environ["URL"]).read().decode()
        except OSError as error:
            return 200, "text/plain", str(error)
    serve(port)
    """
    project.add("core", main(code), environment={"URL": "{api}"}, **WATCHED)
    project.add("api", main(code), environment={"URL": "{api}"}, **WATCHED)
    project.add("frontend", main(code), environment={"URL": "{core}"}, **WATCHED)
    runtime = project.runtime()
    lives = Lives(runtime, project.plan(), ["core", "api", "frontend"])

    said = {name: {a.body for a in lives[name].answers} for name in ("core", "api", "frontend")}

    assert said["core"] == said["api"] == {"here"}
    assert "refused" in said["frontend"].pop()


def test_one_service_that_fails_does_not_spare_the_others(project: Project) -> None:
    """The life of a healthy service is judged though another one could not be started."""
    project.add("core", "raise SystemExit(7)", **WATCHED)
    project.add("api", main(SERVE), **WATCHED)
    lives = followed(project)

    with pytest.raises(errors.GateFailed, match="core: ended with status 7"):
        lives["core"]
    assert findings_of(lives["api"]) == []


def test_page_is_asked_for_by_everybody(project: Project) -> None:
    """Each client asks for the page twice: before the service is watched, and after it."""
    code = """
    def answer(handler):
        return 200, "application/json", json.dumps([handler.path, handler.headers["User-Agent"]])
    serve(port)
    """

    life = life_of(project, code, page="/start")

    shown = [json.loads(page.body) for page in life.pages]
    assert {path for path, _ in shown} == {"/start"}
    assert len({agent for _, agent in shown}) == 4
    assert len(shown) == 8
