"""Consumers agree: generated files are what their generator makes of what is published."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestrator._checks.contracts import Contracts, PublishedContract
from pytest_orchestrator._checks.line_differences import MAX_PLACES, differences
from pytest_orchestrator._checks.models.document import schema_bytes
from pytest_orchestrator._domain.generated import filled, generator_environment, to_type
from pytest_orchestrator._domain.plan import Contract, Generated
from pytest_orchestrator._domain.verdict import Verdict
from pytest_orchestrator.checks import check_built_on, check_generated
from pytest_orchestrator.errors import GateFailed, Infra, Unverifiable
from tests.project import Project

ROOT = Path(__file__).parents[1]
SEED = ROOT / "oracle/python/core-spec/docs/contracts/core-api.json"
SEED_DRAFT = ROOT / "oracle/any/core-draft/docs/contracts/core-api.draft.json"
PAGE = '## Answer\n\n```json\n{\n  "text": "string"\n}\n```\n'

# Makes a line of each field of a document, below a line with the document's name.
GENERATOR = """
import json, pathlib, sys
source, target = map(pathlib.Path, sys.argv[1:3])
fields = json.loads(source.read_text())["fields"]
target.write_text("".join([f"# {source.name}\\n", *(f"{f}: str\\n" for f in fields)]))
"""
FILE = "src/api/core.py"
OLD, NEW = ({"fields": ["question", *more]} for more in ([], ["answer", "page"]))


def data(document: object) -> bytes:
    """A document as bytes."""
    return json.dumps(document).encode()


class Small(NamedTuple):
    """A tree with a published contract, and a generator of one file.

    Attributes:
        tree: The tree.
        script: The generator.
        contract: The contract.
    """

    tree: Path
    script: Path
    contract: PublishedContract

    @property
    def file(self) -> Path:
        """The generated file."""
        return self.tree / FILE

    def generated(self, *command: str, files: tuple[str, ...] = (FILE,)) -> Generated:
        """What the consumer generates, by this script or by another command."""
        own = ("{python}", str(self.script), "{contract}", f"{{out}}/{FILE}")
        return Generated(command=command or own, files=files)

    def write(self, path: str, content: bytes) -> Path:
        """Write a file of the tree."""
        file = self.tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def make(self, document: Path) -> None:
        """Generate the file as the consumer would."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, self.script, document, self.file], check=True)

    def check(
        self, generated: Generated | None = None, known: Mapping[int, bytes] | None = None
    ) -> Verdict:
        """The verdict on the consumer."""
        return check_generated(
            self.contract,
            generated or self.generated(),
            self.tree,
            consumer="api",
            known=known,
        )


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A published contract whose consumer has generated its file from it."""
    tree, script = tmp_path / "tree", tmp_path / "generate.py"
    script.write_text(GENERATOR)
    contract = PublishedContract("core-api", "docs/core.json", tree, draft="docs/core.draft.json")
    small = Small(tree, script, contract)
    small.make(small.write("docs/core.json", data(NEW)))
    return small


def told(verdict: Verdict) -> list[str]:
    """The findings, one line each."""
    return [str(finding) for finding in verdict.findings]


# ------------------------------------------------------------------ agreement


def test_a_file_that_was_generated_agrees(small: Small) -> None:
    """What the generator makes, byte for byte, passes."""
    assert small.check().passed


def test_a_file_that_was_edited_is_told_by_its_lines(small: Small) -> None:
    """The finding has the line, both versions of it, and the command to run."""
    small.file.write_text(small.file.read_text().replace("page: str", "page: int"))

    (finding,) = told(small.check())

    assert finding == (
        f"{FILE}:4: line 4 is 'page: int' but the generator makes 'page: str' [drift]; "
        f"do not edit it; run: python {small.script} docs/core.json ./{FILE}"
    )


def test_a_file_that_is_not_there_is_told_with_the_command(small: Small) -> None:
    """Whoever has not generated is told how."""
    small.file.unlink()

    assert told(small.check()) == [
        f"{FILE}: is not there [missing]; run: python {small.script} docs/core.json ./{FILE}"
    ]


def test_a_file_of_another_revision_is_told_by_its_revision(small: Small) -> None:
    """Not by its lines: it was not edited, it is out of date."""
    known = {1: data(OLD), 2: data(NEW)}
    small.make(small.write("elsewhere/core.json", known[1]))

    (finding,) = told(small.check(known=known))

    assert finding == (
        f"{FILE}: is what the generator makes of revision 1 (superseded); revision 2 is published "
        "[superseded]; generate it again from revision 2: "
        f"python {small.script} docs/core.json ./{FILE}"
    )


def test_a_file_of_the_draft_is_told_although_the_draft_has_a_name_of_its_own(small: Small) -> None:
    """Generators note down the name of what they read."""
    small.make(small.write("docs/core.draft.json", data(OLD)))

    (finding,) = small.check(known=small.contract.drafts()).findings

    assert finding.what == (
        "is what the generator makes of the draft (revision 0), and not of what is published"
    )
    assert "from what is published" in finding.cure


def test_a_file_of_no_known_revision_was_edited(small: Small) -> None:
    """A revision that almost fits is not named."""
    known = {1: data(OLD), 2: data(NEW)}
    small.make(small.write("elsewhere/core.json", known[1]))
    small.file.write_text(small.file.read_text() + "# mine\n")

    assert {finding.rule for finding in small.check(known=known).findings} == {"drift"}


def test_a_known_revision_that_cannot_be_read_fits_nothing(small: Small) -> None:
    """The published document is the one that counts."""
    small.file.write_text("mine\n")

    found = small.check(known={1: b"no JSON"}).findings

    assert [finding.rule for finding in found] == ["drift"] * 2


def test_only_the_first_finding_of_a_file_has_the_cure(small: Small) -> None:
    """The command is said once."""
    small.file.write_text(small.file.read_text().replace("str", "int"))

    cures = [bool(finding.cure) for finding in small.check().findings]

    assert cures == [True, False, False]


def test_models_are_generated_from_the_schema(tmp_path: Path, small: Small) -> None:
    """Of a page of models, the generator reads the JSON Schema next to it."""
    contract = PublishedContract("models", "docs/models.md", tmp_path / "tree", kind="models")
    copy = ("{python}", "-c", "import shutil, sys; shutil.copy(*sys.argv[1:])")
    generated = small.generated(*copy, "{contract}", f"{{out}}/{FILE}")
    schema = schema_bytes(PAGE.encode(), "models.md")[0]
    old = PAGE.replace("text", "words").encode()
    small.write("docs/models.md", PAGE.encode())
    small.write("docs/models.schema.json", schema)
    small.write(FILE, schema)

    assert check_generated(contract, generated, small.tree, consumer="api").passed

    small.write(FILE, schema_bytes(old, "models.md")[0])
    verdict = check_generated(contract, generated, small.tree, consumer="api", known={3: old})

    assert "revision 3 (superseded)" in told(verdict)[0]


def test_a_contract_that_is_not_published_agrees_with_nothing(small: Small) -> None:
    """The gate says that, and not that a file differs."""
    (small.tree / "docs/core.json").unlink()

    with pytest.raises(GateFailed, match="contract core-api is not published"):
        small.check()


# ------------------------------------------------------------------ the tree


@pytest.mark.parametrize("linked", ["src/api/core.py", "src/api", "src"])
def test_a_link_in_place_of_a_file_is_refused(small: Small, tmp_path: Path, linked: str) -> None:
    """Neither the file nor a folder on the way to it may be a symbolic link."""
    there = small.tree / linked
    there.rename(tmp_path / "moved")
    there.symlink_to(tmp_path / "moved")

    (finding,) = small.check().findings

    assert finding.what == f"{linked} is a symbolic link; only a file itself counts"


def test_a_folder_in_place_of_a_file_is_refused(small: Small) -> None:
    """What is compared is a file."""
    small.file.unlink()
    small.file.mkdir()

    assert [finding.what for finding in small.check().findings] == ["is not a file"]


def test_the_tree_and_the_temporary_folder_are_left_as_they_were(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judging leaves nothing behind."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    before = {path: path.stat().st_mtime_ns for path in small.tree.rglob("*")}

    small.check()

    assert {path: path.stat().st_mtime_ns for path in small.tree.rglob("*")} == before
    assert not list(temporary.iterdir())


# ------------------------------------------------------------------ the command


def script(text: str) -> tuple[str, ...]:
    """A command that runs a script with the contract and the file as arguments."""
    return ("{python}", "-c", text, "{contract}", f"{{out}}/{FILE}")


def test_a_generator_that_fails_is_told_with_what_it_wrote(small: Small) -> None:
    """The end of its output says why."""
    command = script("import sys; print('reading'); sys.exit('no fields in it')")

    (finding,) = small.check(small.generated(*command)).findings

    assert finding.where == "docs/core.json"
    assert "ended with status 1; it wrote:\n" in finding.what
    assert "    no fields in it" in finding.what


def test_a_generator_that_breaks_its_promise_is_told(small: Small) -> None:
    """A file it did not make, although it says that all went well."""
    (finding,) = small.check(small.generated(files=(FILE, "src/api/more.py"))).findings

    assert "did not make src/api/more.py; it wrote nothing" in finding.what


def test_a_link_that_a_generator_makes_is_no_file(small: Small) -> None:
    """What it made must be there itself: a link could lead to the very file that is judged."""
    command = script(f"import os, sys; os.symlink({str(small.file)!r}, sys.argv[2])")

    (finding,) = small.check(small.generated(*command)).findings

    assert f"did not make {FILE}" in finding.what


@pytest.mark.parametrize("program", ["no-such-generator", "/no/such/generator"])
def test_a_program_that_is_not_there_cannot_be_asked(small: Small, program: str) -> None:
    """It is said what to install."""
    generated = small.generated(program, "{contract}", "{out}")

    with pytest.raises(
        Unverifiable, match=rf"generated\.api: .* Install {program}, in the version"
    ):
        small.check(generated)


def test_a_program_next_to_nothing_cannot_be_asked(small: Small) -> None:
    """A relative path leads nowhere in an empty folder."""
    with pytest.raises(Unverifiable, match="Name a program that is on the PATH"):
        small.check(small.generated("bin/generate", "{contract}", "{out}"))


def test_a_generator_that_takes_too_long_is_ended_with_all_it_started(
    small: Small, tmp_path: Path
) -> None:
    """Nothing of its process group outlives the check."""
    child = tmp_path / "child"
    text = (
        "import pathlib, subprocess, sys, time\n"
        "started = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(child)!r}).write_text(str(started.pid))\n"
        "print('waiting', flush=True)\n"
        "time.sleep(60)"
    )
    generated = small.generated(*script(text)).model_copy(update={"timeout_s": 3.0})

    with pytest.raises(Infra, match=r"as 3 s were over \(`timeout_s`\); it wrote:\n    waiting"):
        small.check(generated)

    assert is_gone(int(child.read_text()))


def is_gone(pid: int) -> bool:
    """Whether a process has ended; zombies have."""
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s:
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout.strip()
        if not state or state.startswith("Z"):
            return True
        time.sleep(0.05)
    return False


def test_a_generator_gets_no_input_and_no_secrets(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands in an empty folder, and knows where programs and temporary files go."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    monkeypatch.setenv("SOME_TOKEN", "secret")
    text = (
        "import json, os, pathlib, sys\n"
        "told = [sorted(k for k in os.environ if k != 'LC_CTYPE'), sys.stdin.read(),\n"
        "        sorted(str(p) for p in pathlib.Path().rglob('*')),\n"
        "        os.getcwd() == os.path.dirname(os.environ['TMPDIR']) + '/out']\n"
        "pathlib.Path(sys.argv[2]).write_text(json.dumps(told))"
    )
    expected = [["HOME", "LANG", "PATH", "TMPDIR"], "", ["src", "src/api"], True]
    small.file.write_text(json.dumps(expected))
    monkeypatch.setenv("HOME", "/somewhere")

    assert not told(small.check(small.generated(*script(text))))


def test_a_generator_that_is_never_the_same_cannot_be_agreed_with(small: Small) -> None:
    """A time stamp is no fault of the consumer's; it is told where it is."""
    text = "import pathlib, sys, time; pathlib.Path(sys.argv[2]).write_text(f'{time.time_ns()}')"

    with pytest.raises(Unverifiable, match=rf"makes something else each time.* {FILE}:1: line 1"):
        small.check(small.generated(*script(text)))


