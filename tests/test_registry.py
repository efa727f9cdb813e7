"""Publishing contracts: the exact bytes, then the event, and revisions without gaps."""

from __future__ import annotations

import threading
from hashlib import sha256
from pathlib import Path

import pytest

from pytest_orchestrator._domain.event import ContractPublished
from pytest_orchestrator._domain.plan import Part
from pytest_orchestrator._run.ledger import Fenced, Ledger
from pytest_orchestrator._run.registry import publish, references
from tests.histories import small_plan

PLAN = small_plan()
API = PLAN.contracts["api"]
LEFT, WRITER = Part("left", 2), Part("writer", 0)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """The ledger of a new run."""
    return Ledger(tmp_path)


def published(ledger: Ledger) -> list[tuple[int, str]]:
    """Revision and digest of everything published so far, in order."""
    events = [entry.event for entry in ledger.entries()]
    return [(e.revision, e.sha256) for e in events if isinstance(e, ContractPublished)]


def digest(data: bytes) -> str:
    """The identity of a snapshot."""
    return sha256(data).hexdigest()


@pytest.mark.parametrize("data", [b"{}\r\n", b"", bytes(range(256))])
def test_exact_bytes_are_kept_under_their_digest(ledger: Ledger, data: bytes) -> None:
    """Whoever reads the event finds the snapshot it speaks of, to the byte, and nothing else."""
    event = publish(ledger, API, data, LEFT)

    assert event == ContractPublished(
        name="api", revision=1, sha256=digest(data), part="left_phase2"
    )
    (stored,) = (ledger.folder / "contracts").iterdir()
    assert (digest(data), data) == (stored.name, stored.read_bytes())
    assert {"api": event} == ledger.state().contracts


def test_revisions_have_no_gaps(ledger: Ledger) -> None:
    """Each change is the next revision; the bytes that are the latest already are none."""
    for data in (b"1", b"2", b"2", b"3", b"1"):
        publish(ledger, API, data, LEFT)

    assert [(1, digest(b"1")), (2, digest(b"2")), (3, digest(b"3")), (4, digest(b"1"))] == (
        published(ledger)
    )


def test_draft_is_revision_zero_and_is_superseded(ledger: Ledger) -> None:
    """What stands in until the contract is published is no revision of it."""
    assert publish(ledger, API, b"draft", WRITER, draft=True) is not None
    assert publish(ledger, API, b"real", LEFT) is not None

    assert [(0, digest(b"draft")), (1, digest(b"real"))] == published(ledger)


@pytest.mark.parametrize("first", [b"draft", b"another"])
def test_draft_does_not_replace_what_is_there(ledger: Ledger, first: bytes) -> None:
    """Neither a contract nor the draft others may have begun on gives way to a draft."""
    publish(ledger, API, first, WRITER, draft=first == b"draft")
    before = published(ledger)

    assert publish(ledger, API, b"late draft", WRITER, draft=True) is None

    assert before == published(ledger)


def test_draft_that_turns_out_to_be_final_is_published(ledger: Ledger) -> None:
    """The contract may be the very bytes of its draft; from then on it is no draft."""
    publish(ledger, API, b"same", WRITER, draft=True)
    publish(ledger, API, b"same", LEFT)

    assert [(0, digest(b"same")), (1, digest(b"same"))] == published(ledger)
    assert references(PLAN, ledger.state())["api"].path == "docs/contracts/api.json"


def test_contracts_are_numbered_each_by_itself(ledger: Ledger) -> None:
    """One contract's revisions do not count for another."""
    publish(ledger, API, b"1", LEFT)
    publish(ledger, PLAN.contracts["notes"], b"1", WRITER)

    assert [1, 1] == [revision for revision, _ in published(ledger)]


def test_revisions_are_unique_whoever_publishes_at_once(tmp_path: Path) -> None:
    """Several writers with ledgers of their own get one revision each, none twice."""
    count = 12
    barrier = threading.Barrier(count)

    def work(number: int) -> None:
        ledger = Ledger(tmp_path)
        barrier.wait()
        publish(ledger, API, str(number).encode(), LEFT)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(range(1, count + 1)) == [revision for revision, _ in published(Ledger(tmp_path))]


def test_whoever_lost_the_claim_publishes_nothing(ledger: Ledger) -> None:
    """A late runner does not give its contracts to anybody."""
    tokens = []
    for _ in range(2):
        claimed = ledger.claim(str(LEFT), session="now", worker="gw0", still=lambda _: True)
        assert claimed is not None
        claimed[0].release()
        tokens.append(claimed[1])

    with pytest.raises(Fenced):
        publish(ledger, API, b"late", LEFT, token=tokens[0])

    assert not published(ledger)
    assert publish(ledger, API, b"in time", LEFT, token=tokens[1]) is not None


def test_agents_are_shown_where_the_document_stands(ledger: Ledger) -> None:
    """A draft at the draft's path with revision 0, then the contract at its own."""
    assert references(PLAN, ledger.state()) == {}
    publish(ledger, API, b"draft", WRITER, draft=True)
    drafted = references(PLAN, ledger.state())["api"]
    publish(ledger, API, b"real", LEFT)
    final = references(PLAN, ledger.state())["api"]

    assert ("docs/contracts/api.draft.json", 0) == (drafted.path, drafted.revision)
    assert ("docs/contracts/api.json", 1) == (final.path, final.revision)
    assert [digest(b"draft"), digest(b"real")] == [drafted.sha256, final.sha256]
