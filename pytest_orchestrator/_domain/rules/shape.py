"""Tables, keys and types: what can be said of an entry without looking at another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from pytest_orchestrator._domain.plan import (
    Agent,
    AgentName,
    BaseUrl,
    Budget,
    Contract,
    Gate,
    Generated,
    Live,
    Name,
    Operation,
    Plan,
    Run,
    Service,
    Stack,
    Task,
    Traces,
    UrlPath,
)
from pytest_orchestrator._domain.rules.wording import At, Wrong, key, shown, suggestion

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from pytest_orchestrator._domain.rules.book import Document

Value = TypeVar("Value", bound=BaseModel)

TABLES = ("run", "budget", "agents", "contracts", "services", "stacks", "tasks", "gates", "traces")
_MISSING = {
    "run": '[run] is missing; it names the run: name = "…"',
    "agents": "[agents] is missing; who works? [agents.core] is one agent",
    "tasks": "[tasks] is missing; what is there to do? [tasks.core-spec] is one task",
}
_PATTERNS = {
    get_args(AgentName)[1].pattern: (
        "an agent's name: a lower-case letter, then lower-case letters, digits or '_', since it "
        "is part of a fixture's name"
    ),
    get_args(Name)[1].pattern: "a name: a letter, then letters, digits, '-' or '_'",
    get_args(BaseUrl)[1].pattern: (
        "the URL of a server, without a name or password, e.g. 'http://127.0.0.1:3200'"
    ),
    get_args(UrlPath)[1].pattern: "a path that begins with '/'",
    get_args(Operation)[1].pattern: "a method and a path, e.g. 'GET /health'",
}
_KINDS = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
}
_INNER: dict[str, type[BaseModel]] = {
    "budget": Budget,
    "generated": Generated,
    "live": Live,
}
"""The keys of entries that are tables of keys themselves, or hold such tables by name."""
# What order does not depend on: a task without a brief still has its place.
_FILLERS: dict[type[BaseModel], dict[str, object]] = {
    Task: {"brief": "?"},
    Contract: {"kind": "models", "path": "?", "publisher": "?"},
    Gate: {"title": "?", "tests": "?", "needs": ()},
}


class Shaped(NamedTuple):
    """What is sound in a document, and what is not.

    Attributes:
        plan: Every entry that has a place in the order of things; names may
            lead nowhere. It is the plan itself if nothing is wrong, here or
            elsewhere, and not to be asked for anything but order if something is.
        wrong: The mistakes.
    """

    plan: Plan
    wrong: tuple[Wrong, ...]


def read(document: Document, briefs: Mapping[str, str]) -> Shaped:
    """Validate every entry by itself."""
    wrong = [*_tables(document)]
    run = document.get("run")
    plan = Plan.model_construct(
        run=_entry(("run",), Run, {"name": "?"} if run is None else run, wrong),
        budget=_entry(("budget",), Budget, document.get("budget", {}), wrong),
        agents=_entries(document, "agents", Agent, wrong),
        tasks=_entries(document, "tasks", Task, wrong),
        contracts=_entries(document, "contracts", Contract, wrong),
        stacks=_entries(document, "stacks", Stack, wrong),
        services=_entries(document, "services", Service, wrong),
        gates=_entries(document, "gates", Gate, wrong),
        traces=_entry(("traces",), Traces, document.get("traces", {}), wrong),
        briefs=dict(briefs),
    )
    return Shaped(plan, tuple(wrong))


def _tables(document: Document) -> list[Wrong]:
    # An empty [run] is there and lacks its name; a table of tables that is empty is not there.
    absent = [n for n in _MISSING if n not in document or (n != "run" and not document[n])]
    return [Wrong((name,), _MISSING[name]) for name in absent] + [
        Wrong((name,), f"unknown table; {suggestion(name, TABLES)}")
        for name in document
        if name not in TABLES
    ]


def _entries(
    document: Document, table: str, kind: type[Value], wrong: list[Wrong]
) -> dict[str, Value]:
    """The sound entries of one table, by name."""
    found = document.get(table, {})
    if not isinstance(found, Mapping):
        what = f"expected tables with names, e.g. [{table}.core], got {shown(found)}"
        wrong += [Wrong((table,), what)] if found or table not in _MISSING else []
        return {}
    entries = {name: _entry((table, name), kind, raw, wrong) for name, raw in found.items()}
    return {name: entry for name, entry in entries.items() if entry is not None}


def _entry(at: At, kind: type[Value], raw: object, wrong: list[Wrong]) -> Value | None:
    """One entry, if need be without the keys that are wrong."""
    if not isinstance(raw, Mapping):
        wrong.append(Wrong(at, f"expected a table, got {shown(raw)}"))
        return None
    values = {field: _frozen(value) for field, value in raw.items()}
    named = len(at) > 1
    if named and "name" in values:
        what = f"unknown key; the name is the one of the table, {shown(at[1])}"
        wrong.append(Wrong((*at, "name"), what))
    values |= {"name": at[1]} if named else {}
    try:
        return kind.model_validate(values, strict=True)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    wrong += [_translated(at, kind, details, named=named) for details in errors]
    return _without({details["loc"][0] for details in errors}, kind, values)


def _without(fields: set[int | str], kind: type[Value], values: Document) -> Value | None:
    """An entry of what is left when some keys are taken away; ``None``: its place is lost."""
    left = {field: value for field, value in values.items() if field not in fields}
    left = {**_FILLERS.get(kind, {}), **left}
    try:
        return kind.model_validate(left, strict=True)
    except ValidationError:
        return None


def _frozen(value: object, tables: int = 2) -> object:
    """TOML's arrays as tuples, as far down as a runbook has any: below at most two tables."""
    if isinstance(value, Mapping) and tables:
        return {field: _frozen(inner, tables - 1) for field, inner in value.items()}
    if not isinstance(value, list):
        return value
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def _translated(at: At, kind: type[BaseModel], details: ErrorDetails, *, named: bool) -> Wrong:
    loc = tuple(step for step in details["loc"] if step != "[key]")
    place = at if named and loc == ("name",) else (*at, *loc)
    inner = _INNER.get(str(loc[0])) if loc[1:] else None
    if details["type"] == "missing":
        return Wrong(place, f"is missing; {_noun(place[:-1]) if inner else _noun(at)} has one")
    if details["type"] == "extra_forbidden":
        fields = (inner or kind).model_fields
        known = [field for field in fields if not (named and not inner and field == "name")]
        return Wrong(place, f"unknown key; {suggestion(str(loc[-1]), known)}")
    return Wrong(place, _sentence(details))


def _noun(at: At) -> str:
    if len(at) == 1:
        return f"[{at[0]}]"
    return f"every {str(at[0]).removesuffix('s')}" if len(at) == 2 else f"[{key(at)}]"  # noqa: PLR2004


def _sentence(details: ErrorDetails) -> str:
    """What was expected, and what is there instead."""
    error, context, value = details["type"], details.get("ctx", {}), details["input"]
    if error in {"too_short", "string_too_short"}:
        return "must not be empty"
    expected = _KINDS.get(error) or details["msg"].removeprefix("Input should be ")
    cure = ""
    if error == "string_pattern_mismatch":
        expected = _PATTERNS.get(context["pattern"], expected)
    elif error in _BOUNDS:
        words, bound = _BOUNDS[error]
        expected = f"{words} {context[bound]:g}"
    elif error == "literal_error" and isinstance(value, str):
        choices = [choice.strip("'") for choice in context["expected"].split(" or ")]
        cure = f"; {suggestion(value, choices)}"
    elif error == "tuple_type" and isinstance(value, str):
        cure = f"; write [{shown(value)}]"
    return f"expected {expected}, got {shown(value)}{cure}"
