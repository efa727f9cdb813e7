"""What an agent can ask of the registry: the same by tool call and by command."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_orchestrator._domain.agent import ToolAnswer
from pytest_orchestrator._domain.event import ContractRead
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._run.contract_tools import ContractTools
from pytest_orchestrator._run.ledger import Ledger
from pytest_orchestrator._run.registry import Registry
from pytest_orchestrator._run.tool_client import VARIABLE, receive, send
from pytest_orchestrator._run.tool_socket import tool_socket
from tests.histories import small_plan
from tests.referees import WordReferee

PLAN = small_plan()
API = PLAN.contracts["api"]
LEFT = Part("left", 2)
DIGEST_OF_ONE = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"


class Bench:
    """A run with two agents at work: the publisher of ``api``, and one who consumes it."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder)
        self.registry = Registry(PLAN, self.ledger, WordReferee())
        self.publisher = self.tools("left-spec")
        self.consumer = self.tools("right-two")

    def tools(self, task: str) -> ContractTools:
        """The tools of a task's agent, whose part is claimed."""
        part = str(PLAN.tasks[task].part)
        claimed = self.ledger.claim(part, session="now", worker="gw0", still=lambda _: True)
        assert claimed is not None
        claimed[0].release()
        return ContractTools(PLAN, self.ledger, self.registry, PLAN.tasks[task], claimed[1])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A new run."""
    return Bench(tmp_path / "run")


def publish(tools: ContractTools, content: str, **more: object) -> ToolAnswer:
    """Publish ``api`` by tool call."""
    return tools.call("publish_contract", {"name": "api", "content": content, **more})


def command(environment: dict[str, str], *arguments: str, cwd: Path) -> tuple[int, bytes, str]:
    """Run a command as an agent does; exit status, output and complaints."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_orchestrator", *arguments],
        cwd=cwd, env={**os.environ, **environment}, capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr.decode()


# ---------------------------------------------------------------- tools


def test_publisher_publishes(bench: Bench) -> None:
    """It is told the revision, and what that does to those who built on the one before."""
    assert publish(bench.publisher, "one") == ToolAnswer("api: revision 1 is published")
    assert publish(bench.publisher, "breaking") == ToolAnswer(
        "api: revision 2 is published; breaking for consumers of revision 1"
    )
    assert publish(bench.publisher, "breaking") == ToolAnswer(
        "api: revision 2 is already that, to the byte"
    )


def test_nobody_else_publishes(bench: Bench) -> None:
    """A consumer that says it is a publisher is none: its tools know whose task it works on."""
    answer = publish(bench.consumer, "forged", part="left_phase2")

    assert (answer.status, bench.ledger.state().contracts) == (1, {})
    assert answer.text.endswith("contract api is published by left")


def test_findings_are_told_and_nothing_is_published(bench: Bench) -> None:
    """Each with its cure, so that the agent can mend them all."""
    answer = publish(bench.publisher, "invalid")

    assert (answer.status, bench.ledger.state().contracts) == (1, {})
    assert answer.text.splitlines() == [
        "docs/contracts/api.json: is not valid [word]; write something else",
        "nothing is published: 1 finding(s)",
    ]


def test_conflict_is_told(bench: Bench) -> None:
    """An agent that names what it builds on does not overwrite what it has not seen."""
    publish(bench.publisher, "one")

    answer = publish(bench.publisher, "two", expected_revision=0)

    assert answer.status == 1
    assert "is at revision 1, not at 0" in answer.text


def test_reading_is_recorded_for_consumers(bench: Bench) -> None:
    """The exact text comes back, and the ledger knows what the work may rest on."""
    publish(bench.publisher, "one")

    assert bench.consumer.call("read_contract", {"name": "api"}) == ToolAnswer(
        "one", is_document=True
    )
    bench.publisher.call("read_contract", {"name": "api"})

    events = [e.event for e in bench.ledger.entries()]
    (read,) = [event for event in events if isinstance(event, ContractRead)]
    assert ("right-two", "api", 1, DIGEST_OF_ONE) == (
        read.task,
        *read.contract.model_dump().values(),
    )


