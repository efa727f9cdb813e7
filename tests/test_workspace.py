"""Trees in, trees out: what agents see, and what may leave their workspaces."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from pytest_orchestrator._domain.event import AttemptFinished, Event
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._domain.state import RunState
from pytest_orchestrator._run.git import Git
from pytest_orchestrator._run.workspace import Collected, Workspaces
from pytest_orchestrator.errors import Infra
from tests.histories import claimed, finished, small_plan, state_after

LEFT, RIGHT, WRITER = Part("left", 1), Part("right", 1), Part("writer", 0)
LEFT_TWO, RIGHT_TWO = Part("left", 2), Part("right", 2)

AWKWARD: dict[bytes, bytes] = {
    b"left/crlf.txt": b"one\r\ntwo\r\n",
    b"left/mixed.txt": b"one\r\ntwo\nthree\r",
    b"left/no-newline.txt": b"no newline",
    b"left/empty.txt": b"",
    b"left/binary.bin": bytes(range(256)),
    b"left/$Id$.txt": b"$Id$",
    b"left/with space and 'quote\".txt": b"x",
    b"left/tab\tand\nnewline.txt": b"x",
    b"left/[id]/*.tsx": b"x",
    b"left/latin-\xe9.txt": b"x",
    b"left/.hidden": b"x",
    b"left/:(glob)": b"x",
    "left/größe-日本.txt".encode(): b"x",
}
# Of a project with one file, and of an attempt that has written another.
BASE = "f7767980a1b302237450d5dbe6d607e274410e91"
COMMIT = "4044e415c75d26e93378c1f6967ddfdb8ce48965"
ATTRIBUTES = "* text=auto\n*.txt text eol=crlf ident\n*.bin working-tree-encoding=UTF-16\n"


class Site:
    """A project, a run of it, and agents that write files.

    Attributes:
        root: The project's folder.
        workspaces: The run's trees.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        self.workspaces = Workspaces(small_plan(), folder / "run", self.root)

    def lane(self, agent: str, path: str = "") -> Path:
        """A file of an agent's workspace."""
        return self.workspaces.lane(agent) / path

    def write(self, agent: str, *paths: str, content: str = "written") -> None:
        """Have an agent write some files."""
        for path in paths:
            put(self.lane(agent, path), content)

    def attempt(self, part: Part, *paths: str, content: str = "written") -> str:
        """Have a part carried out that writes some files, and return its commit."""
        before = self.workspaces.prepare(RunState(), part)
        self.write(part.agent, *paths, content=content)
        return self.workspaces.collect(part.agent, before, "attempt").commit

    def files(self, commit: str) -> dict[str, str]:
        """The files of a commit or tree."""
        tree = self.workspaces.lay_out(commit, "seen")
        return {path: (tree / path).read_text() for path in listed(tree)}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A project without any files."""
    return Site(tmp_path)


def put(path: Path, content: str) -> None:
    """Write a file, and the folders it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def listed(folder: Path) -> list[str]:
    """Every file below a folder, sorted."""
    return sorted(
        str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file() or f.is_symlink()
    )


def raw(folder: Path) -> dict[bytes, bytes]:
    """Every file below a folder, names and contents to the byte."""
    base = os.fsencode(folder)
    names = [os.path.join(at, n) for at, _, found in os.walk(base) for n in found]  # noqa: PTH118
    return {os.path.relpath(name, base): Path(os.fsdecode(name)).read_bytes() for name in names}


def write_raw(folder: Path, files: dict[bytes, bytes]) -> None:
    """Write files whose names are any bytes."""
    for name, content in files.items():
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def told(collected: Collected) -> list[str]:
    """What was found, a line each."""
    return [str(finding) for finding in collected.verdict.findings]


def finished_with(commits: dict[Part, str]) -> RunState:
    """The state in which these parts have handed these commits over."""
    events: list[Event] = [
        finished(str(part)).model_copy(update={"commit": commit})
        for part, commit in commits.items()
    ]
    return state_after(*events)


# ---------------------------------------------------------------- bytes


