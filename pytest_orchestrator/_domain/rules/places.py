"""Paths: inside the repository, there if they must be, and with one owner each."""

from __future__ import annotations

import re
from itertools import chain, combinations
from typing import TYPE_CHECKING, NamedTuple

from pytest_orchestrator._domain.plan import BYTECODE, owns
from pytest_orchestrator._domain.rules.wording import Wrong, key, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pytest_orchestrator._domain.rules.book import Book
    from pytest_orchestrator._domain.rules.wording import At

_FILES = (("contracts", "path"), ("contracts", "draft"), ("tasks", "brief"), ("gates", "tests"))
_FOLDERS = (("agents", "owns"), ("services", "path"), ("services", "documents"))
_ABSOLUTE = re.compile(r"/|[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Owned(NamedTuple):
    """A path, and the agent that alone may write it."""

    at: At
    path: str
    agent: str


def check(
    book: Book, *, briefs: Mapping[str, str], tests: Collection[str], refused: Mapping[str, str]
) -> Iterator[Wrong]:
    """All that is wrong with paths: how they are written, who owns them, what is there."""
    return chain(
        _misplaced(book),
        _artefacts(book),
        _owners(book),
        _documents(book),
        _drafts(book),
        _services(book),
        _briefs(book, briefs, refused),
        _modules(book, tests),
    )


def objection(path: str, *, folder: bool = False) -> str:
    """Why a path cannot be taken as it is written; empty if it can.

    Args:
        path: As the runbook has it, e.g. ``"src/backend/core/"``.
        folder: Whether it may end in ``/``.
    """
    steps = path.removesuffix("/").split("/")
    objections = (
        (_CONTROL.search(path), "has a control character; leave it out"),
        ("\\" in path, "has a backslash; write '/' between the parts of a path"),
        (_ABSOLUTE.match(path), "is absolute; write it relative to the runbook's folder"),
        (".." in steps, "goes up by '..'; write it from the runbook's folder down"),
        ({"", "."} & {*steps}, "has an empty part or a '.'; write it like 'src/backend/core/'"),
        (path.endswith("/") and not folder, "is a folder; name a file"),
    )
    return next((why for found, why in objections if found), "")


def _misplaced(book: Book) -> Iterator[Wrong]:
    for table, field in _FILES + _FOLDERS:
        for entry in book.entries(table):
            for at, path in entry.texts(field):
                if why := objection(path, folder=(table, field) in _FOLDERS):
                    yield Wrong(at, f"{shown(path)} {why}")
    for at, path in book.run.texts("hides"):
        if why := objection(path, folder=True):
            yield Wrong(at, f"{shown(path)} {why}")


def _artefacts(book: Book) -> Iterator[Wrong]:
    for stack in book.entries("stacks"):
        for at, pattern in stack.texts("artefacts"):
            if why := objection(pattern.removeprefix(BYTECODE)):
                yield Wrong(at, f"{shown(pattern)} {why}")
            elif not stack.values.get("build"):
                what = f"nothing makes {shown(pattern)}; give {key(stack.at())} a build"
                yield Wrong(at, what)


def _owned(book: Book) -> Iterator[Owned]:
    """Everything that has an owner: what agents own, then the contracts, which publishers own."""
    agents = book.names("agents")
    for agent in book.entries("agents"):
        for at, path in agent.texts("owns"):
            if not objection(path, folder=True):
                yield Owned(at, path, agent.name)
    for contract in book.entries("contracts"):
        path, publisher = contract.text("path"), contract.text("publisher")
        if publisher in agents and not objection(path):
            yield Owned(contract.at("path"), path, publisher)


def _owners(book: Book) -> Iterator[Wrong]:
    for one, other in combinations(_owned(book), 2):
        both_contracts = one.at[0] == other.at[0] == "contracts"
        if one.agent != other.agent and not (both_contracts and one.path == other.path):
            how = _overlap(other.path, one.path)
            if how:
                mine = "publishes" if other.at[0] == "contracts" else "owns"
                what = (
                    f"{shown(other.path)}, which {other.agent} {mine}, {how} {shown(one.path)}, "
                    f"which {one.agent} owns; a path has one owner"
                )
                yield Wrong(other.at, what)


def _overlap(path: str, other: str) -> str:
    """How two paths get in each other's way; empty if they do not."""
    here, there = f"{path.rstrip('/')}/", f"{other.rstrip('/')}/"
    if here == there:
        return "is the same as"
    if here.startswith(there):
        return "lies inside"
    return "contains" if there.startswith(here) else ""


def _documents(book: Book) -> Iterator[Wrong]:
    """No two contracts, and no contract and its draft, are one file."""
    first: dict[str, str] = {}
    for contract in book.entries("contracts"):
        for at, path in (*contract.texts("path"), *contract.texts("draft")):
            if (other := first.setdefault(path, key(at))) != key(at):
                yield Wrong(at, f"{shown(path)} is {other} already; give each its own file")


def _drafts(book: Book) -> Iterator[Wrong]:
    owned = tuple(path for agent in book.entries("agents") for _, path in agent.texts("owns"))
    for contract in book.entries("contracts"):
        for at, path in contract.texts("draft"):
            if owned and not objection(path) and not owns(owned, path):
                what = f"nobody may write {shown(path)}; add it to the owns of who drafts it"
                yield Wrong(at, what)


def _services(book: Book) -> Iterator[Wrong]:
    agents = {agent.name: agent for agent in book.entries("agents")}
    for service in book.entries("services"):
        agent, path = agents.get(service.text("agent")), service.text("path")
        owned = tuple(own for _, own in agent.texts("owns")) if agent else ()
        folder = f"{path.rstrip('/')}/"
        if agent and owned and not objection(path, folder=True) and not owns(owned, folder):
            yield Wrong(
                service.at("path"),
                f"{shown(path)} is in none of the folders {agent.name} owns; "
                f"add {shown(folder)} to {key(agent.at('owns'))}",
            )


def _briefs(book: Book, briefs: Mapping[str, str], refused: Mapping[str, str]) -> Iterator[Wrong]:
    for task in book.entries("tasks"):
        for at, path in task.texts("brief"):
            if not path or objection(path):
                continue
            if path in refused:
                yield Wrong(at, f"{shown(path)} {refused[path]}")
            elif path not in briefs:
                yield Wrong(at, f"{shown(path)} is not there; write what the agent is to do")
            elif not briefs[path].strip():
                yield Wrong(at, f"{shown(path)} is empty; write what the agent is to do")


def _modules(book: Book, tests: Collection[str]) -> Iterator[Wrong]:
    for gate in book.entries("gates"):
        for at, path in gate.texts("tests"):
            if path and not objection(path) and path not in tests:
                yield Wrong(at, f"{shown(path)} is not there, so nobody would judge this gate")
