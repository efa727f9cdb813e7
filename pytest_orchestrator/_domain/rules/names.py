"""Names: they lead somewhere, to one thing only, and contracts find their publishers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.rules.wording import Wrong, key, shown, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._domain.rules.book import Book, Entry

_NEEDED = ("gates", "contracts", "tasks")
_REFERENCES = (
    ("tasks", "agent", ("agents",), "agent"),
    ("tasks", "needs", _NEEDED, "gate, contract or task"),
    ("tasks", "publishes", ("contracts",), "contract"),
    ("contracts", "publisher", ("agents",), "agent"),
    ("contracts", "consumers", ("agents",), "agent"),
    ("services", "agent", ("agents",), "agent"),
    ("services", "stack", ("stacks",), "stack"),
    ("gates", "needs", _NEEDED, "gate, contract or task"),
)
_BY_OPERATION = ("parameters", "requests", "responses")
_TRACES = "traces"
_TAKEN = {_TRACES: "the trace store's URL", "port": "the port a service was given"}
_PLACEHOLDER = re.compile(r"\{\s*([A-Za-z][A-Za-z0-9_.-]*)\s*\}")


def check(book: Book) -> Iterator[Wrong]:
    """All that is wrong with names, and with what there must be exactly one of."""
    return chain(
        _references(book),
        _shared_names(book),
        _idle_agents(book),
        _unpublished(book),
        _published_twice(book),
        _published_by_others(book),
        _operations(book),
        _placeholders(book),
        _ports(book),
        _gates(book),
    )


def _references(book: Book) -> Iterator[Wrong]:
    for table, field, kinds, noun in _REFERENCES:
        known = book.names(*kinds)
        if not known and kinds == ("agents",):
            continue  # That there are no agents at all is said once, at [agents].
        for entry in book.entries(table):
            for at, name in entry.texts(field):
                if name not in known:
                    yield Wrong(at, f"there is no {noun} {shown(name)}; {suggestion(name, known)}")


def _shared_names(book: Book) -> Iterator[Wrong]:
    """`needs` may name a gate, a contract or a task, so a name must say which."""
    for i, table in enumerate(_NEEDED):
        for other in _NEEDED[:i]:
            for name in book.names(table):
                if name in book.names(other):
                    also = key((other, name))
                    what = f"is also the name of {also}; needs may name either, so rename one"
                    yield Wrong((table, name), what)


def _idle_agents(book: Book) -> Iterator[Wrong]:
    busy = {task.text("agent") for task in book.entries("tasks")}
    for name in book.names("agents"):
        if busy and name not in busy:
            yield Wrong(("agents", name), "has no task; give it one, or remove it")


def _unpublished(book: Book) -> Iterator[Wrong]:
    published = {name for task in book.entries("tasks") for _, name in task.texts("publishes")}
    for contract in book.entries("contracts"):
        waiting = _waiting_for(book, contract)
        if contract.name not in published and waiting:
            publisher = contract.text("publisher") or "its publisher"
            yield Wrong(
                contract.at(),
                f"no task publishes it, and {waiting} for it; add it to the publishes "
                f"of a task of {publisher}",
            )


def _waiting_for(book: Book, contract: Entry) -> str:
    """Who waits for a contract, as a sentence says it; empty if nobody does."""
    for entry in (*book.entries("tasks"), *book.entries("gates")):
        if contract.name in (name for _, name in entry.texts("needs")):
            return f"{key(entry.at())} waits"
    consumers = [name for _, name in contract.texts("consumers")]
    return f"{', '.join(consumers)} {'wait' if consumers[1:] else 'waits'}" if consumers else ""


def _published_twice(book: Book) -> Iterator[Wrong]:
    first: dict[str, str] = {}
    for task in book.entries("tasks"):
        for at, name in task.texts("publishes"):
            if (other := first.setdefault(name, key(at))) != key(at):
                yield Wrong(at, f"{shown(name)} is published by {other} already; remove one")


def _published_by_others(book: Book) -> Iterator[Wrong]:
    agents = book.names("agents")
    publishers = {c.name: c.text("publisher") for c in book.entries("contracts")}
    for task in book.entries("tasks"):
        agent = task.text("agent")
        for at, name in task.texts("publishes"):
            publisher = publishers.get(name)
            if publisher != agent and publisher in agents and agent in agents:
                yield Wrong(
                    at,
                    f"{shown(name)} is published by {publisher}, but this task is {agent}'s; "
                    f"move it to a task of {publisher}, or change the publisher",
                )


def _operations(book: Book) -> Iterator[Wrong]:
    for contract in book.entries("contracts"):
        kind = contract.text("kind")
        for field in ("operations", *_BY_OPERATION, "live"):
            if contract.values.get(field) and kind not in {"openapi", ""}:
                what = f"only a contract of kind 'openapi' has {field}, this one is {shown(kind)}"
                yield Wrong(contract.at(field), f"{what}; remove them")
        yield from _by_operation(contract)
    yield from _shared_models(book)


def _by_operation(contract: Entry) -> Iterator[Wrong]:
    """What is said of an operation is said of one that there must be."""
    operations = [operation for _, operation in contract.texts("operations")]
    for field in _BY_OPERATION:
        said = contract.values.get(field)
        for operation in said if isinstance(said, Mapping) else ():
            if operation not in operations:
                what = f"is not among the operations; {suggestion(operation, operations)}"
                yield Wrong(contract.at(field, operation), what)


def _shared_models(book: Book) -> Iterator[Wrong]:
    """The model of a body is one of the page of shared models, of which there is one."""
    pages = [c.name for c in book.entries("contracts") if c.text("kind") == "models"]
    for contract in book.entries("contracts"):
        for field in ("requests", "responses"):
            if contract.values.get(field) and len(pages) != 1:
                there = ", ".join(map(shown, pages)) or "none"
                what = (
                    "names shared models, so there must be one contract of kind 'models'; "
                    f"there is {there}"
                )
                yield Wrong(contract.at(field), what)


def _placeholders(book: Book) -> Iterator[Wrong]:
    """What stands in braces in a service's environment is the name of a service."""
    services = book.names("services")
    known = (*services, _TRACES)
    for name in _TAKEN.keys() & {*services}:
        what = f"'{{{name}}}' stands for {_TAKEN[name]}; give the service another name"
        yield Wrong(("services", name), what)
    for service in book.entries("services"):
        environment = service.values.get("environment")
        for variable, value in environment.items() if isinstance(environment, Mapping) else ():
            for found in _PLACEHOLDER.finditer(value if isinstance(value, str) else ""):
                if found[0][1:-1] not in known:
                    what = f"there is no service {shown(found[0])}; {suggestion(found[1], known)}"
                    yield Wrong(service.at("environment", variable), what)


def _ports(book: Book) -> Iterator[Wrong]:
    first: dict[int, str] = {}
    for service in book.entries("services"):
        port = service.values.get("port")
        if type(port) is int and (other := first.setdefault(port, service.name)) != service.name:
            what = f"{shown(port)} is the port of service {shown(other)} already; choose another"
            yield Wrong(service.at("port"), what)


def _gates(book: Book) -> Iterator[Wrong]:
    """A gate judges something, by a module of its own."""
    first: dict[str, str] = {}
    for gate in book.entries("gates"):
        if gate.values.get("needs") in ([], ()):
            what = "is empty; name the tasks, contracts or gates this gate judges"
            yield Wrong(gate.at("needs"), what)
        for at, tests in gate.texts("tests"):
            if (other := first.setdefault(tests, gate.name)) != gate.name:
                what = (
                    f"{shown(tests)} judges gate {shown(other)} already; give each its own module"
                )
                yield Wrong(at, what)