@pytest.mark.parametrize("attributes", ["", ATTRIBUTES], ids=["plain", "attributes"])
def test_exact_bytes_survive(site: Site, attributes: str) -> None:
    """Whatever a file is called and contains, and whatever .gitattributes would make of it."""
    if attributes:
        put(site.root / ".gitattributes", attributes)
    write_raw(site.root, {name.replace(b"left/", b"base/"): b for name, b in AWKWARD.items()})
    base = raw(site.root)

    before = site.workspaces.prepare(RunState(), LEFT)
    assert base == raw(site.lane("left"))
    write_raw(site.lane("left"), AWKWARD)
    collected = site.workspaces.collect("left", before, "attempt")

    assert not told(collected)
    merged = site.workspaces.merge(finished_with({LEFT: collected.commit}), [LEFT])
    assert base | AWKWARD == raw(site.workspaces.lay_out(merged, "G1"))
    for name, content in AWKWARD.items():
        assert content == site.workspaces.read("left", collected.commit, os.fsdecode(name))


def test_executable_stays_executable(site: Site) -> None:
    """A script an agent wrote can be run where it is judged."""
    before = site.workspaces.prepare(RunState(), LEFT)
    site.write("left", "left/run", "left/plain")
    site.lane("left", "left/run").chmod(0o755)

    commit = site.workspaces.collect("left", before, "attempt").commit

    tree = site.workspaces.lay_out(commit, "G1")
    assert os.access(tree / "left" / "run", os.X_OK)
    assert not os.access(tree / "left" / "plain", os.X_OK)


def test_same_content_has_the_same_commit(site: Site) -> None:
    """Whenever and wherever a run is made, its commit ids follow from what is in them."""
    put(site.root / "base.txt", "base")

    commit = site.attempt(LEFT, "left/a.txt")

    assert (BASE, COMMIT) == (site.workspaces.base(), commit)


def test_what_is_not_in_a_commit_cannot_be_read(site: Site) -> None:
    """A file that is not there, or a folder where a file is expected, is no document."""
    commit = site.attempt(LEFT, "left/folder/a.txt")

    assert site.workspaces.read("left", commit, "left/nothing") is None
    assert site.workspaces.read("left", commit, "left/folder") is None


# ---------------------------------------------------------------- the base


def test_hidden_paths_are_in_no_workspace(site: Site) -> None:
    """What the runbook hides is not shown to agents, nor judged; the project keeps it."""
    for path in ("secret/gate.py", "secret/deep/x", "hidden.txt", "shown.txt", "secrets.txt"):
        put(site.root / path, "x")

    commit = site.attempt(LEFT, "left/a.txt")

    assert ["left/a.txt", "secrets.txt", "shown.txt"] == listed(site.lane("left"))
    assert ["left/a.txt", "secrets.txt", "shown.txt"] == sorted(site.files(commit))
    assert (site.root / "secret" / "gate.py").exists()


def test_ignored_files_are_left_out(site: Site) -> None:
    """By the project's own .gitignore; the run's folder in any case, the user's own never."""
    put(site.root / ".gitignore", "*.log\nbuild/\n")
    for path in ("a.log", "build/out", "kept.txt", ".orchestrator/runs/x", "sub/b.log"):
        put(site.root / path, "x")

    commit = site.attempt(LEFT, "left/new.log", "left/new.txt")

    assert [".gitignore", "kept.txt", "left/new.txt"] == sorted(site.files(commit))


def test_ignore_file_of_the_user_decides_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody ignores in a home folder is in the tree, as it is for everybody else."""
    home = site.root.parent / "home"
    put(home / "git" / "ignore", "*.txt\n")
    put(home / "git" / "attributes", "*.txt text eol=crlf\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    put(site.root / "a.txt", "one\n")

    assert {"a.txt": "one\n"} == site.files(site.workspaces.base())


def test_base_is_that_of_the_first_time(site: Site) -> None:
    """What changes in the project while the run goes on does not reach it."""
    put(site.root / "a.txt", "then")
    base = site.workspaces.base()

    put(site.root / "a.txt", "now")

    assert base == site.workspaces.base()
    assert {"a.txt": "then"} == site.files(base)


def test_base_is_made_once_by_several_processes(tmp_path: Path) -> None:
    """Four processes that ask at the same time get the same commit."""
    site = Site(tmp_path)
    for number in range(50):
        put(site.root / f"{number}.txt", str(number))
    script = """