def test_placeholders_are_filled_wherever_they_stand() -> None:
    """Other braces stay as they are."""
    command = ("{python}", "--in={contract}", "{out}/{name}.py", "{}")

    assert filled(command, contract="/c.json", out="/o", python="py") == [
        "py",
        "--in=/c.json",
        "/o/{name}.py",
        "{}",
    ]


def test_a_command_is_shown_as_people_type_it() -> None:
    """From the root of the tree, quoted for a shell."""
    command = ("{python}", "make it.py", "{contract}", "{out}/a.py")

    assert to_type(command, "docs/c.json") == "python 'make it.py' docs/c.json ./a.py"


def test_a_generators_environment_is_what_is_named() -> None:
    """Even without any of the caller's variables there is a language and a temporary folder."""
    assert generator_environment({}, "/t") == {"LANG": "C.UTF-8", "TMPDIR": "/t"}


# ------------------------------------------------------------------ lines


def lines(*changes: tuple[int, str | None], count: int = 6) -> bytes:
    """Numbered lines, some of them replaced, or left out."""
    changed = dict(changes)
    kept = [changed.get(n, f"line {n}\n") for n in range(1, count + 1)]
    return "".join(line for line in kept if line is not None).encode()


@pytest.mark.parametrize(
    ("found", "made", "expected"),
    [
        pytest.param(lines((2, "x\n")), lines(), "f:2: line 2 is 'x' but the generator makes "
                     "'line 2'", id="replaced"),
        pytest.param(lines((2, "line 2\nx\n")), lines(), "f:3: line 3 is 'x', which the generator "
                     "does not make", id="added"),
        pytest.param(lines((2, "line 2\nx\ny\n")), lines(), "f:3: the generator does not make "
                     "lines 3 to 4, the first 'x'", id="more added"),
        pytest.param(lines((3, None)), lines(), "f:3: before line 3, the generator makes also "
                     "'line 3'", id="removed"),
        pytest.param(lines((6, None), (5, None)), lines(), "f:4: at the end, the generator makes "
                     "2 more lines, the first 'line 5'", id="cut off"),
        pytest.param(b"", lines(), "f:1: at the end, the generator makes 6 more lines, the first "
                     "'line 1'", id="empty"),
        pytest.param(lines(), b"", "f:1: the generator does not make lines 1 to 6, the first "
                     "'line 1'", id="made empty"),
        pytest.param(lines((6, "line 6")), lines(), "f:6: line 6 is 'line 6' but the generator "
                     r"makes 'line 6\n'", id="last line feed"),
        pytest.param(lines((2, "line 2\r\n")), lines(), "f: differs in line ends only: 1 of 6 "
                     "lines end in CRLF, but 0 of those the generator makes", id="line ends"),
        pytest.param(lines((2, "x\r\n")), lines(), r"f:2: line 2 is 'x\r' but the generator makes "
                     "'line 2'", id="line ends and more"),
        pytest.param(lines((2, "a\u2028b\x0cc\n")), lines(), r"f:2: line 2 is 'a\u2028b\x0cc' but "
                     "the generator makes 'line 2'", id="breaks that are none"),
        pytest.param(b"ab\0d", b"ab\0c", "f: differs from byte 3 on, counted from 0, and is not "
                     "text to compare line by line: it has 4 bytes, and the generator makes 4",
                     id="binary"),
        pytest.param(b"caf\xe9", b"caf\xc3\xa9s", "f: differs from byte 3 on, counted from 0, and "
                     "is not text to compare line by line: it has 4 bytes, and the generator "
                     "makes 6", id="Latin-1"),
    ],
)  # fmt: skip
def test_a_difference_is_told_where_it_is(found: bytes, made: bytes, expected: str) -> None:
    """By the line of the tree's file, with what stands there and what should."""
    (finding,) = differences("f", found, made)

    assert f"{finding.where}: {finding.what}" == expected


