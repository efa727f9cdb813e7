"""How two revisions of shared models differ, and whom that breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.changes import changes
from pytest_orchestrator._domain.change import Change

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HERE = "/components/schemas/"
_THERE = "/$defs/"


def model_changes(old: Mapping[str, object], new: Mapping[str, object]) -> tuple[Change, ...]:
    """All differences between two documents as ``read_models`` returns them.

    Models are sent and read alike, so what narrows one breaks those who send it,
    and what widens one breaks those who read it.

    Args:
        old: The models consumers were built against.
        new: The models that are to take their place.

    Returns:
        One change for each difference and effect, sorted by pointer into the
        generated schema; empty if the two mean the same.
    """
    before, after = _models(old), _models(new)
    found = list(_came_and_went(before, after))
    both = before.keys() & after.keys()
    told = changes(_api(before, sorted(both)), _api(after, sorted(both)))
    for change in told:
        if change.pointer.startswith(_HERE) and not _is_name(change, before, after):
            pointer = change.pointer.replace(_HERE, _THERE, 1)
            found.append(Change(change.effect, pointer, change.what, change.direction))
    return tuple(sorted(found, key=lambda change: change.pointer))


def _models(document: Mapping[str, object]) -> dict[str, object]:
    definitions = document.get("$defs")
    return dict(definitions) if isinstance(definitions, dict) else {}


def _came_and_went(old: dict[str, object], new: dict[str, object]) -> Iterator[Change]:
    for name in old.keys() - new.keys():
        yield Change("breaking", f"{_THERE}{name}", f"model {name} is gone", "both")
    for name in new.keys() - old.keys():
        yield Change("compatible", f"{_THERE}{name}", f"model {name} is new", "both")


def _is_name(change: Change, old: dict[str, object], new: dict[str, object]) -> bool:
    """Whether a change only says that a model came or went."""
    name = change.pointer.removeprefix(_HERE)
    return name in old.keys() ^ new.keys()


def _api(models: dict[str, object], used: list[str]) -> dict[str, object]:
    """An API that is sent each model, and answers with each."""
    return {
        "openapi": "3.1.0",
        "paths": {f"/{name}": {"post": _operation(name)} for name in used},
        "components": {"schemas": {name: _moved(model) for name, model in models.items()}},
    }


def _operation(name: str) -> dict[str, object]:
    content = {"application/json": {"schema": {"$ref": f"#{_HERE}{name}"}}}
    return {"requestBody": {"content": content}, "responses": {"200": {"content": content}}}


def _moved(value: object) -> object:
    """A schema with its references leading to where the API keeps the models."""
    if isinstance(value, list):
        return [_moved(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: each.replace(f"#{_THERE}", f"#{_HERE}", 1)
        if key == "$ref" and isinstance(each, str)
        else _moved(each)
        for key, each in value.items()
    }
