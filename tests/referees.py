"""A referee that goes by what a document says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._domain.change import EFFECTS, Change, Effect
from pytest_orchestrator._domain.verdict import Finding, Verdict
from pytest_orchestrator._run.registry import Document, Judged

if TYPE_CHECKING:
    from pytest_orchestrator._domain.plan import Contract


class WordReferee:
    """``invalid`` is not valid; a document that begins with ``breaking`` breaks everybody.

    Attributes:
        checked: The text of everything that was checked.
        compared: The texts of everything that was compared.
    """

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self.checked: list[str] = []
        self.compared: list[tuple[str, str]] = []

    def check(self, contract: Contract, document: Document, *, draft: bool) -> Judged:
        """Refuse what says that it is invalid; ``see PATH`` refers to another file."""
        del draft
        text = _text(document)
        self.checked.append(text)
        made_of = {
            document.path,
            *(w for w in text.split() if "/" in w and (document.root / w).is_file()),
        }
        if text.startswith("invalid"):
            finding = Finding(contract.path, "is not valid", "word", "write something else")
            return Judged(Verdict("word", (finding,)), frozenset(made_of))
        return Judged(Verdict("word"), frozenset(made_of))

    def changes(self, contract: Contract, old: Document, new: Document) -> tuple[Change, ...]:
        """The new document begins with what it does to those who know the old one."""
        del contract
        before, after = _text(old), _text(new)
        self.compared.append((before, after))
        if before == after:
            return ()
        effect: Effect = next((e for e in EFFECTS if after.startswith(e)), "compatible")
        return (Change(effect, "/", f"{before} became {after}", "both"),)

    def schema(self, contract: Contract, page: bytes) -> bytes | None:
        """A schema is its page turned to capitals."""
        del contract
        return None if page.startswith(b"invalid") else page.upper()


def _text(document: Document) -> str:
    return (document.root / document.path).read_text(errors="replace")
