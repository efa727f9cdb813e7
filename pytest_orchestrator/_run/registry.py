"""Publishing contracts: the exact bytes, stored once, then one event."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_orchestrator._domain.agent import ContractRef
from pytest_orchestrator._domain.event import ContractPublished

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_orchestrator._domain.plan import Contract, Part, Plan
    from pytest_orchestrator._domain.state import RunState
    from pytest_orchestrator._run.ledger import Ledger


def publish(
    ledger: Ledger,
    contract: Contract,
    data: bytes,
    part: Part,
    *,
    draft: bool = False,
    token: int | None = None,
) -> ContractPublished | None:
    """Store a snapshot of a validated contract, then record it.

    The bytes are on the disk under their digest before the event is written, so
    no reader ever sees half a contract.

    Args:
        ledger: The run's ledger.
        contract: What is published.
        data: Its exact bytes.
        part: The part that publishes it.
        draft: Whether this only stands in until the contract is published.
        token: The writer's claim on ``part``; ``None`` publishes unconditionally.

    Returns:
        The new revision; ``None`` if these bytes are the latest one already, or
        if it is a draft and there is something. A draft that turns out to be
        final is published like anything else.

    Raises:
        Fenced: ``part`` was claimed again after ``token``. No event is written.
    """
    digest = sha256(data).hexdigest()
    with ledger.lock(f"contract-{contract.name}").held():
        known = ledger.state().contracts.get(contract.name)
        if known is not None and (draft or (known.sha256 == digest and known.revision)):
            return None
        _store(ledger.folder / "contracts" / digest, data)
        revision = 0 if draft else (known.revision if known else 0) + 1
        event = ContractPublished(
            name=contract.name, revision=revision, sha256=digest, part=str(part)
        )
        ledger.append(event, node=str(part), token=token)
        return event


def references(plan: Plan, state: RunState) -> dict[str, ContractRef]:
    """Every contract published so far, as an agent is shown it."""
    return {
        name: ContractRef(
            name=name,
            path=(plan.contracts[name].draft or "")
            if event.revision == 0
            else plan.contracts[name].path,
            revision=event.revision,
            sha256=event.sha256,
        )
        for name, event in state.contracts.items()
    }


def _store(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
