"""Proofs: a gate is shown to say no to planted defects, and yes to what is merely different."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestrator._domain.proof import (
    Case,
    Edit,
    ProofError,
    Told,
    cases,
    objection,
    read_proof,
    spread,
)
from pytest_orchestrator._domain.verdict import Finding, Outcome
from pytest_orchestrator._run.proof import lay_out
from tests.project import Project

PASSED = Told(Outcome.PASSED)
FOUND = Told(Outcome.FAILED, (Finding("core /health", "answers 500", "status"),))
OTHER = Told(Outcome.FAILED, (Finding("api /health", "answers 500", "status"),))
DEFECT = Case("S2", "defect", "broken", "", ("S1", "S2"), rule="status", where="core")
EDIT = {"file": "a.txt", "old": "x", "new": "y"}

GATE = """
import pytest
from pytest_orchestrator.checks import Finding, Verdict

pytestmark = pytest.mark.gate("G{n}")

@pytest.mark.parametrize("lane", ["left", "right"])
def test_lane(lane, workspace):
    file = workspace / lane / "{n}.txt"
    text = file.read_text() if file.exists() else "nothing"
    found = () if text == "done" else (Finding(lane, f"says {{text}}", "word"),)
    Verdict("words", found).raise_for_findings()
"""
PROOF = """
[[defect]]
name = "left-says-nothing-{n}"
what = "Left has not done its part."
rule = "word"
where = "left"
edit = [{{ file = "left/{n}.txt", delete = true }}]

[[defect]]
name = "right-says-no-{n}"
what = "Right has done something else."
rule = "{rule}"
where = "right"
edit = [{{ file = "right/{n}.txt", old = "done", new = "no" }}]

[[variation]]
name = "more-{n}"
what = "There is one file more."
edit = [{{ file = "left/more-{n}.txt", write = "more" }}]
"""


@pytest.mark.parametrize(
    ("case", "told", "said"),
    [
        (DEFECT, {"S1": PASSED, "S2": FOUND}, ""),
        (DEFECT, {"S1": PASSED, "S2": PASSED}, "S2 is PASSED, not FAILED"),
        (DEFECT, {"S1": FOUND, "S2": FOUND}, "S1 is FAILED: core /health: answers 500"),
        (DEFECT, {"S1": PASSED, "S2": OTHER}, "S2 found something else than [status] at core"),
        (DEFECT, {"S1": PASSED, "S2": Told(Outcome.INFRA, (), "no port")}, "S2 is INFRA, not"),
        (DEFECT, {"S1": PASSED, "S2": Told(None)}, "S2 is not judged, not FAILED"),
    ],
)
def test_defect_has_to_be_found_by_its_gate_with_its_finding(
    case: Case, told: dict[str, Told], said: str
) -> None:
    """No gate before it may fail, and another finding is not good enough."""
    assert objection(case, told).startswith(said)
    assert bool(said) is bool(objection(case, told))


@pytest.mark.parametrize(
    ("kind", "outcome"), list(product(["oracle", "variation", "nop"], [*Outcome, None]))
)
def test_only_one_verdict_is_right(kind: str, outcome: Outcome | None) -> None:
    """What is right must be PASSED and an empty tree FAILED; whoever cannot judge shows nothing."""
    case = Case("S1", kind, "x", "", ("S1",))  # type: ignore[arg-type]
    right = Outcome.FAILED if kind == "nop" else Outcome.PASSED

    assert (objection(case, {"S1": Told(outcome)}) == "") is (outcome is right)


def test_cases_are_judged_by_the_gates_before_theirs() -> None:
    """A defect by all up to its own, a variation by all there are or by those it names."""
    defect = {"name": "d", "what": "", "rule": "r", "edit": [EDIT]}
    variation = {"name": "v", "what": "", "gates": ["S1"], "edit": [EDIT]}
    proofs = {
        "S1": read_proof("S1", {}, "S1.toml"),
        "S2": read_proof("S2", {"defect": [defect], "variation": [variation]}, "S2.toml"),
        "S3": read_proof("S3", {"variation": [variation | {"name": "w", "gates": []}]}, "S3.toml"),
    }

    found = {case.name: case.gates for case in cases(proofs)}

    assert found == {
        "oracle": ("S1", "S2", "S3"), "nop-S1": ("S1",), "nop-S2": ("S2",), "nop-S3": ("S3",),
        "d": ("S1", "S2"), "v": ("S1",), "w": ("S1", "S2", "S3"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        ({"defect": [{"name": "d", "what": "", "edit": [EDIT]}]}, "defect.0.rule: Field required"),
        ({"defects": []}, "defects: Extra inputs are not permitted"),
        ({"variation": [{"name": "v", "what": "", "edit": []}]}, "at least 1 item"),
        ({"variation": [{"name": "v", "what": "", "edit": [{"file": "a"}]}]}, "has either"),
        (
            {"variation": [{"name": "v", "what": "", "edit": [EDIT | {"write": ""}]}]},
            "has either",
        ),
        (
            {"variation": [{"name": "v", "what": "", "edit": [EDIT | {"file": "../a"}]}]},
            "leads out of the tree",
        ),
    ],
)
def test_wrong_proof_is_refused(proof: dict[str, object], said: str) -> None:
    """With the file, the place in it, and what is wrong."""
    with pytest.raises(ProofError, match=r"S1\.toml is no proof of S1") as caught:
        read_proof("S1", proof, "S1.toml")

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("variation", "said"),
    [
        ({"name": "oracle"}, "given twice: oracle"),
        ({"name": "v", "gates": ["S9"]}, "v: S9 has no proof; these have: S1"),
    ],
)
def test_names_have_to_make_sense(variation: dict[str, object], said: str) -> None:
    """A case's name is its own, and the gates it names have proofs."""
    proof = read_proof("S1", {"variation": [{"what": "", "edit": [EDIT]} | variation]}, "S1.toml")

    with pytest.raises(ProofError, match=said):
        cases({"S1": proof})


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"file": "a.txt", "old": "z", "new": ""}, "a.txt has 'z' 0 times, not once"),
        ({"file": "a.txt", "old": "x", "new": ""}, "a.txt has 'x' 2 times, not once"),
        ({"file": "b.txt", "delete": True}, "has no file b.txt"),
    ],
)
def test_edit_has_to_fit_the_tree(tmp_path: Path, edit: dict[str, object], said: str) -> None:
    """A defect that was not planted would be one that is never found."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.txt").write_text("x x")
    case = Case("S1", "defect", "d", "", ("S1",), (Edit.model_validate(edit),))

    with pytest.raises(ProofError, match=said):
        lay_out(case, tree, tmp_path / "laid-out")


kinds = st.sampled_from(["defect", "variation"])
some_cases = st.lists(st.tuples(kinds, st.sampled_from(["S1", "S2", "S3"])), max_size=30).map(
    lambda pairs: [Case(g, k, f"{k}-{n}", "", (g,)) for n, (k, g) in enumerate(pairs)]  # type: ignore[arg-type]
)


@given(every=some_cases, number=st.integers(0, 40))
def test_spread_takes_from_every_gate(every: list[Case], number: int) -> None:
    """As many as asked for, in their order, and no gate's defects or variations left out."""
    taken = spread(every, number)
    groups = {(case.kind, case.gate) for case in every}

    assert len(taken) == min(number, len(every))
    assert [case for case in every if case in taken] == list(taken)
    if number >= len(groups):
        assert {(case.kind, case.gate) for case in taken} == groups


