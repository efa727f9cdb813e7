"""Services are recognised by their files, built once and tested on request."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_orchestrator import errors
from pytest_orchestrator._stack.process import ProcessRuntime
from pytest_orchestrator._stack.recognise import recognise
from tests.small_services import (
    HEALTHY,
    HOLDING,
    Project,
    all_dead,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project with a stack for Python without requirements."""
    with Project(tmp_path) as project:
        yield project


def test_preferred_stack_is_tried_first(project: Project) -> None:
    """A folder that several stacks match has the one the service is meant to have."""
    project.stacks = {"first": project.stacks["python"], **project.stacks}
    project.add("core")
    plan = project.plan()

    assert recognise(plan.services["core"], plan.stacks, project.tree).name == "python"


def test_other_stacks_follow_in_the_order_of_the_runbook(project: Project) -> None:
    """A service may have another stack than it is meant to; all patterns must match."""
    for name, patterns in {
        "node": ["main.py", "package.json"],
        "later": ["*.py"],
        "last": ["main.*"],
    }.items():
        project.stacks[name] = {"recognised_by": patterns, "start": ["true"]}
    project.stacks["python"]["recognised_by"] = ["pyproject.toml"]
    project.add("core")
    plan = project.plan()

    assert recognise(plan.services["core"], plan.stacks, project.tree).name == "later"


def test_unrecognised_service_is_a_finding(project: Project) -> None:
    """Without a matching stack the gate says no, with what was expected and what is there."""
    project.stacks["dotnet"] = {"recognised_by": ["*.csproj"], "start": ["true"]}
    (project.add("core") / "main.py").rename(project.tree / "core" / "app.py")

    with pytest.raises(errors.GateFailed) as caught:
        project.runtime().build("core")

    assert str(caught.value.findings[0]) == (
        "core: no stack recognised in core: expected one of python (main.py), dotnet (*.csproj); "
        "it holds app.py [recognise]"
    )


def test_missing_folder_is_a_finding(project: Project) -> None:
    """A service whose folder nobody made is not recognised either."""
    project.add("core", path="src/core")

    with pytest.raises(errors.GateFailed, match="core: there is no folder src/core"):
        project.runtime().build("core")


def test_missing_tool_cannot_be_judged(project: Project) -> None:
    """A tool that is not on the PATH is a lack of this machine, not of the application."""
    project.stacks["python"]["tools"] = ["no-such-tool"]
    project.add("core")

    with pytest.raises(errors.Unverifiable, match="core: no-such-tool not found on the PATH"):
        project.runtime().start("core")


