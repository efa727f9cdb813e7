"""Reading files below a folder, and no others."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pytest_orchestrator._checks.reading.limits import MAX_BYTES, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KINDS = {
    stat.S_ISDIR: "is a folder",
    stat.S_ISFIFO: "is a pipe",
    stat.S_ISSOCK: "is a socket",
    stat.S_ISCHR: "is a device",
    stat.S_ISBLK: "is a device",
}
# A pipe nobody writes to must not make the reader wait.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_below(root: Path, path: str) -> bytes:
    """The bytes of a regular file, no part of whose path leads elsewhere.

    Args:
        root: The folder; may itself be reached by a link.
        path: Relative, with ``/``; without ``..``.

    Raises:
        Unreadable: There is no such file, or it is none that is read; rule
            ``"unreadable"`` or ``"size"``. Nothing of it is told.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise Unreadable("is no path below the folder", rule="unreadable")
    try:
        with _opened(root, parts) as file:
            return _content(file)
    except OSError as problem:
        raise Unreadable(_reason(problem), rule="unreadable") from None


@contextmanager
def _opened(root: Path, parts: tuple[str, ...]) -> Iterator[int]:
    """Go down folder by folder, so that none can be exchanged for a link meanwhile."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            below = os.open(part, _FLAGS | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = below
        file = os.open(parts[-1], _FLAGS, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        yield file
    finally:
        os.close(file)


def _content(file: int) -> bytes:
    mode = os.fstat(file).st_mode
    if not stat.S_ISREG(mode):
        what = next((told for test, told in _KINDS.items() if test(mode)), "is no regular file")
        raise Unreadable(f"{what}, not a regular file", rule="unreadable")
    data = bytearray()
    while piece := os.read(file, MAX_BYTES + 1 - len(data)):
        data += piece
        if len(data) > MAX_BYTES:
            raise Unreadable(f"has more than {MAX_BYTES} bytes", rule="size")
    return bytes(data)


def _reason(problem: OSError) -> str:
    match problem:
        case FileNotFoundError():
            return "is not there"
        case PermissionError():
            return "may not be read"
        case NotADirectoryError():
            return "is below something that is no folder, or a link"
        case _ if problem.errno == errno.ELOOP:
            return "is a link, which is not followed"
        case _:
            return "cannot be read"
