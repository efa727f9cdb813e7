"""Virtual environments for services: made once, never half, and for what was judged."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pytest_orchestrator import errors
from pytest_orchestrator._domain.plan import Plan
from pytest_orchestrator._domain.service import environment_key
from pytest_orchestrator._stack import environment
from pytest_orchestrator._stack.environment import python_environment
from pytest_orchestrator._stack.process import ProcessRuntime

DEADLINE_S = 60.0
ROOT = str(Path(environment.__file__).parents[2])
# A process that says it is ready, waits to be told and then asks for the environment.
ASKING = """
import pathlib, sys
from pytest_orchestrator._domain.plan import Plan
from pytest_orchestrator._stack import environment
from pytest_orchestrator._stack.process import ProcessRuntime

def counted(*arguments, make=environment._make, **named):
    with open("made", "a") as made:
        made.write("x")
    make(*arguments, **named)

environment._make = counted
plan, tree, folder, cache = Plan.model_validate_json(sys.argv[1]), *map(pathlib.Path, sys.argv[2:])
print("ready", flush=True)
sys.stdin.readline()
with ProcessRuntime(plan, tree, folder, cache) as runtime:
    runtime.build("core")
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package ``demo``, from which alone pip installs."""
    folder = tmp_path / "packages"
    folder.mkdir()
    with zipfile.ZipFile(folder / "demo-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("demo.py", "GREETING = 'hello'\n")
        about = "demo-1.0.dist-info/"
        wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nTag: py3-none-any\n")
        wheel.writestr(about + "RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the service ``core``, which requires ``demo``."""
    core = tmp_path / "tree" / "core"
    core.mkdir(parents=True)
    (core / "requirements.txt").write_text("demo==1.0\n")
    return core.parent


PLAN = Plan.model_validate(
    {
        "run": {"name": "test"},
        "budget": {},
        **{key: {} for key in ("agents", "tasks", "contracts", "gates")},
        "stacks": {
            "python": {
                "name": "python",
                "recognised_by": ["requirements.txt"],
                "requirements": "requirements.txt",
                "start": ["{python}", "-c", "pass"],
                "test": ["{python}", "-c", "import demo, sys; print(demo.GREETING, sys.prefix)"],
            }
        },
        "services": {
            "core": {"name": "core", "agent": "a", "path": "core", "stack": "python", "port": 1}
        },
    }
)


def greeting(tree: Path, cache: Path) -> str:
    """Build ``core`` and have it say hello and where its environment is."""
    with ProcessRuntime(PLAN, tree, tree.parent / "run", cache) as runtime:
        return runtime.run_check("core", "test")


def ask(tree: Path, number: int) -> subprocess.Popen[bytes]:
    """Start a process that asks for the environment once it gets a line."""
    folder = tree.parent / f"run-{number}"
    arguments = [PLAN.model_dump_json(), *map(str, (tree, folder, tree.parent / "cache"))]
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(ASKING), *arguments],
        cwd=tree.parent,
        env={**os.environ, "PYTHONPATH": ROOT},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.usefixtures("packages")
def test_service_runs_in_an_environment_of_its_own(tree: Path, tmp_path: Path) -> None:
    """What the requirements name can be imported, from below the cache."""
    said = greeting(tree, tmp_path / "cache")

    assert said.startswith(f"hello {tmp_path / 'cache' / 'environments'}{os.sep}")


@pytest.mark.usefixtures("packages")
def test_environment_is_made_once(tree: Path, tmp_path: Path) -> None:
    """Four processes that ask at the same time get one environment, made by one of them."""
    asking = [ask(tree, number) for number in range(4)]

    for process in asking:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in asking:
        process.communicate(timeout=DEADLINE_S)

    assert [process.returncode for process in asking] == [0, 0, 0, 0]
    assert (tmp_path / "made").read_text() == "x"


@pytest.mark.usefixtures("packages")
def test_half_made_environment_is_not_used(tree: Path, tmp_path: Path) -> None:
    """An environment without its mark is made anew, whatever is in its folder."""
    cache = tmp_path / "cache"
    prefix = Path(greeting(tree, cache).split()[1])
    (prefix.parent / "complete").unlink()
    shutil.rmtree(prefix / "lib")

    assert greeting(tree, cache) == f"hello {prefix}\n"


@pytest.mark.usefixtures("packages")
def test_environment_whose_interpreter_is_gone_is_not_used(tree: Path, tmp_path: Path) -> None:
    """After its base interpreter has been uninstalled, an environment is made anew."""
    cache = tmp_path / "cache"
    prefix = Path(greeting(tree, cache).split()[1])
    (prefix / "bin" / "python").unlink()
    (prefix / "bin" / "python").symlink_to("uninstalled")

    assert greeting(tree, cache) == f"hello {prefix}\n"