def test_many_differences_are_counted() -> None:
    """So many places are named, and the number of the others."""
    many = MAX_PLACES + 3
    every_other = [(2 * n, "x\n") for n in range(1, many + 1)]

    found = differences("f", lines(*every_other, count=2 * many), lines(count=2 * many))

    assert len(found) == MAX_PLACES + 1
    assert found[-1].what == "differs in 3 more places"


def test_a_difference_far_to_the_right_can_be_seen() -> None:
    """Of a line of many characters, those around the first that differs are shown."""
    (finding,) = differences("f", b"a" * 5000 + b"b", b"a" * 5000 + b"c")

    assert "aaab'" in finding.what
    assert "aaac'" in finding.what
    assert len(finding.what) < 300


HUGE = 50_000


@pytest.mark.parametrize(
    ("found", "made"),
    [
        (["y"] * HUGE, ["x"] * HUGE),
        ([f"{n} y" for n in range(HUGE)], [f"{n} x" for n in range(HUGE)]),
        ([f"{n}" for n in range(HUGE)], [f"{n}" for n in reversed(range(HUGE))]),
    ],
    ids=["equal lines", "different lines", "reversed"],
)
def test_a_huge_difference_is_told_soon(found: list[str], made: list[str]) -> None:
    """Fifty thousand lines that all differ take no quadratic time."""
    start_s = time.monotonic()

    told = differences("f", "\n".join(found).encode(), "\n".join(made).encode())

    assert told[-1].what == f"differs in {HUGE - MAX_PLACES} more places"
    assert time.monotonic() - start_s < 10


