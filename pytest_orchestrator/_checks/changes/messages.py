"""Changes of what is sent and read: parameters, headers, bodies, responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.changes.parts import changed, entries, part, remaining
from pytest_orchestrator._checks.comparison.operations import NO_PARAMETER, is_required, style
from pytest_orchestrator._checks.nodes import Node, shown
from pytest_orchestrator._domain.change import Change, Direction, Effect, Shift, effect_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_orchestrator._checks.changes.schemas import SchemaChanges
    from pytest_orchestrator._checks.comparison.outline import Operation, Outline

_FIELD = frozenset(("content", "explode", "in", "name", "required", "schema", "style"))
_BODY = frozenset(("content", "required"))
_RESPONSE = frozenset(("content", "headers"))
_MEDIA_TYPE = frozenset(("itemSchema", "schema"))
_HEADERS = "response header"  # where no parameter can be

Fields = dict[tuple[str, str], Node]


class MessageChanges:
    """Compares the parts of two operations; ``direction`` says what a part is to a consumer."""

    def __init__(self, old: Outline, new: Outline, schemas: SchemaChanges) -> None:
        self._old = old
        self._new = new
        self._schemas = schemas

    def parameters(
        self, old: Operation, new: Operation, renamed: Mapping[str, str], direction: Direction
    ) -> Iterator[Change]:
        """Changes of parameters; ``renamed`` has the new names of path parameters by the old."""
        before = {
            (kind, renamed.get(name, name) if kind == "path" else name): node
            for (kind, name), node in self._old.written_parameters(old).items()
        }
        after = self._new.written_parameters(new)
        for key, moved in _moved(before, after).items():
            one, other = self._old.resolve(before.pop(key)), self._new.resolve(after.pop(moved))
            places = part(one, "in"), part(other, "in")
            yield changed("breaking", f"place of parameter {moved[1]}", *places, direction)
            yield from self._described(_title(moved), one, other, direction)
        yield from self._fields(before, after, direction)

    def body(self, written: Node, now: Node, direction: Direction) -> Iterator[Change]:
        """Changes of a request body."""
        one, other = self._old.resolve(written), self._new.resolve(now)
        if one.value is None and other.value is None:
            return
        if other.value is None:
            yield changed("breaking", "request body", written, None, direction)
        elif one.value is None:
            effect = _effect_of_new(other, direction)
            yield changed(effect, "request body", None, now, direction)
        else:
            yield from _requirement("request body", one, other, direction)
            yield from self._content(one, other, direction)
            yield from remaining(one, other, _BODY, direction)

    def responses(self, old: Node, new: Node, direction: Direction) -> Iterator[Change]:
        """Changes of responses; a status nobody names is one of its range, or the default."""
        before, after = entries(old), entries(new)
        for status, node in before.items():
            now = _covering(status, after)
            if now is None:
                yield changed("breaking", f"response {status}", node, None, direction)
                continue
            if now != status:
                subject = f"response {status}, now one of {now},"
                yield changed("compatible", subject, node, after[now], direction)
            yield from self._response(node, after[now], direction)
        for status, node in after.items():
            was = _covering(status, before)
            if was is None:
                effect = _effect_of_status(status, direction)
                yield changed(effect, f"response {status}", None, node, direction)
            elif was != status:
                subject = f"response {status}, so far one of {was},"
                yield changed("compatible", subject, before[was], node, direction)
                yield from self._response(before[was], node, direction)

    def _response(self, written: Node, now: Node, direction: Direction) -> Iterator[Change]:
        one, other = self._old.resolve(written), self._new.resolve(now)
        yield from self._fields(_headers(one), _headers(other), direction)
        yield from self._content(one, other, direction)
        yield from remaining(one, other, _RESPONSE, direction)

    def _fields(self, old: Fields, new: Fields, direction: Direction) -> Iterator[Change]:
        """Changes of parameters or of headers, by place and name."""
        for key in dict.fromkeys((*old, *new)):
            if key in NO_PARAMETER:
                continue
            written, now, title = old.get(key), new.get(key), _title(key)
            if written is None and now is not None:
                effect = _effect_of_new(self._new.resolve(now), direction)
                yield changed(effect, title, None, now, direction)
            elif now is None:
                yield changed("breaking", title, written, None, direction)
            elif written is not None:
                one, other = self._old.resolve(written), self._new.resolve(now)
                yield from _style_changes(title, one, other, direction)
                yield from self._described(title, one, other, direction)

    def _described(
        self, title: str, one: Node, other: Node, direction: Direction
    ) -> Iterator[Change]:
        """Changes of what a parameter or a header may be."""
        yield from _requirement(title, one, other, direction)
        if ("content" in one) != ("content" in other):
            nodes = part(one, "content"), part(other, "content")
            yield changed("breaking", f"content of {title}", *nodes, direction)
        else:
            schemas = one.child("schema"), other.child("schema")
            yield from self._schemas.changes(*schemas, direction)
            yield from self._content(one, other, direction)
        yield from remaining(one, other, _FIELD, direction)

    def _content(self, one: Node, other: Node, direction: Direction) -> Iterator[Change]:
        before, after = _media_types(one), _media_types(other)
        for name in dict.fromkeys((*before, *after)):
            written, now = before.get(name), after.get(name)
            if written is None or now is None:
                effect: Effect = "compatible" if written is None else "breaking"
                yield changed(effect, f"media type {name}", written, now, direction)
                continue
            mine, theirs = self._old.resolve(written), self._new.resolve(now)
            for key in ("schema", "itemSchema"):
                yield from self._schemas.changes(mine.child(key), theirs.child(key), direction)
            yield from remaining(mine, theirs, _MEDIA_TYPE, direction)


def _moved(old: Fields, new: Fields) -> dict[tuple[str, str], tuple[str, str]]:
    """Parameters that are in another place now, by where they were."""
    came = {name.lower(): (kind, name) for kind, name in new if (kind, name) not in old}
    went = [(kind, name) for kind, name in old if (kind, name) not in new]
    return {key: came.pop(key[1].lower()) for key in went if key[1].lower() in came}


def _title(key: tuple[str, str]) -> str:
    kind, name = key
    return f"{kind} parameter {shown(name)}" if kind != _HEADERS else f"header {shown(name)}"


def _headers(response: Node) -> Fields:
    """A response's headers; the media type is told by its content."""
    members = response.child("headers").members()
    return {
        (_HEADERS, name.lower()): node for name, node in members if name.lower() != "content-type"
    }