import sys
from pathlib import Path
from pytest_orchestrator._domain.plan import Plan
from pytest_orchestrator._run.workspace import Workspaces

workspaces = Workspaces(Plan.model_validate_json(sys.argv[1]), *map(Path, sys.argv[2:]))
print("ready", flush=True)
sys.stdin.readline()
print(workspaces.base())
"""
    plan = site.workspaces.plan.model_dump_json()
    command = [sys.executable, "-c", script, plan, str(tmp_path / "run"), str(site.root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    commits = {process.communicate(timeout=60)[0].strip() for process in processes}

    assert {site.workspaces.base()} == commits


def test_projects_own_repository_is_untouched(site: Site) -> None:
    """A whole run of workspaces changes no file and no time below the project's .git."""
    put(site.root / "a.txt", "committed")
    for command in ("init -q", "add .", "-c user.name=me -c user.email=me@here commit -qm first"):
        subprocess.run(["git", *command.split()], cwd=site.root, check=True)
    put(site.root / "b.txt", "not committed")
    repository = site.root / ".git"
    before = _fingerprint(repository)

    left = site.attempt(LEFT, "left/a.txt", "outside.txt")
    merged = site.workspaces.merge(finished_with({LEFT: left}), [LEFT])

    assert ["a.txt", "b.txt", "left/a.txt"] == sorted(site.files(merged))
    assert before == _fingerprint(repository)


def _fingerprint(folder: Path) -> dict[str, tuple[int, int, str]]:
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.stat()
        digest = sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = status.st_mtime_ns, status.st_mode, digest
    return found


def test_settings_and_variables_of_the_user_decide_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a GIT_DIR left in the environment nor a hook in somebody's settings takes part."""
    hooks = site.root.parent / "hooks"
    put(hooks / "post-index-change", f"#!/bin/sh\ntouch {site.root.parent}/ran\n")
    (hooks / "post-index-change").chmod(0o755)
    settings = f"[core]\nhooksPath = {hooks}\nautocrlf = true\n[i18n]\ncommitEncoding = latin1\n"
    put(site.root.parent / "settings", settings)
    put(site.root / "base.txt", "base")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(site.root.parent / "settings"))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nowhere/objects")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2024-01-01T00:00:00Z")

    commit = site.attempt(LEFT, "left/a.txt")

    assert COMMIT == commit
    assert not (site.root.parent / "ran").exists()


def test_repositories_inside_the_project_are_left_out(site: Site) -> None:
    """A clone or submodule is nobody's change, with or without commits in it."""
    put(site.root / "vendor" / "full" / "f", "x")
    for command in ("init -q", "add .", "-c user.name=me -c user.email=me@here commit -qm first"):
        subprocess.run(["git", *command.split()], cwd=site.root / "vendor" / "full", check=True)
    subprocess.run(["git", "init", "-q", str(site.root / "vendor" / "empty")], check=True)
    put(site.root / "a.txt", "x")

    before = site.workspaces.prepare(RunState(), LEFT)
    site.write("left", "left/a.txt")
    collected = site.workspaces.collect("left", before, "attempt")

    assert not told(collected)
    assert ["a.txt", "left/a.txt"] == sorted(site.files(collected.commit))


# ---------------------------------------------------------------- ownership


