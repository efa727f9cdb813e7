"""Things in a tree whose only use is to reach the judge.

None of them has an effect (see the threat model), so none of them makes a verdict: they
are named, for the person who reads the report.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

LARGEST_BYTES = 512 * 1024
"""Of a file that is looked into; nobody writes that much by hand."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One such thing.

    Attributes:
        where: The file, relative to the tree.
        what: What it is for, as half a sentence: ``"Python imports it whenever it starts"``.
    """

    where: str
    what: str


_BY_NAME = {
    "sitecustomize.py": "Python imports it whenever it starts",
    "usercustomize.py": "Python imports it whenever it starts",
    "ledger.sqlite": "it is named like the run's ledger",
    "ledger.key": "it is named like the key of the ledgers",
    "lastfailed": "it is a result of pytest's, written by nobody who judges",
}
_TOOLS = frozenset(
    (
        "bash",
        "curl",
        "docker",
        "dotnet",
        "git",
        "node",
        "npm",
        "npx",
        "pip",
        "pip3",
        "py.test",
        "pytest",
        "python",
        "python3",
        "sh",
        "uv",
    )
)
_BIN = frozenset(("bin", ".bin", "sbin"))
_INSTALLED = frozenset(("node_modules", ".venv", "venv", "site-packages"))
_SETTINGS = frozenset(
    ("pytest.ini", ".pytest.ini", "pytest.toml", "tox.ini", "setup.cfg", "pyproject.toml")
)
_ONLY_PYTEST = frozenset(("pytest.ini", ".pytest.ini", "pytest.toml", "conftest.py"))
_PACKAGING = frozenset(("entry_points.txt", "pyproject.toml", "setup.cfg", "setup.py"))
_SOURCES = (".py", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".cs", ".go", ".java", ".rb")
_SHELL = (".sh", ".env", ".envrc", ".profile", ".bashrc")

_PLUGIN = re.compile(r"(?<![\w-])-p[\"',\s]*(?!no:)[\w.]+")
_ADDOPTS = re.compile(r"^\s*addopts\s*=(?:.*\n)(?:[ \t]+.*\n)*", re.MULTILINE)
_FLIPS = re.compile(
    r"pytest_(?:runtest_(?:makereport|logreport|protocol|call)|report_teststatus|sessionfinish"
    r"|exception_interact|cmdline_main|unconfigure|pyfunc_call)\b|\bos\._exit\b"
)
_SELECTS = re.compile(r"pytest_(?:collection_modifyitems|ignore_collect|collect_file)\b")
_ASKER = re.compile(r"user[-_ ]?agent", re.IGNORECASE)
_NAMES_JUDGE = re.compile(
    r"[\"'`/][^\"'`/\n]*(?:python-httpx|pytest|orchestrator|playwright|headlesschrome)",
    re.IGNORECASE,
)
_KNOWS_JUDGE = re.compile(
    r"[\"'`](?:python-httpx|PYTEST_(?:CURRENT_TEST|VERSION|XDIST_WORKER|ORCHESTRATOR_LEDGER_KEY))"
    r"|[\"']pytest[\"']\s+in\s+sys\.modules|ledger\.sqlite"
)
_INJECTS = re.compile(
    r"\b(LD_PRELOAD|LD_AUDIT|DYLD_INSERT_LIBRARIES|PYTEST_ADDOPTS|PYTEST_PLUGINS|PYTHONSTARTUP)\b"
)


def attempts(
    files: Mapping[str, bytes], *, services: Collection[str], gates: Collection[str]
) -> tuple[Attempt, ...]:
    """What in these files is only of use to whoever wants to reach the judge.

    Args:
        files: Contents by path, relative to the tree; empty contents will do for what is
            not to be looked into.
        services: The folders of services: pytest's settings there are for their own tests.
        gates: The folders of gates.

    Returns:
        One per file and reason, by path. An application with tests of its own, with
        settings for them, and with a user agent of its own is none.
    """
    found: list[Attempt] = []
    for path, content in sorted(files.items()):
        text = content[:LARGEST_BYTES].decode(errors="replace")
        reasons = (
            *_by_place(path, services, gates),
            *_by_content(path, text),
        )
        found += [Attempt(path, what) for what in dict.fromkeys(reasons)]
    return tuple(found)


def _by_place(path: str, services: Collection[str], gates: Collection[str]) -> Iterator[str]:
    folder, name = posixpath.split(path)
    parts = folder.split("/")
    if name in _BY_NAME:
        yield _BY_NAME[name]
    if name.endswith(".pth"):
        yield "Python runs its lines whenever it starts"
    if ".orchestrator" in (*parts, name):
        yield "it is where the orchestrator keeps its runs"
    if any(_below(path, gate) for gate in gates):
        yield "it is where the gates are"
    if name in _ONLY_PYTEST and not any(_below(path, service) for service in services):
        yield "it has pytest do something, and there are no tests of a service"
    if name in _TOOLS and parts[-1] in _BIN and not _INSTALLED.intersection(parts):
        yield f"it would be taken for the program {name}"


def _by_content(path: str, text: str) -> Iterator[str]:
    name = posixpath.basename(path)
    if name in _PACKAGING and "pytest11" in text:
        yield "it registers a plugin with pytest"
    if name in _SETTINGS and any(_PLUGIN.search(found) for found in _ADDOPTS.findall(text + "\n")):
        yield "its addopts load a plugin into pytest"
    if name == "conftest.py":
        yield from _conftest(path, text)
    if name.endswith(".xml") and "<testsuite" in text:
        yield "it is a test report, written by nobody who judges"
    if name == ".gitattributes" and re.search(r"\bfilter=(?!lfs\b)", text):
        yield "it has git run a program on files"
    if name.endswith(_SHELL) and (found := _INJECTS.search(text)):
        yield f"it sets {found[1]}"
    if name.endswith(_SOURCES):
        yield from _source(path, text)


def _conftest(path: str, text: str) -> Iterator[str]:
    if found := _FLIPS.search(text):
        yield f"{found[0]} can turn one result into another"
    if not _is_test(path) and (found := _SELECTS.search(text)):
        yield f"{found[0]} can leave tests out"


def _source(path: str, text: str) -> Iterator[str]:
    if found := _INJECTS.search(text):
        yield f"it sets {found[1]}"
    if _is_test(path):
        return
    lines = text.splitlines()
    near = (_about(lines, n) for n, line in enumerate(lines) if _ASKER.search(line))
    if any(map(_NAMES_JUDGE.search, near)) or _KNOWS_JUDGE.search(text):
        yield "it asks whether it is a gate that asks"


def _about(lines: list[str], number: int) -> str:
    """A line and those right around it."""
    return "\n".join(lines[max(0, number - 3) : number + 4])


def _is_test(path: str) -> bool:
    parts: Iterable[str] = path.lower().split("/")
    return any(part.startswith("test") or ".test." in part or ".spec." in part for part in parts)


def _below(path: str, folder: str) -> bool:
    return path.startswith(f"{folder.strip('/')}/")
