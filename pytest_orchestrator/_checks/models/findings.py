"""What is wrong with a page of models, line by line."""

from __future__ import annotations

from pytest_orchestrator._checks.rules.faults import told
from pytest_orchestrator._domain.verdict import Finding, Verdict

MAX_FINDINGS = 100
_CURE = "write it as docs/reference/shared-models.md has it"
# Where the sentence says it all.
_CURES = {
    "bounds": "write bounds that this type has, or none",
    "depth": "give what is within a model of its own",
    "encoding": "write whole characters",
    "end": "write the file to its end",
    "fence": "write the file to its end",
    "size": "split it, or publish less",
    "syntax": "write it as JSON",
}


class Enough(Exception):
    """So much is wrong that looking for more helps nobody."""


class Findings:
    """Collects the findings on one page; told in the order of its lines."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: list[tuple[int, Finding]] = []
        self._enough = False

    def add(self, line: int, what: str, rule: str, *, place: str = "", column: int = 0) -> None:
        """Note one thing that is wrong.

        Args:
            line: 1-based; 0 is the page as a whole.
            what: What is wrong, and the cure.
            rule: Short stable name of the rule.
            place: Model and field, e.g. ``"QueryResponse.citations[].page"``.
            column: 1-based; 0 if the line says enough.

        Raises:
            Enough: There are a hundred already; this one is not noted.
        """
        if len(self._found) == MAX_FINDINGS:
            self._enough = True
            raise Enough
        numbers = "".join(f":{number}" for number in (line, column) if number)
        where = f"{self._name}{numbers}{place and f'#{place}'}"
        # Sentences on pages end with their cure.
        what, _, cure = (
            what.rpartition("; ") if "; " in what else (what, "", _CURES.get(rule, _CURE))
        )
        self._found.append((line, told(where, what, rule, cure)))

    def verdict(self) -> Verdict:
        """All that was noted; if that is not all there is, the last finding says so."""
        found = [finding for _, finding in sorted(self._found, key=lambda entry: entry[0])]
        if self._enough:
            what = f"has more than {MAX_FINDINGS} findings"
            found.append(told(self._name, what, "more", "mend these, then look again"))
        return Verdict("models", tuple(found))
