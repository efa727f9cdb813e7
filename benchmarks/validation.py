"""What judging a contract costs, next to openapi-spec-validator on the same document.

``python benchmarks/validation.py [--rounds N] [--schemas N]``; see README.md beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from large_spec import large_spec

from pytest_orchestrator._checks.confined.process import Limits, check_contract

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE = 490
PATIENT = Limits(wall_s=300, cpu_s=300)
# In a process of its own, as ours is, with what it would import by itself.
PEER = """
import json, sys
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
document = json.load(open(sys.argv[1]))
rules = OpenAPIV30SpecValidator if document["openapi"] < "3.1" else OpenAPIV31SpecValidator
sys.exit(sum(1 for _ in rules(document).iter_errors()))
"""
BACKEND = {"OPENAPI_SPEC_VALIDATOR_SCHEMA_VALIDATOR_BACKEND": "jsonschema"}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--schemas", type=int, default=60, help="of the document for both")
    arguments = parser.parse_args()
    parts = [f"{name} {version(name)}" for name in ("openapi-spec-validator", "jsonschema-rs")]
    print(f"Python {platform.python_version()}, {', '.join(parts)}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        for spoken in ("3.0.3", "3.1.0"):
            compare(Path(folder), spoken, arguments.schemas, arguments.rounds)
        for suffix in ("json", "yaml"):
            measure(Path(folder), suffix, arguments.rounds)


def compare(folder: Path, spoken: str, schemas: int, rounds: int) -> None:
    """Print how many times as long the peer takes."""
    file = folder / "both.json"
    file.write_text(json.dumps(large_spec(spoken, schemas)))
    ours: list[float] = []
    peer: list[float] = []
    for _ in range(rounds):
        ours.append(seconds(lambda: judge(folder, file.name)))
        peer.append(seconds(lambda: ask_peer(file)))
    ratios = sorted(one / other for one, other in zip(peer, ours, strict=True))
    print(
        f"{spoken}, {file.stat().st_size / 1e6:.2f} MB: openapi-spec-validator / ours"
        f" {statistics.median(ratios):6.1f}  rounds {ratios[0]:.1f} to {ratios[-1]:.1f}"
        f"  best {min(peer) / min(ours):.1f}"
        f"  ours {statistics.median(ours):.2f} s  peer {statistics.median(peer):.2f} s"
    )


def measure(folder: Path, suffix: str, rounds: int) -> None:
    """Print what a document of 4 MB takes."""
    document = json.loads(json.dumps(large_spec("3.1.0", LARGE)))
    file = folder / f"large.{suffix}"
    text = json.dumps(document)
    if suffix == "yaml":
        text = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, width=1000)
    file.write_text(text)
    taken = [seconds(lambda: judge(folder, file.name)) for _ in range(rounds)]
    print(
        f"3.1.0, {file.stat().st_size / 1e6:.2f} MB of {suffix}:"
        f" {statistics.median(taken):.2f} s, {min(taken):.2f} to {max(taken):.2f};"
        f" at most {peak_mb(folder, file.name):.0f} MB"
    )


def judge(folder: Path, name: str) -> None:
    """Ours, as gates ask for it: the start of the process included."""
    check_contract(folder, name, limits=PATIENT).raise_for_findings()


def ask_peer(file: Path) -> None:
    """openapi-spec-validator's own rules and schemas, in a process of its own."""
    command = [sys.executable, "-I", "-c", PEER, str(file)]
    subprocess.run(command, check=True, env=BACKEND)


def peak_mb(folder: Path, name: str) -> float:
    """Of resident memory, measured in a process that starts no other child."""
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from pytest_orchestrator._checks.confined.process import Limits, check_contract\n"
        "check_contract(Path(sys.argv[1]), sys.argv[2], limits=Limits(300, 300))\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    command = [sys.executable, "-c", code, str(folder), name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout) / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def seconds(act: Callable[[], None]) -> float:
    """On the clock."""
    began_s = time.monotonic()
    act()
    return time.monotonic() - began_s


if __name__ == "__main__":
    main()
