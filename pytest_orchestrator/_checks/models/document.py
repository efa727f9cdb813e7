"""Shared models: the page people and agents read, and the JSON Schema made of it.

The page is the source; the schema next to it is generated, byte for byte. The
notation, and what was decided on, is in ``docs/reference/shared-models.md``.
"""

from __future__ import annotations

import json
from contextlib import suppress
from hashlib import sha256
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.models.fields import endless, read_fields
from pytest_orchestrator._checks.models.findings import Enough, Findings
from pytest_orchestrator._checks.models.page import page_text, read_page
from pytest_orchestrator._checks.nodes import shortened
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from pytest_orchestrator._checks.models.types import Schema

COMMAND = "python -m pytest_orchestrator models"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def read_models(data: bytes, name: str) -> tuple[dict[str, object] | None, Verdict]:
    """Read the models of a page.

    Args:
        data: The bytes of the page; Markdown in UTF-8, at most 1 MB.
        name: What findings call it, e.g. ``"docs/contracts/shared-models.md"``;
            the generated schema names its last part.

    Returns:
        The document with all models under ``$defs``, in the order of the page,
        and a verdict without findings; or ``None`` and a verdict with everything
        that is wrong, each with its line, model and field
        (``"shared-models.md:12#Citation.page"``), the rule, and the cure. After
        a hundred findings, the last says that there are more.

    Source:
        docs/reference/shared-models.md.
    """
    findings = Findings(name)
    definitions: dict[str, Schema] = {}
    with suppress(Enough):
        definitions = _definitions(data, findings)
    verdict = findings.verdict()
    if not verdict.passed:
        return None, verdict
    page = PurePosixPath(name)
    return {
        "$schema": DIALECT,
        "$comment": f"Generated from {page.name} by `{COMMAND}`; edit the page, not this file.",
        "title": page.stem,
        "$defs": definitions,
        # Last, so that the first line that differs from another page's tells more than this.
        "x-source-sha256": sha256(data).hexdigest(),
    }, verdict


def schema_bytes(data: bytes, name: str) -> tuple[bytes, Verdict]:
    """The exact bytes of the schema that is generated from a page.

    Args:
        data: The bytes of the page.
        name: As for ``read_models``; only its last part gets into the bytes.

    Returns:
        JSON in UTF-8, indented by two blanks, with a line feed at its end, the
        same on every machine; and a verdict without findings. ``b""`` if there
        are findings.
    """
    document, verdict = read_models(data, name)
    if document is None:
        return b"", verdict
    return f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode(), verdict


def check_models(data: bytes, name: str) -> Verdict:
    """Whether a page of models can be read in one way only; see ``read_models``."""
    return read_models(data, name)[1]


def check_drift(source: bytes, generated: bytes | None, name: str, generated_name: str) -> Verdict:
    """Whether the generated schema is what its page makes, byte for byte.

    Args:
        source: The bytes of the page.
        generated: The bytes of the schema next to it; ``None`` if there is none.
        name: Path of the page, as the command that generates would be given it.
        generated_name: Path of the schema, e.g.
            ``"docs/contracts/shared-models.schema.json"``.

    Returns:
        What is wrong with the page, if anything is. Otherwise at most one
        finding: the schema is missing, or the first line that differs; with the
        command that generates it.
    """
    expected, verdict = schema_bytes(source, name)
    if not verdict.passed or expected == generated:
        return verdict
    cure = f"generate it: `{COMMAND} {name}`"
    if generated is None:
        finding = Finding(generated_name, "is not there", "missing", cure)
    else:
        line, what = _first_difference(expected, generated)
        what = f"differs from what {name} makes: {what}"
        finding = Finding(f"{generated_name}:{line}", what, "drift", f"do not edit it, {cure}")
    return Verdict("models", (finding,))


def _definitions(data: bytes, findings: Findings) -> dict[str, Schema]:
    """The schema of each model; of any use only if nothing was found."""
    text = page_text(data, findings)
    if text is None:
        return {}
    blocks = read_page(text, findings)
    models = {block.model.casefold(): block.model for block in blocks}
    read = {block.model: read_fields(block, models, findings) for block in blocks}
    definitions = {model: definition.schema for model, definition in read.items()}
    for model, field in endless(definitions).items():
        place = f"{model}.{field}"
        what = f'asks for what is never complete; make it "{field}?", add "| null", or list it'
        findings.add(read[model].lines[place], what, "endless", place=place)
    return definitions


def _first_difference(expected: bytes, found: bytes) -> tuple[int, str]:
    """The first line that differs, and what stands where."""
    pairs = enumerate(zip_longest(expected.split(b"\n"), found.split(b"\n")), 1)
    number, right, wrong = next((n, one, other) for n, (one, other) in pairs if one != other)
    if right is None:
        return number, "it goes on after its end"
    if wrong is None:
        return number, "it ends too early"
    return number, f"it says {_shown(wrong)}, not {_shown(right)}"


def _shown(line: bytes) -> str:
    return repr(shortened(line.decode(errors="backslashreplace")))