def test_what_is_outside_is_undone_and_named_while_own_work_is_kept(site: Site) -> None:
    """A changed, a new and a deleted file of others come back; the agent's own files stay."""
    for path in ("changed.txt", "deleted.txt", "right/theirs.txt", "left/old.txt"):
        put(site.root / path, "theirs")
    before = site.workspaces.prepare(RunState(), LEFT)
    site.write("left", "changed.txt", "new.txt", "left/own.txt", "leftover.txt")
    site.lane("left", "deleted.txt").unlink()
    site.lane("left", "left/old.txt").unlink()
    shutil.rmtree(site.lane("left", "right"))

    collected = site.workspaces.collect("left", before, "attempt")

    outside = ["changed.txt", "deleted.txt", "leftover.txt", "new.txt", "right/theirs.txt"]
    assert told(collected) == [
        *(f"{path}: left changed a file outside its own paths [ownership]" for path in outside),
        "left: owns only left/, docs/contracts/api.json [ownership]",
    ]
    kept = {"changed.txt", "deleted.txt", "right/theirs.txt"}
    assert dict.fromkeys(kept, "theirs") | {"left/own.txt": "written"} == site.files(
        collected.commit
    )
    assert sorted([*kept, "left/own.txt"]) == listed(site.lane("left"))


def test_mended_attempt_has_no_finding(site: Site) -> None:
    """What was undone is not held against the next attempt."""
    before = site.workspaces.prepare(RunState(), LEFT)
    site.write("left", "outside.txt", "left/own.txt")
    first = site.workspaces.collect("left", before, "one")
    site.write("left", "left/more.txt")

    second = site.workspaces.collect("left", first.commit, "two")

    assert not told(second)
    assert ["left/more.txt", "left/own.txt"] == sorted(site.files(second.commit))


def test_own_contract_is_an_agents_own(site: Site) -> None:
    """A publisher may write its contract, and nobody else may."""
    for agent, part in (("left", LEFT), ("right", RIGHT)):
        before = site.workspaces.prepare(RunState(), part)
        site.write(agent, "docs/contracts/api.json")
        assert (agent == "left") == (not told(site.workspaces.collect(agent, before, "attempt")))


def test_name_that_only_begins_like_an_own_path_is_outside(site: Site) -> None:
    """Neither a sibling with the same beginning nor a folder of a file's name is owned."""
    before = site.workspaces.prepare(RunState(), LEFT)
    site.write("left", "leftish/a.txt", "docs/contracts/api.json/a.txt")

    found = [f.where for f in site.workspaces.collect("left", before, "attempt").verdict.findings]

    assert ["docs/contracts/api.json/a.txt", "leftish/a.txt", "left"] == found


def test_pattern_in_an_own_path_is_no_pattern(tmp_path: Path) -> None:
    """A file called ``[ab]`` is that file, and what would match it is left alone."""
    plan = small_plan()
    left = plan.agents["left"].model_copy(update={"owns": ("app/[ab]", "app/*/")})
    plan = plan.model_copy(update={"agents": {**plan.agents, "left": left}})
    for path in ("app/a", "app/b", "app/c/page"):
        put(tmp_path / "project" / path, "theirs")
    workspaces = Workspaces(plan, tmp_path / "run", tmp_path / "project")
    before = workspaces.prepare(RunState(), LEFT)
    for path in ("app/[ab]", "app/*/page", "outside"):
        put(workspaces.lane("left") / path, "own")

    collected = workspaces.collect("left", before, "attempt")

    found = listed(workspaces.lay_out(collected.commit, "seen"))
    assert ["app/*/page", "app/[ab]", "app/a", "app/b", "app/c/page"] == found


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "../.."])
def test_link_out_of_the_workspace_is_undone_and_named(site: Site, target: str) -> None:
    """It would be something else where it is judged; doing nothing more is no way around it."""
    before = site.workspaces.prepare(RunState(), LEFT)
    site.write("left", "left/own.txt")
    site.lane("left", "left/link").symlink_to(target)

    first = site.workspaces.collect("left", before, "one")
    second = site.workspaces.collect("left", first.commit, "two")

    assert f"left/link: is a link that leaves the workspace ({target}) [link]" == told(first)[0]
    assert not told(second)
    assert ["left/own.txt"] == listed(site.lane("left")) == sorted(site.files(second.commit))


