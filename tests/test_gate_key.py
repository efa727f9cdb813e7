"""The key of a verdict changes with all that it rests on, and with nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_orchestrator._domain.basis import Basis, judged_paths, programs
from pytest_orchestrator._run import content, gate_key
from pytest_orchestrator._run.content import content_digest, content_stamp
from pytest_orchestrator._run.gate_key import (
    AsIs,
    Judges,
    distributions,
    program_identity,
    source_files,
    sources_digest,
)
from pytest_orchestrator._run.judge import Project
from pytest_orchestrator._run.runbook import load_runbook
from pytest_orchestrator.errors import Infra
from tests.judged_project import CONTRACTS, SOURCES, TREE, JudgedProject

Change = Callable[[Path], object]


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JudgedProject:
    """A project with everything a verdict can rest on."""
    return JudgedProject(tmp_path, monkeypatch)


def same_size_and_time(file: Path) -> None:
    """Change a file so that neither its size nor its time tells."""
    at = file.stat()
    data = file.read_bytes()
    file.write_bytes(bytes((data[0] ^ 1,)) + data[1:])
    os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))


def replaced_by_link(file: Path) -> None:
    """Put a link to the very same bytes in a file's place."""
    file.rename(file.with_name("moved"))
    file.symlink_to("moved")


def gone(file: Path) -> Path:
    """Remove a file, so that something else can take its place."""
    file.unlink()
    return file


CHANGES: dict[str, Change] = {
    "a byte": lambda root: same_size_and_time(root / "left/main.txt"),
    "a byte of a file that git ignores": lambda root: same_size_and_time(root / "left/.env"),
    "a byte behind a link": lambda root: same_size_and_time(root / "shared/rules.txt"),
    "a byte of a contract's other file": lambda root: same_size_and_time(
        root / "docs/contracts/parts/shared.json"
    ),
    "a byte of a document": lambda root: same_size_and_time(root / "docs/left.md"),
    "bytecode": lambda root: (root / "left/__pycache__").mkdir(),
    "a file more": lambda root: (root / "left/more.txt").touch(),
    "a file less": lambda root: (root / "left/empty.txt").unlink(),
    "a folder of nothing": lambda root: (root / "left/data").mkdir(),
    "another name": lambda root: (root / "left/main.txt").rename(root / "left/other.txt"),
    "executable": lambda root: (root / "left/main.txt").chmod(0o755),
    "a link in its place": lambda root: replaced_by_link(root / "left/main.txt"),
    "a folder in its place": lambda root: gone(root / "left/empty.txt").mkdir(),
    "a link more": lambda root: (root / "left/again.txt").symlink_to("main.txt"),
    "a link that leads nowhere": lambda root: (root / "left/no.txt").symlink_to("nothing"),
    "the target of a link": lambda root: gone(root / "left/rules.txt").symlink_to(
        "../left/../shared/rules.txt"
    ),
    "a pipe": lambda root: os.mkfifo(root / "left/pipe"),
    "no service at all": lambda root: shutil.rmtree(root / "left"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_gates_can_see_changes_the_key(judged: JudgedProject, change: Change) -> None:
    """Bytes, names, kinds, links and modes count, whatever git thinks of the file."""
    before = judged.basis()

    change(judged.root)

    assert judged.basis().tree != before.tree
    assert judged.key() != before.key


@pytest.mark.parametrize("path", CONTRACTS)
def test_contract_is_told_apart_by_name(judged: JudgedProject, path: str) -> None:
    """A basis says which contract is another one; each of its own files counts."""
    before = judged.basis()

    same_size_and_time(judged.root / path)

    after = judged.basis()
    differing = {
        name for name in before.contracts if before.contracts[name] != after.contracts[name]
    }
    whose = "models" if "models" in path else "left-api"
    assert differing == ({whose} if "parts" not in path else set())
    assert after.key != before.key


def test_touching_files_changes_no_key(judged: JudgedProject) -> None:
    """Times alone are not what a verdict rests on."""
    package = judged.copy_package()
    before = judged.key()

    for path in (*TREE, *CONTRACTS, *SOURCES, "runbook.toml"):
        os.utime(judged.root / path, (1, 1))
    for tool in judged.bin.iterdir():
        os.utime(tool, (1, 1))
    for module in package.rglob("*.py"):
        os.utime(module, (1, 1))

    assert judged.key() == before


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "other/file.txt",
        ".git/config",
        "left/.git/index",
        ".orchestrator/x",
        "tests/t.py",
        "gates/__pycache__/x.pyc",
        "left/made/built.bin",
        "brief.md",
    ],
)
def test_what_no_gate_judges_changes_no_key(judged: JudgedProject, path: str) -> None:
    """Other files of the project, what git and tools keep, and what a build leaves do not count."""
    (judged.root / "left/made").mkdir()
    before = judged.key()

    judged.write(path, "something else\n")

    assert judged.key() == before


