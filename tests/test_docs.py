"""What the documentation tells people to do is done here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pytest_orchestrator._domain.runbook import parse_runbook
from tests.strategies import files_of as files_of_runbook

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")
HOW_TO_GENERATE = "docs/how-to/generate-clients.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def files_of(page: str) -> dict[str, str]:
    """The files a page tells people to write, by path."""
    return {path: text for _, path, text in FENCE.findall((ROOT / page).read_text()) if path}


def blocks_of(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    text = (ROOT / page).read_text()
    return [block for known, _, block in FENCE.findall(text) if known == language]


@pytest.fixture
def tutorial(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with everything the tutorial has people write."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    for path, text in files_of("docs/tutorial/first-runbook.md").items():
        file = pytester.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return pytester


@pytest.mark.slow
def test_tutorial_does_what_it_says(tutorial: pytest.Pytester) -> None:
    """Its gate says no to agents that do nothing, and yes to the solutions, on two workers."""
    nothing = tutorial.runpytest_subprocess("--agents=nop", "-n0")
    done = tutorial.runpytest_subprocess("-n", "auto")

    assert nothing.ret == pytest.ExitCode.TESTS_FAILED
    nothing.stdout.fnmatch_lines(["S1*FAILED*"])
    assert done.ret == pytest.ExitCode.OK
    done.stdout.fnmatch_lines(["S1*PASSED*"])


@pytest.mark.slow
def test_tutorials_last_step_fails_with_the_finding(tutorial: pytest.Pytester) -> None:
    """A verse that does not rhyme costs its agent two attempts and fails the gate."""
    verse = tutorial.path / "oracle/any/second-verse/verses/second.txt"
    verse.write_text("all is green\n")

    result = tutorial.runpytest_subprocess("-n0")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["bob_phase1*failed*2 attempts*", "S1*FAILED*"])


def test_back_end_of_the_how_to_keeps_its_promises(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code of the page runs as it stands, with a program by the name it uses."""
    program = pytester.path / "bin" / "my-agent"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nmkdir -p own && cat > own/told.txt\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    pytester.makepyfile("\n\n".join(blocks_of("docs/how-to/write-a-back-end.md", "python")))

    pytester.runpytest_subprocess("-n0").assert_outcomes(passed=1)


def test_generators_of_the_how_to_fit_this_repositorys_runbook() -> None:
    """Whoever adds them to it has a runbook, in which S3 judges one and S4 both."""
    brief = 'brief = "runbook/frontend-integration.md"\n'
    text = (ROOT / "runbook.toml").read_text()
    text = text.replace(f'{brief}needs = ["S3"]', f'{brief}needs = ["S3", "public-api"]')
    document = tomllib.loads(text + "".join(blocks_of(HOW_TO_GENERATE, "toml")))

    plan = parse_runbook(document, source="runbook.toml", files=files_of_runbook(document))

    api, frontend = ("core-api", "api"), ("public-api", "frontend")
    judged = {gate: plan.generated_before(gate) for gate in ("S2", "S3", "S4", "agreed")}
    assert judged == {"S2": (), "S3": (api,), "S4": (api, frontend), "agreed": (api,)}


def test_gate_of_the_how_to_is_the_one_this_repository_has() -> None:
    """Its test can be copied, and is what S2 to S4 have, annotations aside."""
    (block,) = blocks_of(HOW_TO_GENERATE, "python")
    name = "def test_consumer_generated_what_is_published("

    compile(block, HOW_TO_GENERATE, "exec")

    assert name in block
    for gate in ("s2_core_spec", "s3_api_spec", "s4_round_trip"):
        assert name in (ROOT / "gates" / f"test_{gate}.py").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file or folder that is there."""
    missing = [
        target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()
    ]

    assert not missing


def test_ci_runs_the_commands_of_the_readme() -> None:
    """What CI runs is word for word what people are told to run."""
    ci = (ROOT / ".ci" / "run").read_text()

    commands = "".join(blocks_of("README.md", "shell")).strip().splitlines()

    assert len(commands) == 2
    assert all(command in ci for command in commands)