def test_link_that_stays_inside_is_kept(site: Site) -> None:
    """A link to a neighbour is a file like any other."""
    before = site.workspaces.prepare(RunState(), LEFT)
    site.write("left", "left/own.txt")
    site.lane("left", "left/deep").mkdir()
    site.lane("left", "left/deep/link").symlink_to("../own.txt")

    collected = site.workspaces.collect("left", before, "attempt")

    assert not told(collected)
    assert {"left/deep/link": "written", "left/own.txt": "written"} == site.files(collected.commit)


def test_file_that_an_escaping_link_replaced_comes_back(site: Site) -> None:
    """What was there before is there again."""
    put(site.root / "left" / "a.txt", "before")
    before = site.workspaces.prepare(RunState(), LEFT)
    site.lane("left", "left/a.txt").unlink()
    site.lane("left", "left/a.txt").symlink_to("/etc/passwd")

    collected = site.workspaces.collect("left", before, "attempt")

    assert {"left/a.txt": "before"} == site.files(collected.commit)
    assert not site.lane("left", "left/a.txt").is_symlink()


def test_nothing_is_written_through_a_link(site: Site) -> None:
    """An agent that puts a link where a folder was does not have us write where it points."""
    put(site.root / "left" / "a.txt", "before")
    outside = site.root.parent / "outside"
    outside.mkdir()
    before = site.workspaces.prepare(RunState(), LEFT)
    shutil.rmtree(site.lane("left", "left"))
    site.lane("left", "left").symlink_to(outside)

    collected = site.workspaces.collect("left", before, "attempt")
    site.workspaces.prepare(RunState(), LEFT_TWO)

    assert "left: left changed a file outside its own paths [ownership]" in told(collected)
    assert not listed(outside)
    assert ["left/a.txt"] == listed(site.lane("left"))


@pytest.mark.parametrize("folder", ["left", "left/app", "left/app/deep"])
@pytest.mark.parametrize("commits", [False, True], ids=["empty", "with-commits"])
def test_repository_an_agent_made_gives_its_content_away(
    site: Site, folder: str, *, commits: bool
) -> None:
    """Scaffolding tools run ``git init``; it is named, its .git goes, and the files are there."""
    before = site.workspaces.prepare(RunState(), LEFT)
    site.write("left", f"{folder}/a.txt", f"{folder}/sub/b.txt")
    for nested in (f"{folder}/sub", folder):
        place = site.lane("left", nested)
        subprocess.run(["git", "init", "-q"], cwd=place, check=True)
        if commits:
            subprocess.run(["git", "add", "."], cwd=place, check=True, capture_output=True)
            who = ["-c", "user.name=me", "-c", "user.email=me@here"]
            subprocess.run(["git", *who, "commit", "-qm", "first"], cwd=place, check=True)

    first = site.workspaces.collect("left", before, "one")
    second = site.workspaces.collect("left", first.commit, "two")

    was = "was a git repository of its own; its .git was removed, its files were kept [repository]"
    assert [f"{folder}: {was}", f"{folder}/sub: {was}"] == told(first)
    assert not told(second)
    assert sorted([f"{folder}/a.txt", f"{folder}/sub/b.txt"]) == listed(site.lane("left"))
    assert {f"{folder}/a.txt", f"{folder}/sub/b.txt"} == set(site.files(second.commit))


def test_deleted_file_is_deleted_where_it_is_judged(site: Site) -> None:
    """An agent may delete what it owns."""
    put(site.root / "left" / "old.txt", "old")
    before = site.workspaces.prepare(RunState(), LEFT)
    site.lane("left", "left/old.txt").unlink()
    site.write("left", "left/new.txt")

    commit = site.workspaces.collect("left", before, "attempt").commit
    merged = site.workspaces.merge(finished_with({LEFT: commit}), [LEFT])

    assert {"left/new.txt": "written"} == site.files(merged)


def test_file_may_become_a_folder_and_a_folder_a_file(site: Site) -> None:
    """Whatever takes the place of what, the workspace and the commit agree."""
    put(site.root / "left" / "a", "file")
    put(site.root / "left" / "b" / "c", "file in folder")
    before = site.workspaces.prepare(RunState(), LEFT)
    site.lane("left", "left/a").unlink()
    shutil.rmtree(site.lane("left", "left/b"))
    site.write("left", "left/a/inside", "left/b", "outside.txt")

    collected = site.workspaces.collect("left", before, "attempt")

    assert ["left/a/inside", "left/b"] == sorted(site.files(collected.commit))
    assert ["left/a/inside", "left/b"] == listed(site.lane("left"))


