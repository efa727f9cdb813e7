"""The one front door to everything that is checked here: ``nox -l``."""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "layers", "tests"]
PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting, lint and docstrings."""
    session.install(*dependencies("lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("interrogate", "--quiet", "tests", "gates")


@nox.session
def types(session: nox.Session) -> None:
    """Types of the package, its tests and the gates."""
    session.install(".[test]", *dependencies("types"))
    session.run("mypy")


@nox.session
def layers(session: nox.Session) -> None:
    """Who may import whom."""
    session.install("-e", ".", *dependencies("layers"))
    session.run("lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """The plugin's own tests."""
    session.install(".[test]")
    session.run("pytest", "tests", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """What runs pytest on whole projects: each mode, each crash, each way to be falsely green."""
    session.install(".[test]")
    session.run("pytest", "tests", "-m", "slow", *session.posargs)


@nox.session
def generators(session: nox.Session) -> None:
    """Generated files against the generators people use; openapi-typescript only if it is there."""
    session.install(".[test]", *dependencies("generators"))
    session.run("pytest", "tests/test_generators.py", "-m", "slow", "-rs", *session.posargs)


@nox.session
def schemathesis(session: nox.Session) -> None:
    """Schemathesis, asked for a second opinion on a service with a planted defect."""
    session.install(".[test,schemathesis]")
    # Its plugin would be part of our own session otherwise.
    slow = ("-p", "no:schemathesis", "-m", "slow", "-rs")
    session.run("pytest", "tests/test_second_opinion.py", *slow, *session.posargs)


@nox.session(python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """The plugin's own tests on every Python there is."""
    session.install(".[test]")
    session.run("pytest", "tests", *session.posargs)


@nox.session
def gates(session: nox.Session) -> None:
    """The main job: the runbook, carried out by agents that know the answers."""
    session.install(".")
    session.run("pytest", *session.posargs)


@nox.session
def proofs(session: nox.Session) -> None:
    """Each gate against planted defects, which must fail, and variations, which must pass."""
    session.install(".")
    session.run("python", "-m", "pytest_orchestrator", "proofs", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """How fast ledger, scheduler, signal, judgement of contracts and reuse of verdicts are."""
    session.install(".")
    for script in ("scheduling", "signal_latency", "validation", "reuse"):
        session.run("python", f"benchmarks/{script}.py")


def dependencies(group: str) -> list[str]:
    """What a dependency group of pyproject.toml lists."""
    pyproject = nox.project.load_toml("pyproject.toml")
    return list(nox.project.dependency_groups(pyproject, group))
