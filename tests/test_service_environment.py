"""What a service sees of the world: a list known beforehand, and addresses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.small_services import (
    Project,
    environment_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project with a stack for Python without requirements."""
    with Project(tmp_path) as project:
        yield project


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


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_service_holds_nothing_of_who_judges(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It inherits its own output and no other file, and nobody's key."""
    monkeypatch.setenv(
        "PYTEST_ORCHESTRATOR_LEDGER_KEY", "a secret of whoever judges, not of services"
    )
    project.add("core")
    inherited = os.open(project.folder, os.O_RDONLY)
    os.set_inheritable(inherited, True)  # noqa: FBT003 - its only parameter

    service = project.runtime().start("core")["core"]

    held = {str(Path(f"/proc/{service.pid}/fd/{n}").resolve()) for n in range(1, 256)
            if Path(f"/proc/{service.pid}/fd/{n}").is_symlink()}  # fmt: skip
    files = {path for path in held if Path(path).is_absolute() and ":[" not in path}
    assert files - {os.devnull} == {str(service.log.resolve())}
    assert "a secret" not in str(environment_of(service))
    os.close(inherited)
