"""Who works where: a workspace per lane, a tree per gate, and what may leave them."""

from __future__ import annotations

import posixpath
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.attempts import LARGEST_BYTES, Attempt, attempts
from pytest_orchestrator._domain.plan import owns
from pytest_orchestrator._domain.verdict import Finding, Verdict
from pytest_orchestrator._run.git import Git
from pytest_orchestrator._run.locks import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_orchestrator._domain.plan import Part, Plan
    from pytest_orchestrator._domain.state import RunState


STORE = ".orchestrator"
"""In the project's root; runs are below it."""
# Builds put defaults into these, each time, and no answer of a service depends on that.
REWRITTEN_BY_BUILDS = frozenset(
    ("tsconfig.json", "next-env.d.ts", "package-lock.json", "packages.lock.json")
)


@dataclass(frozen=True, slots=True)
class Collected:
    """What an attempt left behind.

    Attributes:
        commit: The attempt, with everything outside the lane's own paths undone.
        verdict: One finding per thing that was outside.
        attempts: What it left to reach the judge, wherever; no finding by itself.
    """

    commit: str
    verdict: Verdict
    attempts: tuple[Attempt, ...] = ()


class Workspaces:
    """The trees of one run, all of one private repository.

    Args:
        plan: The plan of this run.
        folder: The run's folder.
        root: The project's folder, where the run starts from.
    """

    def __init__(self, plan: Plan, folder: Path, root: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.root = root

    def base(self) -> str:
        """The commit the run starts from: the project as it was then, hidden paths left out."""
        git = self._git(self.root, "base")
        git.index.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "locks" / "base.lock").held():
            git.create()
            known = git("for-each-ref", "--format=%(objectname)", "refs/heads/base")
            if known:
                return known
            git.snapshot()
            for path in self.plan.run.hides:
                git("rm", "--cached", "-r", "-q", "-f", "--ignore-unmatch", "--", path)
            commit = git.commit(git("write-tree"), "base")
            git("update-ref", "refs/heads/base", commit)
            return commit

    def lane(self, agent: str) -> Path:
        """The folder an agent works in."""
        return self.folder / "lanes" / agent

    def prepare(
        self, state: RunState, part: Part, published: Mapping[str, bytes] | None = None
    ) -> str:
        """Lay out a lane's workspace for a part and return its commit.

        The agent finds what it has built so far and what others have published: of
        contracts the very bytes of ``published``, by path, and nothing that was not.
        An agent without a service of its own finds everybody's work. What an
        attempt of the same part left in the agent's own paths that failed, or
        whose runner died, is still there, but not in the commit.
        """
        git = self._lane_git(part.agent)
        git.tree.mkdir(parents=True, exist_ok=True)
        tree = self._lane_tree(git, state, part)
        tree = git.overlay(tree, self._contracts_for(part.agent, published or {}))
        commit = git.commit(tree, f"{part} begins")
        marker = self._marker(part.agent)
        content = commit
        if marker.exists() and marker.read_text() == str(part):
            left = git.commit(_snapshot(git)[0], f"{part} was interrupted")
            content = git.compose(commit, {left: self.plan.delivered_paths(part.agent)})
        git.checkout(content)
        marker.write_text(str(part))
        return commit

    def place(self, agent: str, commit: str, files: Mapping[str, bytes]) -> str:
        """Put files that are not the agent's doing into its workspace.

        Returns:
            The commit that has them on top of ``commit``; what the agent then
            changes is what differs from that.
        """
        git = self._lane_git(agent)
        return git.commit(git.put(commit, files), "placed", commit)

    def _contracts_for(self, agent: str, published: Mapping[str, bytes]) -> dict[str, bytes | None]:
        """Every file of others' contracts: as it was published, or not at all."""
        own = self.plan.delivered_paths(agent)
        files = {p for c in self.plan.contracts.values() for p in c.all_paths} | published.keys()
        return {path: published.get(path) for path in sorted(files) if not owns(own, path)}

    def collect(self, agent: str, before: str, label: str) -> Collected:
        """Commit what an agent changed; what it had no right to change is undone and named."""
        git = self._lane_git(agent)
        tree, nested = _snapshot(git)
        after = git.commit(tree, label, before)
        allowed = self.plan.owned_paths(agent)
        changed = git.changes(before, after)
        foreign = [self._foreign(agent, path) for path in changed if not owns(allowed, path)]
        links = _escaping(git, after, changed)
        noticed = attempts_in(self.plan, git.tree, changed)
        if not (foreign or links):
            return Collected(after, Verdict(label, nested), noticed)
        undone = {after: allowed, before: tuple(link.where for link in links)}
        kept = git.commit(git.compose(before, undone), label, before)
        git.checkout(kept)
        hint = Finding(agent, f"owns only {', '.join(allowed)}", "ownership")
        return Collected(kept, Verdict(label, (*foreign, *links, *nested, hint)), noticed)

    def _foreign(self, agent: str, path: str) -> Finding:
        """What is wrong with a change of a file that is not the agent's."""
        pages = {c.schema_path: c.path for c in self.plan.contracts.values()}
        if path in pages:
            what = f"is generated from {pages[path]}, which is the file to change"
        else:
            what = f"{agent} changed a file outside its own paths"
        return Finding(path, what, "ownership")

    def read(self, agent: str, commit: str, path: str) -> bytes | None:
        """A file of a lane's commit; ``None`` if it is not there."""
        return self._lane_git(agent).read(commit, path)

    def listed(self, agent: str, commit: str, folder: str) -> tuple[str, ...]:
        """The files of a lane's commit below a folder, sorted."""
        return self._lane_git(agent).files(commit, folder)

    def merge(self, state: RunState, parts: Iterable[Part]) -> str:
        """The tree id of what the given parts have built, together."""
        base = self.base()
        git = self._git(self.root, "merge")
        with FileLock(self.folder / "locks" / "merge.lock").held():
            return git.compose(base, self._layers(state, parts))

    def contracts_in(self, tree: str) -> dict[str, dict[str, bytes | None]]:
        """The files of each contract in a tree, by name and path; ``None``: not there."""
        contracts = self.plan.contracts
        paths = [path for contract in contracts.values() for path in contract.all_paths]
        if not paths:
            return {}
        files = self._git(self.root, "base").read_all(tree, paths)
        return {name: {p: files[p] for p in each.all_paths} for name, each in contracts.items()}

    def lay_out(self, tree: str, name: str) -> Path:
        """A folder with exactly the content of ``tree``, e.g. for a gate to judge."""
        folder = self.folder / "trees" / name
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "locks" / f"tree-{name}.lock").held():
            self._git(folder, f"tree-{name}").checkout(tree)
        return folder

    def changed(self, tree: str, name: str) -> str:
        """What of a tree that was laid out is not as it was then, as a sentence; or empty."""
        folder = self.folder / "trees" / name
        with FileLock(self.folder / "locks" / f"tree-{name}.lock").held():
            return rewritten(self._git(folder, f"tree-{name}"), tree)

    def _layers(self, state: RunState, parts: Iterable[Part]) -> dict[str, tuple[str, ...]]:
        latest: dict[str, Part] = {}
        for part in sorted(parts, key=lambda p: p.phase):
            if state.phase(part).commit and self._is_up_to_date(state, part):
                latest[part.agent] = part
        return {
            state.phase(part).commit: self.plan.delivered_paths(agent)
            for agent, part in latest.items()
        }

    def _lane_tree(self, git: Git, state: RunState, part: Part) -> str:
        finished = [p for p in self.plan.parts if state.phase(p).commit]
        layers: dict[str, tuple[str, ...]] = {}
        served = any(s.agent == part.agent for s in self.plan.services.values())
        for commit, paths in self._layers(state, finished).items():
            shared = tuple(p for p in paths if self._is_shared(p)) if served else paths
            layers[commit] = shared
        earlier = [p for p in finished if p.agent == part.agent and p.phase < part.phase]
        own = self._layers(state, earlier)
        if built := state.phase(part).built:
            whole = self._is_up_to_date(state, part) or not own
            delivered = self.plan.delivered_paths(part.agent)
            own |= {built: delivered if whole else git.changes(git.first(built), built)}
        return git.compose(self.base(), layers | own)

    def _is_up_to_date(self, state: RunState, part: Part) -> bool:
        """Whether what there is of a part has all that its lane has done before it.

        Not if a part before it, on which it did not wait, was done again since.
        """
        phase = state.phase(part)
        if phase.status == "succeeded":
            return True
        earlier = (p for p in self.plan.parts if p.agent == part.agent and p.phase < part.phase)
        return all(state.phase(p).finished_s <= phase.built_s for p in earlier)

    def _is_shared(self, path: str) -> bool:
        folders = {posixpath.dirname(c.path) for c in self.plan.contracts.values()}
        return any(path.startswith(f"{folder}/") for folder in folders)

    def _marker(self, agent: str) -> Path:
        return self.folder / "lanes" / f"{agent}.part"

    def _lane_git(self, agent: str) -> Git:
        return self._git(self.lane(agent), f"lane-{agent}")

    def _git(self, tree: Path, index: str) -> Git:
        return Git(self.folder / "repository", tree, self.folder / "indexes" / index)


