"""Which models a Markdown page has, and the block of each.

Read is what every reader of Markdown agrees on. Where some see a heading or a
block and others do not, the page is refused: who builds on it must not guess.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.models.types import TYPES
from pytest_orchestrator._checks.nodes import shown

if TYPE_CHECKING:
    from pytest_orchestrator._checks.models.findings import Findings

MAX_BYTES = 1_000_000
LEVEL = "##"

_NAME = re.compile(r"[A-Z]\w*", re.ASCII)
_UNWANTED = re.compile("\r\n|[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_CURES = {
    "\r\n": "line(s) that end in CRLF; save the file with LF",
    "\t": "tab(s); write blanks, which look the same everywhere",
    "\ufeff": "byte order mark(s); save the file as UTF-8 without one",
}
_HEADING = re.compile(r"( {0,3})(#{1,6})(?!#)(.*)")
_CLOSING = re.compile(r" #+ *$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+) *")
_HTML = re.compile(r" {0,3}<([!?/]|[A-Za-z][A-Za-z0-9-]*([ />]|$))")
# In a list or a quotation, or indented, a fence is one to some readers only.
_FENCE = re.compile(r"((?:[ >]|[-*+] |\d{1,9}[.)] )*+)(`{3,}+(?=[^`]*$)|~{3,}+)(.*)")


class Block(NamedTuple):
    """The fields of a model as they are written.

    Attributes:
        model: Its name.
        line: Where its heading is, or, where that is missing, the block.
        first: Line of the first line of ``text``.
        text: What stands between the fences; ``None`` if that is not clear.
    """

    model: str
    line: int
    first: int
    text: str | None


def page_text(data: bytes, findings: Findings) -> str | None:
    """The text of a page, with line feeds only; ``None`` if there is no reading it."""
    if len(data) > MAX_BYTES:
        findings.add(0, f"has {len(data)} bytes; at most {MAX_BYTES} are read", "size")
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        what = f"is not UTF-8: {problem.reason} at byte {problem.start}; save the file as UTF-8"
        findings.add(line, what, "encoding")
        return None
    _refuse_unwanted(text, findings)
    if text and not text.endswith("\n"):
        what = "does not end with a line feed; is the file written to its end?"
        findings.add(text.count("\n") + 1, what, "end")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    return _UNWANTED.sub(" ", text)


def _refuse_unwanted(text: str, findings: Findings) -> None:
    places: dict[str, list[int]] = {}
    for found in _UNWANTED.finditer(text):
        places.setdefault(found[0], []).append(found.start())
    for character, starts in places.items():
        other = f"character(s) U+{ord(character[0]):04X}, which nobody sees; take them out"
        what = f"has {len(starts)} {_CURES.get(character, other)}"
        findings.add(text.count("\n", 0, starts[0]) + 1, what, "character")


def read_page(text: str, findings: Findings) -> list[Block]:
    """The block of each model.

    A heading or a block that is wrong, but of which it is clear what it was
    meant to be, counts, so that one mistake has one finding.
    """
    page = _Page(findings)
    for number, line in enumerate(text.split("\n"), 1):
        page.take(number, line)
    page.end()
    _refuse_repeated(page.sections, findings)
    return [block for section in (*page.sections, *page.strays) for block in section.blocks[:1]]


class _Section(NamedTuple):
    """A model's heading, and the blocks below it."""

    model: str
    line: int
    blocks: list[Block]


class _Fence(NamedTuple):
    """A block that is not closed yet; ``before`` is what stands before its fence."""

    marker: str
    line: int
    section: _Section | None
    before: str
    lines: list[str]