def test_key_is_the_same_wherever_the_project_is(judged: JudgedProject, tmp_path: Path) -> None:
    """Nothing of the place is in what is judged and what judges."""
    before = judged.basis()

    judged.root = judged.root.rename(tmp_path / "elsewhere")

    after = judged.basis()
    assert (after.tree, after.contracts, after.sources) == (
        before.tree, before.contracts, before.sources,
    )  # fmt: skip


def test_outputs_are_those_of_the_stack_a_service_has(judged: JudgedProject) -> None:
    """What one stack's build leaves is no output for a service of another stack."""
    judged.write("left/made/source.txt", "one\n")
    (judged.root / "left/main.txt").unlink()  # nothing recognises it now
    before = judged.key()

    same_size_and_time(judged.root / "left/made/source.txt")

    assert judged.key() != before


def test_link_to_a_folder_it_is_in_has_an_end(judged: JudgedProject) -> None:
    """Links in circles are followed once, and still count."""
    before = judged.key()

    (judged.root / "left/again").symlink_to(".")
    (judged.root / "left/package/up").symlink_to("../..")

    assert judged.key() != before


def test_what_lies_outside_of_the_tree_is_not_read(judged: JudgedProject, tmp_path: Path) -> None:
    """Behind a link that leaves the tree, size and times tell of a change; nothing is opened."""
    away = tmp_path / "away"
    away.mkdir()
    os.mkfifo(away / "pipe")
    (away / "rules.txt").write_text("one")
    (judged.root / "left/away").symlink_to(away)
    before = judged.key()

    same_size_and_time(away / "rules.txt")

    assert judged.key() != before


