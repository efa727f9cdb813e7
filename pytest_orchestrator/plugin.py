"""pytest's entry point: options, and the decision whether there is anything to do.

Every pytest session of the environment imports this module, so it imports
nothing but pytest. What a runbook needs is imported when there is one.
"""

from __future__ import annotations

import os
from argparse import SUPPRESS

import pytest

from pytest_orchestrator._plugin.options import DEFAULT_RUNBOOK, early_runbook, find_runbook


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options and their ini keys."""
    group = parser.getgroup("orchestrator", "carry out a runbook of agents (pytest-orchestrator)")
    for name, metavar, text in (
        (
            "agents",
            "NAME",
            "Back-end that does the work: off, oracle, nop (default: the runbook's)",
        ),
        ("runbook", "PATH", f"The runbook (default: {DEFAULT_RUNBOOK} in the root folder)"),
        ("workspace", "DIR", "With --agents=off: the tree the gates judge (default: the root)"),
        ("run-id", "ID", "Name of the run to start or to resume"),
    ):
        dest = f"orchestrator_{name.replace('-', '_')}"
        group.addoption(f"--{name}", dest=dest, metavar=metavar, default=None, help=text)
        parser.addini(dest, f"Default of --{name}", default=None)
    group.addoption(
        "--run-status",
        dest="orchestrator_run_status",
        action="store_true",
        help="Print the state of the run and exit",
    )
    group.addoption(
        "--gate",
        dest="orchestrator_gates",
        metavar="NAME",
        action="append",
        default=[],
        help="Judge only this gate; may be given several times",
    )
    group.addoption(
        "--lane",
        dest="orchestrator_lane",
        metavar="AGENT",
        default=None,
        help="Only the gates' tests for one lane, by themselves; no verdict on the gate follows",
    )
    group.addoption(
        "--rejudge",
        dest="orchestrator_rejudge",
        action="store_true",
        help="Judge the selected gates again, even if nothing has changed since they passed",
    )
    group.addoption(
        "--browser",
        dest="orchestrator_browser",
        action="store_true",
        help="Judge pages in a real browser as well (needs the extra pytest-orchestrator[browser])",
    )
    # Where a nested session keeps its ledger: not for people.
    group.addoption("--run-folder", dest="orchestrator_run_folder", help=SUPPRESS)
    group.addoption("--of-run", dest="orchestrator_of_run", help=SUPPRESS)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before anything of the project is imported: see to it that it is the project's."""
    if early_config.known_args_namespace.help or os.name == "nt":
        return
    if (runbook := early_runbook(early_config)) is not None:
        from pytest_orchestrator._plugin.entrance import guard  # noqa: PLC0415 - on demand

        guard(early_config, runbook)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer ``--run-status``, which runs no test."""
    if not config.getoption("orchestrator_run_status"):
        return None
    _refuse_windows()
    from pytest_orchestrator._plugin.status import print_status  # noqa: PLC0415 - on demand

    return print_status(config)


def pytest_configure(config: pytest.Config) -> None:
    """Wake up, if there is a runbook."""
    if config.getoption("help", default=False) or find_runbook(config) is None:
        return
    _refuse_windows()
    from pytest_orchestrator._plugin.activate import activate  # noqa: PLC0415 - on demand

    activate(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Let ``-n auto`` mean one worker per lane and one for all else."""
    if find_runbook(config) is None or os.name == "nt":
        return None
    from pytest_orchestrator._plugin.activate import workers_for  # noqa: PLC0415 - on demand

    return workers_for(config)


def _refuse_windows() -> None:
    if os.name == "nt":
        raise pytest.UsageError(
            "pytest-orchestrator needs POSIX locks and process groups; on Windows, run it in WSL "
            "(wsl --install, then pytest inside the distribution)"
        )
