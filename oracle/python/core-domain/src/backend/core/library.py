"""The documents core answers from, cut into chunks of one paragraph each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCUMENTS = Path(__file__).parent / "documents"
_PAGE_MARK = re.compile(r"<!-- page (\d+) -->")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A paragraph, and where it stands; ``page`` is ``None`` before the first page mark."""

    chunk_id: str
    source_document: str
    page: int | None
    heading: str
    text: str


def load(folder: Path = DOCUMENTS) -> tuple[Chunk, ...]:
    """Read every Markdown document of a folder, by name."""
    return tuple(
        chunk
        for path in sorted(folder.glob("*.md"))
        for chunk in cut(path.name, path.read_text(encoding="utf-8"))
    )


def cut(source: str, text: str) -> Iterator[Chunk]:
    """Cut a document at blank lines; page marks and headings hold until the next one."""
    page, heading, number = None, "", 0
    for block in filter(None, (block.strip() for block in text.split("\n\n"))):
        if mark := _PAGE_MARK.fullmatch(block):
            page = int(mark[1])
        elif block.startswith("#"):
            heading = block.lstrip("# ")
        else:
            number += 1
            yield Chunk(f"{source}#{number}", source, page, heading, " ".join(block.split()))
