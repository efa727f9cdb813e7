"""Services as local processes: built once, healthy or explained, and gone when told."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from pytest_orchestrator import errors
from pytest_orchestrator._domain.plan import Plan
from pytest_orchestrator._stack import process
from pytest_orchestrator._stack.process import ProcessRuntime, RunningService
from pytest_orchestrator._stack.recognise import recognise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE_S = 30.0
PYTHON = {"recognised_by": ["main.py"], "start": ["{python}", "main.py", "{port}"]}
# Shows its environment; what varies comes before it (`status`: of /health).
SERVER = """
import http.server, json, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(status() if self.path == "/health" else 200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())

print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
HEALTHY = "status = lambda: 200\n" + SERVER


class Project:
    """A tree of services under a folder, and runtimes for it that are closed in the end."""

    def __init__(self, folder: Path) -> None:
        """Begin with a stack for Python without requirements, and no service."""
        self.folder = folder
        self.tree = folder / "tree"
        self.services: dict[str, dict[str, Any]] = {}
        self.stacks: dict[str, dict[str, Any]] = {"python": dict(PYTHON)}
        self.runtimes: list[ProcessRuntime] = []

    def add(self, name: str, main: str = HEALTHY, **values: object) -> Path:
        """Write a service; return its folder."""
        self.services[name] = {"agent": name, "path": name, "stack": "python", "port": 1, **values}
        (self.tree / name).mkdir(parents=True)
        (self.tree / name / "main.py").write_text(textwrap.dedent(main))
        return self.tree / name

    def plan(self) -> Plan:
        """The plan with all services so far."""
        return Plan.model_validate(
            {
                "run": {"name": "test"},
                "budget": {},
                **{key: {} for key in ("agents", "tasks", "contracts", "gates")},
                "stacks": {name: {"name": name, **s} for name, s in self.stacks.items()},
                "services": {name: {"name": name, **s} for name, s in self.services.items()},
            }
        )

    def runtime(self, traces_url: str | None = None) -> ProcessRuntime:
        """A runtime with a folder of its own."""
        folder = self.folder / f"runtime-{len(self.runtimes)}"
        self.runtimes.append(
            ProcessRuntime(
                self.plan(), self.tree, folder, self.folder / "cache", traces_url=traces_url
            )
        )
        return self.runtimes[-1]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project with a stack for Python without requirements."""
    project = Project(tmp_path)
    yield project
    for runtime in project.runtimes:
        runtime.close()


def wait_until(fact: Callable[[], bool]) -> None:
    """Wait for something that happens in another process or thread."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not fact():
        assert time.monotonic() < deadline_s, "it did not happen"
        time.sleep(0.01)


def environment_of(service: RunningService) -> dict[str, str]:
    """What the service sees as its environment."""
    shown: dict[str, str] = httpx.get(service.url, trust_env=False).json()
    return shown


# ---------------------------------------------------------------- recognising


def test_preferred_stack_is_tried_first(project: Project) -> None:
    """A folder that several stacks match has the one the service is meant to have."""
    project.stacks = {"first": dict(PYTHON), "python": dict(PYTHON)}
    project.add("core")
    plan = project.plan()

    assert recognise(plan.services["core"], plan.stacks, project.tree).name == "python"


def test_other_stacks_follow_in_the_order_of_the_runbook(project: Project) -> None:
    """A service may have another stack than it is meant to; all patterns must match."""
    for name, patterns in {
        "node": ["main.py", "package.json"],
        "later": ["*.py"],
        "last": ["main.*"],
    }.items():
        project.stacks[name] = {"recognised_by": patterns, "start": ["true"]}
    project.stacks["python"]["recognised_by"] = ["pyproject.toml"]
    project.add("core")
    plan = project.plan()

    assert recognise(plan.services["core"], plan.stacks, project.tree).name == "later"


def test_unrecognised_service_is_a_finding(project: Project) -> None:
    """Without a matching stack the gate says no, with what was expected and what is there."""
    project.stacks["dotnet"] = {"recognised_by": ["*.csproj"], "start": ["true"]}
    (project.add("core") / "main.py").rename(project.tree / "core" / "app.py")

    with pytest.raises(errors.GateFailed) as caught:
        project.runtime().build("core")

    assert str(caught.value.findings[0]) == (
        "core: no stack recognised in core: expected one of python (main.py), dotnet (*.csproj); "
        "it holds app.py [recognise]"
    )


