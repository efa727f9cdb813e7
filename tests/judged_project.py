"""A project with everything a verdict can rest on, and its key by the real functions."""

from __future__ import annotations

import os
import shutil
import textwrap
from pathlib import Path

import pytest

from pytest_orchestrator._domain.basis import Basis
from pytest_orchestrator._domain.event import Entry, GateTestFinished
from pytest_orchestrator._domain.reuse import has_passed
from pytest_orchestrator._domain.state import RunState, fold
from pytest_orchestrator._domain.verdict import Outcome
from pytest_orchestrator._run import gate_key
from pytest_orchestrator._run.gate_key import AsIs, Judges, opening
from pytest_orchestrator._run.judge import Project
from pytest_orchestrator._run.runbook import load_runbook

RUNBOOK = """
# What is built, by whom.

[run]
name = "judged"

[budget]
max_attempts = 2

[agents.left]
role = "backend-developer"
owns = ["left/", "docs/left.md", "docs/contracts/left.draft.json"]

[contracts.models]
kind = "models"
path = "docs/contracts/models.md"
publisher = "left"

[contracts.left-api]
kind = "openapi"
path = "docs/contracts/left.json"
draft = "docs/contracts/left.draft.json"
publisher = "left"

[stacks.scripted]
recognised_by = ["main.txt"]
tools = ["build-it"]
build = [["build-it", "--all"]]
start = ["run-it", "{port}"]
outputs = ["made/"]

[services.left]
agent = "left"
path = "left"
stack = "scripted"
port = 8000

[tasks.left-one]
agent = "left"
phase = 1
brief = "brief.md"
publishes = ["models", "left-api"]

[gates.G1]
title = "it has begun"
phase = 1
tests = "gates/test_g1.py"
needs = ["left-one"]

[tasks.left-two]
agent = "left"
phase = 2
brief = "brief.md"
needs = ["G1"]

[gates.G2]
title = "it is done"
phase = 2
tests = "gates/test_g2.py"
needs = ["left-two"]
"""

GATE = """
import pytest

pytestmark = pytest.mark.gate("{name}")

def test_left(workspace):
    assert (workspace / "left" / "main.txt").is_file()
"""

FILES = {
    "runbook.toml": RUNBOOK,
    "brief.md": "Write the file.\n",
    "conftest.py": "# the project's own\n",
    "helpers.py": "LEFT = 'left'\n",
    "pytest.ini": "[pytest]\ntestpaths = gates\n",
    "README.md": "About it.\n",
    ".gitignore": ".env\n",
    "gates/conftest.py": "# of the gates\n",
    "gates/helper.py": "import os, checking.deep\n\ndef look(): pass\n",
    "checking/deep.py": "from more import data\n",
    "checking/__init__.py": "# a package\n",
    "more/data/table.csv": "1,2\n",
    "gates/data/expected.json": '{"left": 1}\n',
    "gates/test_g1.py": GATE.format(name="G1"),
    "gates/test_g2.py": GATE.format(name="G2"),
    "left/main.txt": "serve\n",
    "left/package/part.txt": "a part\n",
    "left/.env": "MODE=quick\n",
    "left/empty.txt": "",
    "docs/left.md": "# Left\n",
    "docs/contracts/models.md": "# Models\n",
    "docs/contracts/models.schema.json": "{}\n",
    "docs/contracts/left.json": '{"openapi": "3.1.0"}\n',
    "docs/contracts/left.draft.json": '{"openapi": "3.1.0", "draft": true}\n',
    "docs/contracts/parts/shared.json": '{"type": "object"}\n',
    "shared/rules.txt": "behind a link\n",
}
TREE = (
    "left/main.txt", "left/package/part.txt", "left/.env", "docs/left.md", "shared/rules.txt",
)  # fmt: skip
CONTRACTS = tuple(path for path in FILES if path.startswith("docs/contracts/"))
SOURCES = (
    "conftest.py", "helpers.py", "pytest.ini",
    *(p for p in FILES if p.startswith(("gates/", "checking/", "more/"))),
)  # fmt: skip
TOOLS = ("build-it", "run-it")


class JudgedProject:
    """The project, and a ``PATH`` with its tools.

    Attributes:
        root: The project's folder; its own tree is judged.
        bin: The folder with its tools.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Write it."""
        self.root, self.bin = folder / "project", folder / "bin"
        self._monkeypatch = monkeypatch
        for path, text in FILES.items():
            self.write(path, text)
        (self.root / "left/rules.txt").symlink_to("../shared/rules.txt")
        for tool in TOOLS:
            self.install(tool, f"#!/bin/sh\n# {tool} 1.0\nexit 0\n")
        monkeypatch.setenv("PATH", os.pathsep.join((str(self.bin), os.environ["PATH"])))

    def copy_package(self) -> Path:
        """Have a copy of the package judge from now on."""
        copy = self.root.parent / "copy" / gate_key.PACKAGE.name
        shutil.copytree(gate_key.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        self._monkeypatch.setattr(gate_key, "PACKAGE", copy)
        return copy

    def write(self, path: str, text: str) -> Path:
        """Write a file of the project."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def install(self, tool: str, text: str) -> Path:
        """Put a program on the ``PATH``."""
        self.bin.mkdir(exist_ok=True)
        program = self.bin / tool
        program.write_text(text)
        program.chmod(0o755)
        return program

    def basis(self, gate: str = "G1") -> Basis:
        """What a verdict on the tree as it is now would rest on."""
        plan = load_runbook(self.root / "runbook.toml")
        project = Project(self.root, self.root / "runbook.toml")
        as_is = AsIs(plan, self.root)
        return Judges(plan, project).basis(gate, as_is.digest(), as_is.contracts(), {})

    def key(self, gate: str = "G1") -> str:
        """Its key."""
        return self.basis(gate).key


def passed(*bases: Basis, gate: str = "G1") -> RunState:
    """The state of a run in which a gate has passed on each basis."""
    entries: list[Entry] = []
    for basis in bases:
        test = "gates/test_g1.py::test_left"
        opened = opening(gate, basis.key, basis, (test,), {})
        judged = GateTestFinished(gate=gate, key=basis.key, test=test, outcome=Outcome.PASSED)
        entries += [Entry(len(entries) + n, float(n), e) for n, e in ((1, opened), (2, judged))]
    return fold(entries)


def is_judged_again(state: RunState, key: str, gate: str = "G1") -> bool:
    """Whether nothing that is recorded answers for a key."""
    return not has_passed(state, gate, key)
