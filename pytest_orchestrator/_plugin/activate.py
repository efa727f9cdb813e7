"""Waking up: from options and a runbook to the plugins of this session."""

from __future__ import annotations

import shlex
import uuid
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_orchestrator import _backends, hookspecs
from pytest_orchestrator._domain.plan import Part, phase_numbers
from pytest_orchestrator._plugin.controller import Controller
from pytest_orchestrator._plugin.distributed import XdistController, announce
from pytest_orchestrator._plugin.filler import FillerHooks, find_interactor
from pytest_orchestrator._plugin.items import Items
from pytest_orchestrator._plugin.options import find_runbook, option
from pytest_orchestrator._plugin.session import OFF, SESSION_KEY, RunSession, Settings
from pytest_orchestrator._plugin.terminal import Terminal
from pytest_orchestrator._plugin.workers import GUESS_KEY, all_lanes, is_all_recorded
from pytest_orchestrator._run import ledger_key
from pytest_orchestrator._run.judge import Project
from pytest_orchestrator._run.runbook import load_runbook
from pytest_orchestrator.errors import RunbookError

if TYPE_CHECKING:
    from pytest_orchestrator._domain.plan import Plan

RUNS = Path(".orchestrator") / "runs"
VERIFY_RUN = "verify"
CONFTEST = "conftest.py"
OURS = "orchestrator_"
NEUTRAL = frozenset(
    {"agents", "runbook", "workspace", "run_id", "run_status", "gates", "lane", "run_folder",
     "of_run", "rejudge"}
)  # fmt: skip
"""Options that say who works, where, and what is judged, but not how."""
SAME_RUN = ("agents", "runbook", "workspace", "run_id")
"""Options without which another session works on another run, or on another tree."""
PLUGINS = ("starter", "items", "controller", "terminal", "filler")
"""What a session with a runbook is made of; without one of them, gates would not be judged."""


def activate(config: pytest.Config) -> None:
    """Load the runbook and register what a session with one is made of.

    Raises:
        pytest.UsageError: The runbook or an option is wrong; nothing was started.
    """
    ledger_key.adopt(getattr(config, "workerinput", {}).get("orchestrator_key", ""))
    ledger_key.take()
    plan, project = load(config)
    _check_options(config, plan)
    _check_plugins(config)
    told = getattr(config, "workerinput", {}).get("orchestrator")
    guess = config.stash.get(GUESS_KEY, None)
    settings = Settings(**told) if told else make_settings(config, plan, project)
    session = config.stash[SESSION_KEY] = RunSession(plan, project, settings, guess)
    for line in _markers(plan):
        config.addinivalue_line("markers", line)
    config.pluginmanager.add_hookspecs(hookspecs)
    config.pluginmanager.import_plugin("pytest_orchestrator.fixtures")
    config.pluginmanager.register(Starter(session, config), "orchestrator-starter")


def load(config: pytest.Config) -> tuple[Plan, Project]:
    """The runbook's plan and where it is.

    Raises:
        pytest.UsageError: There is none, or it is wrong.
    """
    path = find_runbook(config)
    if path is None:
        raise pytest.UsageError(
            "no runbook: add runbook.toml to the project's root, or give --runbook PATH"
        )
    try:
        return load_runbook(path), Project(path.parent, path)
    except RunbookError as error:
        raise pytest.UsageError(str(error)) from error


def make_settings(config: pytest.Config, plan: Plan, project: Project) -> Settings:
    """What this session was asked for; the same run for the same runbook and back-end."""
    agents = option(config, "agents") or plan.run.agents
    if agents != OFF and agents not in _backends.names():
        known = ", ".join((OFF, *_backends.names()))
        raise pytest.UsageError(f"--agents={agents}: there is no such back-end; there are {known}")
    identity = run_identity(plan, agents, project)
    nested = config.getoption("orchestrator_run_folder")
    return Settings(
        session=uuid.uuid4().hex[:8],
        worker="master",
        agents=agents,
        identity=identity,
        folder=nested or str(RUNS / _run_id(config, agents, identity)),
        workspace=_workspace(config, agents),
        alone=bool(nested or config.getoption("orchestrator_lane")),
        of_run=config.getoption("orchestrator_of_run") or "",
        rejudge=config.getoption("orchestrator_rejudge"),
        options=_judging_options(config),
        command=_command(config),
    )


def _judging_options(config: pytest.Config) -> dict[str, str]:
    """Options that may change what the tests of a gate do: all of ours, but those known not to."""
    given = {k: v for k, v in vars(config.option).items() if k.startswith(OURS) and v}
    return {
        f"--{name.removeprefix(OURS).replace('_', '-')}": str(value)
        for name, value in sorted(given.items())
        if name.removeprefix(OURS) not in NEUTRAL
    }


def _command(config: pytest.Config) -> str:
    """How pytest was called, as far as it is about the run and not about which tests."""
    asked = {name: config.getoption(f"orchestrator_{name}") for name in SAME_RUN}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in asked.items() if value]
    return shlex.join(["pytest", *options])


def workers_for(config: pytest.Config) -> int | None:
    """None if all is in the ledger, else one per lane and one more; ``None`` if no gate can run.

    Raises:
        pytest.UsageError: The runbook or an option is wrong.
    """
    plan, project = load(config)
    _check_options(config, plan)
    asked = [(config.invocation_params.dir / a.split("::")[0]).resolve() for a in config.args]
    gates = [project.root / gate.tests for gate in plan.gates.values()]
    if not any(gate.is_relative_to(a) for gate in gates for a in asked):
        return None
    settings = make_settings(config, plan, project)
    recorded = is_all_recorded(config, plan, project, settings, asked)
    return 0 if recorded else all_lanes(plan)


