"""The pre-written solutions: complete, where their agents may write, true to the contracts."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from pytest_orchestrator._checks.models.document import schema_bytes

ROOT = Path(__file__).parent.parent
RUNBOOK: dict[str, Any] = tomllib.loads((ROOT / "runbook.toml").read_text(encoding="utf-8"))
TASKS: dict[str, dict[str, Any]] = RUNBOOK["tasks"]
PHASES = sorted({task["phase"] for task in TASKS.values()})
INTERACTION = "3f2b8c1e-6d0a-4a57-9b1e-0c5d7e8f9a10"
CITATION: dict[str, Any] = {
    "source_document": "a.md",
    "page": 1.5,
    "chunk_id": "a#1",
    "relevance_score": 0.5,
}
RESPONSE: dict[str, Any] = {
    "status": "answered",
    "answer": "Yes.",
    "citations": [CITATION],
    "interaction_id": INTERACTION,
}
UNKNOWN: dict[str, Any] = RESPONSE | {"status": "unknown", "answer": None, "citations": []}


def solution_of(task: str) -> Path:
    """The folder of a task's solution: ``any`` stack for the orchestrator, else ``python``."""
    stack = "any" if TASKS[task]["agent"] == "orchestrator" else "python"
    return ROOT / "oracle" / stack / task


@cache
def files_of(task: str) -> dict[str, bytes]:
    """A solution's files by their path in the repository; compiled ones do not count."""
    folder = solution_of(task)
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files
        if "__pycache__" not in path.parts
    }


def tree_after(phase: int) -> dict[str, bytes]:
    """The repository when all tasks of a phase, and of those before it, are done."""
    tree: dict[str, bytes] = {}
    for task in sorted(TASKS, key=lambda name: int(TASKS[name]["phase"])):
        if TASKS[task]["phase"] <= phase:
            tree |= files_of(task)
    return tree


def document(path: str) -> Any:
    """A JSON document as it is when everything is done."""
    return json.loads(tree_after(PHASES[-1])[path])


def shared_models() -> Any:
    """The schema that is generated from the page of shared models."""
    page = "docs/contracts/shared-models.md"
    schema, verdict = schema_bytes(tree_after(PHASES[-1])[page], page)
    verdict.raise_for_findings()
    return json.loads(schema)


