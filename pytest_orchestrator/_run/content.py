"""The content of folders as digests, whatever git thinks of them: ignored files, links, modes."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from hashlib import file_digest, sha256
from typing import TYPE_CHECKING

from pytest_orchestrator.errors import Infra

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

MOST_ENTRIES = 300_000
"""Files and folders below what is judged; beyond that, a link is likely to lead astray."""
_NOWHERE = frozenset({b".git", b".orchestrator"})
"""Never looked into: what git and runs keep is not what is judged."""
_CACHES = frozenset(
    {b"__pycache__", b".pytest_cache", b".hypothesis", b".mypy_cache", b".ruff_cache", b".nox",
     b".tox", b".venv"}
)  # fmt: skip
"""Not looked into at the top of a tree that is judged as a whole: pytest itself writes there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something below a folder.

    Attributes:
        name: Its path relative to the root, with ``/``; bytes, since a name may be no Unicode.
        path: Where it is, with all links followed on the way, but not at its end.
        at: What ``lstat`` says of it; ``None``: it is not there, or not to be seen.
        outside: Whether a link has led out of the root on the way.
    """

    name: bytes
    path: bytes
    at: os.stat_result | None
    outside: bool = False


def content_digest(root: Path, names: Iterable[str], *, but: Collection[str] = ()) -> str:
    """SHA-256 of all that stands below some paths of a folder.

    Names, bytes, kinds, targets of links and what stands behind them, whether a file can be
    executed, and empty folders; not times. What stands behind a link that leaves the folder
    goes by its size and times, and is not read.

    Args:
        root: The folder.
        names: Paths relative to it; one that is not there counts, too.
        but: Paths relative to it that are left out, with all below them.

    Raises:
        Infra: There is too much of it; a link may lead to the whole machine.
    """
    digest = sha256()
    for entry in entries(root, names, but=but):
        digest.update(_line(entry))
    return digest.hexdigest()


def content_stamp(root: Path, names: Iterable[str], *, but: Collection[str] = ()) -> str:
    """The same from inodes, sizes and times alone: quick, and never the same after a change.

    It also changes when a file is only touched. The kernel sets the time of a change itself,
    so not even a file that is given back its old modification time escapes.
    """
    digest = sha256()
    for entry in entries(root, names, but=but):
        digest.update(_framed(b"stamp", entry.name, _identity(entry.at)))
    return digest.hexdigest()


def file_identity(path: Path, *, read_up_to_bytes: int) -> str:
    """A file's SHA-256 if it is small, else its size and times."""
    at = path.stat()
    if at.st_size <= read_up_to_bytes:
        return bytes_digest(os.fsencode(path)).decode()
    return f"{at.st_size} bytes, {at.st_mtime_ns}, {at.st_ctime_ns}"


def entries(root: Path, names: Iterable[str], *, but: Collection[str] = ()) -> Iterator[Entry]:
    """Everything below some paths of a folder, each folder before what is in it, sorted.

    Raises:
        Infra: There is too much of it.
    """
    left_out = frozenset(os.fsencode(name) for name in but)
    top = os.path.realpath(os.fsencode(root))
    walk = _Walk(top, left_out)
    for name in sorted({os.fsencode(name) for name in names}):
        yield from walk.below(name, os.path.join(top, name) if name else top, (), outside=False)  # noqa: PTH118 - bytes


class _Walk:
    """One pass over a folder.

    Args:
        top: The root, with all links followed.
        but: Names that are left out.
    """

    def __init__(self, top: bytes, but: Collection[bytes]) -> None:
        self._top = top
        self._but = but
        self._seen = 0

    def below(
        self, name: bytes, path: bytes, chain: tuple[tuple[int, int], ...], *, outside: bool
    ) -> Iterator[Entry]:
        """An entry, and what is in it or behind it; ``chain`` are the folders it is in."""
        if name in self._but or os.path.basename(name) in _NOWHERE:  # noqa: PTH119 - bytes
            return
        self._count()
        at = _lstat(path)
        yield Entry(name, path, at, outside)
        if at is not None and stat.S_ISLNK(at.st_mode):
            real = os.path.realpath(path)
            outside = not (real + b"/").startswith(self._top + b"/")
            yield from self._behind(name, real, chain, outside=outside)
        elif at is not None and stat.S_ISDIR(at.st_mode):
            yield from self._within(name, path, at, chain, outside=outside)

    def _behind(
        self, name: bytes, real: bytes, chain: tuple[tuple[int, int], ...], *, outside: bool
    ) -> Iterator[Entry]:
        """What a link leads to; ``//`` tells its name from that of a file in a folder."""
        at = _lstat(real)
        yield Entry(name + b"//", real, at, outside)
        if at is not None and stat.S_ISDIR(at.st_mode):
            yield from self._within(name, real, at, chain, outside=outside)

    def _within(
        self, name: bytes, path: bytes, at: os.stat_result,
        chain: tuple[tuple[int, int], ...], *, outside: bool,
    ) -> Iterator[Entry]:  # fmt: skip
        own = (at.st_dev, at.st_ino)
        if own in chain:
            return  # a link to a folder it is in
        try:
            left_out = frozenset() if name else _CACHES
            names = sorted(set(os.listdir(path)) - left_out)  # noqa: PTH208 - bytes
        except OSError as error:
            yield Entry(b"%s// %d" % (name, error.errno or 0), path, None, outside)
            return
        for each in names:
            full = name + b"/" + each if name else each
            yield from self.below(full, path + b"/" + each, (*chain, own), outside=outside)

    def _count(self) -> None:
        self._seen += 1
        if self._seen > MOST_ENTRIES:
            raise Infra(
                f"{os.fsdecode(self._top)}: there are more than {MOST_ENTRIES} files in what gates "
                "judge; most likely a link leads to a folder that has nothing to do with it. "
                "Remove that link, or judge another tree"
            )


def _line(entry: Entry) -> bytes:
    at = entry.at
    if at is None:
        return _framed(b"nothing", entry.name, b"")
    if entry.outside:
        return _framed(b"outside", entry.name, _identity(at))
    if stat.S_ISLNK(at.st_mode):
        return _framed(b"link", entry.name, os.readlink(entry.path))  # noqa: PTH115 - bytes
    if stat.S_ISREG(at.st_mode):
        kind = b"program" if at.st_mode & stat.S_IXUSR else b"file"
        return _framed(kind, entry.name, bytes_digest(entry.path))
    return _framed(b"%o" % stat.S_IFMT(at.st_mode), entry.name, b"")


def _framed(kind: bytes, name: bytes, told: bytes) -> bytes:
    """One entry; no name or target can look like two of them."""
    return b"%b %d %b %d %b\n" % (kind, len(name), name, len(told), told)


def _identity(at: os.stat_result | None) -> bytes:
    if at is None:
        return b"nothing"
    told = (at.st_dev, at.st_ino, at.st_mode, at.st_size, at.st_mtime_ns, at.st_ctime_ns)
    return repr(told).encode()


def _lstat(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def bytes_digest(path: bytes) -> bytes:
    """SHA-256 of a file in hexadecimal; a file that cannot be read has one of its own."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - bytes
            return file_digest(file, "sha256").hexdigest().encode()
    except OSError as error:
        return b"unreadable %d" % (error.errno or 0)
