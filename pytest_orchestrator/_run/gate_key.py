"""The key of a verdict: a digest of all that was judged, and of all that judged it.

Everything here is looked at anew each time and starts no process, so that a recorded
verdict can be found within milliseconds, and never for something that has changed.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
from dataclasses import asdict
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.basis import Basis, judged_paths, part_that_judges, programs
from pytest_orchestrator._domain.event import GateOpened
from pytest_orchestrator._domain.service import TOOLCHAIN
from pytest_orchestrator._run.content import (
    bytes_digest,
    content_digest,
    content_stamp,
    file_identity,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_orchestrator._domain.plan import Plan
    from pytest_orchestrator._run.judge import Project

PACKAGE = Path(__file__).resolve().parents[1]
"""This package's own folder; its modules judge, too."""
SMALL_BYTES = 2**20
"""A program up to this size goes by its bytes, so scripts do; a larger one by size and times."""

_SETTINGS = (
    "conftest.py", "pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml",
    "tox.ini", "setup.cfg",
)  # fmt: skip
_WRITTEN_BY_TOOLS = frozenset(
    {"__pycache__", ".pytest_cache", ".hypothesis", ".mypy_cache", ".ruff_cache", ".git",
     ".orchestrator", ".venv", "node_modules"}
)  # fmt: skip
_NAMED = ("hypothesis", "httpx", "jsonschema", "jsonschema-rs", "openapi-spec-validator",
          "playwright", "pydantic", "pytest", "referencing", "schemathesis")  # fmt: skip
"""Distributions whose versions are kept by name; all others in one digest."""
_IMPORT = re.compile(rb"^\s*(?:from\s+([A-Za-z_]\w*)|import\s+([\w., \t]+))", re.MULTILINE)


class Judges:
    """What judges, as it was when this value was made, which is before it is imported.

    Args:
        plan: The plan of this run.
        project: Whose gates judge.
    """

    def __init__(self, plan: Plan, project: Project) -> None:
        self._plan = plan
        self._project = project
        self._stamp = sources_stamp(plan, project)

    @property
    def changed(self) -> bool:
        """Whether a source is not what it was: what has been imported may be the old one."""
        return sources_stamp(self._plan, self._project) != self._stamp

    @cached_property
    def tools(self) -> dict[str, str]:
        """See ``tools``; asked once, since what is imported stays what it is."""
        return tools(self._plan, self._project)

    @cached_property
    def _sources(self) -> str:
        return sources_digest(self._plan, self._project)

    def sources(self, gate: str) -> str:
        """The digest of all that judges one gate."""
        judging = part_that_judges(self._plan, gate)
        return sha256(f"{self._sources}\n{judging}".encode()).hexdigest()

    def basis(
        self, gate: str, tree: str, contracts: Mapping[str, str], options: Mapping[str, str]
    ) -> Basis:
        """What a verdict rests on.

        Args:
            gate: The gate's name.
            tree: The id or digest of what is judged.
            contracts: Digests of the contracts in it, by name.
            options: What pytest was told that changes what the gate's tests do, by name.
        """
        return Basis(tree, dict(contracts), self.sources(gate), {**self.tools, **options})


class AsIs:
    """A tree nobody has handed over, e.g. a developer's, judged as it is.

    Args:
        plan: Says where in the tree gates look.
        tree: The tree's folder.
    """

    def __init__(self, plan: Plan, tree: Path) -> None:
        self._plan = plan
        self._tree = tree
        self._paths = judged_paths(plan)
        self._but = build_outputs(plan, tree)

    def digest(self) -> str:
        """Of all that gates can see in it; files that git ignores are seen, too."""
        return content_digest(self._tree, self._paths, but=self._but)

    def stamp(self) -> str:
        """Changes whenever something in it may have changed; quick."""
        return content_stamp(self._tree, self._paths, but=self._but)

    def contracts(self) -> dict[str, str]:
        """The digest of each contract's files."""
        return {
            name: contract_digest({path: _read(self._tree / path) for path in contract.all_paths})
            for name, contract in self._plan.contracts.items()
        }


def opening(
    gate: str, key: str, basis: Basis | None, tests: tuple[str, ...], built: Mapping[str, str]
) -> GateOpened:
    """The event with which a gate is opened.

    Args:
        gate: The gate's name.
        key: Under which its outcomes are kept.
        basis: What its verdict rests on; ``None``: nobody will ask, it judges for another session.
        tests: All its tests.
        built: The commits it judges, by part.
    """
    told = asdict(basis) if basis is not None else {}
    return GateOpened(gate=gate, key=key, tests=tests, built=dict(built), basis=told)


