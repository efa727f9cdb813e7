"""Who does the work: the back-ends there are, and what every one has to be able to do."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import ClassVar

import pytest

from pytest_orchestrator import _backends
from pytest_orchestrator._backends.nop import Nop
from pytest_orchestrator._backends.oracle import Oracle
from pytest_orchestrator._domain.event import PhaseFinished
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._run.deliveries import Deliveries
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.locks import FileLock
from pytest_orchestrator._run.registry import Registry
from pytest_orchestrator._run.runner import PhaseRunner
from pytest_orchestrator._run.watch import Claim, Watch
from pytest_orchestrator._run.workspace import Workspaces
from pytest_orchestrator.errors import RunError
from pytest_orchestrator.testing import (
    AgentBackend,
    AgentResult,
    Assignment,
    check_backend,
    make_assignment,
)
from tests.histories import small_document
from tests.referees import WordReferee
from tests.strategies import plan_of
from tests.test_runner import Judged


class Good:
    """A back-end that keeps every promise."""

    name: ClassVar[str] = "good"

    def __init__(self, root: Path) -> None:
        self.root = root

    def carry_out(self, assignment: Assignment) -> AgentResult:
        """Write one file."""
        (assignment.workspace / "hello.txt").write_text(assignment.brief)
        return AgentResult("succeeded")

    def fingerprint(self) -> str:
        """Always the same."""
        return "good"


class Nameless(Good):
    """Has no name."""

    name = ""


class Roaming(Good):
    """Writes beside the workspace."""

    def carry_out(self, assignment: Assignment) -> AgentResult:
        """Leave something where it does not belong."""
        (assignment.workspace.parent / "elsewhere.txt").write_text("mine")
        return AgentResult("succeeded")


class Meddling(Good):
    """Changes the project."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        (root / "theirs.txt").write_text("theirs")

    def carry_out(self, assignment: Assignment) -> AgentResult:
        """Change what was there."""
        del assignment
        (self.root / "theirs.txt").write_text("mine")
        return AgentResult("succeeded")


class Silent(Good):
    """Gives up and does not say why."""

    def carry_out(self, assignment: Assignment) -> AgentResult:
        """Fail."""
        del assignment
        return AgentResult("failed")


class Moody(Good):
    """Is somebody else each time."""

    count: ClassVar[itertools.count[int]] = itertools.count()

    def fingerprint(self) -> str:
        """Never the same."""
        return str(next(self.count))


class Forgetful(Good):
    """Returns something else."""

    def carry_out(self, assignment: Assignment) -> AgentResult:
        """Return nothing."""
        del assignment
        return None  # type: ignore[return-value]


class Incomplete:
    """Is no back-end at all."""

    name = "incomplete"

    def __init__(self, root: Path) -> None:
        del root


def oracle_of(root: Path, *files: str) -> Oracle:
    """The back-end of a project with these pre-written files."""
    for path in files:
        file = root / "oracle" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    return Oracle(root)


def assignment_of(folder: Path, stack: str, *tools: str) -> Assignment:
    """What an agent with a service of some stack is told."""
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    plain = make_assignment(workspace, task="task")
    return Assignment(
        task=plain.task, agent=plain.agent, brief="", workspace=workspace, stack=stack,
        tools=tools, attempt=1, budget=plain.budget,
    )  # fmt: skip


# ---------------------------------------------------------------- what all of them promise


@pytest.mark.parametrize("make", [Nop, Oracle, Good])
def test_back_end_keeps_its_promises(make: type[AgentBackend], tmp_path: Path) -> None:
    """What is delivered here passes the suite that others are held to."""
    result = check_backend(make, tmp_path)

    assert ("failed" if make is Oracle else "succeeded") == result.status


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Nameless, "its name is empty"),
        (Roaming, "it wrote outside of its workspace"),
        (Meddling, "it wrote outside of its workspace"),
        (Silent, "it failed and does not say why"),
        (Moody, "two back-ends of one project have different fingerprints"),
        (Forgetful, "carry_out returned None"),
        (Incomplete, "it has no name, carry_out or fingerprint"),
    ],
)
def test_broken_promise_is_named(make: type[AgentBackend], message: str, tmp_path: Path) -> None:
    """The conformance suite says which promise a back-end does not keep."""
    with pytest.raises(AssertionError, match=message):
        check_backend(make, tmp_path)


def test_back_ends_are_found_by_name(tmp_path: Path) -> None:
    """Each by the name it has itself; ours are always there."""
    assert {"nop", "oracle"} <= set(_backends.names())
    assert sorted(_backends.names()) == list(_backends.names())
    for name in ("nop", "oracle"):
        assert name == _backends.make_backend(name, tmp_path).name


def test_unknown_back_end_is_told(tmp_path: Path) -> None:
    """With the names there are."""
    with pytest.raises(RunError, match=r"there is no back-end 'orcale'; there are .*nop, oracle"):
        _backends.make_backend("orcale", tmp_path)


# ---------------------------------------------------------------- nop


def test_nop_leaves_everything_as_it_is(tmp_path: Path) -> None:
    """And says that it is done: gates must say no."""
    assert AgentResult("succeeded") == Nop(tmp_path).carry_out(make_assignment(tmp_path))
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- oracle


