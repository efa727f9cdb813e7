"""Locks that the kernel takes back from the dead."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


RUN_LOCK = "run.lock"
"""In the run's folder; held by the pytest run for as long as it lives."""


class FileLock:
    """An exclusive lock on a file, held by an open file description.

    The kernel drops it when its last holder dies, also by kill -9; a lock
    *file* would stay behind. A child that inherits ``fd`` holds it too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd: int | None = None

    def acquire(self, *, blocking: bool = False) -> bool:
        """Take the lock, and say whether it is ours now."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(fd)
            return False
        except BaseException:
            os.close(fd)
            raise
        self.fd = fd
        return True

    def release(self) -> None:
        """Let go; somebody who inherited the lock may still hold it."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the lock and hold it."""
        self.acquire(blocking=True)
        try:
            yield
        finally:
            self.release()

    def write(self, text: str) -> None:
        """Leave a word for whoever finds the lock taken."""
        if self.fd is not None:
            os.ftruncate(self.fd, 0)
            os.pwrite(self.fd, text.encode(), 0)

    def read(self) -> str:
        """The word its holder left; empty if there is none."""
        try:
            return self.path.read_text()
        except FileNotFoundError:
            return ""


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock, so whoever held it is dead or done."""
    lock = FileLock(path)
    if lock.acquire():
        lock.release()
        return True
    return False
