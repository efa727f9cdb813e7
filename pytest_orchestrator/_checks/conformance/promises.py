"""What an OpenAPI document promises, operation by operation, ready to be held to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast, get_args
from urllib.parse import urlsplit

from pytest_orchestrator._checks.comparison.operations import NO_PARAMETER, is_required, style
from pytest_orchestrator._checks.comparison.outline import Outline, media_type
from pytest_orchestrator._checks.formats import FORMATS
from pytest_orchestrator._checks.rules.conversion import Conversion
from pytest_orchestrator._checks.rules.evaluation import Breach, Evaluator, Unchecked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_orchestrator._checks.comparison.outline import Operation
    from pytest_orchestrator._checks.nodes import Node

Where = Literal["path", "query", "header", "cookie"]


@dataclass(frozen=True)
class Schema:
    """A schema of draft 2020-12 with all that it refers to.

    Attributes:
        written: The schema itself.
        definitions: What its references lead to, ``#/$defs/…``.
    """

    written: Any
    definitions: dict[str, Any]

    @cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator({"allOf": [self.written], "$defs": self.definitions}, formats=FORMATS)

    def breaches(self, value: object) -> list[Breach]:
        """All that the schema does not allow in a value, formats included."""
        try:
            return list(self._evaluator.breaches(value))
        except Unchecked as problem:
            return [Breach("", "unchecked", f"cannot be checked: {problem}", "write plain JSON")]

    def fits(self, value: object) -> bool:
        """Whether the schema allows a value."""
        return not self.breaches(value)


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation, or a header of an answer."""

    where: Where
    name: str
    required: bool
    schema: Schema
    explode: bool = False


@dataclass(frozen=True)
class Body:
    """What is sent with a request, as JSON or as the fields of a form."""

    media_type: str
    required: bool
    schema: Schema
    examples: tuple[object, ...] = ()


@dataclass(frozen=True)
class Promised:
    """An answer, as it is documented for a status, a range of them, or by default.

    Attributes:
        content: By media type or range of media types; ``None``: of any form. Empty if
            nothing is said.
        headers: Those that are described.
    """

    content: dict[str, Schema | None]
    headers: tuple[Parameter, ...]


@dataclass(frozen=True)
class Promise:
    """One operation.

    Attributes:
        title: E.g. ``"POST /internal/query"``.
        prefix: Path of the server it is below; mostly empty.
        parameters: What can be sent besides the body.
        body: ``None``: there is none that we can write.
        answers: By status, as it is written: ``"200"``, ``"4XX"``, ``"default"``.
        unasked: Why it is not asked at all; empty if it is.
    """

    title: str
    method: str
    path: str
    prefix: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    answers: dict[str, Promised] = field(default_factory=dict)
    unasked: str = ""

    def answer(self, status: int) -> tuple[str, Promised | None]:
        """What is documented for a status, and under which key; ``None``: nothing is."""
        for key in (str(status), f"{status // 100}XX", f"{status // 100}xx", "default"):
            if key in self.answers:
                return key, self.answers[key]
        return "", None

    def documents(self, hundreds: str) -> bool:
        """Whether it has a status of its own that begins like this, e.g. ``"4"``."""
        return any(key.startswith(hundreds) for key in self.answers)


def promises(document: object) -> Iterator[Promise]:
    """All operations of a document that is valid and self-contained, in document order."""
    outline = Outline(document)
    version = str(outline.root.child("openapi").value)[:3]
    reader = _Reader(
        outline,
        Conversion(document, version, one_way=("readOnly",)),
        Conversion(document, version, one_way=("writeOnly",)),
    )
    return map(reader.promise, outline.operations())


@dataclass(frozen=True)
class _Reader:
    outline: Outline
    sent: Conversion
    answered: Conversion

    def promise(self, operation: Operation) -> Promise:
        parameters, problems = self._parameters(operation)
        body, problem = self._body(operation)
        responses = operation.node.child("responses").members()
        return Promise(
            str(operation),
            operation.method,
            operation.path,
            self._prefix(),
            parameters,
            body,
            {
                key: self._answer(self.outline.resolve(node))
                for key, node in responses
                if not key.startswith("x-")
            },
            "; ".join(filter(None, (*problems, problem))),
        )

    def _prefix(self) -> str:
        first = next(self.outline.root.child("servers").elements(), None)
        url = first.child("url").value if first is not None else None
        if not isinstance(url, str) or "{" in url:
            return ""
        return urlsplit(url).path.rstrip("/")

    def _schema(self, conversion: Conversion, node: Node) -> Schema:
        written = conversion.reference(node.pointer, node.value)
        conversion.finish()
        return Schema(written, conversion.definitions)

    def _parameters(self, operation: Operation) -> tuple[tuple[Parameter, ...], list[str]]:
        found, problems = [], []
        for (where, name), node in self.outline.parameters(operation).items():
            if (where, name) in NO_PARAMETER or where not in get_args(Where):
                continue
            if node.child("schema").value is None:
                if is_required(node):
                    problems.append(f"its {where} parameter {name} has no schema")
                continue
            schema = self._schema(self.sent, node.child("schema"))
            explode = style(node) == ("form", True)
            place = cast("Where", where)
            written = str(node.child("name").value)
            found.append(
                Parameter(place, written, is_required(node) or where == "path", schema, explode)
            )
        return tuple(found), problems

    def _body(self, operation: Operation) -> tuple[Body | None, str]:
        node = self.outline.resolve(operation.node.child("requestBody"))
        for written, content in node.child("content").members():
            kind = media_type(written)
            if (is_json(kind) and "*" not in kind) or kind == FORM:
                schema = self._schema(self.sent, content.child("schema"))
                body = Body(kind, is_required(node), schema, tuple(_examples(content)))
                return body, ""
        listed = ", ".join(key for key, _ in node.child("content").members())
        return None, f"its body is {listed}" if is_required(node) else ""

    def _answer(self, node: Node) -> Promised:
        headers = [
            self._header(name, self.outline.resolve(written))
            for name, written in node.child("headers").members()
            if name.lower() != "content-type"
        ]
        content = {
            kind: None if schema.value is None else self._schema(self.answered, schema)
            for kind, schema in self.outline.content(node).items()
        }
        return Promised(content, tuple(headers))

    def _header(self, name: str, node: Node) -> Parameter:
        schema = self._schema(self.answered, node.child("schema"))
        return Parameter("header", name, is_required(node), schema)


FORM = "application/x-www-form-urlencoded"


def is_json(kind: str) -> bool:
    """Whether a media type is JSON, in one of its ways."""
    return kind.endswith(("/json", "+json"))


def _examples(content: Node) -> Iterator[object]:
    if "example" in content:
        yield content.child("example").value
    for _, example in content.child("examples").members():
        if "value" in example:
            yield example.child("value").value
