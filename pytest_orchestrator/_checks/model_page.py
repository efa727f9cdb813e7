"""Which models a Markdown page has, and the block of each.

Read is what every reader of Markdown agrees on. Where some see a heading or a
block and others do not, the page is refused: who builds on it must not guess.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._checks.model_types import TYPES
from pytest_orchestrator._checks.nodes import shown

if TYPE_CHECKING:
    from pytest_orchestrator._checks.model_findings import Findings

MAX_BYTES = 1_000_000
LEVEL = 2

NAME = re.compile(r"[A-Z]\w*", re.ASCII)
_UNWANTED = re.compile("\r\n|[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_CURES = {
    "\r\n": "{} line(s) end in CRLF; save the file with LF",
    "\t": "{} tab(s); write blanks, which look the same everywhere",
    "\ufeff": "{} byte order mark(s); save the file as UTF-8 without one",
}
_HEADING = re.compile(r"( {0,3})(#{1,6})(?!#)(.*)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+) *")
_HTML = re.compile(r" {0,3}<([!?/]|[A-Za-z][A-Za-z0-9-]*([ />]|$))")
# In a list or a quotation, or indented, a fence is one to some readers only.
_FENCE = re.compile(r"((?:[ >]|[-*+] |\d{1,9}[.)] )*+)(`{3,}(?=[^`]*$)|~{3,})(.*)")


class Block(NamedTuple):
    """The fields of a model as they are written.

    Attributes:
        model: Its name.
        line: Where its heading is.
        first: Line of the first line of ``text``.
        text: What stands between the fences.
    """

    model: str
    line: int
    first: int
    text: str


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
    text = _UNWANTED.sub(lambda match: "\n" if match[0] == "\r\n" else " ", text.lstrip("\ufeff"))
    if text and not text.endswith("\n"):
        what = "does not end with a line feed; is it written to its end?"
        findings.add(text.count("\n") + 1, what, "end")
    return text


def _refuse_unwanted(text: str, findings: Findings) -> None:
    for character, count in Counter(_UNWANTED.findall(text)).items():
        cure = _CURES.get(character, f"{{}} character(s) U+{ord(character[0]):04X}; take them out")
        line = text.count("\n", 0, text.index(character)) + 1
        findings.add(line, f"has {cure.format(count)}", "character")


def read_page(text: str, findings: Findings) -> list[Block]:
    """The blocks of all models, in the order of the page.

    A heading that is wrong, and of which it is clear what it was meant to say,
    counts, so that one mistake has one finding.
    """
    page = _Page(findings)
    for number, line in enumerate(text.split("\n"), 1):
        page.take(number, line)
    page.end()
    blocks = [block for section in page.sections for block in section.blocks[:1]]
    _refuse_repeated(page.sections, findings)
    if not page.sections:
        what = 'has no model; write a heading such as "## Citation", and a ```json block below it'
        findings.add(0, what, "no-model")
    return blocks


class _Section(NamedTuple):
    """What stands below one heading."""

    title: str
    line: int
    model: str
    blocks: list[Block]


class _Fence(NamedTuple):
    """A block that is not closed yet."""

    marker: str
    line: int
    is_model: bool
    section: _Section | None
    lines: list[str]
    misplaced: bool


class _Page:
    """Goes through a page line by line."""

    def __init__(self, findings: Findings) -> None:
        self.sections: list[_Section] = []
        self._findings = findings
        self._section: _Section | None = None
        self._heading = ""
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
        elif above and _UNDERLINE.fullmatch(line):
            what = f"{shown(line.strip())} below text makes a heading of it; write"
            cure = f"{what} {shown(f'## {above.strip()}')}, or leave a line empty in between"
            self._findings.add(number, cure, "heading")
            self._begin(number, "#" * LEVEL, above.strip())
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
            self._close(self._fence, counts=False)
        for section in self.sections:
            if not section.blocks:
                what = "has no ```json block; give it one, or a heading of several words"
                self._findings.add(section.line, what, "no-block", place=section.model)

    def _take_heading(self, number: int, found: re.Match[str]) -> None:
        indent, signs, rest = found.groups()
        title = rest.strip()
        if not title:
            self._findings.add(number, "is a heading without a text; give it one", "heading")
        elif indent or not rest.startswith(" "):
            what = f"is a heading to some readers only; write {shown(f'{signs} {title}')}"
            self._findings.add(number, what, "heading")
        self._begin(number, signs, title)

    def _begin(self, number: int, signs: str, title: str) -> None:
        self._heading = f"{signs} {title}"
        self._section = None
        if len(signs) == LEVEL and NAME.fullmatch(title):
            self._section = _Section(title, number, title, [])
            self.sections.append(self._section)

    def _open(self, number: int, found: re.Match[str]) -> None:
        before, marker, rest = found.groups()
        info = rest.strip()
        is_model = info.casefold().startswith("json")
        if before:
            what = "begins a block for some readers only; move it to the beginning of its line"
            self._findings.add(number, what, "fence")
        elif is_model and (info != "json" or marker[0] != "`"):
            what = f"begins a block with {shown(marker + rest)}; a model's begins with ```json,"
            self._findings.add(number, f"{what} anything else with a word like text", "fence")
        section = self._section
        if is_model and section is None:
            section = self._stray(number)
        self._fence = _Fence(marker, number, is_model, section, [], bool(before))

    def _stray(self, number: int) -> _Section:
        """The section an author will have meant who wrote a block below another heading."""
        words = re.findall(r"[A-Za-z]\w*", self._heading, re.ASCII)
        model = "".join(word[0].upper() + word[1:] for word in words) or "Name"
        below = f"below {shown(self._heading)}, which names no model" if self._heading else "alone"
        what = f"begins a block that stands {below}; write {shown(f'## {model}')} above it"
        self._findings.add(number, f"{what}, or ```text if it is an example", "heading")
        section = _Section(self._heading, number, model, [])
        self._section = section
        self.sections.append(section)
        return section

    def _take_within(self, fence: _Fence, number: int, line: str) -> None:
        found = _FENCE.fullmatch(line)
        if found is None or not found[2].startswith(fence.marker):
            fence.lines.append(line)
        elif found[3].strip() or ">" in found[1]:
            what = f"begins a block within the one of line {fence.line}; close that one first"
            self._findings.add(number, what, "fence")
            self._close(fence, counts=False)
            self._open(number, found)
        else:
            if found[1] and not fence.misplaced:
                what = "closes a block for some readers only; move it to the beginning of its line"
                self._findings.add(number, what, "fence")
            self._close(fence, counts=True)

    def _close(self, fence: _Fence, *, counts: bool) -> None:
        self._fence = None
        section = fence.section
        if not fence.is_model or section is None:
            return
        if section.blocks:
            what = f"begins a second block; {section.model} has one in line"
            cure = f"{what} {section.blocks[0].first - 1}; mark an example as ```text"
            self._findings.add(fence.line, cure, "second-block", place=section.model)
        text = "\n".join(fence.lines) if counts else ""
        section.blocks.append(Block(section.model, section.line, fence.line + 1, text))


def _refuse_repeated(sections: list[_Section], findings: Findings) -> None:
    first: dict[str, _Section] = {}
    for section in sections:
        folded = section.model.casefold()
        known = first.setdefault(folded, section)
        if folded in TYPES:
            what = f"is called like the type {folded}; give it another name"
            findings.add(section.line, what, "name", place=section.model)
        if known is not section:
            also = "" if known.model == section.model else f" as {known.model}"
            what = f"is already in line {known.line}{also}; call one of them otherwise"
            findings.add(section.line, what, "duplicate-model", place=section.model)