# ---------------------------------------------------------------- going on


def test_interrupted_part_keeps_its_files(site: Site) -> None:
    """What a part that did not end left in its own paths is there when it is taken up again."""
    put(site.root / "a.txt", "base")
    commit = site.workspaces.prepare(RunState(), LEFT)
    site.write("left", "left/half.txt", "a.txt", "outside.txt")

    again = site.workspaces.prepare(RunState(), LEFT)

    assert commit == again
    assert ["a.txt", "left/half.txt"] == listed(site.lane("left"))
    assert site.lane("left", "a.txt").read_text() == "base"
    assert not told(site.workspaces.collect("left", again, "attempt"))


def test_interrupted_part_is_not_blamed_for_what_others_published_meanwhile(site: Site) -> None:
    """It goes on with their contracts, and with its own files."""
    writer = site.attempt(WRITER, "docs/contracts/notes.md")
    site.workspaces.prepare(RunState(), LEFT)
    site.write("left", "left/half.txt")

    before = site.workspaces.prepare(
        finished_with({WRITER: writer}), LEFT, {"docs/contracts/notes.md": b"notes"}
    )

    assert ["docs/contracts/notes.md", "left/half.txt"] == listed(site.lane("left"))
    assert not told(site.workspaces.collect("left", before, "attempt"))


def test_next_part_starts_from_what_was_handed_over(site: Site) -> None:
    """Leftovers of the part before are gone, ignored ones too; what it handed over is there."""
    put(site.root / ".gitignore", "*.log\n")
    commit = site.attempt(LEFT, "left/one.txt")
    site.write("left", "left/leftover.txt", "left/leftover.log")

    site.workspaces.prepare(finished_with({LEFT: commit}), LEFT_TWO)

    assert [".gitignore", "left/one.txt"] == listed(site.lane("left"))


@pytest.mark.parametrize("part", [LEFT, WRITER], ids=["with-service", "without"])
def test_part_that_goes_on_later_has_what_its_done_tasks_built(site: Site, part: Part) -> None:
    """Parked, or failed with some tasks done, and the workspace in use for something else since."""
    own = "left/one.txt" if part == LEFT else "docs/text/one.txt"
    commit = site.attempt(part, own)
    good = AttemptFinished(
        part=str(part), task="left-one", attempt=1, status="succeeded", commit=commit
    )
    parked = finished(str(part), "parked").model_copy(update={"commit": commit})
    other = Part(part.agent, part.phase + 1)

    for state in (state_after(good), state_after(parked)):
        site.workspaces.prepare(RunState(), other)
        assert own not in listed(site.lane(part.agent))
        begins = site.workspaces.prepare(state, part)
        assert [own] == listed(site.lane(part.agent)) == sorted(site.files(begins))


def test_part_that_was_parked_too_early_builds_on_what_was_done_before_it_since(site: Site) -> None:
    """It went on without the part before it, which is done by now: it keeps what it changed."""
    early = site.attempt(LEFT_TWO, "left/two.txt")
    late = site.attempt(LEFT, "left/one.txt")
    parked = finished(str(LEFT_TWO), "parked").model_copy(update={"commit": early})
    since = finished(str(LEFT)).model_copy(update={"commit": late})
    state = state_after(claimed(str(LEFT_TWO)), parked, claimed(str(LEFT)), since)

    begins = site.workspaces.prepare(state, LEFT_TWO)
    merged = site.workspaces.merge(state, [LEFT, LEFT_TWO])

    assert ["left/one.txt", "left/two.txt"] == sorted(site.files(begins))
    assert ["left/one.txt"] == sorted(site.files(merged))