@given(
    st.lists(st.sampled_from([b"a\n", b"b\n", b"\r\n", b"\0", b"\xff", b"c"])).map(b"".join),
    st.lists(st.sampled_from([b"a\n", b"b\n", b"\r\n", b"\0", b"\xff", b"c"])).map(b"".join),
)
def test_only_equal_files_agree(found: bytes, made: bytes) -> None:
    """Whatever two files hold, something is found if and only if they differ."""
    assert bool(differences("f", found, made)) is (found != made)


# ------------------------------------------------------------------ revisions

DIGESTS = "0123456789abcdef" * 4, "fedcba9876543210" * 4


def test_what_was_built_on_is_compared_by_digest() -> None:
    """Both revisions and the beginnings of both digests are named, with the cure."""
    verdict = check_built_on("core-api", "api", built_on=(1, DIGESTS[0]), published=(2, DIGESTS[1]))

    (finding,) = told(verdict)

    assert finding == (
        "api: built on revision 1, sha256 0123456789ab…, of core-api, but revision 2, "
        "sha256 fedcba987654…, is published [superseded]; "
        "have api build on revision 2, and generate again from it"
    )


def test_what_was_built_on_the_draft_is_told() -> None:
    """Revision 0 is called what it is."""
    verdict = check_built_on("core-api", "api", built_on=(0, DIGESTS[0]), published=(1, DIGESTS[1]))

    assert "built on the draft (revision 0), sha256 0123456789ab…, of core-api" in told(verdict)[0]


