"""Contracts, judged and compared in a process that can be stopped."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pytest_orchestrator._checks.confined.judgement import Compared, Judged, Place
from pytest_orchestrator._checks.rules.faults import told
from pytest_orchestrator._checks.rules.rulebook import NOT_JUDGED
from pytest_orchestrator._domain.change import Change
from pytest_orchestrator._domain.verdict import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_orchestrator._checks.confined.judgement import Kind

__all__ = ["NOT_JUDGED", "Limits", "check_contract", "compare_contracts", "judge_contract"]

_MAX_ANSWER = 8_000_000
_MAX_TOLD = 4_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What judging one contract may take.

    Attributes:
        wall_s: Seconds on the clock, the start of the process included.
        cpu_s: Whole seconds of a processor.
        memory_bytes: Address space; not bounded on macOS.
    """

    wall_s: float = 12.0
    cpu_s: int = 4
    memory_bytes: int = 1 << 30


def check_contract(
    root: Path,
    path: str,
    *,
    kind: Kind | None = None,
    operations: Sequence[str] = (),
    limits: Limits | None = None,
) -> Verdict:
    """Judge a contract nobody has vouched for, within bounds of time and memory.

    It is read and judged in a process of its own, with an empty environment, which
    reads nothing outside of ``root``, asks no network, writes no file, and is killed
    with all its children when its time is up.

    Args:
        root: Folder of the contracts, e.g. ``Path("docs/contracts")``.
        path: The contract, relative to ``root`` and with ``/``: ``"core-api.yaml"``.
        kind: ``None``: shared models if it is called ``*.md``, else OpenAPI.
        operations: Those an OpenAPI document has to describe, e.g. ``["GET /health"]``.
        limits: ``None``: those of ``Limits()``.

    Returns:
        All findings, by file and line, each with its cure and a place like
        ``"core-api.yaml:12#/paths/~1health/get"``; two hundred at most, and then one
        that says how many more were found. A finding whose rule is in ``NOT_JUDGED``
        says that nobody knows whether the contract is right.

    Source:
        docs/reference/contract-rules.md.
    """
    return judge_contract(root, path, kind=kind, operations=operations, limits=limits).verdict


def judge_contract(
    root: Path,
    path: str,
    *,
    kind: Kind | None = None,
    operations: Sequence[str] = (),
    limits: Limits | None = None,
) -> Judged:
    """The same, with the files the contract consists of; itself, if that cannot be told."""
    request = {**_place(Place(root, path)), "kind": kind, "operations": list(operations)}
    findings, answer = _asked(request, path, limits)
    return Judged(Verdict("contract", findings), tuple(answer.get("made_of", (path,))))


def compare_contracts(
    old: Place, new: Place, *, kind: Kind | None = None, limits: Limits | None = None
) -> Compared:
    """Tell how two revisions of a contract differ, in a process with the same bounds.

    Args:
        old: What consumers were built against; taken to be valid.
        new: What is to take its place; taken to be valid.
        kind: ``None``: shared models if the new one is called ``*.md``, else OpenAPI.
        limits: ``None``: a minute, because each way to a schema that has changed is gone.

    Returns:
        All changes in the order of their places, and a verdict without findings; or no
        changes, and what keeps them from being told.

    Source:
        docs/reference/breaking-changes.md.
    """
    limits = limits or Limits(wall_s=60.0, cpu_s=50)
    request = {**_place(new), "old": _place(old), "kind": kind}
    findings, answer = _asked(request, new.path, limits)
    told = tuple(Change(*entry) for entry in answer.get("changes", ()))
    return Compared(told, Verdict("contract", findings))


def _place(place: Place) -> dict[str, str]:
    return {"root": str(Path(place.root).absolute()), "path": place.path}


def _asked(
    request: Mapping[str, object], path: str, limits: Limits | None
) -> tuple[tuple[Finding, ...], dict[str, list[Any]]]:
    """Findings, and the whole answer; empty if there was none."""
    limits = limits or Limits()
    bounds = {
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_CPU": limits.cpu_s,
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 0,
    }
    answer = _answer(json.dumps({**request, "limits": bounds}).encode(), limits.wall_s)
    if answer.code == 0:
        try:
            told: dict[str, list[Any]] = json.loads(answer.output)
            return tuple(Finding(*entry) for entry in told["findings"]), told
        except (KeyError, TypeError, ValueError):
            pass
    return (_broken(answer, path),), {}


@dataclass
class _Answer:
    """What came of the process: ``code`` is ``None`` if it was stopped."""

    output: bytes
    told: bytes
    code: int | None


def _answer(request: bytes, wall_s: float) -> _Answer:
    end_s = time.monotonic() + wall_s
    process = subprocess.Popen(
        # -I: what it imports depends neither on where it is started nor on who starts it.
        [sys.executable, "-I", "-B", "-c", _START, str(Path(__file__).parents[3])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={},
        start_new_session=True,
    )
    with process:
        try:
            output, told, in_time = _communicate(process, request, end_s)
            code = process.wait(max(0.0, end_s - time.monotonic())) if in_time else None
        except subprocess.TimeoutExpired:
            output, told, code = b"", b"", None
        finally:
            _kill(process)
    return _Answer(output, told, code)


_START = """\
import sys
sys.path.insert(0, sys.argv[1])
from pytest_orchestrator._checks.confined.child import main
main()
"""


def _communicate(
    process: subprocess.Popen[bytes], request: bytes, end_s: float
) -> tuple[bytes, bytes, bool]:
    """What it said, the end of what it told, and whether it came to its end."""
    streams = [s for s in (process.stdin, process.stdout, process.stderr) if s is not None]
    stdin, stdout, stderr = streams
    texts: dict[IO[bytes], bytes] = {stdout: b"", stderr: b""}
    try:
        stdin.write(request)
        stdin.close()
    except BrokenPipeError:
        pass
    with selectors.DefaultSelector() as selector:
        for stream in texts:
            selector.register(stream, selectors.EVENT_READ, stream)
        while selector.get_map():
            ready = selector.select(max(0.0, end_s - time.monotonic()))
            if not ready:
                return texts[stdout], texts[stderr], False
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                texts[key.data] += piece
                if not piece:
                    selector.unregister(key.fileobj)
            texts[stderr] = texts[stderr][-_MAX_TOLD:]
            if len(texts[stdout]) > _MAX_ANSWER:
                return b"", texts[stderr], True
    return texts[stdout], texts[stderr], True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it may have started."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()


def _broken(answer: _Answer, path: str) -> Finding:
    """Why there is no answer."""
    lines = answer.told.decode(errors="replace").splitlines()
    places = [line.strip("'") for line in lines if line.startswith("'")]
    last = f", at {places[-1]}" if places else ""
    if answer.code is None or answer.code == -signal.SIGXCPU:
        what = f"cannot be judged in the time there is{last}"
        return told(path, what, "time", "simplify what is there, or split it")
    if any("memory" in line for line in lines if not line.startswith("'")):
        what = f"needs more memory than is given{last}"
        return told(path, what, "memory", "split it, or publish less")
    what = f"cannot be judged: the process that did it died ({_cause(answer.code)}){last}"
    return told(path, what, "broken", "simplify what is there")


def _cause(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"code {code}"