def test_oracle_applies_the_solution_of_the_task(tmp_path: Path) -> None:
    """Whole files, over what is there, and nothing else."""
    oracle = oracle_of(tmp_path, "python/task/own/a.txt", "python/task/b.txt", "python/other/c.txt")
    assignment = assignment_of(tmp_path, "python")
    (assignment.workspace / "b.txt").write_text("before")
    (assignment.workspace / "kept.txt").write_text("kept")

    for _ in range(2):
        assert AgentResult("succeeded") == oracle.carry_out(assignment)

    found = {
        str(f.relative_to(assignment.workspace)): f.read_text()
        for f in assignment.workspace.rglob("*.txt")
    }
    assert found == {
        "own/a.txt": "python/task/own/a.txt", "b.txt": "python/task/b.txt", "kept.txt": "kept"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("stack", "tools", "expected"),
    [
        ("dotnet", [], "dotnet"),
        ("dotnet", ["git"], "dotnet"),
        ("dotnet", ["git", "no-such-program"], "python"),
        ("nextjs", [], "python"),
        ("", [], "python"),
    ],
)
def test_oracle_takes_the_stack_if_it_can_be_built_here(
    stack: str, tools: list[str], expected: str, tmp_path: Path
) -> None:
    """Without a solution for the stack, or without its tools, the Python stand-in does."""
    oracle = oracle_of(tmp_path, "dotnet/task/dotnet", "python/task/python", "any/task/any")
    assignment = assignment_of(tmp_path, stack, *tools)

    oracle.carry_out(assignment)

    assert [expected] == [file.name for file in assignment.workspace.iterdir()]


def test_oracle_takes_what_fits_any_stack_last(tmp_path: Path) -> None:
    """A document is the same, whatever the service is written in."""
    assignment = assignment_of(tmp_path, "dotnet")

    oracle_of(tmp_path, "any/task/any").carry_out(assignment)

    assert ["any"] == [file.name for file in assignment.workspace.iterdir()]


def test_oracle_without_a_solution_says_where_it_looked(tmp_path: Path) -> None:
    """A failed attempt with the folders that would have done."""
    result = oracle_of(tmp_path).carry_out(assignment_of(tmp_path, "dotnet"))

    where = "oracle/dotnet/task, oracle/python/task, oracle/any/task"
    assert AgentResult("failed", f"there is no pre-written solution in {where}") == result


def test_oracle_is_another_one_when_a_solution_changes(tmp_path: Path) -> None:
    """Then another run begins; what Python leaves behind does not count."""
    first = oracle_of(tmp_path, "python/task/a.txt").fingerprint()

    assert first == oracle_of(tmp_path, "python/task/__pycache__/a.pyc").fingerprint()
    changed = oracle_of(tmp_path, "python/task/b.txt").fingerprint()
    assert first != changed
    (tmp_path / "oracle" / "python" / "task" / "b.txt").write_text("other")
    assert changed != Oracle(tmp_path).fingerprint()


def test_oracle_says_which_services_are_stand_ins(tmp_path: Path) -> None:
    """And why: a program is missing, or nobody has written a solution for the stack."""
    document = small_document()
    stacks = {"python": [], "dotnet": ["git"], "nextjs": ["no-such-program"], "rust": []}
    document["stacks"] = {
        name: {"recognised_by": ["*"], "start": ["run"], "tools": tools}
        for name, tools in stacks.items()
    }
    document["services"] = {
        f"a{number}": {"agent": "left", "path": "left", "stack": stack, "port": 8000 + number}
        for number, stack in enumerate(stacks)
    }
    oracle_of(tmp_path, "dotnet/task/x", "nextjs/task/x")
    plan = plan_of(document)

    assert _backends.remarks("oracle", plan, tmp_path) == [
        "a2: Python stand-in for nextjs, no-such-program is missing",
        "a3: Python stand-in, oracle/rust is not there",
    ]
    assert _backends.remarks("nop", plan, tmp_path) == []


def test_solution_with_a_file_of_somebody_else_is_found_out(tmp_path: Path) -> None:
    """The oracle is an agent like any other: what it writes outside of its paths is undone."""
    plan = plan_of(small_document())
    root = tmp_path / "project"
    oracle = oracle_of(root, "any/left-one/left/own.txt", "any/left-one/right/theirs.txt")
    ledger, part = Ledger(tmp_path / "run"), Part("left", 1)
    token = ledger.claim(str(part), session="now", worker="gw0", still=lambda _: True)
    assert token is not None
    workspaces, claim = Workspaces(plan, ledger.folder, root), Claim(str(part), "now", token[1])
    lock = FileLock(tmp_path / "run.lock")
    document = small_document()
    document["tasks"]["left-one"]["needs"] = []
    plan = plan_of(document)
    registry = Registry(plan, ledger, WordReferee())

    PhaseRunner(
        plan, ledger, workspaces, oracle, Judged(), registry,
        Deliveries(plan, ledger, workspaces, registry, part), claim,
        Watch(ledger, lock.path, claim), part,
    ).run()  # fmt: skip

    event = ledger.entries()[-1].event
    assert isinstance(event, PhaseFinished)
    assert "failed" == event.status
    assert event.reason.splitlines()[0] == (
        "right/theirs.txt: left changed a file outside its own paths [ownership]"
    )
    assert (workspaces.lane("left") / "left" / "own.txt").exists()
    assert not (workspaces.lane("left") / "right").exists()