def test_missing_folder_is_a_finding(project: Project) -> None:
    """A service whose folder nobody made is not recognised either."""
    project.add("core", path="src/core")

    with pytest.raises(errors.GateFailed, match="core: there is no folder src/core"):
        project.runtime().build("core")


def test_missing_tool_cannot_be_judged(project: Project) -> None:
    """A tool that is not on the PATH is a lack of this machine, not of the application."""
    project.stacks["python"]["tools"] = ["no-such-tool"]
    project.add("core")

    with pytest.raises(errors.Unverifiable, match="core: no-such-tool not found on the PATH"):
        project.runtime().start("core")


# ---------------------------------------------------------------- starting and stopping


def test_healthy_service_is_described(project: Project) -> None:
    """A started service has an address that answers, a process, a log and a stack."""
    project.add("core")

    service = project.runtime().start("core")["core"]

    assert service.alive
    assert (service.name, service.stack) == ("core", "python")
    assert service.url == f"http://127.0.0.1:{service.port}"
    assert os.getpgid(service.pid) == service.pid
    assert "listening" in service.log_tail()
    assert httpx.get(service.url, trust_env=False).status_code == 200


def test_stopped_service_is_gone(project: Project) -> None:
    """Stopping returns the exit status; afterwards the process and its port are free."""
    project.add("core")
    runtime = project.runtime()
    service = runtime.start("core")["core"]

    assert runtime.stop("core") == {"core": 128 + signal.SIGTERM}

    assert not service.alive
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", service.port))
    assert runtime.stop("core") == {}


def test_restarted_service_keeps_its_address(project: Project) -> None:
    """Others know a service's address, so it is the same after a restart; the log is new."""
    project.add("core")
    runtime = project.runtime()
    first = runtime.start("core")["core"]
    runtime.stop("core")

    second = runtime.start("core")["core"]

    assert (second.url, second.log.name) == (first.url, "core-2.log")
    assert second.pid != first.pid
    assert not first.alive


def test_running_service_is_left_as_it_is(project: Project) -> None:
    """Starting a service twice, also from several threads, starts it once."""
    project.add("core")
    runtime = project.runtime()

    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(lambda _: runtime.start("core")["core"], range(4)))

    assert len({id(service) for service in started}) == 1


def test_services_start_side_by_side(project: Project) -> None:
    """Two services that each wait for the other to have been started become healthy."""
    for name, other in {"core": "api", "api": "core"}.items():
        meet = f"""
        import pathlib, time
        pathlib.Path("../{name}.started").touch()
        while not pathlib.Path("../{other}.started").exists():
            time.sleep(0.01)
        """
        project.add(name, textwrap.dedent(meet) + HEALTHY)

    started = project.runtime().start("core", "api")

    assert list(started) == ["core", "api"]
    assert all(service.alive for service in started.values())


def test_stubborn_service_is_stopped_with_its_child(project: Project) -> None:
    """A service that ignores SIGTERM, and what it forked, are killed."""
    folder = project.add("core", STUBBORN + HEALTHY)
    runtime = project.runtime()
    runtime.start("core")
    assert not all_dead(folder)

    assert runtime.stop("core") == {"core": 128 + signal.SIGKILL}

    assert all_dead(folder)


def test_killed_owner_leaves_no_service(project: Project) -> None:
    """``kill -9`` of the process that has the runtime ends its services and what they forked."""
    folder = project.add("core", STUBBORN + HEALTHY)
    code = """
    import pathlib, sys, time
    from pytest_orchestrator._domain.plan import Plan
    from pytest_orchestrator._stack.process import ProcessRuntime
    plan, tree, folder = Plan.model_validate_json(sys.argv[1]), *map(pathlib.Path, sys.argv[2:])
    print(ProcessRuntime(plan, tree, folder, folder).start("core")["core"].pid, flush=True)
    time.sleep(600)
    """
    arguments = [project.plan().model_dump_json(), str(project.tree), str(project.folder / "run")]
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(process.__file__).parents[2])},
        stdout=subprocess.PIPE,
    )
    try:
        assert owner.stdout is not None
        assert int(owner.stdout.readline()) > 1
        assert not all_dead(folder)
    finally:
        owner.kill()
        owner.communicate()

    wait_until(lambda: all_dead(folder))


