"""A real browser: asked for by --browser only, found where it is, and gone when it is over."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pytest_orchestrator._domain.verdict import ExitStatus, Finding, Verdict
from pytest_orchestrator._stack.browser import EXECUTABLE, Browser, Visit, find_chromium
from pytest_orchestrator.errors import Unverifiable
from tests.project import Project

INSTALLED = importlib.util.find_spec("playwright") is not None and (
    shutil.which("chromium") or shutil.which("google-chrome")
)
REAL = pytest.mark.skipif(
    not INSTALLED, reason="needs chromium, and Playwright: pip install 'playwright>=1.50'"
)
# The session's own interpreter, with a browser that is not there.
HIDDEN = "import sys\nsys.modules['playwright'] = None\n"
GATE = """
import os
import pytest
from pathlib import Path

pytestmark = pytest.mark.gate("G1")

def test_without():
    pass

def test_with(browser):
    Path("profile").write_text(str(browser._folder / "profile"))
    visit = browser.ask(os.environ["PAGE"], "Why?", timeout_s=float(os.environ["PATIENCE_S"]))
    assert 'data-field="status"' in visit.html
"""
PAGE = """<!doctype html><html><title>Ask</title><body>
<form method=post><input name=question><button>Ask</button></form>%s</body></html>"""


class Asked(BaseHTTPRequestHandler):
    """A page with a form; ``GET /mute`` has one whose outcome never comes."""

    outcome = ""

    def do_GET(self) -> None:
        """The form."""
        self._page("")

    def do_POST(self) -> None:
        """What became of the question; nothing at ``/mute``."""
        self.rfile.read(int(self.headers["content-length"]))
        self._page("" if self.path == "/mute" else self.outcome)

    def _page(self, outcome: str) -> None:
        body = (PAGE % outcome).encode()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def page() -> Iterator[str]:
    """The address of a page."""
    Asked.outcome = '<p data-field="status">answered</p>'
    server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def asking(project: Project) -> Project:
    """A project without agents whose gate has a test in a browser."""
    project.finish()
    project.write("gates/test_g1.py", GATE)
    return project


def browsers(profile: str) -> list[str]:
    """The processes of the browser with this profile."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True
    )
    return [line for line in listed.stdout.splitlines() if profile in line]


def until(fact: object, *, within_s: float = 30.0) -> None:
    """Wait for something that happens in another process."""
    assert callable(fact)
    deadline_s = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline_s, "it did not happen"
        time.sleep(0.05)


# ---------------------------------------------------------------- whether, and which


def test_without_the_option_the_test_is_not_there(asking: Project) -> None:
    """It is neither skipped nor part of the verdict."""
    result = asking.run("--agents=off", "--gate=G1", "-n0")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["G1*PASSED*"])


