"""Gates are read from their sources, never from bytecode that lies beside them.

A ``.pyc`` is believed if the size and time, or the hash, in its head fit the source;
whoever can write a file in ``__pycache__`` can write those as well, and the source,
whose digest is sealed, would stay as it is.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.machinery import SourceFileLoader as Loader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _pytest.assertion import rewrite

if TYPE_CHECKING:
    from types import CodeType


class SourceLoader(Loader):
    """Compiles a module each time it is imported."""

    def get_code(self, fullname: str) -> CodeType | None:
        """The module's code, from its source."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def read_sources_only(runbook: Path) -> None:
    """Have this process import what judges from its sources.

    That is what lies in the runbook's folder itself, and below the folders of its gates.
    """
    root, gates = runbook.parent.resolve(), gate_folders(runbook)

    def is_ours(folder: Path) -> bool:
        return folder == root or any(folder.is_relative_to(gate) for gate in gates)

    def finder(path: str) -> FileFinder:
        if not is_ours(Path(path).resolve()):
            raise ImportError(path)
        return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (SourceLoader, [".py"]))

    sys.path_hooks.insert(0, finder)
    sys.path_importer_cache.clear()
    believed = rewrite._read_pyc  # noqa: SLF001 - pytest's own cache has no switch

    def read(source: Path, *rest: Any) -> CodeType | None:
        return None if is_ours(source.resolve().parent) else believed(source, *rest)

    rewrite._read_pyc = read  # type: ignore[assignment] # noqa: SLF001 - likewise


def gate_folders(runbook: Path) -> tuple[Path, ...]:
    """The folders of a runbook's gates; none, if it is wrong, which is told later."""
    try:
        told = tomllib.loads(runbook.read_text())
        tests = [str(gate["tests"]) for gate in told.get("gates", {}).values()]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ()
    root = runbook.parent.resolve()
    return tuple({(root / test).parent.resolve() for test in tests} - {root})