def test_link_to_the_whole_machine_is_refused(
    judged: JudgedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than anybody would judge is a sentence, not an evening."""
    monkeypatch.setattr(content, "MOST_ENTRIES", 1000)
    (judged.root / "left/all").symlink_to("/")

    with pytest.raises(Infra, match="more than 1000 files in what gates judge"):
        judged.key()


def test_names_cannot_pass_for_something_else(tmp_path: Path) -> None:
    """However a file is called, two trees that differ have two digests."""
    names = [b"a", b"a\nb", b"a//", b"a b", b"file 1 a", b"\xff", b"a\n", b"4 file"]
    digests = set()
    for number, name in enumerate(names):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / os.fsdecode(name.replace(b"/", b"-"))).write_bytes(b"x" * number)
        digests.add(content_digest(folder, [""]))

    assert len(digests) == len(names)


def test_stamp_sees_what_was_given_back_its_time(judged: JudgedProject) -> None:
    """The quick look misses no change; a touch it may take for one."""
    before = content_stamp(judged.root, ["left"])
    assert content_stamp(judged.root, ["left"]) == before

    same_size_and_time(judged.root / "left/main.txt")

    assert content_stamp(judged.root, ["left"]) != before


@pytest.mark.parametrize("path", SOURCES)
def test_every_source_changes_the_key(judged: JudgedProject, path: str) -> None:
    """Tests, helpers, data, conftest files and settings judge, and so they count."""
    before = judged.basis()

    same_size_and_time(judged.root / path)

    assert judged.basis().sources != before.sources


@pytest.mark.parametrize(
    "path", ["gates/new.py", "gates/deep/er/data.bin", "gates/pytest.ini", "tox.ini", "new.py"]
)
def test_new_source_changes_the_key(judged: JudgedProject, path: str) -> None:
    """A file that was not there before can change what tests do."""
    before = judged.key()

    judged.write(path, "\n")

    assert judged.key() != before


def test_package_itself_is_a_source(judged: JudgedProject) -> None:
    """Another version of what judges, judges again, also if it says the same of itself."""
    package = judged.copy_package()
    before = judged.basis()

    same_size_and_time(package / "_checks/answers.py")

    assert judged.basis().sources != before.sources


def test_every_source_has_a_digest_of_its_own(judged: JudgedProject) -> None:
    """Whoever seals the sources can say which one was changed; the runbook is among them."""
    plan = load_runbook(judged.root / "runbook.toml")
    project = Project(judged.root, judged.root / "runbook.toml")
    before, digest = source_files(plan, project), sources_digest(plan, project)
    assert {*SOURCES, "runbook.toml", "<pytest_orchestrator>/plugin.py"} <= set(before)

    same_size_and_time(judged.root / "gates/data/expected.json")

    after = source_files(plan, project)
    assert [path for path in after if after[path] != before[path]] == ["gates/data/expected.json"]
    assert sources_digest(plan, project) != digest


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("# What is built, by whom.", "# Other words.", False),
        ("max_attempts = 2", "max_attempts = 3", False),
        ('role = "backend-developer"', 'role = "python-pro"', False),
        ('title = "it is done"', 'title = "all is done"', False),
        ('title = "it has begun"', 'title = "it begins"', True),
        ("port = 8000", "port = 8001", True),
        ('"--all"', '"--none"', True),
        ('start = ["run-it", "{port}"]', 'start = ["run-it", "-p", "{port}"]', True),
        ('publishes = ["models", "left-api"]', 'publishes = ["left-api", "models"]', True),
        ('kind = "openapi"', 'kind = "openapi"\noperations = ["GET /health"]', True),
    ],
)
def test_part_of_the_runbook_that_judges_counts(
    judged: JudgedProject, old: str, new: str, *, counts: bool
) -> None:
    """What can change G1's verdict does; bounds, roles, comments and other gates cannot."""
    before = judged.key("G1")
    text = (judged.root / "runbook.toml").read_text()
    assert old in text

    judged.write("runbook.toml", text.replace(old, new))

    assert (judged.key("G1") != before) is counts


def test_changed_source_is_noticed_before_it_is_taken_for_the_old_one(
    judged: JudgedProject,
) -> None:
    """What has been imported is what was there when the session began."""
    plan = load_runbook(judged.root / "runbook.toml")
    judges = Judges(plan, Project(judged.root, judged.root / "runbook.toml"))
    assert not judges.changed

    same_size_and_time(judged.root / "gates/helper.py")

    assert judges.changed


def test_tool_that_is_replaced_removed_or_moved_changes_the_key(judged: JudgedProject) -> None:
    """Programs of the stacks are known by their bytes and by where they are found."""
    keys = [judged.key()]
    same_size_and_time(judged.bin / "run-it")
    keys.append(judged.key())
    (judged.bin / "run-it").unlink()
    keys.append(judged.key())
    assert judged.basis().tools["run-it"] == "absent"
    (judged.bin / "elsewhere").write_bytes((judged.bin / "build-it").read_bytes())
    (judged.bin / "elsewhere").chmod(0o755)
    (judged.bin / "run-it").symlink_to("elsewhere")
    keys.append(judged.key())

    assert len(set(keys)) == len(keys)


def test_large_program_goes_by_size_and_times(
    judged: JudgedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interpreter of a hundred megabytes is not read each time, and still is no other."""
    monkeypatch.setattr(gate_key, "SMALL_BYTES", 5)
    before = program_identity("run-it")

    same_size_and_time(judged.bin / "run-it")

    assert program_identity("run-it") != before


def test_distribution_is_known_by_version_and_content(tmp_path: Path) -> None:
    """The same version with other files is another distribution; the first on the path counts."""
    for folder, recorded in (("first", "a.py,sha256=1"), ("second", "a.py,sha256=2")):
        info = tmp_path / folder / "Some_Thing-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "RECORD").write_text(recorded)
    first, second = str(tmp_path / "first"), str(tmp_path / "second")

    found = distributions([first, second])["some-thing"]

    assert found.startswith("1.2 ")
    assert found != distributions([second, first])["some-thing"]


def test_basis_names_versions(judged: JudgedProject) -> None:
    """Who reads the ledger finds the interpreter, the libraries that check, and the tools."""
    tools = judged.basis().tools

    assert {"python", "platform", "distributions", "pytest", "jsonschema", "build-it"} <= set(tools)
    assert tools["build-it"].startswith(str(judged.bin.resolve()))


def test_key_is_of_everything_and_of_no_order() -> None:
    """Each field counts; the order in which it was filled does not."""
    basis = Basis("t", {"a": "1", "b": "2"}, "s", {"x": "1"})

    assert basis.key == Basis("t", {"b": "2", "a": "1"}, "s", {"x": "1"}).key
    others = [
        Basis("u", basis.contracts, "s", basis.tools),
        Basis("t", {"a": "1"}, "s", basis.tools),
        Basis("t", basis.contracts, "r", basis.tools),
        Basis("t", basis.contracts, "s", {"x": "2"}),
    ]
    assert len({basis.key, *(other.key for other in others)}) == 5


def test_places_and_programs_come_from_the_runbook(judged: JudgedProject) -> None:
    """Where gates look, without what lies within another; programs without placeholders."""
    plan = load_runbook(judged.root / "runbook.toml")

    assert judged_paths(plan) == ("docs/contracts", "docs/left.md", "left")
    assert programs(plan) == ("build-it", "run-it")
    assert AsIs(plan, judged.root).stamp() == AsIs(plan, judged.root).stamp()