def test_build_fetches_as_the_caller_does(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build sees proxies, certificates and indexes of the caller's, and no key."""
    fetching = {
        "PIP_INDEX_URL", "npm_config_registry", "HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE",
        "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE",
    }  # fmt: skip
    for name in (*fetching, "ANTHROPIC_API_KEY", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "the caller's")
    folder = project.add("core", environment={"API_URL": "{core}"})
    dump = "import os, pathlib; pathlib.Path('seen').write_text(' '.join(os.environ))"
    project.stacks["python"]["build"] = [["{python}", "-c", dump]]

    project.runtime().build("core")

    seen = set((folder / "seen").read_text().split())
    assert fetching < seen
    assert {"API_URL", "HOME", "PATH"} < seen
    assert not {"ANTHROPIC_API_KEY", "GITHUB_TOKEN"} & seen


def test_failed_build_shows_the_end_of_its_log(project: Project) -> None:
    """A build command that fails is a finding with its status and last lines; no other follows."""
    count = "for n in range(100): print('line', n)\nraise SystemExit(3)"
    folder = project.add("core")
    (folder / "build.py").write_text(count)
    project.stacks["python"]["build"] = [["{python}", "build.py"], ["touch", "second"]]

    with pytest.raises(errors.GateFailed) as caught:
        project.runtime().build("core")

    said = str(caught.value)
    assert "core: `{python} build.py` ended with status 3; the last lines of " in said
    assert "core-build.log:\n    line 85\n" in said
    assert "    line 99 [build]" in said
    assert not (folder / "second").exists()


@pytest.mark.parametrize("status", [0, 1])
def test_service_is_built_once(project: Project, status: int) -> None:
    """A runtime runs the build commands once, whatever became of them."""
    folder = project.add("core")
    (folder / "build.py").write_text(f"open('built', 'a').write('x')\nraise SystemExit({status})")
    project.stacks["python"]["build"] = [["{python}", "build.py"]]
    runtime = project.runtime()

    for _ in range(2):
        try:
            assert runtime.run_check("core", "build") == ""
        except errors.GateFailed as failed:
            assert "status 1" in str(failed)  # noqa: PT017 - the parameter decides whether it fails

    assert (folder / "built").read_text() == "x"


def test_build_that_takes_too_long(project: Project) -> None:
    """A build that has not ended in time is ended, and is a finding."""
    folder = project.add("core", build_s=0.5)
    (folder / "build.py").write_text(HOLDING + "time.sleep(600)")
    project.stacks["python"]["build"] = [["{python}", "build.py"]]

    with pytest.raises(errors.GateFailed, match=r"was ended, as 0\.5 s were over"):
        project.runtime().build("core")

    assert all_dead(folder)


def test_build_command_that_is_not_there(project: Project) -> None:
    """A build command that cannot be run is named."""
    project.add("core")
    project.stacks["python"]["build"] = [["./no-such-command"]]

    with pytest.raises(errors.GateFailed, match="no-such-command cannot be run: No such file"):
        project.runtime().build("core")


def test_what_a_build_leaves_behind_is_ended(project: Project) -> None:
    """A server that a build command starts for itself does not outlive the command."""
    folder = project.add("core")
    (folder / "build.py").write_text(HOLDING)
    project.stacks["python"]["build"] = [["{python}", "build.py"]]

    project.runtime().build("core")

    assert all_dead(folder)


def test_building_and_running_leaves_the_tree_alone(project: Project) -> None:
    """Bytecode goes elsewhere, so that the tree shows only what an agent wrote."""
    folder = project.add("core", "import helper\n" + HEALTHY)
    (folder / "helper.py").touch()
    project.stacks["python"]["build"] = [["{python}", "-m", "compileall", "-q", "."]]
    project.stacks["python"]["test"] = ["{python}", "-c", "import helper"]
    runtime = project.runtime()

    runtime.start("core")
    runtime.run_check("core", "test")

    assert sorted(path.name for path in folder.iterdir()) == ["helper.py", "main.py"]


def test_successful_tests_are_shown(project: Project) -> None:
    """What the test command wrote is returned, so that somebody can count the tests."""
    project.add("core")
    project.stacks["python"]["test"] = ["{python}", "-c", "print('3 passed')"]

    assert project.runtime().run_check("core", "test") == "3 passed\n"


def test_failed_tests_are_a_finding(project: Project) -> None:
    """A test command that fails is a finding with its last lines."""
    project.add("core")
    project.stacks["python"]["test"] = ["{python}", "-c", "raise SystemExit('2 failed')"]

    with pytest.raises(errors.GateFailed, match=r"ended with status 1(.|\n)*    2 failed \[test\]"):
        project.runtime().run_check("core", "test")


def test_stack_without_tests_cannot_be_tested(project: Project) -> None:
    """Where the runbook has no test command, nothing is known about the tests."""
    project.add("core")

    with pytest.raises(errors.Unverifiable, match=r"Give \[stacks\.python\] a `test` command"):
        project.runtime().run_check("core", "test")


def test_log_is_shown_without_control_codes(project: Project) -> None:
    """A service cannot move the cursor of the terminal in which its log is shown."""
    project.add("core", r"raise SystemExit('\x1b[31mred\x1b[0m \x07\x1b[2Jalarm')")

    with pytest.raises(errors.GateFailed, match="    red alarm"):
        project.runtime().start("core")


MAKE = (
    "import pathlib; f = pathlib.Path('out/ID'); f.parent.mkdir(exist_ok=True); f.write_text('1')"
)


def artefacts(project: Project, code: str, *patterns: str) -> None:
    """Give the stack a build of one line of Python, and say what it must make."""
    project.stacks["python"] |= {"build": [["{python}", "-c", code]], "artefacts": list(patterns)}


def test_build_that_makes_its_artefacts(project: Project) -> None:
    """Whatever lies there already, a build that makes its files each time passes."""
    folder = project.add("core")
    (folder / "out").mkdir()
    (folder / "out" / "ID").write_text("old")
    artefacts(project, MAKE, "out/ID", "**/ID")

    project.runtime().build("core")
    project.runtime().build("core")

    assert (folder / "out" / "ID").read_text() == "1"


@pytest.mark.parametrize(
    "code",
    [
        "pass",
        "import pathlib; pathlib.Path('out/other').touch()",
        "import os, pathlib; os.path.exists('out/ID') or pathlib.Path('out/ID').mkdir()",
        "import os; os.symlink(os.path.abspath('../elsewhere'), 'out/ID')",
    ],
)
def test_delivered_artefact_is_not_a_build(project: Project, code: str) -> None:
    """A build that makes nothing fails, though an agent has delivered the file, dated ahead."""
    folder = project.add("core")
    (folder / "out").mkdir()
    (folder / "out" / "ID").write_text("delivered")
    os.utime(folder / "out" / "ID", (4e9, 4e9))
    (project.tree / "elsewhere").write_text("not the service's")
    artefacts(project, code, "out/ID")

    with pytest.raises(errors.GateFailed, match="core: its build succeeded, but made no file out/"):
        project.runtime().build("core")

    assert (project.tree / "elsewhere").read_text() == "not the service's"


def test_artefacts_behind_a_link_are_left_alone(project: Project) -> None:
    """A folder that leads out of the service's is neither emptied nor believed."""
    folder = project.add("core")
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "ID").write_text("somebody's")
    (folder / "out").symlink_to(elsewhere)
    artefacts(project, "pass", "out/ID")

    with pytest.raises(errors.GateFailed, match="made no file out/ID"):
        project.runtime().build("core")

    assert (elsewhere / "ID").read_text() == "somebody's"


def test_bytecode_is_made_anew(project: Project) -> None:
    """A module that does not compile is found, though it has size and time of one that did."""
    folder = project.add("core")
    project.stacks["python"] |= {
        "build": [["{python}", "-m", "compileall", "-q", "."]],
        "artefacts": ["{bytecode}/main.*.pyc"],
    }
    module = folder / "helper.py"
    module.write_text("a = 1\n")
    os.utime(module, (1e9, 1e9))
    runtime = project.runtime()
    runtime.build("core")
    module.write_text("a = (\n")
    os.utime(module, (1e9, 1e9))
    again = ProcessRuntime(
        project.plan(), project.tree, project.folder / "runtime-0", project.folder / "cache"
    )

    with again, pytest.raises(errors.GateFailed, match="compileall"):
        again.build("core")


def test_long_lines_of_a_log_are_cut(project: Project) -> None:
    """A line of a megabyte does not make a finding of a megabyte."""
    project.add("core")
    project.stacks["python"]["build"] = [["{python}", "-c", "raise SystemExit('x' * 1_000_000)"]]

    with pytest.raises(errors.GateFailed) as caught:
        project.runtime().build("core")

    assert len(str(caught.value)) < 2_000