def errors(model: str, value: object) -> list[str]:
    """What is wrong with a value by the shared models."""
    schema = shared_models()
    validator = Draft202012Validator(
        schema | {"$ref": f"#/$defs/{model}"}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [error.message for error in validator.iter_errors(value)]


def test_every_solution_belongs_to_a_task() -> None:
    """There is one folder per task of the runbook, and no other."""
    folders = {path for path in (ROOT / "oracle").glob("*/*") if path.is_dir()}

    assert folders == {solution_of(task) for task in TASKS}


@pytest.mark.parametrize("task", TASKS)
def test_solution_stays_within_what_its_agent_may_write(task: str) -> None:
    """A solution writes what its agent owns and what its task publishes, all of the latter."""
    published = {RUNBOOK["contracts"][name]["path"] for name in TASKS[task].get("publishes", ())}
    owned = RUNBOOK["agents"][TASKS[task]["agent"]]["owns"]
    strangers = [
        path
        for path in files_of(task).keys() - published
        if not any(path == own or (own.endswith("/") and path.startswith(own)) for own in owned)
    ]

    assert files_of(task)
    assert strangers == []
    assert published <= files_of(task).keys()


@pytest.mark.parametrize("task", TASKS)
def test_brief_names_what_its_agent_may_write(task: str) -> None:
    """Every task has a brief, with a section for its boundaries and one for how it is judged."""
    brief = (ROOT / TASKS[task]["brief"]).read_text(encoding="utf-8")

    assert brief.startswith("# ")
    assert "\n## Boundaries\n" in brief
    assert "\n## How it is judged\n" in brief


@pytest.mark.parametrize("phase", PHASES)
def test_python_compiles_after_every_phase(phase: int, tmp_path: Path) -> None:
    """Carried out in order, the solutions leave sources that compile, from the first phase on."""
    for path, content in tree_after(phase).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    sources = sorted(tmp_path.rglob("*.py"))

    for source in sources:
        compile(source.read_bytes(), source, "exec")
    assert bool(sources) == (phase > 0)


def test_no_solution_repeats_a_file_unchanged() -> None:
    """A task's folder holds what is new or different, so that a change has one place."""
    repeated = [
        f"{task}: {path}"
        for task in TASKS
        for path, content in files_of(task).items()
        if TASKS[task]["phase"] > 0 and tree_after(TASKS[task]["phase"] - 1).get(path) == content
    ]

    assert repeated == []


def test_one_environment_does_for_all_services() -> None:
    """The services' requirements are the same to the byte, so that they are installed once."""
    tree = tree_after(PHASES[-1])
    texts = {
        tree[f"{service['path']}/requirements.txt"] for service in RUNBOOK["services"].values()
    }

    assert len(texts) == 1


@pytest.mark.parametrize("contract", ["core-api", "public-api"])
def test_published_document_is_valid_and_has_its_operations(contract: str) -> None:
    """What is published, and its draft, is OpenAPI and describes every operation promised."""
    entry = RUNBOOK["contracts"][contract]
    for path in filter(None, (entry["path"], entry.get("draft"))):
        api = document(path)
        operations = {
            f"{method.upper()} {url}" for url, item in api["paths"].items() for method in item
        }

        validate(api)
        assert operations == set(entry["operations"])


@pytest.mark.parametrize("path", ["core-api.draft.json", "core-api.json", "public-api.json"])
@pytest.mark.parametrize("model", ["QueryResponse", "Citation"])
def test_document_has_the_fields_of_the_shared_models(path: str, model: str) -> None:
    """The schemas of all documents have the fields of the shared models, and require them all."""
    shared = shared_models()["$defs"][model]
    schema = document(f"docs/contracts/{path}")["components"]["schemas"][model]

    assert schema["properties"].keys() == shared["properties"].keys()
    assert set(schema["required"]) == set(shared["required"])


@pytest.mark.parametrize("path", ["core-api.json", "public-api.json"])
def test_published_document_holds_only_what_the_application_declares(path: str) -> None:
    """The framework's own validation schemas would change with its version."""
    schemas = document(f"docs/contracts/{path}")["components"]["schemas"]

    assert not schemas.keys() & {"HTTPValidationError", "ValidationError"}


@pytest.mark.parametrize(
    ("model", "value"),
    [
        ("QueryResponse", RESPONSE),
        ("QueryResponse", UNKNOWN),
        ("QueryResponse", RESPONSE | {"added_later": True}),
        ("Citation", CITATION | {"page": None}),
        ("QueryRequest", {"question": "x" * 500}),
    ],
)
def test_shared_models_accept(model: str, value: object) -> None:
    """What keeps the contract is valid; fields nobody knows yet are allowed."""
    assert errors(model, value) == []


@pytest.mark.parametrize(
    ("model", "value"),
    [
        ("QueryResponse", RESPONSE | {"status": "maybe"}),
        ("QueryResponse", RESPONSE | {"answer": 7}),
        ("QueryResponse", RESPONSE | {"interaction_id": "7"}),
        ("QueryResponse", RESPONSE | {"citations": [CITATION | {"page": "1"}]}),
        ("QueryResponse", {k: v for k, v in UNKNOWN.items() if k != "answer"}),
        ("Citation", {k: v for k, v in CITATION.items() if k != "page"}),
        ("QueryRequest", {"question": ""}),
        ("QueryRequest", {"question": "x" * 501}),
    ],
)
def test_shared_models_reject(model: str, value: object) -> None:
    """One thing wrong is one error."""
    assert len(errors(model, value)) == 1
