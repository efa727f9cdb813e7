"""Whether what is published agrees with the shared models and with its draft."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest

from pytest_orchestrator.checks import (
    check_covers,
    check_fits_draft,
    check_models,
    check_served,
)
from pytest_orchestrator.errors import GateFailed, Unverifiable
from pytest_orchestrator.types import Contracts
from tests.openapi_documents import GONE, a_contract, planted

ROOT = Path(__file__).parents[1]
TREE = ROOT / "oracle/any/core-draft"
PAGE = {"type": ["number", "null"]}
MODELS: dict[str, Any] = {
    "$defs": {
        "Question": {
            "type": "object",
            "properties": {"question": {"type": "string", "minLength": 1, "maxLength": 500}},
            "required": ["question"],
        },
        "Citation": {
            "type": "object",
            "properties": {
                "page": PAGE,
                "score": {"type": "number", "minimum": 0, "maximum": 1},
            },
            "required": ["page", "score"],
        },
        "Answer": {
            "type": "object",
            "properties": {
                "status": {"type": "string", "enum": ["answered", "unknown"]},
                "citations": {"type": "array", "items": {"$ref": "#/$defs/Citation"}},
                "id": {"type": "string", "format": "uuid"},
            },
            "required": ["status", "citations", "id"],
        },
    }
}
SCHEMAS = "/components/schemas"
POST = "/paths/~1ask/post"


def a_document(version: str = "3.1.0") -> dict[str, Any]:
    """One operation, whose bodies are the shared models."""
    text = json.dumps(MODELS["$defs"]).replace("#/$defs/", "#/components/schemas/")
    schemas = json.loads(text)

    def content(name: str) -> dict[str, Any]:
        schema = {"$ref": f"#/components/schemas/{name}"}
        return {"content": {"application/json": {"schema": schema}}}

    return {
        "openapi": version,
        "paths": {
            "/ask": {
                "post": {
                    "requestBody": content("Question"),
                    "responses": {"200": content("Answer"), "502": {"description": "No."}},
                }
            }
        },
        "components": {"schemas": schemas},
    }


def found(document: object, model: str = "Answer") -> list[str]:
    """What the document has other than the shared models have."""
    operation = {"POST /ask": model}
    verdict = check_models(
        document, MODELS, "c", requests={"POST /ask": "Question"}, responses=operation
    )
    assert {f.rule for f in verdict.findings} <= {"model"}
    return [f.what for f in verdict.findings]


@pytest.mark.parametrize(
    ("pointer", "value", "told"),
    [
        (f"{SCHEMAS}/Citation/properties/page/type", ["integer", "null"], "type at Citation/page"),
        (f"{SCHEMAS}/Citation/properties/page/type", "number", 'is ["number"], shared is'),
        (f"{SCHEMAS}/Citation/properties/score/type", "string", "type at Citation/score"),
        (f"{SCHEMAS}/Citation/properties/score/maximum", 100, "is 100, shared is 1"),
        (f"{SCHEMAS}/Answer/required", ["status", "id"], "required at Answer"),
        (f"{SCHEMAS}/Answer/properties/id", GONE, "'id' of properties"),
        (f"{SCHEMAS}/Answer/properties/id/format", GONE, "format at Answer/id"),
        (f"{SCHEMAS}/Answer/properties/status/enum", ["answered"], 'is ["answered"]'),
        (f"{SCHEMAS}/Answer/properties/status/enum", ["answered", "no", "unknown"], '"no"'),
        (f"{SCHEMAS}/Answer/properties/status/enum", GONE, "enum at Answer/status"),
        (f"{SCHEMAS}/Question/required", ["question", "more"], "required at Question"),
        (f"{SCHEMAS}/Question/properties/question/maxLength", 200, "is 200, shared is 500"),
        (f"{SCHEMAS}/Question/properties/question/pattern", "^a", "pattern at Question"),
        (f"{POST}/responses/200", {"description": "It."}, "response 200 describes no JSON"),
        (f"{POST}/requestBody", GONE, "request body describes no JSON"),
    ],
)
def test_a_difference_from_a_shared_model_is_found(pointer: str, value: object, told: str) -> None:
    """With its place in the shared model, and both values."""
    (what, *more) = found(planted(a_document(), pointer, value))

    assert told in what
    assert all("Question" in each for each in more)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/openapi", "3.1.1"),
        (f"{SCHEMAS}/Citation/properties/page", {"anyOf": [{"type": "number"}, {"type": "null"}]}),
        (f"{SCHEMAS}/Citation/properties/score", {"type": "number", "format": "double"}),
        (f"{SCHEMAS}/Citation/properties/score/maximum", 1.0),
        (f"{SCHEMAS}/Citation/properties/page/minimum", 1),
        (f"{SCHEMAS}/Citation/required", ["score", "page"]),
        (f"{SCHEMAS}/Answer/properties/more", {"type": "string"}),
        (f"{SCHEMAS}/Answer/required", ["status", "citations", "id", "more"]),
        (f"{SCHEMAS}/Answer/additionalProperties", False),
        (f"{SCHEMAS}/Answer/title", "What became of it"),
        (f"{SCHEMAS}/Question/properties/question", {"type": "string"}),
        (f"{SCHEMAS}/Question/properties/language", {"type": "string"}),
        (f"{POST}/responses/201", {"$ref": "#/paths/~1ask/post/responses/200"}),
    ],
)
def test_another_way_to_write_a_shared_model_is_none(pointer: str, value: object) -> None:
    """What does not matter to whoever keeps to the shared model."""
    assert found(planted(a_document(), pointer, value)) == []


def test_the_version_of_openapi_is_no_difference() -> None:
    """``nullable`` is how 3.0 says it."""
    document = planted(a_document("3.0.3"), f"{SCHEMAS}/Citation/properties/page/type", "number")
    assert found(document)

    document["components"]["schemas"]["Citation"]["properties"]["page"]["nullable"] = True

    assert found(document) == []


def test_a_model_that_is_not_shared_is_found() -> None:
    """The runbook names one that is not on the page."""
    (what,) = found(a_document(), "Antwort")

    assert "Antwort, which is no shared model; there are Question, Citation, Answer" in what


def test_parameters_of_the_runbook_are_covered() -> None:
    """By their names, wherever they are sent."""
    operations = ["POST /items/{id}/ask"]
    wanted = {operations[0]: ["id", "k", "limit"]}

    (finding,) = check_covers(a_contract(), operations, "c", parameters=wanted).findings

    assert finding.rule == "covers"
    assert "has no parameter limit; it has k, id" in finding.what


def contracts(tree: Path) -> Contracts:
    """The contracts of this repository's runbook, in a tree."""
    from pytest_orchestrator._run.runbook import load_runbook  # noqa: PLC0415

    return Contracts(load_runbook(ROOT / "runbook.toml").contracts, tree)


