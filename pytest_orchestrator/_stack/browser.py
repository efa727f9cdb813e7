"""A real Chromium without a window, by Playwright: the only module that imports it."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from pytest_orchestrator._domain.verdict import Verdict
from pytest_orchestrator.errors import Unverifiable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

EXECUTABLE = "PLAYWRIGHT_CHROMIUM_EXECUTABLE"
"""Environment variable that names the browser to use."""
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--disable-background-networking", "--disable-component-update", "--disable-gpu",
    "--disable-quic", "--disable-sync", "--no-default-browser-check", "--no-first-run",
)  # fmt: skip
_INSTALL = "pip install 'pytest-orchestrator[browser]'"
_QUESTION = '[name="question"]'
_SEND = ", ".join(
    f"form:has({_QUESTION}) {button}"
    for button in ("[type=submit]", "button:not([type])", "[type=image]")
)
_STATUS = '[data-field="status"]'
_UNSEEN = """() => [...document.querySelectorAll("[data-field]")]
    .filter(element => !element.checkVisibility({visibilityProperty: true}))
    .map(element => element.dataset.field)"""
_LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))
_LOCAL_SCHEMES = frozenset(("about", "blob", "chrome-error", "data"))
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Visit:
    """What a browser shows after a question was typed and sent.

    Attributes:
        html: The document as it is then, scripts' work included.
        unseen: The ``data-field`` of marked elements that nobody can see.
        dialogs: Messages of dialogs that opened.
        foreign: Addresses on other machines that were asked for.
        console: Errors and warnings of the console, and uncaught exceptions.
        screenshot: A picture of the whole page.
        why: Why nothing could be asked; empty if something was.
    """

    html: str = ""
    unseen: tuple[str, ...] = ()
    dialogs: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    console: tuple[str, ...] = ()
    screenshot: Path | None = None
    why: str = ""

    def explained(self, verdict: Verdict) -> Verdict:
        """A verdict whose findings name the screenshot and the console's errors.

        If there are no findings, the screenshot is deleted.
        """
        if verdict.passed:
            if self.screenshot is not None:
                self.screenshot.unlink(missing_ok=True)
            return verdict
        console = "; ".join(self.console[:_SHOWN])
        told = f" (screenshot: {self.screenshot}" + (f"; console: {console})" if console else ")")
        findings = (replace(f, what=f.what + told) for f in verdict.findings)
        return Verdict(verdict.check, tuple(findings))


class Browser:
    """One Chromium with a profile of its own; each visit has a page of its own.

    Args:
        folder: For this browser alone: its profile, which is deleted in the end, and
            screenshots, which are kept.

    Raises:
        Unverifiable: On entering: Playwright or a browser is missing; says what to install.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._open = contextlib.ExitStack()
        self._context: Any = None
        self._visits = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opening:
            profile = self._folder / "profile"
            shutil.rmtree(profile, ignore_errors=True)
            profile.mkdir(parents=True)
            opening.callback(shutil.rmtree, profile, ignore_errors=True)
            playwright = opening.enter_context(_playwright())
            self._context = _launch(playwright, profile)
            opening.callback(self._context.close)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()

    def ask(self, url: str, question: str, *, timeout_s: float = 20.0) -> Visit:
        """Open a page, type a question, send it, and wait until there is an outcome.

        Args:
            url: The page's address.
            question: What is typed.
            timeout_s: Seconds to wait for an element marked ``status``. What the page
                shows then is returned, with or without one.
        """
        from playwright.sync_api import Error  # noqa: PLC0415 - on demand

        page = self._context.new_page()
        notes = _Notes(page)
        why = ""
        try:
            page.goto(url, timeout=timeout_s * 1000)
            page.locator(_QUESTION).first.fill(question, timeout=timeout_s * 250)
            self._send(page)
            page.locator(_STATUS).first.wait_for(state="attached", timeout=timeout_s * 1000)
            page.wait_for_load_state()
        except Error as error:
            why = str(error).splitlines()[0]
        try:
            return self._visit(page, notes, why)
        finally:
            page.close()

    def _send(self, page: Any) -> None:
        button = page.locator(_SEND).first
        if button.count():
            button.click()
        else:  # no form: whatever a script makes of the key
            page.locator(_QUESTION).first.press("Enter")

    def _visit(self, page: Any, notes: _Notes, why: str) -> Visit:
        self._visits += 1
        screenshot = self._folder / f"page-{self._visits}.png"
        page.screenshot(path=screenshot, full_page=True)
        # Without an element of that kind a page still shows something.
        shown = page.content()
        unseen = tuple(page.evaluate(_UNSEEN))
        return Visit(
            shown, unseen, tuple(notes.dialogs), tuple(notes.foreign), tuple(notes.console),
            screenshot, why if not page.locator(_QUESTION).count() else "",
        )  # fmt: skip


class _Notes:
    """What a page does besides showing something."""

    def __init__(self, page: Any) -> None:
        self.dialogs: list[str] = []
        self.foreign: list[str] = []
        self.console: list[str] = []
        page.on("dialog", self._dialog)
        page.on("request", lambda request: self._request(request.url))
        page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))
        page.on("console", self._message)

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _LOCAL_SCHEMES and parts.hostname not in _LOOPBACK:
            self.foreign.append(url)

    def _message(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.console.append(f"{message.type}: {message.text}")


@contextlib.contextmanager
def _playwright() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - on demand
    except ImportError as missing:
        message = f"a browser cannot be used without Playwright: {missing}. {_INSTALL}"
        raise Unverifiable(message) from None
    with sync_playwright() as playwright:
        yield playwright


def _launch(playwright: Any, profile: Path) -> Any:
    from playwright.sync_api import Error  # noqa: PLC0415 - on demand

    executable = find_chromium(playwright.chromium.executable_path)
    # Chromium's own sandbox needs rights that root has given up in containers.
    flags = [*_FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    try:
        return playwright.chromium.launch_persistent_context(
            profile,
            executable_path=executable,
            headless=True,
            args=flags,
            chromium_sandbox=os.geteuid() != 0,
        )
    except Error as error:
        raise Unverifiable(f"{executable} does not start: {error}") from error


def find_chromium(own: str) -> str:
    """The browser to use: that of the environment variable, one on the PATH, Playwright's own.

    Args:
        own: Where Playwright would have put its own.

    Raises:
        Unverifiable: There is none.
    """
    asked = os.environ.get(EXECUTABLE)
    if asked:
        if shutil.which(asked) is None:
            raise Unverifiable(f"{EXECUTABLE} is {asked}, which is no program on this machine")
        return asked
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    if Path(own).is_file():
        return own
    raise Unverifiable(
        f"there is no browser: neither {', '.join(_NAMES)} on the PATH nor Playwright's own. "
        f"Install chromium, or run `{_INSTALL}` and `python -m playwright install chromium`, or "
        f"set {EXECUTABLE}"
    )
