"""A private git repository of the run: trees in, trees out.

No workspace contains a ``.git``: an agent that can write to its workspace must
not be able to move a branch, run a hook or rewrite what it handed in. Each
command is told its repository, index and work tree instead. The project's own
repository is only read, through its working tree.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from pytest_orchestrator.errors import Infra

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.autocrlf=false",
    "core.fsmonitor=false",
    "core.safecrlf=false",
    "core.quotePath=false",
    # Otherwise a file in somebody's home folder would decide what is in a tree.
    "core.excludesFile=/dev/null",
    "core.attributesFile=/dev/null",
    "gc.auto=0",
    "commit.gpgSign=false",
    "init.defaultBranch=main",
)
# Stronger than any .gitattributes of a tree: bytes go in and come out as they are.
_ATTRIBUTES = "* -text -ident -filter !working-tree-encoding\n"
# As `git init` finds out about the file system of a Mac.
_MAC = "\tignorecase = true\n\tprecomposeunicode = true\n" if sys.platform == "darwin" else ""
# The repository's own settings; rewritten whenever they say anything else.
_OWN = {
    "config": f"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n{_MAC}",
    "info/attributes": _ATTRIBUTES,
    "info/exclude": ".orchestrator/\n",
}
# Fixed, so that the same content gets the same commit id in every process.
_WHO = {
    "GIT_AUTHOR_NAME": "pytest-orchestrator",
    "GIT_AUTHOR_EMAIL": "orchestrator@localhost",
    "GIT_COMMITTER_NAME": "pytest-orchestrator",
    "GIT_COMMITTER_EMAIL": "orchestrator@localhost",
    "GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z",
}


class Git:
    """One repository, and one of its indexes over one work tree.

    Args:
        repository: The bare repository's folder.
        tree: The work tree commands act on.
        index: The index file that goes with it; of one process at a time.
    """

    def __init__(self, repository: Path, tree: Path, index: Path) -> None:
        self.repository = repository
        self.tree = tree
        self.index = index

    def __call__(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run one git command and return what it printed, without the last line end.

        Raises:
            Infra: git is missing or failed; the message has what it said.
        """
        return self.raw(*arguments, stdin=stdin).decode(errors="surrogateescape").rstrip("\n")

    def raw(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run one git command and return the exact bytes it printed."""
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        self._settle()
        try:
            done = subprocess.run(
                ["git", *settings, *arguments],
                cwd=self.tree,
                env=self._environment(),
                input=stdin,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError as error:
            if not self.tree.is_dir():
                raise Infra(f"the folder {self.tree} is gone, start the run again") from error
            raise Infra("git is not on the PATH; install git 2.30 or newer") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise Infra(f"git {arguments[0]} failed in {self.tree}: {said}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        return {
            **inherited,
            **_WHO,
            "GIT_DIR": str(self.repository),
            "GIT_WORK_TREE": str(self.tree),
            "GIT_INDEX_FILE": str(self.index),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            # Or a reference in refs/replace would put one commit in another's place.
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }

    def create(self) -> None:
        """Make the repository, unless it is there."""
        if not (self.repository / "HEAD").exists():
            (self.repository / "info").mkdir(parents=True, exist_ok=True)
            self._settle()
            self("init", "--quiet")

    def _settle(self) -> None:
        """Put the repository's own settings back to what they are.

        Programs of others are named in them: filters, diff drivers, included files.
        """
        if not self.repository.is_dir():
            return
        # Git would take settings and objects from the folder it names.
        (self.repository / "commondir").unlink(missing_ok=True)
        for name, text in _OWN.items():
            file = self.repository / name
            if file.is_symlink() or not file.is_file() or file.read_bytes() != text.encode():
                draft = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}")
                draft.write_text(text)
                draft.replace(file)

    def snapshot(self, *paths: str) -> str:
        """The tree id of the work tree as it is; ignored files and nested repositories left out.

        Args:
            paths: Only these folders and files, if any are named; a path that
                is not there counts as empty.
        """
        files = [p for p in self._listed(*paths) if not p.endswith(b"/")]
        self("update-index", "--add", "--remove", "-z", "--stdin", stdin=b"\0".join(files))
        return self("write-tree")

    def listed(self, *paths: str) -> tuple[str, ...]:
        """The files of the work tree, or those of some paths of it, ignored ones left out."""
        return tuple(os.fsdecode(p) for p in self._listed(*paths) if not p.endswith(b"/"))

    def nested(self) -> tuple[str, ...]:
        """The folders of the work tree that are repositories of their own, ignored ones left out.

        One inside another shows only when the outer one is none any more.
        """
        return tuple(os.fsdecode(p.rstrip(b"/")) for p in self._listed() if p.endswith(b"/"))

    def _listed(self, *paths: str) -> list[bytes]:
        """Every file of the work tree, and every nested repository with a ``/`` at its end."""
        self._load("--empty")
        listed = self.raw("ls-files", "--others", "--exclude-standard", "-z", "--", *paths)
        return [path for path in listed.split(b"\0") if path]

    def _load(self, tree: str) -> None:
        """Have the index say what ``tree`` says."""
        # Nobody else uses this index: a lock file was left by a git that was killed.
        self.index.with_name(f"{self.index.name}.lock").unlink(missing_ok=True)
        self("read-tree", tree)

    def commit(self, tree: str, message: str, *parents: str) -> str:
        """The commit of a tree; the same for the same tree, message and parents."""
        links = [part for parent in parents for part in ("-p", parent)]
        return self("commit-tree", tree, *links, "-m", message)

    def compose(self, base: str, layers: dict[str, tuple[str, ...]]) -> str:
        """The tree id of ``base`` with the given paths taken from other commits.

        Args:
            base: A commit or tree.
            layers: For each commit, the folders (ending in ``/``) and files
                that are taken from it; a path it does not have is removed.
        """
        entries = self._entries(base)
        for commit, paths in layers.items():
            places = tuple(os.fsencode(path).rstrip(b"/") for path in paths)
            kept = {p: e for p, e in entries.items() if not _is_at(p, places)}
            # Behind what is kept, so that it takes the place of a file where it has a folder.
            entries = kept | (self._entries(commit, *paths) if paths else {})
        self._load("--empty")
        self("update-index", "-z", "--index-info", stdin=b"".join(entries.values()))
        return self("write-tree")

    def _entries(self, tree: str, *paths: str) -> dict[bytes, bytes]:
        """The lines of a tree that say what is at some paths, or everywhere; by path."""
        listed = self.raw("ls-tree", "-r", "-z", tree, "--", *paths).split(b"\0")
        return {line.split(b"\t", 1)[1]: line + b"\0" for line in listed if line}

    def overlay(self, base: str, files: Mapping[str, bytes | None]) -> str:
        """The tree id of ``base`` with the given files in it; ``None`` for those not to be there.

        The index then says what that tree says.
        """
        self._load(base)
        for path, data in files.items():
            self("rm", "--cached", "-r", "-q", "-f", "--ignore-unmatch", "--", path)
            if data is not None:
                blob = self("hash-object", "-w", "--stdin", stdin=data)
                self("update-index", "--add", "--replace", "--cacheinfo", f"100644,{blob},{path}")
        return self("write-tree")

    def put(self, base: str, files: Mapping[str, bytes]) -> str:
        """The same, and write those files into the work tree, whatever is in their place."""
        tree = self.overlay(base, files)
        self("checkout-index", "--force", "--", *files)
        return tree

    def checkout(self, tree: str) -> None:
        """Make the work tree exactly ``tree``; nothing else stays, ignored or not."""
        self._load(tree)
        self("checkout-index", "--all", "--force")
        self("clean", "-d", "-x", "--force", "--force", "--quiet")

    def differing(self, tree: str) -> tuple[str, ...]:
        """The files of a tree that the work tree has not, or has otherwise; sorted."""
        self._load(tree)
        # An index that was just read knows no times: this compares contents.
        self("update-index", "-q", "--refresh")
        listed = self("diff-files", "--name-only", "--no-ext-diff", "-z")
        return tuple(sorted(p for p in listed.split("\0") if p))

    def first(self, commit: str) -> str:
        """The commit with which the history of a commit begins."""
        return self("rev-list", "--max-parents=0", commit)

    def changes(self, before: str, after: str) -> tuple[str, ...]:
        """The paths that differ between two trees, sorted."""
        listed = self("diff-tree", "-r", "-z", "--name-only", "--no-renames", before, after)
        return tuple(sorted(p for p in listed.split("\0") if p))

    def links(self, tree: str) -> dict[str, str]:
        """The symbolic links of a tree: path to target."""
        entries = self("ls-tree", "-r", "-z", tree).split("\0")
        found = [entry.split("\t", 1) for entry in entries if entry.startswith("120000")]
        return {path: self("cat-file", "blob", described.split()[2]) for described, path in found}

    def files(self, tree: str, folder: str) -> tuple[str, ...]:
        """The paths of all files below a folder of a tree, links left out; sorted."""
        below = ("--", f"{folder}/") if folder else ()
        entries = self("ls-tree", "-r", "-z", tree, *below).split("\0")
        return tuple(e.split("\t", 1)[1] for e in entries if e.startswith("100"))

    def read_all(self, commit: str, paths: Iterable[str]) -> dict[str, bytes | None]:
        """Several files at once, like ``read``."""
        listed = self.raw("ls-tree", "-r", "-z", commit, "--", *(wanted := tuple(paths)))
        blobs = [e.split(b"\t", 1) for e in listed.split(b"\0") if e.startswith(b"100")]
        names = b"".join(described.split()[2] + b"\n" for described, _ in blobs)
        content = self.raw("cat-file", "--batch=%(objectsize)", stdin=names) if blobs else b""
        found: dict[str, bytes | None] = dict.fromkeys(wanted)
        for _, path in blobs:
            size, _, rest = content.partition(b"\n")
            data, content = rest[: int(size)], rest[int(size) + 1 :]
            if (name := os.fsdecode(path)) in found:
                found[name] = data
        return found

    def read(self, commit: str, path: str) -> bytes | None:
        """The exact bytes of a file in a commit; ``None`` if it has no such file, or a link."""
        if not self("ls-tree", commit, "--", path).startswith("100"):
            return None
        return self.raw("cat-file", "blob", f"{commit}:{path}")


def _is_at(path: bytes, places: tuple[bytes, ...]) -> bool:
    return any(path == place or path.startswith(place + b"/") for place in places)
