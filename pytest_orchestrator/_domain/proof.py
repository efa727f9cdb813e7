"""What shows that a gate can say no and yes: planted defects, and harmless variations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pytest_orchestrator._domain.verdict import Finding, Outcome
from pytest_orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class ProofError(OrchestratorError):
    """A proof does not say what it must, or does not fit the tree it is applied to."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Edit(_Value):
    """A change of one file: a text in it replaced, all of it written, or the file deleted."""

    file: str
    """Relative to the tree, e.g. ``"src/backend/core/health.py"``."""
    old: str | None = None
    """What is replaced; it must occur exactly once."""
    new: str | None = None
    write: str | None = None
    delete: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.old is None) != (self.new is None):
            raise ValueError("`old` and `new` go together")
        kinds = (self.old is not None) + (self.write is not None) + self.delete
        if kinds != 1:
            raise ValueError("an edit has either `old` and `new`, or `write`, or `delete = true`")
        if self.file.startswith("/") or ".." in self.file.split("/"):
            raise ValueError(f"{self.file} leads out of the tree")
        return self


class Defect(_Value):
    """Something wrong with the finished application, and the finding it must cause."""

    name: str
    what: str
    """A sentence: what is wrong."""
    rule: str
    """The rule of a finding that must be among the gate's."""
    where: str = ""
    """A text that must be in the place of that finding."""
    edit: tuple[Edit, ...] = Field(min_length=1)


class Variation(_Value):
    """Something that is different and right, and must cause no finding."""

    name: str
    what: str
    """A sentence: what is different."""
    gates: tuple[str, ...] = ()
    """Which gates judge it; empty for all that have a proof."""
    edit: tuple[Edit, ...] = Field(min_length=1)


class ProofFile(_Value):
    """What lies beside a gate: ``gates/proofs/S1.toml``."""

    defect: tuple[Defect, ...] = ()
    variation: tuple[Variation, ...] = ()


Kind = Literal["oracle", "nop", "defect", "variation"]


@dataclass(frozen=True, slots=True)
class Case:
    """One tree to be judged, and what must come out.

    Attributes:
        gate: Whose proof it is part of.
        kind: The oracle's tree and variations must pass; the empty tree and defects must not.
        name: Unique among all cases of its kind.
        what: A sentence.
        gates: The gates that judge it, in the runbook's order.
        edits: What is changed in the oracle's tree.
        rule: Of the finding a defect must cause.
        where: A text in the place of that finding.
    """

    gate: str
    kind: Kind
    name: str
    what: str
    gates: tuple[str, ...]
    edits: tuple[Edit, ...] = ()
    rule: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What one gate said of a tree: its verdict, if there was one, its findings and its reason."""

    outcome: Outcome | None
    findings: tuple[Finding, ...] = ()
    reason: str = ""


def read_proof(gate: str, document: Mapping[str, object], source: str) -> ProofFile:
    """Validate a proof file.

    Args:
        gate: The gate it belongs to.
        document: As read from TOML.
        source: How messages call the file.

    Raises:
        ProofError: It is not as it must be; says all that is wrong, one line each.
    """
    try:
        return ProofFile.model_validate(document)
    except ValidationError as error:
        lines = "\n".join(
            f"  {'.'.join(map(str, each['loc'])) or gate}: {each['msg']}" for each in error.errors()
        )
        raise ProofError(f"{source} is no proof of {gate}:\n{lines}") from error


def cases(proofs: Mapping[str, ProofFile]) -> tuple[Case, ...]:
    """All trees to be judged.

    Args:
        proofs: By gate, in the runbook's order.

    Raises:
        ProofError: Two cases have the same name, or a variation names a gate without a proof.
    """
    gates = tuple(proofs)
    found = [Case("", "oracle", "oracle", "The pre-written solution, as it is.", gates)]
    found += [Case(gate, "nop", f"nop-{gate}", "An empty tree.", (gate,)) for gate in gates]
    for number, (gate, proof) in enumerate(proofs.items(), start=1):
        found += [
            Case(gate, "defect", d.name, d.what, gates[:number], d.edit, d.rule, d.where)
            for d in proof.defect
        ]
        found += [
            Case(gate, "variation", v.name, v.what, _ordered(gates, v), v.edit)
            for v in proof.variation
        ]
    twice = sorted(name for name, times in Counter(c.name for c in found).items() if times > 1)
    if twice:
        raise ProofError(f"each case needs a name of its own; given twice: {', '.join(twice)}")
    return tuple(found)


def _ordered(gates: tuple[str, ...], variation: Variation) -> tuple[str, ...]:
    unknown = [gate for gate in variation.gates if gate not in gates]
    if unknown:
        known = ", ".join(gates)
        raise ProofError(f"{variation.name}: {unknown[0]} has no proof; these have: {known}")
    return tuple(gate for gate in gates if not variation.gates or gate in variation.gates)


def objection(case: Case, told: Mapping[str, Told]) -> str:
    """Why a case did not come out as it must, as a sentence; empty if it did.

    Args:
        case: What was judged.
        told: What each of its gates said.
    """
    match case.kind:
        case "oracle" | "variation":
            return next((_false_alarm(gate, told[gate]) for gate in case.gates
                         if told[gate].outcome is not Outcome.PASSED), "")  # fmt: skip
        case "nop":
            return _missed(case.gate, told[case.gate])
    *before, last = case.gates
    wrong = next((gate for gate in before if told[gate].outcome is not Outcome.PASSED), "")
    if wrong:
        return f"{_false_alarm(wrong, told[wrong])}; it should have come to {last}"
    return _missed(last, told[last]) or _wrong_finding(case, told[last])


def _false_alarm(gate: str, told: Told) -> str:
    findings = "; ".join(map(str, told.findings[:3])) or told.reason
    return f"{gate} is {told.outcome or 'not judged'}: {findings}"


def _missed(gate: str, told: Told) -> str:
    if told.outcome is Outcome.FAILED:
        return ""
    return f"{gate} is {told.outcome or 'not judged'}, not FAILED" + (
        f": {told.reason}" if told.reason else ""
    )


def _wrong_finding(case: Case, told: Told) -> str:
    if matching(case, told):
        return ""
    found = "; ".join(map(str, told.findings[:3])) or told.reason or "nothing"
    place = f" at {case.where}" if case.where else ""
    return f"{case.gate} found something else than [{case.rule}]{place}: {found}"


def matching(case: Case, told: Told) -> tuple[Finding, ...]:
    """The findings that a defect had to cause."""
    return tuple(f for f in told.findings if f.rule == case.rule and case.where in f.where)


def spread(every: Sequence[Case], number: int) -> tuple[Case, ...]:
    """So many cases, taken in turn from each gate's defects and variations, evenly.

    Args:
        every: All cases.
        number: How many are wanted; fewer if there are no more.

    Returns:
        In the order of ``every``; the same each time.
    """
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in every:
        groups.setdefault((case.kind, case.gate), []).append(case)
    stretched = (_even(group, number) for group in groups.values())
    rounds = chain.from_iterable(zip_longest(*stretched))
    taken = [case for case in rounds if case is not None][:number]
    return tuple(case for case in every if case in taken)


def _even(group: Sequence[Case], number: int) -> Iterable[Case]:
    """The members of a group in an order in which each beginning is spread over all of it."""
    count = min(number, len(group))
    first = [group[i * len(group) // count] for i in range(count)]
    return [*first, *(case for case in group if case not in first)]