def test_git_that_was_killed_is_no_obstacle(site: Site) -> None:
    """A lock file it has left on an index does not stop the run, nor the next one."""
    indexes = site.workspaces.folder / "indexes"
    for name in ("base", "merge", "lane-left", "tree-seen"):
        put(indexes / f"{name}.lock", "")

    left = site.attempt(LEFT, "left/a.txt")
    merged = site.workspaces.merge(finished_with({LEFT: left}), [LEFT])

    assert {"left/a.txt": "written"} == site.files(merged)


# ---------------------------------------------------------------- who sees what


def test_lane_sees_contracts_and_not_the_code_of_others(site: Site) -> None:
    """An agent with a service builds against what was published, not against what was built."""
    left = site.attempt(LEFT, "left/code.txt", "docs/contracts/api.json")
    writer = site.attempt(WRITER, "docs/text/a.md", "docs/contracts/notes.md")
    published = {"docs/contracts/api.json": b"1", "docs/contracts/notes.md": b"2"}

    site.workspaces.prepare(finished_with({LEFT: left, WRITER: writer}), RIGHT_TWO, published)

    assert ["docs/contracts/api.json", "docs/contracts/notes.md"] == listed(site.lane("right"))
    assert [b"1", b"2"] == [site.lane("right", path).read_bytes() for path in sorted(published)]


def test_lane_sees_no_contract_that_was_not_published(site: Site) -> None:
    """Neither what its publisher has written so far, nor what the project had before the run."""
    put(site.root / "docs" / "contracts" / "api.json", "of old")
    left = site.attempt(LEFT, "left/code.txt", "docs/contracts/api.json")

    site.workspaces.prepare(finished_with({LEFT: left}), RIGHT_TWO)

    assert [] == listed(site.lane("right"))


def test_publisher_keeps_its_own_contract_as_it_wrote_it(site: Site) -> None:
    """It is what it works on, whatever was published of it."""
    commit = site.attempt(LEFT, "docs/contracts/api.json")
    state = finished_with({LEFT: commit})

    site.workspaces.prepare(state, LEFT_TWO, {"docs/contracts/api.json": b"published"})

    assert b"published" != site.lane("left", "docs/contracts/api.json").read_bytes()


def test_what_is_placed_is_not_the_agents_doing(site: Site) -> None:
    """Contracts that arrive under way are in the commit an attempt is held against."""
    before = site.workspaces.prepare(RunState(), LEFT)
    site.write("left", "left/half.txt")

    placed = site.workspaces.place("left", before, {"docs/contracts/notes.md": b"notes"})

    assert b"notes" == site.lane("left", "docs/contracts/notes.md").read_bytes()
    assert not told(site.workspaces.collect("left", placed, "attempt"))


def test_what_is_placed_does_not_follow_links_of_the_agent(site: Site, tmp_path: Path) -> None:
    """A folder that was made a link out of the workspace becomes a folder again."""
    before = site.workspaces.prepare(RunState(), LEFT)
    outside = tmp_path / "outside"
    outside.mkdir()
    (site.lane("left") / "docs").symlink_to(tmp_path)
    (tmp_path / "contracts").symlink_to(outside)

    site.workspaces.place("left", before, {"docs/contracts/notes.md": b"notes"})

    assert [] == list(outside.iterdir())
    assert b"notes" == site.lane("left", "docs/contracts/notes.md").read_bytes()


def test_generated_schema_is_nobodys_to_write(site: Site) -> None:
    """Not even its page's publisher's, who is told which file to change."""
    before = site.workspaces.prepare(RunState(), WRITER)
    site.write("writer", "docs/contracts/notes.schema.json", "docs/contracts/notes.md")

    collected = site.workspaces.collect("writer", before, "attempt")

    first = str(collected.verdict.findings[0])
    assert first == (
        "docs/contracts/notes.schema.json: is generated from docs/contracts/notes.md, which is "
        "the file to change [ownership]"
    )


def test_agent_without_a_service_sees_everything(site: Site) -> None:
    """Whoever brings things together, or writes about them, has them all."""
    left = site.attempt(LEFT, "left/code.txt")
    right = site.attempt(RIGHT, "right/code.txt")

    site.workspaces.prepare(finished_with({LEFT: left, RIGHT: right}), Part("writer", 3))

    assert ["left/code.txt", "right/code.txt"] == listed(site.lane("writer"))


