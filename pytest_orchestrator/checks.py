"""What a gate can check; each check returns a verdict, and the gate raises it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_orchestrator._checks.agreed import check_fits_draft, check_models, check_served
from pytest_orchestrator._checks.answers import check_json, check_response, parse_json
from pytest_orchestrator._checks.conformance.process import check_conforms
from pytest_orchestrator._checks.generated import check_built_on, check_still_fits
from pytest_orchestrator._checks.generated import judge_generated as _judge_generated
from pytest_orchestrator._checks.life import (
    check_ending,
    check_health,
    check_root_page,
    check_steady,
)
from pytest_orchestrator._checks.openapi import check_covers, check_openapi, check_serves
from pytest_orchestrator._checks.pages import check_page, page_fields
from pytest_orchestrator._checks.reading.documents import read_document
from pytest_orchestrator._checks.traces.inquiry import check_chain, new_trace_ids
from pytest_orchestrator._domain.trace import traceparent
from pytest_orchestrator._domain.verdict import Finding, Outcome, Verdict
from pytest_orchestrator._stack.generate import run_generator as _run_generator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_orchestrator._checks.contracts import PublishedContract
    from pytest_orchestrator._domain.plan import Generated

__all__ = [
    "Finding",
    "Outcome",
    "Verdict",
    "check_built_on",
    "check_chain",
    "check_conforms",
    "check_covers",
    "check_ending",
    "check_fits_draft",
    "check_generated",
    "check_health",
    "check_json",
    "check_models",
    "check_openapi",
    "check_page",
    "check_response",
    "check_root_page",
    "check_served",
    "check_serves",
    "check_steady",
    "check_still_fits",
    "new_trace_ids",
    "page_fields",
    "parse_json",
    "read_document",
    "traceparent",
]


def check_generated(
    contract: PublishedContract,
    generated: Generated,
    tree: Path,
    *,
    consumer: str,
    known: Mapping[int, bytes] | None = None,
) -> Verdict:
    """Whether a consumer's generated files are what their generator makes of the contract.

    The command runs in an empty folder, which takes the tree's place, in a process group of its
    own, without input, and with no environment variables but ``PATH``, ``HOME``, ``LANG`` and
    ``TMPDIR``. When it is over, nothing of it is left, and the tree is as it was. It runs once
    if the files agree; otherwise again, to find out why.

    Args:
        contract: What the files are generated from, e.g. ``contracts["core-api"]``.
        generated: The command and the files, e.g. of ``contracts["core-api"].generated``.
        tree: Where the consumer's files are.
        consumer: The consumer's name, for messages.
        known: Exact bytes of other revisions of the contract by number, 0 for the draft; e.g.
            ``contracts["core-api"].drafts()``. If the files fit one of those, that is said.

    Returns:
        A finding for each file that is missing or a symbolic link; for each place where a file
        differs byte by byte, with its line, at most 20 per file, then how many more there are;
        or, in place of these, one per file that the generator makes of another revision. Each
        file's first one has the command that cures it. One finding, with the end of its output,
        if the generator fails or does not make what it should.

    Raises:
        GateFailed: The contract is not published; or its schema is not what its page makes.
        Unverifiable: The generator's program is not on this machine, and the message says what
            to install; or it makes something else each time.
        Infra: It was not done within its ``timeout_s`` seconds.
    """
    return _judge_generated(
        contract,
        generated,
        tree,
        consumer=consumer,
        known=known or {},
        generate=_run_generator,
    )