@pytest.mark.usefixtures("packages")
def test_killed_maker_is_succeeded(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When who makes it is killed, its pip ends first; then the next one makes it."""
    with socket.create_server(("127.0.0.1", 0)) as silent, monkeypatch.context() as hanging:
        silent.settimeout(DEADLINE_S)
        hanging.delenv("PIP_NO_INDEX")
        hanging.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        hanging.setenv("NO_PROXY", "127.0.0.1")
        maker = ask(tree, 1)
        assert maker.stdin is not None
        maker.stdin.write(b"go\n")
        maker.stdin.flush()
        pip, _ = silent.accept()
    pip.settimeout(DEADLINE_S)
    assert pip.recv(4) == b"GET "
    pip.settimeout(0)
    make = environment._make

    def make_later(*arguments: Any, **named: Any) -> None:
        while pip.recv(4096):  # an error unless the other end is closed, as pip is dead
            pass
        make(*arguments, **named)

    monkeypatch.setattr(environment, "_make", make_later)
    maker.kill()
    maker.communicate()

    with pip:
        said = greeting(tree, tmp_path / "cache")

    assert said.startswith("hello ")
    assert (tmp_path / "made").read_text() == "x"


@pytest.mark.usefixtures("packages")
def test_interpreter_without_pip(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pip is not installed, the environment gets one of its own."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    said = greeting(tree, tmp_path / "cache")

    assert said.startswith("hello ")
    assert (Path(said.split()[1]) / "bin" / "pip").exists()


@pytest.mark.usefixtures("packages")
def test_requirement_that_cannot_be_had(tree: Path, tmp_path: Path) -> None:
    """A requirement that pip does not find is a finding, with pip's last lines."""
    (tree / "core" / "requirements.txt").write_text("demo==2.0\n")

    with pytest.raises(errors.GateFailed) as caught:
        greeting(tree, tmp_path / "cache")

    said = str(caught.value)
    assert "core: pip ended with status 1 and did not install its requirements" in said
    assert "or the package index cannot be reached from this machine" in said
    assert "No matching distribution found for demo==2.0" in said


def test_no_pip_is_run_without_requirements(tree: Path, tmp_path: Path) -> None:
    """An empty file of requirements is fine, and takes no network."""
    (tree / "core" / "requirements.txt").write_text("# nothing\n")
    commands: list[str] = []

    def run(command: list[str], **_: object) -> int:
        commands.append(command[2])
        return 0

    made_in(tree, tmp_path, run)

    assert commands == ["venv"]


@pytest.mark.parametrize(("status", "said"), [(1, "ended with status 1"), (None, "took too long")])
def test_python_that_cannot_make_environments(
    tree: Path, tmp_path: Path, status: int | None, said: str
) -> None:
    """When ``venv`` fails, this machine lacks something; the requirements are not to blame."""
    with pytest.raises(errors.Unverifiable, match=f"core: this Python cannot .* {said}"):
        made_in(tree, tmp_path, lambda *_, **__: status)


def test_nobody_waits_for_an_environment_when_the_session_stops(tree: Path, tmp_path: Path) -> None:
    """While somebody else makes it, waiting can be cancelled."""
    stop = threading.Event()

    def run(*_: object, **__: object) -> int:
        stop.set()
        with pytest.raises(errors.Cancelled):
            made_in(tree, tmp_path, run, stop)
        return 1

    with pytest.raises(errors.Unverifiable):
        made_in(tree, tmp_path, run, stop)


def made_in(tree: Path, folder: Path, run: object, stop: threading.Event | None = None) -> Path:
    """Make the environment of ``core`` with commands that are only pretended."""
    log = folder / "log"
    log.touch()
    return python_environment(
        PLAN.services["core"],
        tree / "core" / "requirements.txt",
        tree=tree,
        cache=folder / "cache",
        log=log,
        run=run,  # type: ignore[arg-type]
        stop=stop or threading.Event(),
    )


def test_stack_that_does_not_use_python_gets_no_environment(tree: Path, tmp_path: Path) -> None:
    """Requirements are installed only if a command wants the interpreter."""
    stack = PLAN.stacks["python"].model_copy(update={"start": ("true",), "test": ("true",)})
    plan = PLAN.model_copy(update={"stacks": {"python": stack}})

    with ProcessRuntime(plan, tree, tmp_path / "run", tmp_path / "cache") as runtime:
        runtime.build("core")

    assert not (tmp_path / "cache").exists()


def test_key_tells_requirements_and_interpreters_apart() -> None:
    """Another byte or another interpreter is another environment."""
    keys = {
        environment_key("3.11", b"demo"),
        environment_key("3.11", b"demo\n"),
        environment_key("3.12", b"demo"),
    }

    assert len(keys) == 3
    assert environment_key("3.11", b"demo") in keys


def test_refused_lines_are_named(tree: Path, tmp_path: Path) -> None:
    """Every line that is refused is a finding with its place; nothing is installed."""
    (tree / "core" / "requirements.txt").write_text("demo\n-e .\n\ndemo2 \\\n  -r other.txt\n")

    with pytest.raises(errors.GateFailed) as caught:
        greeting(tree, tmp_path / "cache")

    assert [str(finding).partition(" is refused")[0] for finding in caught.value.findings] == [
        "core/requirements.txt:2: '-e .'",
        "core/requirements.txt:4: 'demo2 -r other.txt'",
    ]
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("kind", ["missing", "link"])
def test_requirements_outside_the_tree_are_not_read(tree: Path, tmp_path: Path, kind: str) -> None:
    """A link to a file elsewhere is no file of requirements; it might be anybody's."""
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    file = tree / "core" / "requirements.txt"
    file.unlink()
    if kind == "link":
        file.symlink_to(secret)

    with pytest.raises(errors.GateFailed, match=r"core: requirements.txt is not a file in core"):
        made_in(tree, tmp_path, None)
