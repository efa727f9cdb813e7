"""How often a schema makes whoever evaluates it look at the same thing again, and how deep.

Alternatives that lead to the same alternatives double the work with every level. To count
them takes a moment, since each pair of a schema and a value is counted once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOLERATED = 20_000  # evaluations, which take a fraction of a second
_AGAIN = 20  # times as many as there are pairs; a long list is long, but looked at once
_MAX_DEPTH = 2_000  # schemas within schemas; an engine's stack ends at a multiple of it
_MAX_PAIRS = 200_000  # what is more has to be stopped by the time it takes
_MOST = 10**9


class _Weight(NamedTuple):
    """How many evaluations there are, and the most that are within each other."""

    steps: int = 0
    depth: int = 0


class Ways:
    """Counts evaluations.

    Args:
        definitions: Schemas by name, which refer to each other by ``#/$defs/<name>``; they
            and the values are to be kept alive meanwhile.
    """

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._weights: dict[tuple[int, int], _Weight] = {}

    def explode(self, schema: object, value: object) -> bool:
        """Whether holding the value against the schema takes too many steps, or too deep ones."""
        before = len(self._weights)
        weight = self._weigh(schema, value)
        new = len(self._weights) - before
        is_many = weight.steps > _TOLERATED and weight.steps > _AGAIN * new
        return is_many or weight.depth > _MAX_DEPTH

    def _weigh(self, schema: object, value: object) -> _Weight:
        """Depth first, without recursion; what leads back to itself counts once."""
        weights = self._weights
        todo = [(schema, value)]
        while todo:
            pair = _pair(todo[-1])
            below = list(self._below(*todo[-1]))
            if pair not in weights:
                if len(weights) > _MAX_PAIRS:
                    return _Weight()
                weights[pair] = _Weight()
                todo += [each for each in below if _pair(each) not in weights]
                continue
            todo.pop()
            if not weights[pair].steps:
                found = [weights[_pair(each)] for each in below]
                steps = min(_MOST, 1 + sum(each.steps for each in found))
                weights[pair] = _Weight(steps, 1 + max((each.depth for each in found), default=0))
        return weights[_pair((schema, value))]

    def _below(self, schema: object, value: object) -> Iterator[tuple[object, object]]:
        """What is evaluated next: other schemas of the same value, then what is within it."""
        if not isinstance(schema, dict):
            return
        if "$ref" in schema:
            yield self._definitions.get(schema["$ref"].rpartition("/")[2]), value
        for keyword in ("allOf", "anyOf", "oneOf"):
            yield from ((each, value) for each in schema.get(keyword, ()))
        for keyword in ("not", "if", "then", "else"):
            if keyword in schema:
                yield schema[keyword], value
        yield from _within(schema, value)


def _within(schema: dict[str, Any], value: object) -> Iterator[tuple[object, object]]:
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        yield from ((properties.get(name, others), each) for name, each in value.items())
    elif isinstance(value, list):
        first, rest = schema.get("prefixItems", ()), schema.get("items")
        for index, each in enumerate(value):
            yield first[index] if index < len(first) else rest, each


def _pair(both: tuple[object, object]) -> tuple[int, int]:
    return id(both[0]), id(both[1])
