"""What others can import, and what it costs those who do not use it."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_orchestrator
from tests.project import Project

MODULES = ["pytest_orchestrator"] + [
    f"pytest_orchestrator.{name}" for name in ("checks", "round_trip", "testing", "types")
]
HEAVY = {
    "anthropic", "google", "httpx", "jsonschema", "openapi_spec_validator", "opentelemetry",
    "playwright", "pydantic", "sqlite3", "yaml",
}  # fmt: skip
TESTS = """
import pytest

def test_passes():
    print("said")

def test_fails():
    assert 1 == 2

@pytest.mark.skip(reason="why not")
def test_is_skipped():
    raise AssertionError

@pytest.fixture
def broken():
    raise RuntimeError("broken")

def test_is_an_error(broken):
    pass
"""
NOTE_MODULES = """
import json, os, sys
from pathlib import Path

def pytest_unconfigure(config):
    name = "modules-" + getattr(config, "workerinput", {}).get("workerid", "main")
    Path(name).write_text(json.dumps(sorted(sys.modules)))
"""
WORKERS = pytest.mark.parametrize("workers", ["-n0", "-n2"])


def modules_after(statement: str) -> set[str]:
    """The modules a fresh interpreter has loaded after a statement."""
    script = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    return set(json.loads(done.stdout))


def heavy(modules: set[str]) -> set[str]:
    """Those of the modules that cost time, by their first name."""
    return {name.partition(".")[0] for name in modules} & HEAVY


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_sorted_and_there(name: str) -> None:
    """``__all__`` lists, in order, what can be imported, and nothing is in it twice."""
    module = importlib.import_module(name)

    assert sorted(set(module.__all__)) == module.__all__
    for public in module.__all__:
        assert getattr(module, public) is not None


@pytest.mark.parametrize("name", MODULES[1:])
def test_everything_public_is_listed(name: str) -> None:
    """What a module shows without an underscore is in ``__all__``, or only helps with types."""
    module = importlib.import_module(name)

    # pytest adds names that nobody could write to the modules of a plugin.
    shown = {n for n in vars(module) if n.isidentifier() and not n.startswith("_")}

    assert shown - set(module.__all__) <= {
        "Agent", "Budget", "Path", "TYPE_CHECKING", "Task", "annotations"
    }  # fmt: skip


def test_unknown_name_is_an_attribute_error() -> None:
    """As of any module, with its name."""
    with pytest.raises(AttributeError, match="'pytest_orchestrator' has no attribute 'phase'"):
        pytest_orchestrator.phase  # noqa: B018


def test_types_are_shipped() -> None:
    """Type checkers read the package's annotations."""
    assert (Path(pytest_orchestrator.__file__).parent / "py.typed").is_file()


# ---------------------------------------------------------------- what it costs


def test_importing_the_package_imports_neither_pytest_nor_a_vendor() -> None:
    """Runner processes import it too; what is heavy comes when it is asked for."""
    loaded = modules_after("import pytest_orchestrator")

    assert not heavy(loaded)
    assert not {"pytest", "_pytest", "xdist"} & loaded
    assert {"pytest_orchestrator"} == {n for n in loaded if n.startswith("pytest_orchestrator")}


def test_importing_the_plugin_imports_nothing_heavy() -> None:
    """Every pytest session of the environment does that."""
    assert not heavy(modules_after("import pytest_orchestrator.plugin"))


@WORKERS
def test_session_without_a_runbook_loads_nothing_heavy(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    """With the plugin and xdist alone, no process of the session has any of it."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(NOTE_MODULES)
    pytester.makepyfile("def test_passes(): pass")

    result = pytester.runpytest_subprocess(
        "-p", "pytest_orchestrator.plugin", "-p", "xdist", workers
    )

    result.assert_outcomes(passed=1)
    noted = sorted(pytester.path.glob("modules-*"))
    assert (1 if workers == "-n0" else 3) == len(noted)
    for path in noted:
        loaded = set(json.loads(path.read_text()))
        assert "pytest_orchestrator.plugin" in loaded
        assert not heavy(loaded)


@WORKERS
def test_session_without_a_runbook_prints_what_it_prints_without_the_plugin(
    pytester: pytest.Pytester, workers: str
) -> None:
    """Not a word more or less, but for the list of plugins; and no file is left behind."""
    pytester.makepyfile(TESTS)
    arguments = ("-p", "no:randomly", "-p", "no:cacheprovider", workers, "-ra")

    without = pytester.runpytest_subprocess("-p", "no:orchestrator", *arguments)
    before = _files(pytester.path)
    installed = pytester.runpytest_subprocess(*arguments)

    assert (1, 1) == (without.ret, installed.ret)
    assert _said(without) == _said(installed)
    assert "orchestrator" not in " ".join(_said(installed)).replace("no:orchestrator", "")
    assert before == _files(pytester.path)


def _files(folder: Path) -> list[Path]:
    """What is in a folder, without what pytester itself puts there."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("runpytest-"))


def _said(result: pytest.RunResult) -> list[str]:
    """What a session printed, without what differs from run to run."""
    dull = re.compile(r"in \d+\.\d+s|\[gw\d\]|^plugins: .*|=+|_+")
    lines = [dull.sub("", line).strip() for line in result.outlines + result.errlines]
    # Workers may finish in any order, so that failures and dots come in any order.
    return sorted(
        " ".join(sorted(line.split())) for line in lines if not re.match(r"[.FEs]+ ", line)
    )


# ---------------------------------------------------------------- what people look up


def test_markers_are_listed(project: Project) -> None:
    """``pytest --markers`` has ours, one for each phase of the runbook."""
    result = project.run("--markers")

    result.stdout.fnmatch_lines_random([
        "@pytest.mark.phase1: *", "@pytest.mark.phase2: *", "@pytest.mark.gate(name): *",
        "@pytest.mark.lane(agent): *",
    ])  # fmt: skip
    result.stdout.no_fnmatch_line("@pytest.mark.phase3*")


def test_fixtures_are_listed(project: Project) -> None:
    """``pytest --fixtures`` has ours and those of the phases, each with a sentence."""
    result = project.run("--fixtures", "-n0")

    names = (
        "plan", "ledger", "workspace", "contracts", "services", "hops", "traces", "trace_store",
        "http", "browser", "left_phase1", "right_phase2",
    )  # fmt: skip
    lines = result.outlines
    for name in names:
        at = next(i for i, line in enumerate(lines) if re.match(rf"{name}( \[|:| --)", line))
        assert re.match(r" {4}[A-Z].*[.;,a-z]$", lines[at + 1]), lines[at : at + 2]


def test_options_are_listed(project: Project) -> None:
    """``pytest --help`` has ours and their ini keys, and not what is only between processes."""
    result = project.run("--help")

    result.stdout.fnmatch_lines_random([
        "*pytest-orchestrator*", "*--agents=NAME*", "*--runbook=PATH*", "*--workspace=DIR*",
        "*--run-id=ID*", "*--run-status*", "*--gate=NAME*", "*--lane=AGENT*",
        "*--browser*",
        "*orchestrator_agents (string):*", "*orchestrator_runbook (string):*",
    ])  # fmt: skip
    result.stdout.no_fnmatch_line("*--run-folder*")


def test_without_a_runbook_there_are_no_fixtures(pytester: pytest.Pytester) -> None:
    """Names as common as ``plan`` and ``http`` are left to others."""
    result = pytester.runpytest_subprocess("--fixtures", "-n0")

    result.stdout.no_fnmatch_line("*pytest_orchestrator*")
    result.stdout.no_fnmatch_line("plan *")
