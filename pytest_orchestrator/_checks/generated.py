"""Consumers agree: what they generated, and built on, is what is published."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pytest_orchestrator._checks.contracts import PublishedContract
from pytest_orchestrator._checks.line_differences import differences
from pytest_orchestrator._checks.models.document import schema_bytes
from pytest_orchestrator._checks.nodes import place
from pytest_orchestrator._domain.generated import Made, to_type
from pytest_orchestrator._domain.service import ended
from pytest_orchestrator._domain.verdict import Finding, Verdict
from pytest_orchestrator.errors import RunError, Unverifiable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_orchestrator._checks.contracts import Consumption
    from pytest_orchestrator._domain.plan import Generated

CHECK = "generated"
MAX_BYTES = 64 * 1024 * 1024
_SHOWN_DIGITS = 12


class Generate(Protocol):
    """Runs a generator's command in an empty folder of its own.

    Args:
        generated: The command, and what it has to make.
        document: The document it reads.
        data: What it reads in place of the document's content; ``None``: the file itself.
        key: Where the runbook has the command, for messages.

    Raises:
        Unverifiable: The program is not on this machine.
        Infra: It took too long.
    """

    def __call__(
        self, generated: Generated, document: Path, data: bytes | None, *, key: str
    ) -> Made:
        """Return what it did."""
        ...


class _Found(NamedTuple):
    """A file of the tree: its bytes, or why it has none that count."""

    data: bytes | None
    why: str = ""
    rule: str = ""


def judge_generated(
    contract: PublishedContract,
    generated: Generated,
    tree: Path,
    *,
    consumer: str,
    known: Mapping[int, bytes],
    generate: Generate,
) -> Verdict:
    """Compare a consumer's generated files with what their generator makes.

    See ``pytest_orchestrator.checks.check_generated``, which runs the generator for real.
    """
    key = f"contracts.{contract.name}.generated.{consumer}"
    document, published = _document(contract), contract.read()
    found = {path: _read(tree, path) for path in generated.files}
    made = generate(generated, document, None, key=key)
    if (broken := _broken(contract, generated, made)) is not None:
        return Verdict(CHECK, (broken,))
    typed = to_type(generated.command, _relative(document, contract.tree))
    findings = [
        finding for path, file in found.items() for finding in _compare(path, file, made, typed)
    ]
    if any(found[path].data not in {None, data} for path, data in made.files.items()):
        again = _Again(contract, generated, document, generate, key)
        old = again.older({path: file.data for path, file in found.items()}, known, published)
        if old is not None:
            return Verdict(CHECK, tuple(_superseded(found, made, old, known, published, typed)))
        again.raise_for_chance(made)
    return Verdict(CHECK, tuple(findings))


def check_built_on(
    name: str, consumer: str, *, built_on: tuple[int, str] | None, published: tuple[int, str]
) -> Verdict:
    """Whether a consumer built on the contract as it is published.

    Args:
        name: The contract's name in the runbook.
        consumer: The consumer's name.
        built_on: Revision and SHA-256 (64 hexadecimal digits) of the contract that the consumer
            was given last; revision 0 is the draft. ``None``: nothing is recorded, e.g. because
            no agent worked, and then there is nothing to compare.
        published: Revision and SHA-256 of what is published.

    Returns:
        One finding if the digests differ, with both revisions and the first 12 digits of both.
        Revisions with the same content are the same.
    """
    if built_on is None or built_on[1] == published[1]:
        return Verdict(CHECK)
    what = f"built on {_revision(*built_on)} of {name}, but {_revision(*published)} is published"
    cure = f"have {consumer} build on revision {published[0]}, and generate again from it"
    return Verdict(CHECK, (Finding(consumer, what, "superseded", cure),))


def check_still_fits(consumption: Consumption) -> Verdict:
    """Whether what a consumer was built on still holds, as the contract is published.

    Args:
        consumption: The contract and the consumer, as the fixture of that name gives them.

    Returns:
        One finding for each change that breaks the consumer, at its place in the contract, if
        it was built on the draft or on an earlier revision; nothing where nothing is recorded.

    Source:
        docs/reference/breaking-changes.md.
    """
    held, (number, digest) = consumption.built_on, consumption.published
    # A tree may be older than the work, where a gate is judged again after later phases.
    if held is None or held[1] == digest or held[0] > number:
        return Verdict("still fits")
    was = f"revision {held[0]}" if held[0] else "the draft"
    cure = f"have {consumption.consumer}, which was built on {was}, build on revision {number}"
    return Verdict(
        "still fits",
        tuple(
            Finding(place(consumption.contract.path, change.pointer), change.what, "breaking", cure)
            for change in consumption.changes(held[0], number)
            if change.effect == "breaking"
        ),
    )


def _document(contract: PublishedContract) -> Path:
    """The file a generator reads.

    Raises:
        GateFailed: It is not published; or, of models, the schema is not what the page makes.
    """
    if contract.kind == "models":
        contract.schema()
        return contract.tree.absolute() / contract.schema_path
    return contract.tree.absolute() / contract.path


def _relative(document: Path, tree: Path) -> str:
    return document.relative_to(tree.absolute()).as_posix()


def _read(tree: Path, path: str) -> _Found:
    """A generated file of the tree; never what a symbolic link leads to."""
    where = tree.resolve()
    for step in Path(path).parts:
        where /= step
        if where.is_symlink():
            link = _relative(where, tree.resolve())
            return _Found(None, f"{link} is a symbolic link; only a file itself counts", "link")
    try:
        status = where.stat()
    except OSError:
        return _Found(None, "is not there", "missing")
    if not S_ISREG(status.st_mode):
        return _Found(None, "is not a file", "missing")
    if status.st_size > MAX_BYTES:
        return _Found(None, f"is larger than {MAX_BYTES} bytes, the most that is compared", "size")
    return _Found(where.read_bytes())


def _broken(contract: PublishedContract, generated: Generated, made: Made) -> Finding | None:
    """Why what the generator made does not count; ``None`` if it does."""
    program = os.path.basename(generated.command[0])  # noqa: PTH119 - a word, not a path
    missing = [path for path in generated.files if path not in made.files]
    if made.status:
        what = f"the generator {program} {ended(made.status)}"
    elif missing:
        what = f"the generator {program} did not make {', '.join(missing)}"
    else:
        return None
    told = f"; it wrote:\n{made.output}" if made.output else "; it wrote nothing"
    return Finding(contract.path, what + told, "generator")


def _compare(path: str, file: _Found, made: Made, typed: str) -> Iterator[Finding]:
    """What is wrong with one file; the first finding has the cure."""
    if file.data is None:
        yield Finding(path, file.why, file.rule, f"run: {typed}")
        return
    for number, finding in enumerate(differences(path, file.data, made.files[path])):
        cure = "" if number else f"do not edit it; run: {typed}"
        yield Finding(finding.where, finding.what, finding.rule, cure)


class _Again(NamedTuple):
    """A generator that is run once more, to tell why a file differs."""

    contract: PublishedContract
    generated: Generated
    document: Path
    generate: Generate
    key: str

    def older(
        self, found: Mapping[str, bytes | None], known: Mapping[int, bytes], published: bytes
    ) -> int | None:
        """The newest other revision of which the generator makes just these files."""
        for revision in sorted(known, reverse=True):
            if known[revision] == published:
                continue
            for document in self._names(revision):
                made = self._made(document, self._data(known[revision]))
                if made is not None and not made.status and made.files == found:
                    return revision
        return None

    def raise_for_chance(self, made: Made) -> None:
        """Find out whether the generator makes the same thing twice.

        Raises:
            Unverifiable: It does not, so nobody can agree with it.
        """
        second = self._made(self.document, None)
        if second is None or second.status:
            return
        for path, data in made.files.items():
            other = differences(path, data, second.files.get(path, b""))
            if other:
                raise Unverifiable(
                    f"{self.key}: the generator makes something else each time, so no file can "
                    f"agree with it. Have its command leave out what changes. {other[0].where}: "
                    f"{other[0].what}"
                )

    def _names(self, revision: int) -> Iterable[Path]:
        """Under which names the document may have been read; generators note them down."""
        if revision == 0 and self.contract.draft is not None:
            yield self.contract.tree.absolute() / self.contract.draft
        yield self.document

    def _data(self, snapshot: bytes) -> bytes:
        """What a generator reads of a revision: of models, the schema."""
        if self.contract.kind == "models":
            return schema_bytes(snapshot, self.contract.path)[0]
        return snapshot

    def _made(self, document: Path, data: bytes | None) -> Made | None:
        try:
            return self.generate(self.generated, document, data, key=self.key)
        except RunError:  # the published document was no trouble, and it is the one that counts
            return None


def _superseded(
    found: Mapping[str, _Found],
    made: Made,
    revision: int,
    known: Mapping[int, bytes],
    published: bytes,
    typed: str,
) -> Iterator[Finding]:
    """What is said of files that were right for another revision."""
    current = max((number for number, data in known.items() if data == published), default=None)
    old = "the draft (revision 0)" if revision == 0 else f"revision {revision} (superseded)"
    source = "what is published" if current is None else f"revision {current}"
    new = "and not of what is published" if current is None else f"{source} is published"
    for path, file in found.items():
        if file.data != made.files[path]:
            what = f"is what the generator makes of {old}{',' if current is None else ';'} {new}"
            yield Finding(path, what, "superseded", f"generate it again from {source}: {typed}")


def _revision(number: int, digest: str) -> str:
    name = "the draft (revision 0)" if number == 0 else f"revision {number}"
    return f"{name}, sha256 {digest[:_SHOWN_DIGITS]}…,"
