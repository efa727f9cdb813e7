"""Answers of a service: what came back over HTTP, and JSON against its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pytest_orchestrator._checks.comparison.outline import media_type as essence
from pytest_orchestrator._checks.nodes import Node, place, shortened, shown
from pytest_orchestrator._checks.reading.documents import read
from pytest_orchestrator._checks.rules.faults import told
from pytest_orchestrator._checks.rules.references import find_references, objects
from pytest_orchestrator._domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_orchestrator._domain.verdict import Finding


class Response(Protocol):
    """What of an HTTP response is looked at; ``httpx.Response`` has it all."""

    @property
    def status_code(self) -> int:
        """E.g. ``200``."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name; asked for ``"content-type"``, whatever case the service used."""
        ...

    @property
    def text(self) -> str:
        """The decoded body."""
        ...


def check_response(response: Response, *, status: int, media_type: str, name: str) -> Verdict:
    """Whether a service answered with this status and this kind of content.

    Args:
        response: What came back.
        status: The status it must have, e.g. ``200``.
        media_type: The content type it must have, e.g. ``"application/json"``;
            parameters such as the charset are not looked at.
        name: What findings call the request, e.g. ``"GET http://127.0.0.1:8000/health"``.

    Returns:
        At most two findings; each with the first 300 characters of the body.
    """
    body = f"; body: {shortened(response.text)!r}" if response.text else "; no body"
    findings = []
    if response.status_code != status:
        what = f"answers with status {response.status_code}, not {status}{body}"
        findings.append(told(name, what, "status"))
    written = response.headers.get("content-type")
    if essence(written or "") != essence(media_type):
        what = f"answers with content type {written!r}, not {media_type!r}{body}"
        findings.append(told(name, what, "media-type"))
    return Verdict("response", tuple(findings))


def parse_json(data: bytes, name: str) -> tuple[object | None, Verdict]:
    """Read the body of an answer; stricter than ``json.loads``.

    Refused are, besides all that is not JSON: ``NaN`` and infinities, a key that
    is said twice, more than 5 MB, and more than 100 levels.

    Returns:
        The value, and a verdict without findings; or ``None`` and a verdict that
        says why. Because ``null`` is a value, too, the verdict decides.
    """
    return read(data, name, check="json", json_only=True)


def check_json(
    value: object, schema: object, name: str, *, definition: str | None = None
) -> Verdict:
    """Whether a value is what its schema says; formats are asserted.

    Args:
        value: As ``parse_json`` returns it.
        schema: A schema of draft 2020-12. It refers to nothing outside itself.
        name: What findings call the value, e.g. ``"POST /api/query"``.
        definition: Name of the one of the schema's ``$defs`` to apply, e.g.
            ``"QueryResponse"``; ``None``: the schema itself.

    Returns:
        A finding for everything that does not fit, with its place in the value;
        or, if the schema itself is at fault, only findings on that.
    """
    findings = tuple(_schema_faults(schema, f"{name} (schema)", definition))
    return Verdict("json-schema", findings or tuple(_misfits(value, schema, name, definition)))


def _schema_faults(schema: object, name: str, definition: str | None) -> Iterator[Finding]:
    # jsonschema takes a moment to load, and most checks do without.
    from pytest_orchestrator._checks import schemas  # noqa: PLC0415

    root = Node(schema)
    dialect = root.child("$schema")
    if dialect.value not in (None, schemas.DIALECT):
        what = f"{shown(dialect.value)} is not draft 2020-12, the only one that is checked"
        yield told(place(name, dialect.pointer), what, "dialect")
    yield from find_references(schema, name)
    for problem in schemas.schema_problems(schema):
        yield told(place(name, problem.pointer), problem.what, problem.rule)
    if definition is not None and definition not in root.child("$defs"):
        there = ", ".join(key for key, _ in root.child("$defs").members()) or "nothing"
        what = f"{definition} is not defined; defined: {there}"
        yield told(place(name, "/$defs"), what, "definition")
    for node in objects(schema):
        written = node.child("format")
        if isinstance(written.value, str) and written.value not in schemas.FORMATS.checkers:
            known = ", ".join(sorted(schemas.FORMATS.checkers))
            what = f"format {shown(written.value)} cannot be asserted; these can: {known}"
            yield told(place(name, written.pointer), what, "format")


def _misfits(value: object, schema: object, name: str, definition: str | None) -> Iterator[Finding]:
    from pytest_orchestrator._checks import schemas  # noqa: PLC0415 - as above

    for problem in schemas.value_problems(value, schema, definition):
        yield told(place(name, problem.pointer), problem.what, problem.rule)