def published(tree: Path, document: object) -> None:
    """Publish core's document next to its draft."""
    folder = tree / "docs/contracts"
    folder.mkdir(parents=True)
    draft = TREE / "docs/contracts/core-api.draft.json"
    (folder / "core-api.draft.json").write_bytes(draft.read_bytes())
    (folder / "core-api.json").write_text(json.dumps(document), encoding="utf-8")


def a_draft() -> dict[str, Any]:
    """The draft of core's document."""
    draft: dict[str, Any] = json.loads((TREE / "docs/contracts/core-api.draft.json").read_bytes())
    return draft


def test_what_core_publishes_fits_its_draft(tmp_path: Path) -> None:
    """The oracle's own, and the draft itself."""
    oracle = ROOT / "oracle/python/core-spec/docs/contracts/core-api.json"
    published(tmp_path, json.loads(oracle.read_bytes()))
    assert check_fits_draft(contracts(tmp_path)["core-api"]).passed

    (tmp_path / "docs/contracts/core-api.json").write_text(json.dumps(a_draft()), encoding="utf-8")

    assert check_fits_draft(contracts(tmp_path)["core-api"]).passed


def test_what_breaks_the_draft_is_found(tmp_path: Path) -> None:
    """Also without agents, when no record of a run says what anybody has built on."""
    document = deepcopy(a_draft())
    document["components"]["schemas"]["InternalQuery"]["required"].append("language")
    published(tmp_path, document)

    findings = check_fits_draft(contracts(tmp_path)["core-api"]).findings

    assert {f.rule for f in findings} == {"draft"}
    assert "docs/contracts/core-api.json#" in findings[0].where
    assert "core-api.draft.json" in findings[0].cure


def test_a_draft_that_is_gone_cannot_be_held_against(tmp_path: Path) -> None:
    """Nobody knows, and nobody says so of the application."""
    published(tmp_path, a_draft())
    (tmp_path / "docs/contracts/core-api.draft.json").unlink()

    with pytest.raises(Unverifiable, match="put the draft back"):
        check_fits_draft(contracts(tmp_path)["core-api"])


@pytest.mark.parametrize(
    ("status", "body", "rule"),
    [(404, "{}", "status"), (200, "<html>", "type"), (200, "{}", "type"), (200, None, None)],
)
def test_a_service_shows_the_document_that_is_published(
    tmp_path: Path, status: int, body: str | None, rule: str | None
) -> None:
    """Or it is said what it shows instead, and who does."""
    published(tmp_path, a_draft())
    answer = httpx.Response(status, text=json.dumps(a_draft()) if body is None else body)

    findings = check_served(contracts(tmp_path)["core-api"], answer, name="core").findings

    assert [f.rule for f in findings] == ([rule] if rule else [])
    if status == 404:
        assert findings[0].where.startswith("core: docs/contracts/core-api.json")


def test_a_contract_without_a_draft_fits_it(tmp_path: Path) -> None:
    """But it has to be published."""
    with pytest.raises(GateFailed, match="not published"):
        check_fits_draft(contracts(tmp_path)["public-api"])

    published(tmp_path, {})
    (tmp_path / "docs/contracts/public-api.json").write_text("{}", encoding="utf-8")

    assert check_fits_draft(contracts(tmp_path)["public-api"]).passed