class _Page:
    """Goes through a page line by line."""

    def __init__(self, findings: Findings) -> None:
        self.sections: list[_Section] = []
        self.strays: list[_Section] = []
        self._findings = findings
        self._heading = ""
        self._section: _Section | None = None
        self._fence: _Fence | None = None
        self._above = ""

    def take(self, number: int, line: str) -> None:
        """Read the next line."""
        above, self._above = self._above, ""
        if self._fence is not None:
            self._take_within(self._fence, number, line)
        elif found := _FENCE.fullmatch(line):
            self._open(number, found)
        elif found := _HEADING.fullmatch(line):
            self._take_heading(number, found)
        elif _UNDERLINE.fullmatch(line):
            self._take_underline(number, line.strip(), above)
        elif _HTML.match(line):
            what = "begins with HTML, which may hide what follows; write it as text"
            self._findings.add(number, what, "html")
        else:
            self._above = line.strip()

    def end(self) -> None:
        """Judge what is only known at the end of the page."""
        if self._fence is not None:
            what = "begins a block that is never closed; is the file written to its end?"
            self._findings.add(self._fence.line, what, "fence")
            self._close(self._fence, None)
        for section in self.sections:
            if not section.blocks:
                what = "has no ```json block; give it one, or a heading that is no single name"
                self._findings.add(section.line, what, "no-block", place=section.model)
        if not self.sections and not self.strays:
            what = f'has no model; write a heading like "{LEVEL} Citation" with a ```json block'
            self._findings.add(0, what, "no-model")

    def _take_heading(self, number: int, found: re.Match[str]) -> None:
        indent, signs, rest = found.groups()
        title = _CLOSING.sub("", rest).strip()
        if not title:
            self._findings.add(number, "is a heading without a text; give it one", "heading")
        elif indent or not rest.startswith(" ") or title != rest.strip():
            what = f"is another heading to some readers; write {shown(f'{signs} {title}')}"
            self._findings.add(number, what, "heading")
        self._begin(number, signs, title)

    def _take_underline(self, number: int, line: str, above: str) -> None:
        if not above:
            # A line of equals signs is a text like any other then, one of dashes is not.
            self._above = line if line.startswith("=") else ""
            return
        title = shown(f"{LEVEL} {above}")
        what = f"makes a heading of the text above; write {title}, or leave a line empty above"
        self._findings.add(number, f"{shown(line, 10)} {what}", "heading")
        self._begin(number, LEVEL, above)

    def _begin(self, number: int, signs: str, title: str) -> None:
        self._heading = f"{signs} {title}"
        self._section = None
        if signs == LEVEL and _NAME.fullmatch(title):
            self._section = _Section(title, number, [])
            self.sections.append(self._section)

    def _open(self, number: int, found: re.Match[str]) -> None:
        before, marker, rest = found.groups()
        written = marker + rest.rstrip()
        is_model = rest.strip().casefold().startswith("json")
        if before:
            what = "begins a block for some readers only; move it to the beginning of its line"
            self._findings.add(number, what, "fence")
        elif is_model and written.strip("`") != "json":
            what = f"begins a block with {shown(written)}; a model's begins with ```json"
            self._findings.add(number, f"{what}, an example's with ```text", "fence")
        section = (self._section or self._stray(number)) if is_model else None
        self._fence = _Fence(marker, number, section, before, [])

    def _stray(self, number: int) -> _Section:
        """The model an author may have meant who wrote a block below another heading."""
        words = re.findall(r"[A-Za-z]\w*", self._heading, re.ASCII)
        model = "".join(word[0].upper() + word[1:] for word in words) or "Name"
        below = "no heading" if not self._heading else f"{shown(self._heading)}, no model's name"
        what = f"begins a block below {below}; write {shown(f'{LEVEL} {model}')} above it"
        self._findings.add(number, f"{what}, or mark an example as ```text", "heading")
        self.strays.append(_Section(model, number, []))
        return self.strays[-1]

    def _take_within(self, fence: _Fence, number: int, line: str) -> None:
        found = _FENCE.fullmatch(line)
        is_fence = found is not None and found[2].startswith(fence.marker)
        if found is None or not is_fence or (found[1].strip() and not fence.before):
            fence.lines.append(line)
        elif found[3].strip():
            what = f"begins a block within that of line {fence.line}; close that one first"
            self._findings.add(number, what, "fence")
            self._close(fence, None)
            self._take_swallowed(fence)
            self._open(number, found)
        else:
            if found[1] and not fence.before:
                what = "ends a block for some readers only; move it to the beginning of its line"
                self._findings.add(number, what, "fence")
            self._close(fence, None if fence.before.strip() else "\n".join(fence.lines))

    def _take_swallowed(self, fence: _Fence) -> None:
        """Give the headings their due that a block took in because it was not closed."""
        for number, line in enumerate(fence.lines, fence.line + 1):
            if found := _HEADING.fullmatch(line):
                self._take_heading(number, found)

    def _close(self, fence: _Fence, text: str | None) -> None:
        self._fence = None
        section = fence.section
        if section is None:
            return
        if section.blocks:
            first = section.blocks[0].first - 1
            what = f"has a second block; the first is in line {first}; mark an example as ```text"
            self._findings.add(fence.line, what, "second-block", place=section.model)
        section.blocks.append(Block(section.model, section.line, fence.line + 1, text))


def _refuse_repeated(sections: list[_Section], findings: Findings) -> None:
    first: dict[str, _Section] = {}
    for section in sections:
        folded = section.model.casefold()
        known = first.setdefault(folded, section)
        if folded in TYPES:
            what = f"is called like the type {shown(folded)}; give it another name"
            findings.add(section.line, what, "name", place=section.model)
        if known is not section:
            also = "" if known.model == section.model else f" as {known.model}"
            what = f"is already in line {known.line}{also}; give one of them another name"
            findings.add(section.line, what, "duplicate-model", place=section.model)
