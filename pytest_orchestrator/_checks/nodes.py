"""Values in a document with the place they stand at, as a JSON pointer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator


class Node(NamedTuple):
    """A value, and where it stands in its document.

    Reading never fails: what is not there, or not of the kind asked for, is
    empty, because documents under check may be malformed anywhere.

    Attributes:
        value: Any JSON value.
        pointer: RFC 6901, e.g. ``"/paths/~1health"``; ``""`` is the whole document.
    """

    value: object
    pointer: str = ""

    def __contains__(self, key: object) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def child(self, *keys: str) -> Node:
        """The node below, one key after the other; its value is ``None`` if there is none."""
        value, pointer = self
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
            pointer = join(pointer, key)
        return Node(value, pointer)

    def members(self) -> Iterator[tuple[str, Node]]:
        """Key and node of each member of an object."""
        if isinstance(self.value, dict):
            for key, value in self.value.items():
                yield str(key), Node(value, join(self.pointer, key))

    def elements(self) -> Iterator[Node]:
        """The nodes of an array."""
        if isinstance(self.value, list):
            for index, value in enumerate(self.value):
                yield Node(value, join(self.pointer, index))


def join(pointer: str, *tokens: object) -> str:
    """Lengthen a pointer by keys and indexes, escaped as they need to be."""
    for token in tokens:
        escaped = str(token)
        if "~" in escaped or "/" in escaped:
            escaped = escaped.replace("~", "~0").replace("/", "~1")
        pointer = f"{pointer}/{escaped}"
    return pointer


def place(name: str, pointer: str) -> str:
    """Where a finding is: ``"core-api.json#/paths/~1health"``."""
    return f"{name}#" + "".join(c if c.isprintable() else quote(c) for c in pointer)


def follow(document: object, reference: str) -> Node:
    """The node a reference like ``"#/components/schemas/A"`` points to.

    Raises:
        LookupError: It leads nowhere, or out of the document.
    """
    if reference == "#":
        return Node(document)
    if not reference.startswith("#/"):
        raise LookupError(reference)
    value, pointer = document, ""
    for part in reference[2:].split("/"):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            raise LookupError(reference)
        pointer = join(pointer, key)
    return Node(value, pointer)


def canonical(value: object) -> str:
    """One text for each JSON value; unlike ``==`` it tells ``1`` from ``true``."""
    return json.dumps(value, sort_keys=True)


def shown(value: object, limit: int = 80) -> str:
    """A value as JSON, cut to ``limit`` characters."""
    return shortened(canonical(value), limit)


def shortened(text: str, limit: int = 300) -> str:
    """A text, cut to ``limit`` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
