"""The process that asks a running service: stdin says what, stdout has the findings.

A process of its own, because what Hypothesis makes up depends on which modules are loaded, and
because it keeps files: here both are the same each time, whoever asks and however many workers
there are, and nothing is left behind.
"""

from __future__ import annotations

import json
import sys
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from pytest_orchestrator._checks.conformance.promises import Schema, promises
from pytest_orchestrator._checks.conformance.search import Bounds, conform
from pytest_orchestrator._checks.conformance.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Mapping


def main() -> None:
    """Do what stdin asks for."""
    sys.stdout.write(json.dumps(answered(json.loads(sys.stdin.buffer.read()))))


def answered(request: Mapping[str, Any]) -> dict[str, Any]:
    """Findings, the number of requests, and the operations nothing could be asked of."""
    models = request["models"]
    definitions = models["definitions"]
    named = {
        operation: Schema({"$ref": f"#/$defs/{name}"}, definitions)
        for operation, name in models["responses"].items()
        if name in definitions
    }
    with Wire(request["url"]) as wire:
        asked = conform(
            list(promises(request["document"])),
            wire.send,
            request["name"],
            samples=request["samples"],
            models=named,
            bounds=Bounds(**request["bounds"]),
        )
    findings = [astuple(finding) for finding in asked.findings]
    return {"findings": findings, "asked": asked.requests, "unasked": list(asked.unasked)}


if __name__ == "__main__":
    main()