def contract_digest(files: Mapping[str, bytes | None]) -> str:
    """Of the files of one contract, by path; ``None`` for one that is not there."""
    digest = sha256()
    for path, data in sorted(files.items()):
        told = "absent" if data is None else sha256(data).hexdigest()
        digest.update(f"{told} {path}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def source_files(plan: Plan, project: Project) -> dict[str, str]:
    """Every file that judges, with the SHA-256 of its bytes.

    The tests of all gates and whatever lies in their folders, modules in the project's
    folder and packages there that they import, conftest files and settings of pytest above
    them, the runbook, and this package.

    Returns:
        By path, relative to the project where it is within; files of this package begin with
        ``<pytest_orchestrator>/``. Folders that tools write are left out, e.g. ``__pycache__``.
    """
    return {
        name: bytes_digest(os.fsencode(path)).decode()
        for name, path in sorted(sources(plan, project).items())
    }


def sources_digest(plan: Plan, project: Project) -> str:
    """One digest of all that judges but the runbook, of which only a part concerns a gate."""
    digest = sha256()
    for name, told in source_files(plan, project).items():
        if name != _name(project, project.runbook):
            digest.update(f"{told} {name}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def sources_stamp(plan: Plan, project: Project) -> str:
    """Changes whenever one of them may have changed; quick."""
    digest = sha256()
    for name, path in sorted(sources(plan, project).items()):
        try:
            at = path.stat()
        except OSError:
            continue
        told = (name, at.st_ino, at.st_size, at.st_mode, at.st_mtime_ns, at.st_ctime_ns)
        digest.update(repr(told).encode(errors="surrogateescape"))
    return digest.hexdigest()


def sources(plan: Plan, project: Project) -> dict[str, Path]:
    """Every file that judges, by the name that ``source_files`` gives it."""
    root = project.root
    folders = {(root / gate.tests).parent for gate in plan.gates.values()}
    found = [*root.glob("*.py"), project.runbook]
    for folder in folders:
        found += _files(folder)
        above = [folder, *(p for p in folder.parents if p.is_relative_to(root)), root]
        found += [place / name for place in above for name in _SETTINGS]
    found += _imported(root, found)
    files = {_name(project, path): path for path in found if path.is_file()}
    own = {f"<{PACKAGE.name}>/{f.relative_to(PACKAGE)}": f for f in _files(PACKAGE)}
    return files | own


def _imported(root: Path, sources: Iterable[Path]) -> list[Path]:
    """What is in the packages of the project's folder that sources import, and these in turn."""
    found: list[Path] = []
    seen = {PACKAGE}
    todo = list(sources)
    while todo:
        names = {name for f in todo if f.suffix == ".py" for name in _imports(_read(f) or b"")}
        folders = {root / name for name in names if (root / name).is_dir()} - seen
        seen |= folders
        todo = [file for folder in sorted(folders) for file in _files(folder)]
        found += todo
    return found


def _imports(source: bytes) -> Iterator[str]:
    for one, several in _IMPORT.findall(source):
        for told in (one, *several.split(b",")):
            if name := re.match(rb"\s*([A-Za-z_]\w*)", told):
                yield name[1].decode()


def _name(project: Project, path: Path) -> str:
    return str(path.relative_to(project.root)) if path.is_relative_to(project.root) else str(path)


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder that no tool has written there; links are followed, once."""
    seen = set()
    for at, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(set(folders) - _WRITTEN_BY_TOOLS)
        real = os.path.realpath(at)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(at, name) for name in names)


def tools(plan: Plan, project: Project) -> dict[str, str]:
    """What judges and is not the project's, by name, with its version or identity.

    The interpreter, the platform, distributions, and the programs that stacks and generators
    of the runbook need, as they are found on the PATH now.
    """
    # The project's own folder is there or not, depending on how pytest was started.
    installed = distributions(p for p in sys.path if p and Path(p).resolve() != project.root)
    listed = "\n".join(f"{name} {told}" for name, told in sorted(installed.items()))
    versions = {name: installed[name].split()[0] for name in _NAMED if name in installed}
    found = {name: program_identity(name) for name in programs(plan)}
    passed_on = {key: os.environ[key] for key in TOOLCHAIN if key in os.environ and key != "PATH"}
    return {
        "python": sys.version,
        "platform": sysconfig.get_platform(),
        "distributions": f"{len(installed)}, {sha256(listed.encode()).hexdigest()}",
        **versions,
        **found,
        **passed_on,
    }


def program_identity(name: str) -> str:
    """Where a program is, and which it is; ``"absent"`` if it is not on the PATH."""
    found = shutil.which(name)
    if found is None:
        return "absent"
    path = Path(found).resolve()
    try:
        return f"{path} {file_identity(path, read_up_to_bytes=SMALL_BYTES)}"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"


def distributions(places: Iterable[str]) -> dict[str, str]:
    """What is installed in the folders of ``sys.path``: version and a digest of what it records.

    Only the list of its files is read, which has their digests: a distribution that is
    installed again in the same version, but with other content, is another one.
    """
    found: dict[str, str] = {}
    for place in reversed(list(places)):
        for path in sorted(Path(place).glob("*.dist-info")):
            name, _, version = path.stem.rpartition("-")
            recorded = bytes_digest(os.fsencode(path / "RECORD")).decode()
            found[name.lower().replace("_", "-")] = f"{version} {recorded}"
    return found


def build_outputs(plan: Plan, tree: Path) -> tuple[str, ...]:
    """What building leaves in a tree that is judged where it stands; not part of what is judged."""
    outputs: list[str] = []
    for service in plan.services.values():
        folder = tree / service.path
        preferred = [stack for stack in plan.stacks.values() if stack.name == service.stack]
        for stack in (*preferred, *plan.stacks.values()):
            if all(next(folder.glob(each), None) is not None for each in stack.recognised_by):
                outputs += [
                    f"{service.path.rstrip('/')}/{each.rstrip('/')}" for each in stack.outputs
                ]
                break
    return tuple(outputs)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