@pytest.mark.parametrize("built_on", [None, (2, DIGESTS[0]), (0, DIGESTS[0])])
def test_the_same_content_or_no_record_is_no_finding(built_on: tuple[int, str] | None) -> None:
    """A draft that was published as it is has the digest of what is published."""
    verdict = check_built_on("core-api", "api", built_on=built_on, published=(2, DIGESTS[0]))

    assert verdict.passed


# ------------------------------------------------------------------ the gate


def test_a_contract_knows_what_is_generated_from_it(tmp_path: Path) -> None:
    """Pairs of consumer and value, in the order of the runbook."""
    generated = Generated(command=("{contract}", "{out}"), files=("a.py",))
    contract = Contract(
        name="core-api",
        kind="openapi",
        path="core.json",
        publisher="core",
        draft="core.draft.json",
        generated={"api": generated, "ui": generated},
    )
    (tmp_path / "core.draft.json").write_bytes(b"{}")

    found = Contracts({"core-api": contract}, tmp_path)["core-api"]

    assert found.generated == (("api", generated), ("ui", generated))
    assert found.drafts() == {0: b"{}"}


GATE = """
import pytest
from pytest_orchestrator.checks import check_generated

pytestmark = pytest.mark.gate("G{n}")

def test_something():
    pass

def test_agreement(agreement, workspace):
    check_generated(
        agreement.contract, agreement.generated, workspace, consumer=agreement.consumer
    ).raise_for_findings()
"""


