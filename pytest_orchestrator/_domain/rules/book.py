"""The document as it was written, read without assuming that any of it is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pytest_orchestrator._domain.rules.wording import At

Document = Mapping[str, object]


class Entry(NamedTuple):
    """One table of keys, e.g. ``[tasks.core-spec]``, by the names that lead to it."""

    names: tuple[str, ...]
    values: Document

    @property
    def name(self) -> str:
        """Its own name, ``"core-spec"``."""
        return self.names[-1]

    def at(self, *rest: str | int) -> At:
        """A place inside this table."""
        return (*self.names, *rest)

    def text(self, field: str) -> str:
        """A string; empty if there is none, or something that is not one."""
        value = self.values.get(field)
        return value if isinstance(value, str) else ""

    def texts(self, field: str) -> tuple[tuple[At, str], ...]:
        """The strings of a list, or the one string, each with its place."""
        value = self.values.get(field)
        if isinstance(value, str):
            return ((self.at(field), value),)
        items = value if isinstance(value, list | tuple) else ()
        return tuple((self.at(field, i), v) for i, v in enumerate(items) if isinstance(v, str))


class Book(NamedTuple):
    """A whole document."""

    document: Document

    def entries(self, table: str) -> tuple[Entry, ...]:
        """The named tables below a table, in the order of the file."""
        found = self.document.get(table)
        named = found.items() if isinstance(found, Mapping) else ()
        return tuple(Entry((table, n), v) for n, v in named if isinstance(v, Mapping))

    def generated(self, contract: Entry) -> tuple[Entry, ...]:
        """What consumers generate from a contract, each by the consumer's name."""
        found = contract.values.get("generated")
        named = found.items() if isinstance(found, Mapping) else ()
        return tuple(
            Entry((*contract.names, "generated", name), values)
            for name, values in named
            if isinstance(values, Mapping)
        )

    @property
    def run(self) -> Entry:
        """What holds for the whole run; without keys if it is missing."""
        found = self.document.get("run")
        return Entry(("run",), found if isinstance(found, Mapping) else {})

    @property
    def traces(self) -> Entry:
        """What holds for traces; without keys if it is missing."""
        found = self.document.get("traces")
        return Entry(("traces",), found if isinstance(found, Mapping) else {})

    def names(self, *tables: str) -> tuple[str, ...]:
        """The names in some tables, whatever they stand for."""
        found = [self.document.get(table) for table in tables]
        return tuple(name for table in found if isinstance(table, Mapping) for name in table)

    def position(self, at: At) -> tuple[int, ...]:
        """Where a place stands in the file, for sorting; what is not there comes last."""
        found: object = self.document
        position = []
        for step in at:
            steps: list[str | int] = list(found) if isinstance(found, Mapping) else []
            if isinstance(step, int):
                steps = list(range(step + 1))
            position.append(steps.index(step) if step in steps else len(steps))
            found = found.get(step) if isinstance(found, Mapping) else None
        return tuple(position)