# Both processes hold a lock that is free when they are dead; zombies do not hold it.
HOLDING = """
import fcntl, os, signal, time
held = open("held", "w")
fcntl.flock(held, fcntl.LOCK_SH)
if os.fork() == 0:
    time.sleep(600)
"""
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HOLDING


def all_dead(folder: Path) -> bool:
    """Whether nobody holds the lock any more."""
    with (folder / "held").open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_closed_runtime_starts_nothing(project: Project) -> None:
    """Closing stops all services; it may be done twice and is for good."""
    project.add("core")
    with project.runtime() as runtime:
        service = runtime.start("core")["core"]
    runtime.close()

    assert not service.alive
    with pytest.raises(errors.Cancelled):
        runtime.start("core")


@pytest.mark.parametrize("where", ["start", "build"])
def test_closing_ends_what_is_under_way(project: Project, where: str) -> None:
    """A start that waits for health, or for a build, ends when the runtime is closed."""
    waiting = HOLDING + "open('waiting', 'w').close()\ntime.sleep(600)"
    folder = project.add("core", waiting if where == "start" else HEALTHY, start_s=600)
    (folder / "build.py").write_text(waiting)
    project.stacks["python"]["build"] = [["{python}", "build.py"]] if where == "build" else []
    runtime = project.runtime()

    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(runtime.start, "core")
        wait_until((folder / "waiting").exists)
        runtime.close()

    assert isinstance(start.exception(), errors.Cancelled)
    assert all_dead(folder)