def _covering(status: str, responses: dict[str, Node]) -> str | None:
    """The key that describes a status, e.g. ``"404"``, ``"4XX"`` or ``"default"``."""
    keys = (status, f"{status[:1]}XX", "default")
    return next((key for key in keys if key in responses), None)


def _effect_of_status(status: str, direction: Direction) -> Effect:
    """Errors are to be expected of any server; another success is not."""
    is_error = status.startswith(("4", "5")) or status == "default"
    return "breaking" if direction == "response" and not is_error else "compatible"


def _effect_of_new(node: Node, direction: Direction) -> Effect:
    is_breaking = direction == "request" and is_required(node)
    return "breaking" if is_breaking else "compatible"


def _requirement(title: str, one: Node, other: Node, direction: Direction) -> Iterator[Change]:
    if is_required(one) != is_required(other):
        shift = Shift.NARROWER if is_required(other) else Shift.WIDER
        node = part(other, "required") or one.child("required")
        words = ("optional", "required")
        was, now = words[is_required(one)], words[is_required(other)]
        what = f"{title} was {was}, is now {now}"
        yield Change(effect_of(shift, direction), node.pointer, what, direction)


def _style_changes(title: str, one: Node, other: Node, direction: Direction) -> Iterator[Change]:
    """How a value is written; an explode that only follows from the style is not told."""
    for key, was, now in zip(("style", "explode"), style(one), style(other), strict=True):
        node = part(other, key) or part(one, key)
        if was != now and node is not None:
            what = f"{key} of {title} was {shown(was)}, is now {shown(now)}"
            yield Change("breaking", node.pointer, what, direction)


def _media_types(holder: Node) -> dict[str, Node]:
    """Media types by name; that a text is UTF-8 goes without saying."""
    return {
        name.lower().replace(" ", "").removesuffix(";charset=utf-8"): node
        for name, node in holder.child("content").members()
    }
