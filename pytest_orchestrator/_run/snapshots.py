"""The exact bytes of everything that was published, each under its digest."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_orchestrator.errors import Infra

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_UNFINISHED = ".unfinished-"


def digest_of(data: bytes) -> str:
    """What identifies bytes: their SHA-256, in hexadecimal digits."""
    return sha256(data).hexdigest()


class Snapshots:
    """A folder of files that never change; readers need no lock.

    Args:
        folder: Where they are; made when the first one is stored.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def store(self, data: bytes) -> str:
        """Keep bytes, and return their digest; to be called by one process at a time.

        They are on the disk as a whole before they have their name, so nobody
        ever sees half of them. What somebody who died left unfinished is removed.
        """
        digest = digest_of(data)
        path = self._folder / digest
        if path.exists():
            if digest_of(path.read_bytes()) == digest:
                return digest
            path.unlink()  # somebody has changed it
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(f"{_UNFINISHED}*"):
            left.unlink()
        unfinished = self._folder / f"{_UNFINISHED}{digest}"
        with unfinished.open("xb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        os.link(unfinished, path)
        unfinished.unlink()
        _sync(self._folder)
        return digest

    def read(self, digest: str) -> bytes:
        """The bytes with this digest.

        Raises:
            Infra: They are not there, or are not what was stored.
        """
        path = self._folder / digest
        try:
            data = path.read_bytes()
        except OSError as error:
            raise Infra(f"the snapshot {path} cannot be read: {error.strerror}") from error
        if digest_of(data) != digest:
            raise Infra(
                f"the snapshot {path} is not what was published: somebody has changed it; "
                "publish the contract again, or choose another --run-id"
            )
        return data

    def lay_out(self, folder: Path, files: Mapping[str, str]) -> None:
        """Write snapshots into a folder, given by path and digest."""
        for path, digest in files.items():
            write_below(folder, path, self.read(digest))


def write_below(folder: Path, path: str, data: bytes) -> None:
    """Write a file of a folder that is ours alone."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def _sync(folder: Path) -> None:
    """Have the names in a folder on the disk, too."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