def test_interrupted_start_leaves_nothing_and_the_runtime_usable(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while services start ends these; others run on, and starting again works."""
    once = "import pathlib, time\nfirst = not pathlib.Path('held').exists()\n" + HOLDING
    folder = project.add("core", once + "if first:\n    time.sleep(600)\n" + HEALTHY, start_s=600)
    project.add("api")
    runtime = project.runtime()
    api = runtime.start("api")["api"]

    def interrupted(_: object) -> None:
        wait_until(lambda: (folder / "held").exists() and not all_dead(folder))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(process, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            runtime.start("core")

    assert all_dead(folder)
    assert api.alive
    assert runtime.start("core")["core"].alive


# ---------------------------------------------------------------- health


@pytest.mark.parametrize(
    ("main", "last"),
    [
        ("status = lambda: 503\n" + SERVER, "503 Service Unavailable"),
        ("status = lambda: 204\n" + SERVER, "204 No Content"),
        ("import time\nprint('listening')\ntime.sleep(600)", "connection refused"),
    ],
)
def test_service_that_is_never_healthy(project: Project, main: str, last: str) -> None:
    """Anything but 200 until time is up is a finding, with the last answer and the log."""
    project.add("core", "import sys\nprint('starting up', flush=True)\n" + main, start_s=1.5)
    runtime = project.runtime()

    with pytest.raises(errors.GateFailed) as caught:
        runtime.start("core")

    said = f"core: /health did not answer 200 within 1.5 s (last: {last}); the last lines of "
    assert said in str(caught.value)
    assert "    starting up" in str(caught.value)
    assert runtime.stop("core") == {}


def test_service_that_takes_its_time(project: Project) -> None:
    """A service may say 503 for a while before it is healthy."""
    project.add(
        "core", "asked = [503, 503, 503]\nstatus = lambda: asked.pop() if asked else 200\n" + SERVER
    )

    assert project.runtime().start("core")["core"].alive


@pytest.mark.parametrize(
    ("main", "said"),
    [
        ("raise SystemExit(7)", "ended with status 7 before /health answered 200"),
        ("import os; os.abort()", "ended with status 134 (SIGABRT) before /health answered"),
        ("import nothing_like_this", "No module named 'nothing_like_this'"),
    ],
)
def test_service_that_exits_is_reported_at_once(project: Project, main: str, said: str) -> None:
    """A service that exits before it is healthy is not waited for."""
    project.add("core", main, start_s=600)

    with pytest.raises(errors.GateFailed, match=re.escape(said)):
        project.runtime().start("core")


def test_all_failures_are_reported_together(project: Project) -> None:
    """When several services fail, each has its finding; a healthy one runs on."""
    project.add("core", "raise SystemExit(1)")
    project.add("api", "raise SystemExit(2)")
    project.add("frontend")
    runtime = project.runtime()

    with pytest.raises(errors.GateFailed) as caught:
        runtime.start("core", "api", "frontend")

    assert [str(finding)[:4] for finding in caught.value.findings] == ["core", "api:"]
    assert list(runtime.stop("core", "api", "frontend")) == ["frontend"]


# ---------------------------------------------------------------- ports


@pytest.fixture
def squatter() -> Iterator[Callable[[int], None]]:
    """Holds a port until the end of the test, and answers nobody."""
    with ExitStack() as held:

        def hold(port: int) -> None:
            held.enter_context(socket.socket()).bind(("127.0.0.1", port))

        yield hold


@pytest.fixture
def stranger() -> Iterator[Callable[[int], None]]:
    """Another service that listens on a port and is perfectly healthy."""
    running: list[subprocess.Popen[bytes]] = []

    def listen(port: int) -> None:
        command = [sys.executable, "-c", HEALTHY, str(port)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert (running[-1].stdout or sys.stdin.buffer).readline() == b"listening\n"

    yield listen
    for process_ in running:
        process_.kill()
        process_.communicate()


def port_of(url: str) -> int:
    """The port of an address."""
    return int(url.rpartition(":")[2])


def test_port_taken_before_the_start_is_replaced(
    project: Project, stranger: Callable[[int], None]
) -> None:
    """If somebody listens on the chosen port, the service and who knows it get another one."""
    project.add("core")
    project.add("api", environment={"CORE_URL": "{core}"})
    runtime = project.runtime()
    taken = runtime.url("core")
    stranger(port_of(taken))

    started = runtime.start("core", "api")

    assert started["core"].url != taken
    assert environment_of(started["api"])["CORE_URL"] == started["core"].url


def test_port_lost_while_starting_is_replaced(
    project: Project, squatter: Callable[[int], None]
) -> None:
    """If the service exits because somebody was faster, it is started with another port."""
    meet = """
    import pathlib, time
    if not pathlib.Path("port").exists():
        pathlib.Path("port.new").write_text(sys.argv[1])
        pathlib.Path("port.new").rename("port")
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    """
    folder = project.add("core", "import sys\n" + textwrap.dedent(meet) + HEALTHY)
    runtime = project.runtime()

    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(runtime.start, "core")
        wait_until((folder / "port").exists)
        squatter(int((folder / "port").read_text()))
        (folder / "go").touch()

    service = start.result()["core"]
    assert service.port != int((folder / "port").read_text())
    assert "Address already in use" in (service.log.parent / "core.log").read_text()


def test_port_that_is_always_taken_is_not_the_services_fault(
    project: Project, squatter: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If also the second port is taken, the machinery is to blame, and the port is named."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        port = candidate.getsockname()[1]
    squatter(port)
    monkeypatch.setattr(process, "free_port", lambda: port)
    project.add("core")

    with pytest.raises(errors.Infra, match=f"core: port {port} was taken by another program"):
        project.runtime().start("core")


def test_port_known_to_a_running_service_is_not_replaced(
    project: Project, squatter: Callable[[int], None]
) -> None:
    """A service started before cannot be told of a new address, so it is not changed."""
    project.add("core")
    project.add("api", environment={"CORE_URL": "{core}"})
    runtime = project.runtime()
    runtime.start("api")
    squatter(port_of(runtime.url("core")))

    with pytest.raises(errors.Infra, match="core: port"):
        runtime.start("core")


def test_service_that_insists_on_a_port_of_its_own_is_at_fault(
    project: Project, squatter: Callable[[int], None]
) -> None:
    """Not to use the given port is the application's defect, also if its own is taken."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        port = candidate.getsockname()[1]
    squatter(port)
    project.add("core", HEALTHY.replace("int(sys.argv[1])", str(port)))

    with pytest.raises(errors.GateFailed, match="Address already in use"):
        project.runtime().start("core")


# ---------------------------------------------------------------- environment


def test_callers_environment_does_not_leak(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service sees a list of variables that is known beforehand, and no key of the caller's."""
    for name in ("ANTHROPIC_API_KEY", "PIP_INDEX_URL", "HTTPS_PROXY", "PYTHONPATH", "DOTNET_ROOT"):
        monkeypatch.setenv(name, "the caller's")
    project.add("core", environment={"GREETING": "hello {nobody}", "SELF": "{core}"})

    service = project.runtime().start("core")["core"]

    seen = environment_of(service)
    toolchain = {"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} & os.environ.keys()
    assert set(seen) - {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"} == toolchain | {
        "DOTNET_ROOT", "HOME", "TMPDIR", "LANG", "LC_ALL", "PORT", "PYTHONDONTWRITEBYTECODE",
        "npm_config_cache", "NUGET_PACKAGES", "DOTNET_CLI_TELEMETRY_OPTOUT",
        "DOTNET_GENERATE_ASPNET_CERTIFICATE", "DOTNET_NOLOGO",
        "DOTNET_SKIP_FIRST_TIME_EXPERIENCE", "NEXT_TELEMETRY_DISABLED", "OTEL_SERVICE_NAME",
        "OTEL_BSP_SCHEDULE_DELAY", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_METRICS_EXPORTER",
        "OTEL_LOGS_EXPORTER", "OTEL_SDK_DISABLED", "GREETING", "SELF",
    }  # fmt: skip
    assert seen["PORT"] == str(service.port)
    assert seen["OTEL_SERVICE_NAME"] == "core"
    assert (seen["GREETING"], seen["SELF"]) == ("hello {nobody}", service.url)
    assert Path(seen["TMPDIR"]).is_dir()
    assert Path(seen["HOME"]).is_relative_to(project.folder / "runtime-0")


def test_address_of_a_service_is_known_before_it_is_started(project: Project) -> None:
    """A service is told where another one will be; that is where it then is."""
    project.add("core")
    project.add("api", environment={"CORE_URL": "{core}/internal"})
    runtime = project.runtime()

    told = environment_of(runtime.start("api")["api"])["CORE_URL"]

    assert told == runtime.start("core")["core"].url + "/internal"


@pytest.mark.parametrize("traces_url", [None, "http://127.0.0.1:4318"])
def test_trace_store_is_told_if_there_is_one(project: Project, traces_url: str | None) -> None:
    """Without a trace store, what needs its address is left out and nothing is exported."""
    project.add("core", environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "{traces}"})

    seen = environment_of(project.runtime(traces_url).start("core")["core"])

    assert seen.get("OTEL_EXPORTER_OTLP_ENDPOINT") == traces_url
    assert seen.get("OTEL_SDK_DISABLED") == (None if traces_url else "true")


# ---------------------------------------------------------------- building and testing


def test_build_fetches_as_the_caller_does(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build sees proxies, certificates and indexes of the caller's, and no key."""
    fetching = {
        "PIP_INDEX_URL", "npm_config_registry", "HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE",
        "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE",
    }  # fmt: skip
    for name in (*fetching, "ANTHROPIC_API_KEY", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "the caller's")
    folder = project.add("core", environment={"API_URL": "{core}"})
    dump = "import os, pathlib; pathlib.Path('seen').write_text(' '.join(os.environ))"
    project.stacks["python"]["build"] = [["{python}", "-c", dump]]

    project.runtime().build("core")

    seen = set((folder / "seen").read_text().split())
    assert fetching < seen
    assert {"API_URL", "HOME", "PATH"} < seen
    assert not {"ANTHROPIC_API_KEY", "GITHUB_TOKEN"} & seen


def test_failed_build_shows_the_end_of_its_log(project: Project) -> None:
    """A build command that fails is a finding with its status and last lines; no other follows."""
    count = "for n in range(100): print('line', n)\nraise SystemExit(3)"
    folder = project.add("core")
    (folder / "build.py").write_text(count)
    project.stacks["python"]["build"] = [["{python}", "build.py"], ["touch", "second"]]

    with pytest.raises(errors.GateFailed) as caught:
        project.runtime().build("core")

    said = str(caught.value)
    assert "core: `{python} build.py` ended with status 3; the last lines of " in said
    assert "core-build.log:\n    line 85\n" in said
    assert "    line 99 [build]" in said
    assert not (folder / "second").exists()


@pytest.mark.parametrize("status", [0, 1])
def test_service_is_built_once(project: Project, status: int) -> None:
    """A runtime runs the build commands once, whatever became of them."""
    folder = project.add("core")
    (folder / "build.py").write_text(f"open('built', 'a').write('x')\nraise SystemExit({status})")
    project.stacks["python"]["build"] = [["{python}", "build.py"]]
    runtime = project.runtime()

    for _ in range(2):
        try:
            assert runtime.run_check("core", "build") == ""
        except errors.GateFailed as failed:
            assert "status 1" in str(failed)  # noqa: PT017 - the parameter decides whether it fails

    assert (folder / "built").read_text() == "x"


def test_build_that_takes_too_long(project: Project) -> None:
    """A build that has not ended in time is ended, and is a finding."""
    project.add("core", build_s=0.5)
    project.stacks["python"]["build"] = [["{python}", "-c", "import time; time.sleep(600)"]]

    with pytest.raises(errors.GateFailed, match=r"was ended, as 0\.5 s were over"):
        project.runtime().build("core")


def test_build_command_that_is_not_there(project: Project) -> None:
    """A build command that cannot be run is named."""
    project.add("core")
    project.stacks["python"]["build"] = [["./no-such-command"]]

    with pytest.raises(errors.GateFailed, match="no-such-command cannot be run: No such file"):
        project.runtime().build("core")


def test_what_a_build_leaves_behind_is_ended(project: Project) -> None:
    """A server that a build command starts for itself does not outlive the command."""
    folder = project.add("core")
    (folder / "build.py").write_text(HOLDING)
    project.stacks["python"]["build"] = [["{python}", "build.py"]]

    project.runtime().build("core")

    assert all_dead(folder)


def test_building_and_running_leaves_the_tree_alone(project: Project) -> None:
    """Bytecode goes elsewhere, so that the tree shows only what an agent wrote."""
    folder = project.add("core", "import helper\n" + HEALTHY)
    (folder / "helper.py").touch()
    project.stacks["python"]["build"] = [["{python}", "-m", "compileall", "-q", "."]]
    project.stacks["python"]["test"] = ["{python}", "-c", "import helper"]
    runtime = project.runtime()

    runtime.start("core")
    runtime.run_check("core", "test")

    assert sorted(path.name for path in folder.iterdir()) == ["helper.py", "main.py"]


def test_successful_tests_are_shown(project: Project) -> None:
    """What the test command wrote is returned, so that somebody can count the tests."""
    project.add("core")
    project.stacks["python"]["test"] = ["{python}", "-c", "print('3 passed')"]

    assert project.runtime().run_check("core", "test") == "3 passed\n"


def test_failed_tests_are_a_finding(project: Project) -> None:
    """A test command that fails is a finding with its last lines."""
    project.add("core")
    project.stacks["python"]["test"] = ["{python}", "-c", "raise SystemExit('2 failed')"]

    with pytest.raises(errors.GateFailed, match=r"ended with status 1(.|\n)*    2 failed \[test\]"):
        project.runtime().run_check("core", "test")


def test_stack_without_tests_cannot_be_tested(project: Project) -> None:
    """Where the runbook has no test command, nothing is known about the tests."""
    project.add("core")

    with pytest.raises(errors.Unverifiable, match=r"Give \[stacks\.python\] a `test` command"):
        project.runtime().run_check("core", "test")


def test_log_is_shown_without_control_codes(project: Project) -> None:
    """A service cannot move the cursor of the terminal in which its log is shown."""
    project.add("core", r"raise SystemExit('\x1b[31mred\x1b[0m \x07\x1b[2Jalarm')")

    with pytest.raises(errors.GateFailed, match="    red alarm"):
        project.runtime().start("core")
