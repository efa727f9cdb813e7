"""What a service is given: addresses, environment variables, packages."""

from __future__ import annotations

import re
import signal
from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_orchestrator._domain.plan import Service

_PLACEHOLDER = re.compile(r"\{([A-Za-z][A-Za-z0-9_-]*)\}")

# Where tools and their libraries are; the only things of the caller's that a service sees.
TOOLCHAIN = (
    "PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DOTNET_ROOT",
    "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT",
    "CLR_OPENSSL_VERSION_OVERRIDE",
)

# How packages are fetched from where the caller is; builds need it, services do not.
_FETCHING = re.compile(
    r"(?:https?|no|all)_proxy|(?:pip|npm_config)_.+"
    r"|ssl_cert_file|ssl_cert_dir|requests_ca_bundle|curl_ca_bundle|node_extra_ca_certs",
    re.IGNORECASE,
)

_QUIET = {
    "DOTNET_CLI_TELEMETRY_OPTOUT": "1",
    "DOTNET_GENERATE_ASPNET_CERTIFICATE": "false",
    "DOTNET_NOLOGO": "1",
    "DOTNET_SKIP_FIRST_TIME_EXPERIENCE": "1",
    "NEXT_TELEMETRY_DISABLED": "1",
}

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION = r"(?:===|==|~=|!=|<=|>=|<|>) ?[A-Za-z0-9.*+!_-]+"
_REQUIREMENT = re.compile(
    rf"(?P<name>{_NAME}) ?(?:\[ ?{_NAME}(?: ?, ?{_NAME})* ?\])?"
    rf" ?(?:{_VERSION}(?: ?, ?{_VERSION})*)?"
    r" ?(?:;(?:(?! -)[\w .,'\"<>=!~()*+-])*)?"
    r"(?: --hash=[a-z0-9]+:[0-9a-f]+)*",
    re.ASCII,
)
_COMMENT = re.compile(r"(?:^|\s)#.*")
# pip takes a bare name that ends like this for a file.
_ARCHIVE = re.compile(r"\.(?:whl|zip|tgz|tbz|txz|tlz|tar(?:\.\w+)?)$", re.IGNORECASE)

_DIGITS = re.compile(r"\d+")

# What would otherwise move the cursor or change colours of the terminal that shows a log.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace ``{name}`` by its value; braces around anything else stay as they are."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def placeholders(texts: Iterable[str]) -> frozenset[str]:
    """The names that stand in braces, e.g. ``{"core", "traces"}``."""
    return frozenset(name for text in texts for name in _PLACEHOLDER.findall(text))


def running_environment(
    service: Service,
    *,
    values: Mapping[str, str],
    caller: Mapping[str, str],
    home: Path,
    cache: Path,
) -> dict[str, str]:
    """All environment variables of a running service; nothing else reaches it.

    Args:
        service: What is started.
        values: What placeholders stand for: ``port``, every other service's URL under its
            name, and ``traces``, unless there is no trace store.
        caller: The caller's environment; keys and tokens in it are not passed on.
        home: A folder of the service's own; its ``tmp`` is the temporary folder.
        cache: Where package managers may keep what they fetched.

    Returns:
        A new dictionary. Without a trace store, variables that need its address
        are left out and OpenTelemetry is told to stay silent.
    """
    traced = "traces" in values
    own = service.environment.items()
    return {
        **{key: caller[key] for key in TOOLCHAIN if key in caller},
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PORT": values["port"],
        # The tree belongs to an agent: what running it leaves there would be taken for its work.
        "PYTHONDONTWRITEBYTECODE": "1",
        "npm_config_cache": str(cache / "npm"),
        "NUGET_PACKAGES": str(cache / "nuget"),
        **_QUIET,
        **_telemetry(service.name, traced=traced),
        **{key: fill(text, values) for key, text in own if traced or "{traces}" not in text},
    }


def build_environment(
    running: Mapping[str, str], *, caller: Mapping[str, str], bytecode: Path
) -> dict[str, str]:
    """The environment of a build: a service's own, and what fetching packages takes."""
    kept = {key: value for key, value in running.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **fetching(caller), "PYTHONPYCACHEPREFIX": str(bytecode)}


def fetching(caller: Mapping[str, str]) -> dict[str, str]:
    """Those of the caller's variables that say how packages are fetched: proxies, CAs, indexes."""
    return {key: value for key, value in caller.items() if _FETCHING.fullmatch(key)}


def _telemetry(name: str, *, traced: bool) -> dict[str, str]:
    # Without a trace store an SDK would post to port 4318, where somebody else may listen.
    return {
        "OTEL_SERVICE_NAME": name,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        **({} if traced else {"OTEL_SDK_DISABLED": "true"}),
    }


def read_requirements(data: bytes, where: str) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Read a file of Python requirements that an agent wrote.

    Only names of packages with extras, versions, markers and hashes are
    accepted. Options, includes, paths and URLs are refused: they would decide
    from where code is fetched, or make a file outside the workspace part of it.

    Args:
        data: The file's bytes.
        where: How findings call the file, e.g. ``"src/backend/core/requirements.txt"``.

    Returns:
        The accepted requirements in the order of the file, one per element,
        without comments, and a finding for every other line. Hand only the
        accepted ones to pip: what it makes of encodings and continued lines
        then no longer matters.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return (), (Finding(where, f"is not UTF-8: {error.reason}", "requirements"),)
    accepted: list[str] = []
    refused: list[Finding] = []
    for number, line in _logical_lines(text):
        if _is_requirement(line):
            accepted.append(line)
        else:
            refused.append(Finding(f"{where}:{number}", _REFUSAL.format(line), "requirements"))
    return tuple(accepted), tuple(refused)


_REFUSAL = "{!r} is refused; write package names with versions only, no option, path or URL"


def _logical_lines(text: str) -> Iterable[tuple[int, str]]:
    """Lines with what they are continued by, their 1-based numbers, without comments."""
    start, pending = 1, ""
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        start = start if pending else number
        pending += " " + _COMMENT.sub("", line)
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        if joined := " ".join(pending.split()):
            yield start, joined
        pending = ""


def _is_requirement(line: str) -> bool:
    found = _REQUIREMENT.fullmatch(line)
    return found is not None and _ARCHIVE.search(found["name"]) is None


def environment_key(interpreter: str, requirements: bytes) -> str:
    """Name of the virtual environment for these requirements under that interpreter."""
    return sha256(interpreter.encode() + b"\0" + requirements).hexdigest()[:32]


def ended(status: int) -> str:
    """An exit status in words, e.g. ``"ended with status 134 (SIGABRT)"``."""
    named = {128 + number: number.name for number in signal.Signals}
    return f"ended with status {status}" + (f" ({named[status]})" if status in named else "")


def last_lines(text: str, lines: int, *, once: str | None = None) -> str:
    """The end of a log, without blank lines around it and without terminal control codes.

    Of lines that contain ``once`` and differ only in digits, the first is shown:
    what a health endpoint logs when it is asked 20 times a second would leave
    no room for what is wrong.
    """
    shown = _CONTROL.sub("", text).strip().splitlines()
    if once is not None:
        shown = list(_without_repetition(shown, once))
    return "\n".join(shown[-lines:])


def _without_repetition(lines: Iterable[str], word: str) -> Iterable[str]:
    seen: set[str] = set()
    for line in lines:
        kind = _DIGITS.sub("0", line)
        if word not in line or kind not in seen:
            yield line
        seen.add(kind)