@pytest.fixture
def agreeing(project: Project) -> Project:
    """A project in which right generates a file from a contract of left's, before G1."""
    project.edit("runbook.toml", 'needs = ["left-one", "right-one"]', 'needs = ["left-one"]')
    project.edit("runbook.toml", 'needs = ["left-two", "right-two"]',
                 'needs = ["left-two", "right-two", "fields"]')  # fmt: skip
    project.edit("runbook.toml", '[tasks.right-two]\nagent = "right"\nphase = 2\nbrief = "brief.md"'
                 '\nneeds = ["G1"]', '[tasks.right-two]\nagent = "right"\nphase = 2\nbrief = '
                 '"brief.md"\nneeds = ["G1", "fields"]')  # fmt: skip
    project.edit("runbook.toml", "[tasks.left-one]\n", '[tasks.left-one]\npublishes = ["fields"]\n')
    project.write("left/fields.json", json.dumps(NEW))
    project.write("generate.py", GENERATOR)
    project.append(
        "runbook.toml",
        f"""
        [contracts.fields]
        kind = "openapi"
        path = "left/fields.json"
        publisher = "left"
        consumers = ["right"]

        [contracts.fields.generated.right]
        command = ["{{python}}", "{project.root}/generate.py", "{{contract}}", "{{out}}/right/f.py"]
        files = ["right/f.py"]
        """,
    )
    for n in (1, 2):
        project.write(f"gates/test_g{n}.py", GATE.format(n=n))
    project.write("right/f.py", "# fields.json\nquestion: str\nanswer: str\npage: str\n")
    return project


def test_a_gate_judges_each_consumer_it_needs(agreeing: Project) -> None:
    """G1 does not need the consumer's work, so its test is not there; that of G2 passes."""
    result = agreeing.run("--agents=off", "-n0", "-v", "-rA")

    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*test_g2.py::test_agreement[[]fields-right] PASSED*"])
    result.stdout.fnmatch_lines(["*3 passed, 4 deselected*"])  # the phases: no agent works


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_gate_fails_for_a_file_that_was_edited(agreeing: Project, workers: str) -> None:
    """The finding is in pytest's output, and the verdict is in the report."""
    agreeing.edit("right/f.py", "answer: str", "answer: int")

    result = agreeing.run("--agents=off", workers)

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*right/f.py:3: line 3 is 'answer: int' but the generator makes 'answer: str'*",
            "G2*FAILED*",
        ]
    )


def test_a_gate_that_lacks_the_generator_says_what_to_install(agreeing: Project) -> None:
    """It is an error, never a skip."""
    agreeing.edit("runbook.toml", "{python}", "no-such-generator")

    result = agreeing.run("--agents=off", "-n0")

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*Install no-such-generator*", "G2*UNVERIFIABLE*"])