def test_merge_takes_exactly_what_is_owned(site: Site) -> None:
    """From each agent's last part its own paths, from the base all else, from others nothing."""
    put(site.root / "base.txt", "base")
    put(site.root / "left" / "old.txt", "base")
    first = site.attempt(LEFT, "left/one.txt")
    state = finished_with({LEFT: first})
    before = site.workspaces.prepare(state, LEFT_TWO)
    site.write("left", "left/two.txt")
    site.lane("left", "left/old.txt").unlink()
    second = site.workspaces.collect("left", before, "attempt").commit
    right = site.attempt(RIGHT, "right/one.txt")
    state = finished_with({LEFT: first, LEFT_TWO: second, RIGHT: right})

    def merged(*parts: Part) -> list[str]:
        return sorted(site.files(site.workspaces.merge(state, parts)))

    assert ["base.txt", "left/old.txt"] == merged()
    assert ["base.txt", "left/old.txt", "left/one.txt"] == merged(LEFT)
    assert ["base.txt", "left/one.txt", "left/two.txt", "right/one.txt"] == merged(
        RIGHT, LEFT_TWO, LEFT
    )
    assert ["base.txt", "left/old.txt", "right/one.txt"] == merged(RIGHT, RIGHT_TWO)


def test_laid_out_tree_is_exactly_the_tree(site: Site) -> None:
    """What a gate left behind in its folder is gone the next time."""
    first = site.attempt(LEFT, "left/a.txt")
    folder = site.workspaces.lay_out(first, "G1")
    put(folder / "built" / "out", "x")
    put(folder / "left" / "a.txt", "changed")

    again = site.workspaces.lay_out(first, "G1")

    assert folder == again
    assert ["left/a.txt"] == listed(folder)
    assert (folder / "left" / "a.txt").read_text() == "written"


# ---------------------------------------------------------------- git itself


def test_missing_git_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(Infra, match="git is not on the PATH; install git"):
        site.workspaces.base()


def test_folder_that_is_gone_is_told(site: Site) -> None:
    """Somebody who cleans up while a run goes on is not sent to install git."""
    site.workspaces.prepare(RunState(), LEFT)
    shutil.rmtree(site.lane("left"))

    with pytest.raises(Infra, match=r"the folder .*lanes/left is gone"):
        site.workspaces.collect("left", "HEAD", "attempt")


def test_what_git_says_is_told(site: Site) -> None:
    """A command that fails is an error with the command, the folder and git's own words."""
    site.workspaces.base()
    folder = site.workspaces.folder
    git = Git(folder / "repository", site.root, folder / "indexes" / "test")

    with pytest.raises(Infra, match=r"git cat-file failed in .*project: fatal: Not a valid object"):
        git("cat-file", "blob", "nothing")


def test_snapshot_of_some_paths_has_only_those(site: Site) -> None:
    """Folders and files by name; what is not there or ignored counts as empty."""
    put(site.root / ".gitignore", "ignored/\n")
    for path in ("a/1", "a/2", "b/1", "c", "ignored/1"):
        put(site.root / path, "x")
    site.workspaces.base()
    folder = site.workspaces.folder
    git = Git(folder / "repository", site.root, folder / "indexes" / "test")

    tree = git.snapshot("a/", "c", "nothing/", "ignored/")

    assert ["a/1", "a/2", "c"] == sorted(site.files(tree))
    assert not site.files(git.snapshot("nothing/"))


def test_finding_about_any_name_can_be_written_down(site: Site) -> None:
    """What an agent called a file is told, even if it is no Unicode."""
    before = site.workspaces.prepare(RunState(), LEFT)
    write_raw(site.lane("left"), {b"\xff": b"x"})

    collected = site.workspaces.collect("left", before, "attempt")
    reason = told(collected)[0]
    event = AttemptFinished(part="p", task="t", attempt=1, status="failed", reason=reason)

    assert json.loads(event.model_dump_json())["reason"].startswith("\\udcff: left changed")