def test_list_has_a_line_for_each_contract(bench: Bench) -> None:
    """Those that are not published yet as well."""
    publish(bench.publisher, "one")

    assert bench.consumer.call("list_contracts", {}).text.splitlines() == [
        "notes: not published yet; writer publishes docs/contracts/notes.md",
        f"api: revision 1, sha256 {DIGEST_OF_ONE}, docs/contracts/api.json by left",
    ]


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("publish", {}, "there is no tool 'publish'; there are publish_contract, list_contracts"),
        ("publish_contract", {"name": "api"}, "content must be a text, and is NoneType"),
        ("publish_contract", {"name": ["api"], "content": ""}, "name must be a text, and is list"),
        ("publish_contract", {"name": "x", "content": ""}, "there is no contract 'x'; there are"),
        ("read_contract", {"name": "api", "revision": "1"}, "revision must be a whole number, 0"),
        ("read_contract", {"name": "api", "revision": True}, "revision must be a whole number, 0"),
        ("read_contract", {"name": "api", "revision": -1}, "revision must be a whole number, 0"),
    ],
)
def test_a_call_that_makes_no_sense_is_answered(
    bench: Bench, tool: str, arguments: dict[str, object], told: str
) -> None:
    """With a sentence, and not with an exception that ends somebody's attempt."""
    answer = bench.publisher.call(tool, arguments)

    assert answer.status == 2
    assert answer.text.startswith(told)


def test_half_a_character_is_answered(bench: Bench) -> None:
    """JSON can write one, but no file can hold it."""
    answer = publish(bench.publisher, "\ud800")

    assert answer.status == 2
    assert answer.text.startswith("content has half a character")


def test_files_of_the_last_revision_are_there_for_the_next(bench: Bench) -> None:
    """A tool sends one document; what that refers to beside it was published before."""
    files = {API.path: b"see left/part.json", "left/part.json": b"{}"}
    first = bench.registry.publish(API, files, LEFT)

    answer = publish(bench.publisher, "see left/part.json again")

    assert answer.status == 0
    assert first is not None
    assert bench.ledger.state().contracts["api"].files == first.files != {}


def test_tools_are_described_for_models(bench: Bench) -> None:
    """What is required exists, and every description can be called by its name."""
    for each in bench.publisher.descriptions:
        assert set(each.required) <= each.arguments.keys()
        assert "there is no tool" not in bench.publisher.call(each.name, {}).text


def test_tools_of_an_agent_whose_claim_was_lost_publish_nothing(bench: Bench) -> None:
    """Somebody else carries its task out by now."""
    late = bench.publisher
    bench.tools("left-spec")

    answer = publish(late, "late")

    assert (answer.status, bench.ledger.state().contracts) == (2, {})
    assert "somebody else has taken over" in answer.text


# ---------------------------------------------------------------- commands