def provable(project: Project, *, rule: str) -> None:
    """Give the small project an oracle, and its gates proofs."""
    project.edit("runbook.toml", 'agents = "scripted"', 'agents = "oracle"')
    for n, word in ((1, "one"), (2, "two")):
        project.write(f"gates/test_g{n}.py", GATE.format(n=n))
        project.write(f"gates/proofs/G{n}.toml", PROOF.format(n=n, rule=rule))
        for lane in ("left", "right"):
            project.write(f"oracle/any/{lane}-{word}/{lane}/{n}.txt", "done")


def run_proofs(project: Project, *arguments: str) -> pytest.RunResult:
    """Run the command as people do."""
    return project.pytester.run(
        sys.executable, "-m", "pytest_orchestrator", "proofs", *arguments, timeout=240
    )


@pytest.mark.slow
def test_proofs_show_that_gates_say_no_and_yes(project: Project) -> None:
    """The oracle's tree and variations pass; empty trees and defects are found by their gates."""
    provable(project, rule="word")

    result = run_proofs(project, "--jobs=2")

    result.stdout.fnmatch_lines_random(
        [
            "ok  -      oracle     oracle *passed G1, G2",
            "ok  G1     nop        nop-G1 *",
            "ok  G2     defect     left-says-nothing-2 *left: says nothing [[]word[]]",
            "ok  G1     variation  more-1 *passed G1, G2",
            "defect: 4 of 4 came out as they must",
        ]
    )
    assert result.ret == 0


@pytest.mark.slow
def test_gate_that_finds_something_else_is_not_shown(project: Project) -> None:
    """Exit status 1; the line says what was found, and what is to be run again."""
    provable(project, rule="wording")

    result = run_proofs(project, "right-says-no-2", "more-2")

    result.stdout.fnmatch_lines(
        [
            "NO  G2     defect     right-says-no-2 *G2 found something else than *right: says no*",
            "defect: 0 of 1 came out as they must",
            "variation: 1 of 1 came out as they must",
            "  python -m pytest_orchestrator proofs right-says-no-2",
        ]
    )
    assert result.ret == 1


@pytest.mark.slow
def test_nothing_is_shown_with_an_application_that_does_not_pass(project: Project) -> None:
    """The oracle itself has to be right; exit status 2."""
    provable(project, rule="word")
    project.write("oracle/any/left-two/left/2.txt", "nearly")

    result = run_proofs(project)

    result.stderr.fnmatch_lines(["the oracle's own application does not pass*"])
    assert result.ret == 2
