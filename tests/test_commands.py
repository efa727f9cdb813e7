"""``python -m pytest_orchestrator``, as people and agents use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_orchestrator.__main__ import main
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.registry import Registry
from pytest_orchestrator._run.runbook import load_runbook
from pytest_orchestrator._run.tool_client import FINDINGS, FINE, NOT_JUDGED, VARIABLE
from tests.referees import WordReferee

PAGE = '# Models\n\n## Answer\n\n```json\n{\n  "text": "string | null"\n}\n```\n'
RUNBOOK = """
[run]
name = "small"

[agents.left]
role = "developer"
owns = ["left/"]

[contracts.api]
kind = "openapi"
path = "docs/contracts/api.json"
publisher = "left"

[tasks.spec]
agent = "left"
phase = 1
brief = "brief.md"
publishes = ["api"]
"""
ANSWER = {"200": {"description": "Fine."}}
SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "x", "version": "1"},
    "paths": {"/health": {"get": {"responses": ANSWER}}},
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


# ---------------------------------------------------------------- check and diff


def written(folder: Path, name: str, document: object) -> str:
    """A document's path."""
    (folder / name).write_text(document if isinstance(document, str) else json.dumps(document))
    return str(folder / name)


def with_path(path: str) -> dict[str, object]:
    """The document with one more path."""
    operation = {"get": {"responses": ANSWER}}
    return {**SPEC, "paths": {"/health": operation, path: operation}}


def test_finding_has_file_line_pointer_rule_and_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it can be opened from here, and mended."""
    lines = [
        "openapi: 3.1.0",
        "info: {title: x, version: '1'}",
        "paths:",
        "  /health:",
        "    get: {}",
    ]
    spec = written(tmp_path, "spec.yaml", "\n".join(lines))

    assert main(["check", spec]) == FINDINGS

    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{spec}:5#/paths/~1health/get: ")
    assert "[no-responses]; " in line


def test_document_may_refer_to_files_next_to_it_but_not_out_of_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless --root says that the folder is a larger one."""
    (tmp_path / "deep").mkdir()
    written(tmp_path, "common.json", {"answer": ANSWER["200"]})
    operation = {"responses": {"200": {"$ref": "../common.json#/answer"}}}
    spec = written(
        tmp_path / "deep", "spec.json", {**SPEC, "paths": {"/health": {"get": operation}}}
    )

    assert main(["check", spec]) == FINDINGS
    assert "[ref-file]" in capsys.readouterr().out
    assert main(["check", spec, "--root", str(tmp_path)]) == FINE
    assert main(["check", spec, "--root", str(tmp_path / "elsewhere")]) == NOT_JUDGED
    assert "is not below" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "data"), [("folder", None), ("large.json", b" " * 6_000_000), ("gone.json", b"")]
)
def test_what_cannot_be_judged_is_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes | None
) -> None:
    """It is not known whether it is right: neither 0 nor 1."""
    if data is None:
        (tmp_path / name).mkdir()
    elif data:
        (tmp_path / name).write_bytes(data)

    assert main(["check", str(tmp_path / name)]) == NOT_JUDGED
    assert str(tmp_path / name) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "status", "told"),
    [
        (SPEC, SPEC, FINE, "nothing has changed"),
        (SPEC, with_path("/more"), FINE, "0 breaking, 1 compatible, 0 annotation"),
        (with_path("/more"), SPEC, FINDINGS, "1 breaking, 0 compatible, 0 annotation"),
    ],
)
def test_diff_says_whom_a_change_breaks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: object, new: object, status: int,
    told: str,
) -> None:  # fmt: skip
    """In words, and in its exit status."""
    files = [written(tmp_path, "old.json", old), written(tmp_path, "new.json", new)]

    assert main(["diff", *files]) == status
    assert told == capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ("models.md", "are not of one kind"),
        ("broken.json", "broken.json is not valid, so it cannot be compared"),
        ("gone.json", "gone.json is not valid, so it cannot be compared"),
    ],
)
def test_diff_of_what_cannot_be_compared_is_no_verdict(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], other: str, told: str
) -> None:
    """Who relies on its exit status must not take that for compatible."""
    assert page.name == "models.md"
    written(tmp_path, "broken.json", "{")

    spec = written(tmp_path, "spec.json", SPEC)

    assert main(["diff", spec, str(tmp_path / other)]) == NOT_JUDGED
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [("string", "string | null", FINDINGS), ("string", "string", FINE), ("uuid", "date", FINDINGS)],
)
def test_diff_of_shared_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, status: int
) -> None:
    """They are sent and read alike, so hardly any change of a field is harmless."""
    files = [
        written(tmp_path, f"{name}.md", PAGE.replace("string | null", kind))
        for name, kind in (("old", old), ("new", new))
    ]

    assert main(["diff", *files]) == status
    if status:
        assert "#/$defs/Answer/properties/text" in capsys.readouterr().out


def test_model_that_is_gone_breaks_and_a_new_one_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each by its name."""
    two = PAGE + '\n## More\n\n```json\n{\n  "a": "Answer"\n}\n```\n'
    files = [written(tmp_path, "one.md", PAGE), written(tmp_path, "two.md", two)]

    assert main(["diff", *files]) == FINE
    assert "compatible (both): #/$defs/More: model More is new" in capsys.readouterr().out
    assert main(["diff", *reversed(files)]) == FINDINGS
    assert "breaking (both): #/$defs/More: model More is gone" in capsys.readouterr().out


# ---------------------------------------------------------------- a run's contracts


def test_contracts_of_the_newest_run(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listed, and printed to the byte, without a run being under way."""
    monkeypatch.delenv(VARIABLE, raising=False)
    runbook = tmp_path / "runbook.toml"
    runbook.write_text(RUNBOOK)
    (tmp_path / "brief.md").write_text("Write it.")
    asked = ["--runbook", str(runbook)]
    assert main(["contracts", *asked]) == NOT_JUDGED
    for run, text in (("first", b"one"), ("second", b"two\r\n")):
        ledger = Ledger(tmp_path / ".orchestrator" / "runs" / run)
        registry = Registry(load_runbook(runbook), ledger, WordReferee())
        contract = load_runbook(runbook).contracts["api"]
        registry.publish(contract, {contract.path: text}, Part("left", 1))
        ledger.close()
    capsysbinary.readouterr()

    assert main(["contracts", *asked]) == FINE
    assert capsysbinary.readouterr().out.startswith(b"api: revision 1, sha256 ")
    assert main(["contract", "api", *asked]) == FINE
    assert capsysbinary.readouterr().out == b"two\r\n"
    assert main(["contract", "api", "--run-id", "first", *asked]) == FINE
    assert capsysbinary.readouterr().out == b"one"
    assert main(["contract", "api", "--revision", "3", *asked]) == FINDINGS
    assert main(["contract", "api", "--run-id", "third", *asked]) == NOT_JUDGED