def attempts_in(plan: Plan, tree: Path, paths: Iterable[str]) -> tuple[Attempt, ...]:
    """What files of a tree are there to reach the judge.

    Args:
        plan: Says where services and gates are.
        tree: The folder the paths are relative to.
        paths: Of the files to look at; the store of runs, which no snapshot has, is looked for.
    """
    files = {path: _start_of(tree / path) for path in paths}
    if (tree / STORE).exists():
        files[STORE] = b""
    services = [service.path for service in plan.services.values()]
    gates = {posixpath.dirname(gate.tests) for gate in plan.gates.values()}
    return attempts(files, services=services, gates=gates)


def _start_of(file: Path) -> bytes:
    """What a regular file begins with; nothing for anything else."""
    try:
        if not stat.S_ISREG(file.lstat().st_mode):
            return b""
        with file.open("rb") as opened:
            return opened.read(LARGEST_BYTES)
    except OSError:
        return b""


def rewritten(git: Git, tree: str) -> str:
    """Which files of a tree somebody has changed while it was judged; empty if nobody has."""
    files = [f for f in git.differing(tree) if posixpath.basename(f) not in REWRITTEN_BY_BUILDS]
    if not files:
        return ""
    shown = ", ".join(files[:5]) + (", ..." if files[5:] else "")
    return (
        f"{shown} changed in {git.tree} while it was judged, so nobody knows what was judged; "
        "look for processes that agents have left (`ps -ef`), or for a service that writes to "
        "its own sources, and run again"
    )


def _snapshot(git: Git) -> tuple[str, tuple[Finding, ...]]:
    """The tree id of a workspace, once no repository in it hides its content any more."""
    found: list[Finding] = []
    while nested := git.nested():
        for folder in nested:
            _remove(git.tree / folder / ".git")
            what = "was a git repository of its own; its .git was removed, its files were kept"
            found.append(Finding(folder, what, "repository"))
    return git.snapshot(), tuple(found)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _escaping(git: Git, commit: str, changed: tuple[str, ...]) -> list[Finding]:
    """Links that lead out of the workspace: not what they look like, once they are elsewhere."""
    return [
        Finding(path, f"is a link that leaves the workspace ({target})", "link")
        for path, target in git.links(commit).items()
        if path in changed and _escapes(path, target)
    ]


def _escapes(path: str, target: str) -> bool:
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return target.startswith("/") or resolved == ".." or resolved.startswith("../")
