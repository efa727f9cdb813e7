"""The documents core answers from, as a reader sees them: pages, paragraphs, sentences."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.verdict import Finding
from pytest_orchestrator.errors import GateFailed, Unverifiable

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXTS = frozenset({".md", ".markdown", ".txt", ".rst"})
_PAGE_MARK = re.compile(r"<!--\s*page\s*:?\s*(\d+)\s*-->|\f", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.DOTALL | re.MULTILINE)
_NOT_PROSE = re.compile(r"\s*([#|<>=]|\.\. |:\w+:|[-*_=~^]{3,}\s*$)")
_BULLET = re.compile(r"^\s*([-*+]|\d+[.)])\s+", re.MULTILINE)
_MARKS = re.compile(r"\*\*|__|(?<!\w)[*_]|[*_](?!\w)|`|!?\[([^\]]*)\]\([^)]*\)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"[^\W_]+")
_LONGEST = 400
_STEM = 5


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, and where it stands.

    Attributes:
        text: Without marks for emphasis and links, in one line.
        document: The document's path below the folder of documents, e.g. ``"hive.md"``.
        page: ``None`` before the first page mark, or if there is none.
        paragraph: Number of the paragraph within the document, from 0.
        distinctive: Stems of words that stand in this paragraph and in no other.
    """

    text: str
    document: str
    page: int | None
    paragraph: int
    distinctive: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Paragraph:
    document: str
    page: int | None
    number: int
    text: str


@dataclass(frozen=True)
class Library:
    """All documents that can be read.

    Attributes:
        folder: Where they are, relative to the tree; for messages.
        texts: By path below the folder.
    """

    folder: str
    texts: dict[str, str]

    @cached_property
    def paragraphs(self) -> tuple[_Paragraph, ...]:
        """Of all documents, by name, headings and tables left out."""
        return tuple(
            chain.from_iterable(_paragraphs(name, self.texts[name]) for name in sorted(self.texts))
        )

    @cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        """Those that say something that is said nowhere else, by document, in order."""
        paragraphs_with = Counter(chain.from_iterable(stems(p.text) for p in self.paragraphs))
        found = (
            Sentence(
                text, p.document, p.page, p.number,
                frozenset(stem for stem in stems(text) if paragraphs_with[stem] == 1),
            )
            for p in self.paragraphs
            for text in _SENTENCE_END.split(p.text)
        )  # fmt: skip
        return tuple(s for s in found if _is_telling(s))

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Stems of all words."""
        return frozenset(chain.from_iterable(stems(text) for text in self.texts.values()))

    def pages(self, document: str) -> frozenset[int | None]:
        """The numbers of a document's pages; ``{None}`` if it has no pages."""
        marks = [m[1] for m in _PAGE_MARK.finditer(self.texts[document])]
        if None in marks:  # form feeds
            return frozenset(range(1, len(marks) + 2))
        prose = {p.page for p in self.paragraphs if p.document == document}
        return frozenset(prose | set(map(int, marks))) or frozenset({None})

    def named(self, source: str) -> str | None:
        """The document that a citation means, by its path, name, stem or first heading."""
        wanted = source.strip().lower()
        for document, text in self.texts.items():
            path = PurePosixPath(document)
            names = {document, path.name, path.stem, f"{self.folder}/{document}", _title(text)}
            if wanted in {name.lower() for name in names} or wanted.endswith(
                f"/{document}".lower()
            ):
                return document
        return None


def read_library(tree: Path, folder: str | None, service: str) -> Library:
    """Read the documents of a service.

    Args:
        tree: The judged tree.
        folder: Where they are, relative to the tree; ``None``: the runbook does not say.
        service: Who answers from them, for messages.

    Raises:
        GateFailed: There is no such folder, or nothing in it.
        Unverifiable: The runbook does not say where they are, or they are no texts.
    """
    if folder is None:
        raise Unverifiable(
            f"whether {service}'s answers come from its documents cannot be judged, as the runbook "
            f'does not say where they are; add documents = "documents" to [services.{service}]'
        )
    files = [f for f in sorted((tree / folder).rglob("*")) if f.is_file() and not f.is_symlink()]
    if not files:
        what = f"there are no documents in {folder}; {service} has nothing to answer from"
        raise GateFailed("documents", [Finding(f"{service} {folder}", what, "documents")])
    texts = {
        f.relative_to(tree / folder).as_posix(): f.read_text(encoding="utf-8", errors="replace")
        for f in files
        if f.suffix.lower() in _TEXTS
    }
    if not texts:
        kinds = ", ".join(sorted({f.suffix or f.name for f in files}))
        raise Unverifiable(
            f"whether {service}'s answers come from its documents cannot be judged: those in "
            f"{folder} are {kinds}, and only {', '.join(sorted(_TEXTS))} can be read"
        )
    return Library(folder, texts)


def stems(text: str) -> frozenset[str]:
    """The beginnings of a text's longer words and numbers: what rewording leaves of them."""
    words = (word.lower() for word in _WORD.findall(text))
    return frozenset(word[:_STEM] for word in words if len(word) >= _STEM or word.isdigit())


def _paragraphs(document: str, text: str) -> Iterator[_Paragraph]:
    text = _FENCE.sub("", _FRONT_MATTER.sub("", text.replace("\r\n", "\n")))
    page: int | None = 1 if "\f" in text else None
    number, at = 0, 0
    marks = [(m.start(), m.end(), m[1]) for m in _PAGE_MARK.finditer(text)]
    for start, end, mark in [*marks, (len(text), len(text), "")]:
        for block in re.split(r"\n[ \t]*\n", _COMMENT.sub("", text[at:start])):
            lines = [line for line in block.strip().splitlines() if not _NOT_PROSE.match(line)]
            prose = _MARKS.sub(r"\1", _BULLET.sub("", "\n".join(lines)))
            if prose.strip():
                yield _Paragraph(document, page, number, " ".join(prose.split()))
                number += 1
        page = int(mark) if mark else (page or 0) + 1
        at = end


def _is_telling(sentence: Sentence) -> bool:
    enough = len(sentence.distinctive) >= 2 and len(stems(sentence.text)) >= 4  # noqa: PLR2004 - as it says
    return enough and sentence.text[-1:] in ".!" and len(sentence.text) <= _LONGEST


def _title(text: str) -> str:
    heading = re.search(r"^#\s+(.+)$", text, re.MULTILINE)
    return heading[1].strip() if heading else "\0"
