"""``python -m pytest_orchestrator``, as people and agents use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_orchestrator.__main__ import FINDINGS, FINE, NOT_JUDGED, main

PAGE = '# Models\n\n## Answer\n\n```json\n{\n  "text": "string | null"\n}\n```\n'
SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "x", "version": "1"},
    "paths": {"/": {"get": {"responses": {"200": {"description": "It is up."}}}}},
}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page of shared models that is right."""
    file = tmp_path / "models.md"
    file.write_text(PAGE)
    return file


def test_right_documents_are_fine(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page of models and an OpenAPI document are checked by what they are."""
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(SPEC))

    assert main(["check", str(page), str(spec)]) == FINE
    assert f"{page}: fine" in capsys.readouterr().out


def test_wrong_document_is_told_with_its_place(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt type is one finding with file, line and cure, and the exit status is 1."""
    page.write_text(PAGE.replace("string", "strng"))

    assert main(["check", str(page)]) == FINDINGS
    said = capsys.readouterr().out
    assert f"{page}:7" in said
    assert "string" in said


def test_document_that_cannot_be_read_is_not_judged(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is not there is neither fine nor wrong; the others are still checked."""
    assert main(["check", str(tmp_path / "nowhere.json"), str(page)]) == NOT_JUDGED
    assert f"{page}: fine" in capsys.readouterr().out
    assert main(["models", str(tmp_path / "nowhere.md")]) == NOT_JUDGED


def test_schema_is_written_next_to_its_page(page: Path) -> None:
    """The generated schema has the page's models; a wrong page leaves it as it was."""
    assert main(["models", str(page)]) == FINE
    schema = page.with_suffix(".schema.json")
    written = schema.read_bytes()
    assert list(json.loads(written)["$defs"]) == ["Answer"]

    page.write_text(PAGE.replace("string", "strng"))
    assert main(["models", str(page)]) == FINDINGS
    assert schema.read_bytes() == written


def test_internal_command_is_not_advertised(capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` tells of what is for people."""
    with pytest.raises(SystemExit):
        main(["--help"])

    assert "carry-out" not in capsys.readouterr().out
