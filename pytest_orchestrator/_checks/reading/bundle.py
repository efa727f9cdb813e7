"""A contract of several files as one document, which knows where each part came from."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from pytest_orchestrator._checks.nodes import join, place, shown
from pytest_orchestrator._checks.reading.documents import parse
from pytest_orchestrator._checks.reading.files import read_below
from pytest_orchestrator._checks.reading.limits import Unreadable
from pytest_orchestrator._checks.reading.lines import tokens_of
from pytest_orchestrator._checks.rules.faults import Fault, told
from pytest_orchestrator._checks.rules.references import references
from pytest_orchestrator._domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_orchestrator._checks.reading.documents import LinesOf
    from pytest_orchestrator._checks.rules.references import Reference
    from pytest_orchestrator._domain.verdict import Finding

MAX_FILES = 50
_MAX_PLACE = 1000  # keys may be as long as a file
FILES = "x-files"
"""Member of a bundled document under which the other files are, by relative path."""
_SUFFIXES = (".json", ".yaml", ".yml")


@dataclass(frozen=True)
class Bundle:
    """A contract with everything it refers to.

    Attributes:
        document: Refers to nothing outside of itself, unless that is refused: what other
            files say is below ``/x-files``, by their paths, e.g.
            ``/x-files/common~1errors.yaml``.
        name: Path of its first file, relative to its folder.
        lines: For each file, what tells the lines of pointers into it.
    """

    document: object
    name: str
    lines: Mapping[str, LinesOf]

    def findings(self, faults: Iterable[Fault]) -> tuple[Finding, ...]:
        """The faults with file, line and place there, in that order."""
        by_file: dict[str, list[tuple[str, Fault]]] = defaultdict(list)
        for fault in dict.fromkeys(faults):
            file, pointer = self.locate(fault.pointer)
            by_file[file].append((pointer, fault))
        found: list[Finding] = []
        for file in self.lines:
            here = by_file[file]
            lines = self.lines[file]([pointer for pointer, _ in here]) if here else {}
            here.sort(key=lambda entry: lines[entry[0]])
            for pointer, (_, what, rule, cure) in here:
                where = place(f"{file}:{lines[pointer]}", pointer)
                found.append(told(where, what, rule, cure))
        return tuple(found)

    def locate(self, pointer: str) -> tuple[str, str]:
        """The file a place of the bundled document is in, and the pointer there."""
        tokens = tokens_of(pointer)
        if tokens[:1] == (FILES,) and len(tokens) > 1 and tokens[1] in self.lines:
            return tokens[1], join("", *tokens[2:])
        return self.name, pointer


def read_bundle(root: Path, path: str) -> tuple[Bundle | None, Verdict]:
    """Read a contract and the files it refers to.

    Args:
        root: The folder nothing is read outside of.
        path: The contract, relative to ``root``, with ``/``.

    Returns:
        The bundle, and a verdict that tells what it refers to and cannot be read, with
        the place of the reference; or ``None`` if the contract itself cannot. Never
        followed are URLs, absolute paths, links, paths out of ``root``, and what is not
        called ``*.json``, ``*.yaml`` or ``*.yml``. At most fifty files of 5 MB are read.
    """
    reading = _Reading(root, path)
    try:
        document = reading.read(path)
    except Unreadable as problem:
        return None, Verdict("contract", (problem.found_in(path),))
    reading.follow_all()
    if reading.embedded and isinstance(document, dict):
        if FILES in document:
            what = f"{FILES} is the name under which other files are embedded"
            reading.faults.append(Fault(f"/{FILES}", what, "reserved", "give it another name"))
        document = {**document, FILES: reading.embedded}
    bundle = Bundle(document, path, reading.lines)
    return bundle, Verdict("contract", (*reading.broken, *bundle.findings(reading.faults)))


@dataclass
class _Reading:
    """What has been read so far, and what is wrong with it."""

    root: Path
    main: str
    lines: dict[str, LinesOf] = field(default_factory=dict)
    embedded: dict[str, object] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    broken: list[Finding] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    todo: list[tuple[str, object]] = field(default_factory=list)

    def read(self, file: str) -> object:
        document, self.lines[file] = parse(
            read_below(self.root, file), json_only=file.endswith(".json")
        )
        self.todo.append((file, document))
        return document

    def follow_all(self) -> None:
        for file, document in self.todo:  # grows meanwhile
            for reference in list(references(document)):
                if isinstance(reference.target, str):
                    self._rewrite(file, reference, reference.target)

    def _rewrite(self, file: str, reference: Reference, target: str) -> None:
        """Make a reference lead to the place where its file is embedded."""
        try:
            scheme, host, path, query, fragment = urlsplit(target)
        except ValueError:
            return
        is_local = target.startswith("#")
        if is_local and file == self.main:
            return
        if is_local:
            path = file
        elif scheme or host or query or not path or path.startswith("/") or "\\" in target:
            return  # refused with all that leads out of the document
        else:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(file), unquote(path)))
            problem = self._problem(path)
            if problem:
                what = f"refers to {shown(target)}, which {problem}"
                cure = "refer to a .json or .yaml file below the folder of the contract"
                at = "" if file == self.main else join("", FILES, file)
                self.faults.append(Fault(at + reference.pointer, what, "ref-file", cure))
        if fragment and not fragment.startswith("/"):
            return
        embedded = "" if path == self.main else "/" + quote(join("", FILES, path)[1:])
        reference.holder[reference.key] = f"#{embedded}{fragment}"

    def _problem(self, file: str) -> str:
        """Why a file cannot be had; empty once it is there."""
        if file in self.lines:
            return ""
        if file not in self.refused:
            self.refused[file] = self._refusal(file)
        return self.refused[file]

    def _refusal(self, file: str) -> str:
        if file.startswith(".."):
            return "leads out of the folder"
        if not file.endswith(_SUFFIXES):
            return "is no .json or .yaml file"
        if len(self.lines) >= MAX_FILES:
            return f"is not read, since {MAX_FILES} files are"
        try:
            self.embedded[file] = self.read(file)
        except Unreadable as problem:
            if problem.line:
                self.broken.append(problem.found_in(file))
                return "cannot be read"
            return str(problem)
        return ""
