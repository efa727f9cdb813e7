"""From the document of a runbook to its plan, or to all that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.rules import generators, names, order, places, shape, telemetry
from pytest_orchestrator._domain.rules.book import Book
from pytest_orchestrator._domain.rules.wording import key
from pytest_orchestrator._domain.verdict import Finding
from pytest_orchestrator.errors import RunbookError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pytest_orchestrator._domain.plan import Plan


@dataclass(frozen=True, slots=True)
class Files:
    """What was found beside a runbook, under the paths by which the runbook names it.

    Attributes:
        briefs: The text of each brief that could be read, by path.
        tests: The paths of the gates' test modules that exist.
        refused: Why a brief that exists was not read, by path, as the rest
            of a sentence: ``"is a symbolic link; …"``.
    """

    briefs: Mapping[str, str] = field(default_factory=dict)
    tests: Collection[str] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def parse_runbook(document: Mapping[str, object], *, source: str, files: Files) -> Plan:
    """Make a plan of a runbook, or say in one go all that is wrong with it.

    Args:
        document: What TOML made of the file; the names of agents, tasks,
            contracts, stacks, services and gates are the keys of their tables.
        source: What the runbook is called in messages, e.g. ``"runbook.toml"``.
        files: What is there of the files that `named_files` asks for.

    Returns:
        The plan; every name in it leads somewhere, and nothing in it waits
        for itself.

    Raises:
        RunbookError: Its ``findings`` are all there are, in the order of the
            file, each a ``Finding`` with the key as people write it
            (``tasks.core-spec.needs[1]``), at most one per key and rule.
    """
    book = Book(document)
    plan, wrong = shape.read(document, files.briefs)
    told = {mistake.at for mistake in wrong}
    others = chain(
        names.check(book),
        places.check(book, briefs=files.briefs, tests=files.tests, refused=files.refused),
        generators.check(book),
        telemetry.check(book),
        order.check(plan),
    )
    # A value of the wrong kind is one mistake, whatever else could be said of it.
    every = sorted(
        chain(wrong, (mistake for mistake in others if mistake.at not in told)),
        key=lambda mistake: book.position(mistake.at),
    )
    if every:
        raise RunbookError(source, [Finding(key(at), what) for at, what in every])
    return plan


def named_files(document: Mapping[str, object]) -> tuple[frozenset[str], frozenset[str]]:
    """The paths of the briefs and of the gates' test modules that a document names.

    Whatever else is wrong with the document, these are safe to look up below
    the runbook's folder: relative, going nowhere up, free of control characters.
    """
    book = Book(document)
    briefs, tests = (
        frozenset(
            path
            for entry in book.entries(table)
            for _, path in entry.texts(field)
            if path and not places.objection(path)
        )
        for table, field in (("tasks", "brief"), ("gates", "tests"))
    )
    return briefs, tests
