"""Real documents on their way through the registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_orchestrator._domain.event import ContractPublished
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._plugin.referee import ContractReferee
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.registry import Document, Registry
from pytest_orchestrator.errors import GateFailed
from tests.histories import small_plan

PLAN = small_plan()
API, NOTES = PLAN.contracts["api"], PLAN.contracts["notes"]
LEFT, WRITER = Part("left", 2), Part("writer", 0)
PAGE = """# Notes

## Note

```json
{
  "text": "%s"
}
```
"""
REFERENCE = "notes.schema.json#/$defs/Note"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """The registry of a new run, with the referee that a run has."""
    return Registry(PLAN, Ledger(tmp_path), ContractReferee())


def api(schema: dict[str, Any], path: str = "/notes") -> bytes:
    """An API that answers with a schema."""
    content = {"application/json": {"schema": schema}}
    answer = {"200": {"description": "Fine.", "content": content}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Notes", "version": "1"},
        "paths": {path: {"get": {"operationId": "notes", "responses": answer}}},
    }
    return json.dumps(document).encode()


def publish_page(registry: Registry, kind: str) -> ContractPublished | None:
    """Publish the shared models with a text of some kind."""
    return registry.publish(NOTES, {NOTES.path: (PAGE % kind).encode()}, WRITER)


def publish_api(registry: Registry, data: bytes) -> ContractPublished | None:
    """Publish the API."""
    return registry.publish(API, {API.path: data}, LEFT)


def test_contract_refers_to_the_schema_of_published_models(registry: Registry) -> None:
    """Not before the models are published; then the event has the digest of the schema."""
    with pytest.raises(GateFailed, match=r"docs/contracts/api\.json:1#.*\[ref-file\]; "):
        publish_api(registry, api({"$ref": REFERENCE}))
    models = publish_page(registry, "string")

    event = publish_api(registry, api({"$ref": REFERENCE}))

    assert event is not None
    assert models is not None
    assert event.files == models.files
    assert list(event.files) == ["docs/contracts/notes.schema.json"]


def test_same_words_break_when_what_they_refer_to_does(registry: Registry) -> None:
    """The document has not changed by a byte, but what it promises has."""
    publish_page(registry, "string")
    publish_api(registry, api({"$ref": REFERENCE}))
    models = publish_page(registry, "string | null")

    event = publish_api(registry, api({"$ref": REFERENCE}))

    assert models is not None
    assert models.effect == "breaking"
    assert event is not None
    assert (event.revision, event.effect) == (2, "breaking")
    (change,) = registry.changes("api", 1, 2)
    assert "type was" in change.what


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"{", "syntax"),
        (b"\xff\xfe", "encoding"),
        (api({"$ref": "http://127.0.0.1:1/a.json"}), "ref-external"),
        (api({"$ref": "../../left/secret.json"}), "ref-file"),
        (api({"type": "strng"}), "enum"),
    ],
)
def test_what_is_wrong_is_told_with_the_path_in_the_tree(
    registry: Registry, data: bytes, told: str
) -> None:
    """So that an agent finds it in its workspace."""
    with pytest.raises(GateFailed) as caught:
        publish_api(registry, data)

    lines = [str(finding) for finding in caught.value.findings]
    assert any(f"[{told}]" in line for line in lines), lines
    assert all(line.startswith("docs/contracts/api.json") for line in lines), lines


def test_draft_need_not_cover_what_the_runbook_names(tmp_path: Path) -> None:
    """But it has to be a document; the contract itself has to cover it all."""
    plan = PLAN.model_copy(
        update={
            "contracts": {
                **PLAN.contracts, "api": API.model_copy(update={"operations": ("GET /more",)})
            }
        }
    )  # fmt: skip
    registry, contract = Registry(plan, Ledger(tmp_path), ContractReferee()), plan.contracts["api"]
    data = api({"type": "string"})

    assert registry.publish(contract, {str(contract.draft): data}, WRITER, draft=True) is not None
    with pytest.raises(GateFailed, match=r"GET /more is not described.*\[covers\]"):
        registry.publish(contract, {contract.path: data}, LEFT)


def test_what_cannot_be_compared_is_taken_to_break(tmp_path: Path) -> None:
    """Nobody is told that all is well who cannot know."""
    gone = Document(tmp_path, "nowhere.json")

    found = ContractReferee().changes(API, gone, gone)

    assert {change.effect for change in found} == {"breaking"}
    assert all(change.what.startswith("cannot be compared: nowhere.json") for change in found)