def test_option_without_playwright_is_unverifiable(
    asking: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error with the command that helps; never a skip, and never a pass."""
    hidden = asking.write("hidden/sitecustomize.py", HIDDEN).parent
    monkeypatch.setenv("PYTHONPATH", f"{hidden}{os.pathsep}{os.environ['PYTHONPATH']}")

    result = asking.run("--agents=off", "--gate=G1", "-n0", "--browser")

    assert result.ret == ExitStatus.UNVERIFIABLE
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([
        "*Playwright*pip install 'pytest-orchestrator*browser*'*", "G1*UNVERIFIABLE*",
    ])  # fmt: skip


def test_browser_is_found_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable, on the PATH, or where Playwright has put its own; in this order."""
    for name in ("own", "chromium-browser", "other"):
        (tmp_path / name).touch(mode=0o755)
    own = str(tmp_path / "own")
    monkeypatch.delenv(EXECUTABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert str(tmp_path / "chromium-browser") == find_chromium(own)
    (tmp_path / "chromium-browser").unlink()
    assert own == find_chromium(own)
    monkeypatch.setenv(EXECUTABLE, str(tmp_path / "other"))
    assert str(tmp_path / "other") == find_chromium(own)


def test_browser_that_is_nowhere_is_unverifiable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to install, or which setting names no program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(EXECUTABLE, raising=False)
    with pytest.raises(Unverifiable, match=r"neither chromium, .* playwright install chromium"):
        find_chromium(str(tmp_path / "own"))
    monkeypatch.setenv(EXECUTABLE, "nothing")
    with pytest.raises(Unverifiable, match="is nothing, which is no program"):
        find_chromium(str(tmp_path / "own"))


def test_finding_names_the_screenshot_and_the_console(tmp_path: Path) -> None:
    """Kept if there is a finding, deleted if not."""
    (tmp_path / "a.png").touch()
    visit = Visit(screenshot=tmp_path / "a.png", console=("error: no such thing",))
    finding = Finding("frontend page", "shows nothing", "status")

    explained = visit.explained(Verdict("browser", (finding,)))

    told = f"shows nothing (screenshot: {tmp_path}/a.png; console: error: no such thing)"
    assert explained.findings == (Finding("frontend page", told, "status"),)
    assert (tmp_path / "a.png").exists()
    assert visit.explained(Verdict("browser")).passed
    assert not (tmp_path / "a.png").exists()


# ---------------------------------------------------------------- for real


@REAL
@pytest.mark.slow
def test_browser_shows_what_scripts_make_of_a_page(tmp_path: Path, page: str) -> None:
    """Texts, what cannot be seen, dialogs, other hosts, the console, and a picture."""
    Asked.outcome = """
        <p data-field=status></p><p data-field=answer style="display: none">A</p>
        <img src="http://203.0.113.1/a.png">
        <script>
          document.querySelector("[data-field=status]").textContent = "answered";
          console.error("so it goes"); alert("boo"); nothing();
        </script>"""
    with Browser(tmp_path) as browser:
        visit = browser.ask(page, "Why?")
        again = browser.ask(f"{page}mute", "Why?", timeout_s=0.5)

    assert '<p data-field="status">answered</p>' in visit.html
    assert visit.unseen == ("answer",)
    assert visit.dialogs == ("boo",)
    assert visit.foreign == ("http://203.0.113.1/a.png",)
    assert "error: so it goes" in visit.console
    assert any("nothing is not defined" in line for line in visit.console)
    assert visit.screenshot is not None
    assert visit.screenshot.read_bytes().startswith(b"\x89PNG")
    assert "data-field" not in again.html
    assert not browsers(str(tmp_path))
    assert not (tmp_path / "profile").exists()


@REAL
@pytest.mark.slow
def test_page_that_cannot_be_asked_says_why(tmp_path: Path) -> None:
    """Nobody is there, or has a field for questions."""
    with Browser(tmp_path) as browser:
        visit = browser.ask("http://127.0.0.1:1/", "Why?", timeout_s=1.0)

    assert visit.why


@REAL
@pytest.mark.slow
def test_browser_of_a_gate_has_its_say(
    asking: Project, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the option the test is one of the gate's."""
    monkeypatch.setenv("PAGE", page)
    monkeypatch.setenv("PATIENCE_S", "20")

    result = asking.run("--agents=off", "--gate=G1", "-n0", "--browser")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["G1*PASSED*"])
    assert not browsers((asking.root / "profile").read_text())


@REAL
@pytest.mark.slow
@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_browser(asking: Project, page: str, ends: signal.Signals) -> None:
    """Whatever ends pytest while the browser is waiting for a page."""
    session = asking.start(
        "--agents=off", "--gate=G1", "-n0", "--browser", PAGE=f"{page}mute", PATIENCE_S="300"
    )
    profile = asking.root / "profile"
    try:
        until(lambda: profile.exists() and browsers(profile.read_text()), within_s=120.0)
        time.sleep(1.0)
        session.send_signal(ends)
        session.wait(60)
    finally:
        session.kill()
    until(lambda: not browsers(profile.read_text()))
