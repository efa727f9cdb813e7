"""Changes of where an API is and of what it takes to be let in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from pytest_orchestrator._checks.changes.parts import changed, differ, part, remaining
from pytest_orchestrator._checks.nodes import Node, canonical, join, shown
from pytest_orchestrator._domain.change import Change, Direction, Effect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._checks.comparison.outline import Outline

_SERVER = frozenset(("name", "url"))
# They do not change how one is let in; scopes do, but where they are asked for.
_HINTS = frozenset(("bearerFormat", "deprecated", "description", "scopes"))
_SCHEME = frozenset(
    """
    flows in name oauth2MetadataUrl openIdConnectUrl scheme type
    """.split()  # noqa: SIM905 - a paragraph, not a column
)


class Access(NamedTuple):
    """One of the ways to be let in, and where it is written."""

    schemes: dict[str, frozenset[str]]
    """The scopes asked for, by what a scheme is, however it is called."""
    node: Node

    def __str__(self) -> str:
        return shown(self.node.value) if self.schemes else "none"


def server_changes(old: Node, new: Node, direction: Direction) -> Iterator[Change]:
    """Changes of two lists of servers; their paths are promised, their hosts are not."""
    before, after = _servers(old), _servers(new)
    bases = {_base(server) for server in after.values()}
    for url, server in before.items():
        if url in after:
            yield from remaining(server, after[url], _SERVER, direction)
        elif _base(server) not in bases:
            what = f"server {shown(url)} is gone; there are {shown(list(after))}"
            yield Change("breaking", _place(server, new), what, direction)
        else:
            what = f"server {shown(url)} is gone; the same path is at {shown(list(after))}"
            yield Change("compatible", _place(server, new), what, direction)
    for url, server in after.items():
        if url not in before:
            what = f"server {shown(url)} is new; there were {shown(list(before))}"
            yield Change("compatible", _place(server, old), what, direction)


def _servers(listed: Node) -> dict[str, Node]:
    """Servers by URL; without any there is one, which is where the document is."""
    found = {str(node.child("url").value): node for node in listed.elements()}
    return found or {"/": Node({"url": "/"})}


def _place(server: Node, other: Node) -> str:
    """Where a server is written; if it is written nowhere, where those are that replace it."""
    return join(server.pointer, "url") if server.pointer else other.pointer


def _base(server: Node) -> str:
    """The path that all others are below, e.g. ``"/v1"``."""
    url = str(server.child("url").value)
    for name, variable in server.child("variables").members():
        url = url.replace(f"{{{name}}}", str(variable.child("default").value))
    try:
        return urlsplit(url).path.rstrip("/")
    except ValueError:
        return url


class SecurityChanges:
    """Compares what it takes to be let in."""

    def __init__(self, old: Outline, new: Outline) -> None:
        self._old = _schemes(old)
        self._new = _schemes(new)

    def changes(self, old: Node, new: Node, direction: Direction) -> Iterator[Change]:
        """Changes of two lists of ways in: whoever knew one must still be let in."""
        before, after = _ways(old, self._old), _ways(new, self._new)
        for way in before:
            if _is_written(way, after):
                if not _suffices(way, after):
                    yield from self._redefined(way, direction)
            elif all(way.schemes != other.schemes for other in after):
                effect: Effect = "compatible" if _suffices(way, after) else "breaking"
                what = f"security was {_asked(before)}, is now {_asked(after)}: {way} is gone"
                yield Change(effect, way.node.pointer or new.pointer, what, direction)
        for way in after:
            if not _is_written(way, before) and all(way.schemes != w.schemes for w in before):
                what = f"security was {_asked(before)}, is now {_asked(after)}: {way} is new"
                yield Change("compatible", way.node.pointer or old.pointer, what, direction)

    def hints(self) -> Iterator[Change]:
        """Changes of what is only said about schemes."""
        for name, one in self._old.items():
            other = self._new.get(name, one)
            yield from remaining(one, other, _SCHEME)
            flows = part(one, "flows"), part(other, "flows")
            if differ(*flows) and _essence(one) == _essence(other):
                yield changed("annotation", "flows", *flows)

    def _redefined(self, way: Access, direction: Direction) -> Iterator[Change]:
        """A way that is called as before, but is another."""
        for name, _ in way.node.members():
            one, other = self._old.get(name), self._new.get(name)
            if _essence(one) != _essence(other):
                yield changed("breaking", f"security scheme {name!r}", one, other, direction)


def _schemes(outline: Outline) -> dict[str, Node]:
    written = outline.root.child("components", "securitySchemes").members()
    return {name: outline.resolve(node) for name, node in written}


def _ways(listed: Node, schemes: dict[str, Node]) -> list[Access]:
    """The ways to be let in; without any there is one, which takes nothing."""
    nothing = Node({}, "" if listed.value is None else listed.pointer)
    return [
        Access(
            {
                _essence(schemes.get(name)) or name: frozenset(map(canonical, _list(scopes)))
                for name, scopes in node.members()
            },
            node,
        )
        for node in listed.elements()
    ] or [Access({}, nothing)]


def _list(scopes: Node) -> list[object]:
    return scopes.value if isinstance(scopes.value, list) else [scopes.value]


def _is_written(way: Access, ways: list[Access]) -> bool:
    """Whether there is one that is called the same."""
    return any(canonical(way.node.value) == canonical(other.node.value) for other in ways)


def _suffices(way: Access, ways: list[Access]) -> bool:
    """Whether who knows a way is let in by one of others."""
    return any(
        all(
            scheme in way.schemes and scopes <= way.schemes[scheme]
            for scheme, scopes in asked.schemes.items()
        )
        for asked in ways
    )


def _asked(ways: list[Access]) -> str:
    return " or ".join(map(str, ways))


def _essence(scheme: Node | None) -> str:
    """What a scheme is, without what is only said about it; empty for none."""
    return "" if scheme is None else canonical(_stripped(scheme.value))


def _stripped(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {
        key: _stripped(each)
        for key, each in value.items()
        if key not in _HINTS and not str(key).startswith("x-")
    }