def test_a_project_without_generators_has_no_such_test(project: Project) -> None:
    """A test of agreements is neither skipped nor passed where there is nothing to agree on."""
    project.write("gates/test_g1.py", GATE.format(n=1))
    project.finish()

    result = project.run("--agents=off", "-n0")

    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["G1*PASSED*"])


# ------------------------------------------------------------------ real generators

PYTHON = Generated(
    command=(
        "datamodel-codegen", "--input", "{contract}", "--output", "{out}/src/api/core_models.py",
        "--input-file-type", "openapi", "--output-model-type", "pydantic_v2.BaseModel",
        "--strict-nullable", "--formatters", "builtin", "--disable-timestamp",
    ),
    files=("src/api/core_models.py",),
)  # fmt: skip
TYPESCRIPT = Generated(
    command=("openapi-typescript", "{contract}", "--output", "{out}/src/web/core.d.ts"),
    files=("src/web/core.d.ts",),
)
INSTALL = {
    "datamodel-codegen": "pip install datamodel-code-generator",
    "openapi-typescript": "npm install -g openapi-typescript typescript",
}


@pytest.fixture(params=[PYTHON, TYPESCRIPT], ids=["python", "typescript"])
def real(request: pytest.FixtureRequest) -> Generated:
    """A generator people use; skipped, with what to install, where it is not there."""
    generated: Generated = request.param
    program = generated.command[0]
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} on the PATH; `{INSTALL[program]}`")
    return generated


@pytest.fixture
def seed(tmp_path: Path) -> Small:
    """The contract of this repository's application, published, with its draft."""
    contract = PublishedContract(
        "core-api", "docs/core-api.json", tmp_path, draft="docs/core-api.draft.json"
    )
    seed = Small(tmp_path, tmp_path, contract)
    seed.write("docs/core-api.json", SEED.read_bytes())
    seed.write("docs/core-api.draft.json", SEED_DRAFT.read_bytes())
    return seed


def generate(generated: Generated, document: Path, tree: Path) -> Path:
    """Generate in a tree as its owner would; the generated file."""
    file = tree / generated.files[0]
    file.parent.mkdir(parents=True)
    command = filled(
        generated.command, contract=str(document), out=str(tree), python=sys.executable
    )
    subprocess.run(command, check=True, cwd=tree, env=dict(os.environ), capture_output=True)
    return file


@pytest.mark.slow
def test_a_real_generator_agrees_with_itself(real: Generated, seed: Small) -> None:
    """In an empty folder and in a tree, it makes the same bytes of the seed's contract."""
    generate(real, seed.tree / "docs/core-api.json", seed.tree)

    assert seed.check(real).passed


@pytest.mark.slow
def test_a_real_generators_file_that_was_edited_is_told(real: Generated, seed: Small) -> None:
    """One word that was edited by hand is one finding, with its line."""
    file = generate(real, seed.tree / "docs/core-api.json", seed.tree)
    line = next(
        number for number, line in enumerate(file.read_text().split("\n"), 1) if "chunk_id" in line
    )
    file.write_text(file.read_text().replace("chunk_id", "chunkId", 1))

    (finding,) = seed.check(real, known=seed.contract.drafts()).findings

    assert finding.where == f"{real.files[0]}:{line}"
    assert "chunkId" in finding.what


@pytest.mark.slow
def test_a_real_generators_file_of_the_draft_is_told(real: Generated, seed: Small) -> None:
    """Who began on the draft and did not generate again is told just that."""
    generate(real, seed.tree / "docs/core-api.draft.json", seed.tree)
    known = {**seed.contract.drafts(), 1: SEED.read_bytes()}

    (finding,) = seed.check(real, known=known).findings

    assert finding.what == (
        "is what the generator makes of the draft (revision 0); revision 1 is published"
    )