@pytest.fixture
def publisher(bench: Bench, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of the publisher's agent."""
    with tool_socket(bench.publisher, tmp_path / "sockets", "left") as environment:
        yield environment


@pytest.mark.parametrize(
    ("content", "status"), [(b"one", 0), (b"invalid", 1), (b"\xff\x00\r\n", 0)]
)
def test_command_does_what_the_tool_does(
    bench: Bench, publisher: dict[str, str], tmp_path: Path, content: bytes, status: int
) -> None:
    """The same words, the same status, the same bytes; also bytes that are no text."""
    (tmp_path / "file").write_bytes(content)

    done = command(publisher, "publish", "api", "file", cwd=tmp_path)

    twin = Bench(tmp_path / "twin")
    by_tool = publish(twin.publisher, content.decode(errors="surrogateescape"))
    said = done[1].decode() if status == 0 else done[2]
    assert (status, f"{by_tool.text}\n") == (done[0], said)
    if not status:
        assert content == bench.registry.read("api")[1]
        assert content == command(publisher, "contract", "api", cwd=tmp_path)[1]


def test_command_lists_and_reads_for_its_task(
    bench: Bench, publisher: dict[str, str], tmp_path: Path
) -> None:
    """Without a runbook and without the run's folder: the orchestrator is asked."""
    publish(bench.publisher, "one")

    listed = command(publisher, "contracts", cwd=tmp_path)
    missing = command(publisher, "contract", "api", "--revision", "7", cwd=tmp_path)

    assert (0, bench.publisher.call("list_contracts", {}).text) == (
        listed[0],
        listed[1].decode()[:-1],
    )
    assert (1, "revision 7 of api is not there: its revisions are 1\n") == (missing[0], missing[2])


def test_publishing_outside_of_a_task_is_refused(tmp_path: Path) -> None:
    """There is nobody whose contract it could be."""
    (tmp_path / "file").write_bytes(b"one")

    status, _, said = command({VARIABLE: ""}, "publish", "api", "file", cwd=tmp_path)
    assert status == 2
    assert "only an agent at work on a task can publish" in said


def test_file_that_cannot_be_read_is_not_judged(publisher: dict[str, str], tmp_path: Path) -> None:
    """It is named, with what the system says."""
    status, _, said = command(publisher, "publish", "api", "nowhere", cwd=tmp_path)

    assert (2, "nowhere: cannot be read: No such file or directory\n") == (status, said)


# ---------------------------------------------------------------- the door


def told(environment: dict[str, str], request: bytes) -> dict[str, object]:
    """What the socket answers to anything."""
    path, _ = json.loads(environment[VARIABLE])
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        send(connection, request)
        answer: dict[str, object] = json.loads(receive(connection, 1_000_000))
        return answer


@pytest.mark.parametrize("request_", [b"", b"{", b"[]", b"\xff", b'{"tool": "list_contracts"}'])
def test_nonsense_is_answered_and_the_door_stays_open(
    publisher: dict[str, str], tmp_path: Path, request_: bytes
) -> None:
    """Whoever talks to the socket cannot break it."""
    assert 2 == told(publisher, request_)["status"]
    assert 0 == command(publisher, "contracts", cwd=tmp_path)[0]


def test_who_does_not_know_the_secret_is_not_let_in(publisher: dict[str, str]) -> None:
    """Another lane's agent may find the socket, but not what opens it."""
    request = {"secret": "guessed", "tool": "list_contracts", "arguments": {}}

    answer = told(publisher, json.dumps(request).encode())

    assert (2, "that socket is another task's; nothing was done") == (
        answer["status"], answer["text"]
    )  # fmt: skip


def test_door_is_closed_when_the_attempt_is_over(bench: Bench, tmp_path: Path) -> None:
    """The command says so; nothing is left of the socket, and no thread."""
    before = threading.active_count()
    with tool_socket(bench.publisher, tmp_path / "sockets", "left") as environment:
        pass

    status, _, said = command(environment, "contracts", cwd=tmp_path)

    assert status == 2
    assert said.startswith("the orchestrator does not answer (")
    assert [] == list((tmp_path / "sockets").iterdir())
    assert before == threading.active_count()


def test_socket_that_somebody_left_is_replaced(bench: Bench, tmp_path: Path) -> None:
    """Its owner was killed, and could not clear it away."""
    left = tmp_path / "sockets" / "left.sock"
    left.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left))

    with tool_socket(bench.publisher, tmp_path / "sockets", "left") as environment:
        assert 0 == command(environment, "contracts", cwd=tmp_path)[0]


def test_socket_of_a_deep_folder_is_elsewhere(bench: Bench, tmp_path: Path) -> None:
    """The kernel takes no more than about a hundred bytes for its path."""
    deep = tmp_path / ("d" * 120)

    with tool_socket(bench.publisher, deep, "left") as environment:
        assert 0 == command(environment, "contracts", cwd=tmp_path)[0]


def test_hanging_up_in_the_middle_harms_nobody(publisher: dict[str, str], tmp_path: Path) -> None:
    """A command that is killed leaves the others their answers."""
    path, _ = json.loads(publisher[VARIABLE])
    for _ in range(8):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            connection.sendall(b'{"secret"')

    assert 0 == command(publisher, "contracts", cwd=tmp_path)[0]
