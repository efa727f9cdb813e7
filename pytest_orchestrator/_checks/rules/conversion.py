"""Schema objects of any OpenAPI version as one JSON Schema of draft 2020-12.

Only what is sound is taken over, so that one bad keyword does not keep the rest from
being used; that it is bad is found elsewhere. Annotations are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_orchestrator._checks.nodes import follow
from pytest_orchestrator._checks.rules.evaluation import pattern_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TYPES = {"array", "boolean", "integer", "null", "number", "object", "string"}
_ONE = frozenset(
    """
    additionalProperties contains else if items not propertyNames then unevaluatedItems
    unevaluatedProperties
    """.split()  # noqa: SIM905 - a paragraph, not a column
)
_ONE_WAY = ("readOnly", "writeOnly")
_LIST = frozenset({"anyOf", "oneOf", "prefixItems"})
_CHOICES = ("allOf", "anyOf", "oneOf")
_MAP = frozenset({"dependentSchemas", "patternProperties", "properties"})


def _listed(schema: dict[str, object]) -> list[object]:
    all_of = schema.get("allOf")
    return all_of if isinstance(all_of, list) else []


def _is_split(schema: dict[str, object]) -> bool:
    """Whether a schema means the same when its allOf stands beside it."""
    sees_it = {"$ref", "unevaluatedItems", "unevaluatedProperties"}
    return bool(_listed(schema)) and sees_it.isdisjoint(schema)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return _is_number(value) and value == int(value) and value >= 0  # type: ignore[operator, call-overload]


def _is_type(value: object) -> bool:
    if isinstance(value, list):
        unique = {v for v in value if isinstance(v, str)}
        return bool(value) and len(unique) == len(value) and unique <= _TYPES
    return isinstance(value, str) and value in _TYPES


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


_SOUND: dict[str, Callable[[Any], bool]] = {
    "const": lambda _: True,
    "dependentRequired": lambda v: isinstance(v, dict) and all(map(_is_names, v.values())),
    "enum": lambda v: isinstance(v, list) and bool(v),
    "exclusiveMaximum": _is_number,
    "exclusiveMinimum": _is_number,
    "format": lambda v: isinstance(v, str),
    "maximum": _is_number,
    "maxContains": _is_count,
    "maxItems": _is_count,
    "maxLength": _is_count,
    "maxProperties": _is_count,
    "minContains": _is_count,
    "minimum": _is_number,
    "minItems": _is_count,
    "minLength": _is_count,
    "minProperties": _is_count,
    "multipleOf": lambda v: _is_number(v) and v > 0,
    "pattern": lambda v: isinstance(v, str) and not pattern_problem(v),
    "type": _is_type,
    "uniqueItems": lambda v: isinstance(v, bool),
}
_NOT_IN_30 = frozenset(
    """
    const contains dependentRequired dependentSchemas else if maxContains minContains
    patternProperties prefixItems propertyNames then unevaluatedItems unevaluatedProperties
    """.split()  # noqa: SIM905 - a paragraph, not a column
)


class Conversion:
    """Collects schemas of a document, and all that they refer to, under ``$defs``.

    Args:
        document: The whole document.
        version: E.g. ``"3.1"``.
        one_way: Properties with one of these keywords need not be there, even where they
            are required. Of an example nobody knows which way it goes.
    """

    def __init__(
        self, document: object, version: str, *, one_way: tuple[str, ...] = _ONE_WAY
    ) -> None:
        self._document = document
        self._leaves_out = one_way
        self._is_30 = version == "3.0"
        self._names: dict[object, str] = {}
        self._todo: list[tuple[str, object]] = []
        self.definitions: dict[str, Any] = {}

    def reference(self, key: object, value: object) -> dict[str, str]:
        """A reference to the converted schema; call ``finish`` before it is used.

        Args:
            key: Its pointer, or whatever else it is the only one of.
            value: The schema.
        """
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = f"s{len(self._names)}"
            self._todo.append((name, value))
        return {"$ref": f"#/$defs/{name}"}

    def finish(self) -> None:
        """Convert what has been referred to, and what that refers to."""
        while self._todo:
            name, value = self._todo.pop()
            self.definitions[name] = self._schema(value)

    def _schema(self, value: object) -> Any:
        if isinstance(value, bool) and not self._is_30:
            return value
        if not isinstance(value, dict):
            return True
        if "$ref" in value and self._is_30:
            return self._target(value["$ref"])
        converted = dict(self._keywords(value))
        if parts := list(self._all_of(value)):
            # By reference, as a schema may lead back to itself from further down.
            converted["allOf"] = [
                self.reference(name, each) if name else self._schema(each) for name, each in parts
            ]
        if "$ref" in value:
            converted["$ref"] = self._target(value["$ref"])["$ref"]
        self._forgive(converted, value)
        return self._as_in_30(converted, value) if self._is_30 else converted

    def _target(self, reference: object) -> dict[str, str]:
        try:
            node = follow(self._document, str(reference))
        except LookupError:
            return self.reference("nowhere", True)  # noqa: FBT003 - the schema of anything
        return self.reference(node.pointer, node.value)

    def _keywords(self, value: dict[str, object]) -> Iterator[tuple[str, object]]:
        for key, written in value.items():
            if self._is_30 and key in _NOT_IN_30:
                continue
            if key in _ONE and isinstance(written, (dict, bool)):
                yield key, self._schema(written) if isinstance(written, dict) else written
            elif key in _LIST and isinstance(written, list) and written:
                yield key, [self._schema(each) for each in written]
            elif key in _MAP and isinstance(written, dict):
                yield (
                    key,
                    {
                        str(name): self._schema(each)
                        for name, each in written.items()
                        if key != "patternProperties" or not pattern_problem(str(name))
                    },
                )
            elif (is_sound := _SOUND.get(key)) is not None and is_sound(written):
                yield (
                    key,
                    list(dict.fromkeys(written))
                    if key == "type" and isinstance(written, list)
                    else written,
                )
        required = value.get("required")
        if _is_names(required):
            yield "required", list(dict.fromkeys(required))  # type: ignore[call-overload]

    def _all_of(self, value: dict[str, object]) -> Iterator[tuple[str, object]]:
        """Each schema of an allOf once, however many ways lead there, and its name if it has one.

        Without, a diamond of thirty levels would be gone through a billion times.
        """
        seen: set[int] = {id(value)}
        todo = [("", each) for each in reversed(_listed(value))]
        while todo:
            name, written = todo.pop()
            if isinstance(written, dict) and "$ref" in written and self._is_bare(written):
                try:
                    written, name = follow(self._document, str(written["$ref"]))
                except LookupError:
                    continue
            identity = id(written)
            if identity in seen:
                continue
            seen.add(id(written))
            if isinstance(written, dict) and _is_split(written):
                todo += [("", each) for each in reversed(_listed(written))]
                own = {key: each for key, each in written.items() if key != "allOf"}
                yield name and f"{name} alone", own
            else:
                yield name, written

    def _is_bare(self, schema: dict[str, object]) -> bool:
        """Whether nothing beside its reference counts."""
        return self._is_30 or len(schema) == 1

    def _forgive(self, converted: dict[str, Any], value: dict[str, object]) -> None:
        """Let examples leave out what is only ever sent one way."""
        required = converted.get("required")
        if required is None:
            return
        one_way = set(self._one_way(value))
        converted["required"] = [name for name in required if name not in one_way]

    def _one_way(self, value: dict[str, object]) -> Iterator[str]:
        for holder in (value, *(each for _, each in self._all_of(value))):
            properties = holder.get("properties") if isinstance(holder, dict) else None
            for name, each in properties.items() if isinstance(properties, dict) else ():
                if self._is_one_way(each):
                    yield name

    def _is_one_way(self, schema: object) -> bool:
        seen: set[int] = set()
        while isinstance(schema, dict) and id(schema) not in seen:
            seen.add(id(schema))
            if any(schema.get(keyword) is True for keyword in self._leaves_out):
                return True
            try:
                schema = follow(self._document, str(schema.get("$ref"))).value
            except LookupError:
                return False
        return False

    def _as_in_30(self, converted: dict[str, Any], value: dict[str, object]) -> dict[str, Any]:
        """What 3.0 says in words of its own."""
        for bound in ("Minimum", "Maximum"):
            limit = converted.get(bound.lower())
            if value.get(f"exclusive{bound}") is True and limit is not None:
                converted[f"exclusive{bound}"] = converted.pop(bound.lower())
        if isinstance(converted.get("type"), list):
            del converted["type"]
        if value.get("nullable") is True and "type" in converted:
            converted["type"] = [converted["type"], "null"]
        elif value.get("nullable") is True and not converted.keys().isdisjoint(_CHOICES):
            # OpenAPI 3.0 gives it no meaning here, but whoever writes it means this.
            return {"anyOf": [converted, {"type": "null"}]}
        return converted
