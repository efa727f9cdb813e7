"""Whether two schemas say the same, and where they differ."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeGuard

from pytest_orchestrator._checks.comparison.normal import CHOICES, NAMED_BELOW, ONE_BELOW, normal
from pytest_orchestrator._checks.nodes import Node, canonical, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_orchestrator._checks.comparison.normal import Keywords
    from pytest_orchestrator._checks.comparison.outline import Outline

# Where one of these stands, a property that is not named is no longer allowed for sure.
_CLOSING = frozenset(
    ("additionalProperties", "patternProperties", "propertyNames", "unevaluatedProperties")
)

Pair = tuple[int, int]
Assumed = ChainMap[Pair, None]


class Difference(NamedTuple):
    """A place in the published document that is served differently.

    Attributes:
        pointer: Into the published document.
        what: What differs, e.g. ``"type"`` or ``"'page' of properties"``.
        published: As JSON, shortened; ``None`` if there is nothing.
        served: The same for what is served.
    """

    pointer: str
    what: str
    published: str | None
    served: str | None

    def __str__(self) -> str:
        one = "not published" if self.published is None else f"published as {self.published}"
        other = "not served" if self.served is None else f"served as {self.served}"
        return f"{self.what} is {one}, {other}"


class SchemaComparison:
    """Compares schemas of two documents; a pair that was compared is not compared again.

    A pair of schemas that is met again while it is being compared is taken for
    equal: were it not, the difference would be found elsewhere. So recursion ends.

    Args:
        published: The document the first schemas are of.
        served: The document the second ones are of.
        more: What the second ones may have more than the first, in objects that are not
            closed: ``"response"``: any property; ``"request"``: any that may be left out;
            ``None``: nothing.
        forgives: Whether a difference of a keyword is none, given its name and both
            values; ``None`` is one that is not there.
    """

    def __init__(
        self,
        published: Outline,
        served: Outline,
        *,
        more: Literal["request", "response"] | None = None,
        forgives: Callable[[str, Node | None, Node | None], bool] = lambda *_: False,
    ) -> None:
        self._published = published
        self._served = served
        self._more = more
        self._forgives = forgives
        self._compared: Assumed = ChainMap()
        self._different: set[Pair] = set()

    def differences(self, published: Node, served: Node) -> Iterator[Difference]:
        """Where the two differ, unless that has been told already."""
        return self._walk(published, served, self._compared)

    def same(self, published: Node, served: Node) -> bool:
        """Whether the two say the same; not to be mixed with ``differences``, which forgets."""
        return self._same(published, served, self._compared)

    def _walk(self, published: Node, served: Node, assumed: Assumed) -> Iterator[Difference]:
        todo = [(published, served)]
        while todo:
            mine, theirs = todo.pop()
            mine, theirs = self._published.schema(mine), self._served.schema(theirs)
            pair = id(mine.value), id(theirs.value)
            if pair in assumed:
                continue
            assumed[pair] = None
            below: list[tuple[Node, Node]] = []
            yield from self._level(mine, theirs, assumed, below)
            todo.extend(reversed(below))

    def _level(
        self, mine: Node, theirs: Node, assumed: Assumed, below: list[tuple[Node, Node]]
    ) -> Iterator[Difference]:
        """Differences of what two schemas say themselves; adds the pairs below them."""
        left, right = normal(self._published, mine), normal(self._served, theirs)
        if self._more is not None and left.keys().isdisjoint(_CLOSING):
            right = _without_more(left, right, needed=self._more == "request")
        for keyword in dict.fromkeys((*left, *right)):
            one, other = left.get(keyword), right.get(keyword)
            if one is None or other is None:
                if not self._forgives(keyword, one, other):
                    at = mine.pointer if one is None else one.pointer
                    yield _difference(at, keyword, one, other)
            elif keyword in ONE_BELOW:
                below.append((one, other))
            elif keyword in NAMED_BELOW:
                yield from _members(keyword, one, other, below)
            elif keyword in CHOICES:
                yield from self._choices(keyword, (one, other), assumed, below)
            elif keyword == "prefixItems":
                yield from _positions(one, other, below)
            elif canonical(one.value) != canonical(other.value) and not self._forgives(
                keyword, one, other
            ):
                yield _difference(one.pointer, keyword, one, other)

    def _choices(
        self,
        keyword: str,
        both: tuple[Node, Node],
        assumed: Assumed,
        below: list[tuple[Node, Node]],
    ) -> Iterator[Difference]:
        """Differences of schemas whose order means nothing, so each looks for its like."""
        mine, theirs = (list(node.elements()) for node in both)
        lonely = [a for a in mine if not any(self._same(a, b, assumed) for b in theirs)]
        others = [b for b in theirs if not any(self._same(a, b, assumed) for a in mine)]
        if len(lonely) == len(others) and assumed is self._compared:
            # Told apart already; going on below is only for those who want to know where.
            below.extend(zip(lonely, others, strict=True))
            return
        for node in lonely:
            yield _difference(node.pointer, f"schema of {keyword}", node, None)
        for node in others:
            yield _difference(both[0].pointer, f"schema of {keyword}", None, node)

    def _same(self, mine: Node, theirs: Node, assumed: Assumed) -> bool:
        mine, theirs = self._published.schema(mine), self._served.schema(theirs)
        pair = id(mine.value), id(theirs.value)
        if pair in self._different:
            return False
        trial = assumed.new_child()
        if next(self._walk(mine, theirs, trial), None) is None:
            assumed.update(trial.maps[0])
            return True
        self._different.add(pair)
        return False


def _without_more(left: Keywords, right: Keywords, *, needed: bool) -> Keywords:
    """The second schema without the properties only it has; with those it ``needed``."""
    known = {name for name, _ in left.get("properties", Node(None)).members()}
    wanted = right.get("required", Node(None)).value
    required = [name for name in wanted if isinstance(name, str)] if _is_list(wanted) else []
    kept = known | {*required} if needed else known
    found = dict(right)
    if "properties" in right and isinstance(right["properties"].value, dict):
        node = right["properties"]
        there = {name: value for name, value in right["properties"].value.items() if name in kept}
        found["properties"] = node._replace(value=there)
        if not there and "properties" not in left:
            del found["properties"]
    if required and not needed:
        also = left.get("required", Node(None)).value
        mine = also if isinstance(also, list) else []
        still = [name for name in required if name in known or name in mine]
        found["required"] = right["required"]._replace(value=still)
        if not still and "required" not in left:
            del found["required"]
    return found


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _members(
    keyword: str, mine: Node, theirs: Node, below: list[tuple[Node, Node]]
) -> Iterator[Difference]:
    published, served = dict(mine.members()), dict(theirs.members())
    for name in dict.fromkeys((*published, *served)):
        one, other = published.get(name), served.get(name)
        if one is not None and other is not None:
            below.append((one, other))
        else:
            pointer = mine.pointer if one is None else one.pointer
            yield _difference(pointer, f"{name!r} of {keyword}", one, other)


def _positions(mine: Node, theirs: Node, below: list[tuple[Node, Node]]) -> Iterator[Difference]:
    published, served = list(mine.elements()), list(theirs.elements())
    if len(published) != len(served):
        yield _difference(mine.pointer, "prefixItems", mine, theirs)
    below.extend(zip(published, served, strict=False))


def _difference(pointer: str, what: str, one: Node | None, other: Node | None) -> Difference:
    return Difference(
        pointer,
        what,
        None if one is None else shown(one.value),
        None if other is None else shown(other.value),
    )
