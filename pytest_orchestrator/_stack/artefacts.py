"""The files that show that a build has built something."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.plan import BYTECODE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Artefacts:
    """What a stack's build must make.

    An agent can deliver such files, and give them any time it likes. So times are
    not looked at: what is there before the build is removed, and what is there after
    it was made by it, of the sources as they are.
    """

    def __init__(self, patterns: Sequence[str], folder: Path, bytecode: Path) -> None:
        """Prepare.

        Args:
            patterns: As the runbook has them.
            folder: The service's.
            bytecode: Where Python leaves what it compiles, of all folders.
        """
        self._patterns = tuple(patterns)
        self._folder = Path(os.path.realpath(folder))
        self._bytecode = bytecode.joinpath(*self._folder.parts[1:])

    def remove(self) -> None:
        """Remove what is there."""
        # Python would take what it has compiled of a file of the same size and second for new.
        shutil.rmtree(self._bytecode, ignore_errors=True)
        for pattern in self._patterns:
            for file in list(self._files(pattern)):
                file.unlink()

    def missing(self) -> tuple[str, ...]:
        """The patterns that match no file."""
        return tuple(p for p in self._patterns if next(self._files(p), None) is None)

    def _files(self, pattern: str) -> Iterator[Path]:
        """The files below the folder; not those to which only a link leads."""
        compiled = pattern.startswith(BYTECODE)
        folder = self._bytecode if compiled else self._folder
        for file in folder.glob(pattern.removeprefix(BYTECODE)):
            real = Path(os.path.realpath(file))
            if file.is_file() and real.is_relative_to(os.path.realpath(folder)):
                yield file