def run_identity(plan: Plan, agents: str, project: Project) -> str:
    """Digest of a runbook and of who carries it out: whoever resumes a run must bring the same."""
    if agents == OFF:
        # Nobody is told anything: what a verdict rests on says all about the runbook.
        return sha256(agents.encode()).hexdigest()
    digest = sha256(plan.identity.encode())
    digest.update(agents.encode())
    for name in sorted({agent.backend or agents for agent in plan.agents.values()}):
        backend = _backends.make_backend(name, project.root)
        digest.update(f"{name} {backend.fingerprint()}".encode())
    return digest.hexdigest()


def default_run_id(agents: str, identity: str) -> str:
    """The name of a run that was given none, e.g. ``"oracle-58c65f7c"``."""
    return f"{agents}-{identity[:8]}"


def _run_id(config: pytest.Config, agents: str, identity: str) -> str:
    asked = option(config, "run_id")
    if asked is None:
        return VERIFY_RUN if agents == OFF else default_run_id(agents, identity)
    if not asked.replace("-", "").replace("_", "").replace(".", "").isalnum() or asked[0] == ".":
        raise pytest.UsageError(
            f"--run-id={asked}: a run's name has letters, digits, '-', '_' and '.', "
            "and does not begin with a dot"
        )
    return asked


def _workspace(config: pytest.Config, agents: str) -> str:
    asked = option(config, "workspace")
    if asked is None:
        return "."
    path = (config.invocation_params.dir / asked).resolve()
    if agents != OFF:
        raise pytest.UsageError(
            "--workspace says which tree the gates judge as it is; it needs --agents=off"
        )
    if not path.is_dir():
        raise pytest.UsageError(f"--workspace: there is no folder {path}")
    return str(path)


def _check_options(config: pytest.Config, plan: Plan) -> None:
    unknown = phase_numbers(config.getoption("markexpr") or "") - set(plan.phases)
    if unknown:
        raise pytest.UsageError(
            f"-m {config.getoption('markexpr')!r}: the runbook has no phase {min(unknown)}; "
            f"it has {', '.join(f'phase{n}' for n in plan.phases)}"
        )
    for kind, asked, known in (
        ("--gate", config.getoption("orchestrator_gates"), plan.gates),
        ("--lane", [config.getoption("orchestrator_lane")], plan.agents),
    ):
        for name in asked:
            if name is not None and name not in known:
                raise pytest.UsageError(f"{kind}={name}: the runbook has {', '.join(known)}")


def _check_plugins(config: pytest.Config) -> None:
    """Refuse to work with half of this plugin: tests would pass that nobody takes for a gate's."""
    for name in PLUGINS:
        if config.pluginmanager.is_blocked(f"orchestrator-{name}"):
            raise pytest.UsageError(
                f"-p no:orchestrator-{name} would let gates pass unjudged; leave it out, or do "
                "without the whole plugin: -p no:orchestrator"
            )


def _markers(plan: Plan) -> list[str]:
    phases = [f"phase{n}: belongs to phase {n} of the runbook" for n in plan.phases]
    return [
        *phases,
        "gate(name): judges the sync point of that name; a verdict needs all its tests",
        "lane(agent): concerns that agent's lane; such a test of a gate also judges it alone",
        "timeout(seconds): pytest-timeout's limit; agents have budgets of their own",
    ]


class Starter:
    """Registers the rest when it is known which process this is.

    Not in ``pytest_configure``: xdist registers its own controller there, in an
    order nobody controls.
    """

    def __init__(self, session: RunSession, config: pytest.Config) -> None:
        self._session = session
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Become the controller, a worker, or both in one."""
        config, session = self._config, self._session
        plugins = config.pluginmanager
        if hasattr(config, "workerinput"):
            plugins.register(self._worker_items(), "orchestrator-items")
            return
        self._check_fixtures()
        plugins.register(Terminal(session), "orchestrator-terminal")
        if plugins.hasplugin("dsession"):
            controller = XdistController(session, config)
            controller.start()
            plugins.register(controller, "orchestrator-controller")
            return
        items = Items(session, config)
        plugins.register(items, "orchestrator-items")
        plugins.register(Controller(session, items, config), "orchestrator-controller")

    def _worker_items(self) -> Items:
        items = Items(self._session, self._config)
        interactor: Any = find_interactor(self._config)
        if interactor is not None:
            filler = FillerHooks(interactor, lambda: announce(self._session, items))
            self._config.pluginmanager.register(filler, "orchestrator-filler")
        return items

    def _check_fixtures(self) -> None:
        """Every part of the plan has its line in a conftest file.

        Raises:
            pytest.UsageError: Lines are missing; the message has them, ready to be copied.
        """
        plugins = self._config.pluginmanager.get_plugins()
        files = [p for p in plugins if Path(getattr(p, "__file__", None) or "").name == CONFTEST]
        known = {name for conftest in files for name in vars(conftest)}
        missing = [part for part in self._session.plan.parts if str(part) not in known]
        if missing and self._session.with_agents:
            lines = "\n".join(f"  {_line(part)}" for part in missing)
            raise pytest.UsageError(
                f"{len(missing)} phase(s) of the runbook have no fixture; add to "
                f"{self._session.project.root / 'conftest.py'}:\n{lines}"
            )


def _line(part: Part) -> str:
    return f'{part} = phase_fixture("{part.agent}", {part.phase})'
