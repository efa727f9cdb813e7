"""Drafts to wait for, and what consumers generate from a contract."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.generated import PLACEHOLDERS, REQUIRED
from pytest_orchestrator._domain.plan import owns
from pytest_orchestrator._domain.rules.places import objection
from pytest_orchestrator._domain.rules.wording import Wrong, key, shown, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._domain.rules.book import Book, Entry

_PLACEHOLDER = re.compile(r"\{\s*([A-Za-z][A-Za-z0-9_.-]*)\s*\}")


def check(book: Book) -> Iterator[Wrong]:
    """All that is wrong with waiting for drafts, and with generators."""
    return chain(
        _draftless(book), _strangers(book), _commands(book), _files(book), _made_twice(book)
    )


def _generated(book: Book) -> Iterator[tuple[Entry, Entry]]:
    """Each contract, and what one of its consumers generates from it."""
    for contract in book.entries("contracts"):
        for generated in book.generated(contract):
            yield contract, generated


def _draftless(book: Book) -> Iterator[Wrong]:
    for contract in book.entries("contracts"):
        if "draft_after_s" in contract.values and "draft" not in contract.values:
            what = "there is no draft to begin on; name one by draft, or remove this"
            yield Wrong(contract.at("draft_after_s"), what)


def _strangers(book: Book) -> Iterator[Wrong]:
    """Who generates consumes, in a task that needs the contract."""
    for contract, generated in _generated(book):
        name, consumers = generated.name, [who for _, who in contract.texts("consumers")]
        if name not in consumers and name in book.names("agents"):
            what = f"{name} is no consumer of {shown(contract.name)}"
            cure = f"add {shown(name)} to {key(contract.at('consumers'))}"
            yield Wrong(generated.at(), f"{what}; {cure}")
        elif name not in consumers:
            what = f"there is no consumer {shown(name)}; {suggestion(name, consumers)}"
            yield Wrong(generated.at(), what)
        elif name in book.names("agents") and not _needs(book, name, contract.name):
            yield Wrong(
                generated.at(),
                f"no task of {name} needs {shown(contract.name)}, so no gate would compare these "
                "files; add it to the needs of the task that generates them",
            )


def _needs(book: Book, agent: str, contract: str) -> bool:
    """Whether a task of an agent needs a contract."""
    return any(
        task.text("agent") == agent and contract in (name for _, name in task.texts("needs"))
        for task in book.entries("tasks")
    )


def _commands(book: Book) -> Iterator[Wrong]:
    """A command reads the contract, writes where it is told, and is told nothing else."""
    for _, generated in _generated(book):
        words = generated.texts("command")
        unknown = [
            (at, found)
            for at, word in words
            for found in _PLACEHOLDER.finditer(word)
            if found[0][1:-1] not in PLACEHOLDERS
        ]
        for at, found in unknown:
            what = f"{shown(found[0])} stands for nothing"
            yield Wrong(at, f"{what}; {suggestion(found[1], PLACEHOLDERS)}")
        # What is missing may just be misspelt, which has been told.
        for name in REQUIRED if words and not unknown else ():
            if not any(f"{{{name}}}" in word for _, word in words):
                yield Wrong(
                    generated.at("command"),
                    f"'{{{name}}}' does not occur in it; write it for {PLACEHOLDERS[name]}",
                )


def _files(book: Book) -> Iterator[Wrong]:
    """Each is a file that the consumer may write."""
    agents = {agent.name: agent for agent in book.entries("agents")}
    for _, generated in _generated(book):
        agent = agents.get(generated.name)
        owned = tuple(own for _, own in agent.texts("owns")) if agent else ()
        for at, path in generated.texts("files"):
            if why := objection(path):
                yield Wrong(at, f"{shown(path)} {why}")
            elif agent and owned and not owns(owned, path):
                what = f"{shown(path)} is in nothing that {agent.name} owns"
                yield Wrong(at, f"{what}; add it to {key(agent.at('owns'))}, or move it there")


def _made_twice(book: Book) -> Iterator[Wrong]:
    first: dict[str, str] = {}
    for _, generated in _generated(book):
        for at, path in generated.texts("files"):
            if (other := first.setdefault(path, key(at))) != key(at):
                yield Wrong(at, f"{shown(path)} is {other} already; give each its own file")
