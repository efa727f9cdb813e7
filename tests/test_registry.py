"""Publishing contracts: validated bytes, then the event, and revisions without gaps."""

from __future__ import annotations

import threading
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_orchestrator._domain.event import ContractPublished, Revision
from pytest_orchestrator._domain.plan import Contract, Part
from pytest_orchestrator._run.ledger import Fenced, Ledger
from pytest_orchestrator._run.registry import (
    Conflict,
    NotPublisher,
    Registry,
    Unpublished,
    references,
)
from pytest_orchestrator.errors import GateFailed, Infra
from tests.histories import small_plan
from tests.referees import WordReferee
from tests.strategies import calm

PLAN = small_plan()
API, NOTES = PLAN.contracts["api"], PLAN.contracts["notes"]
LEFT, WRITER = Part("left", 2), Part("writer", 0)


class Desk:
    """A registry of a new run.

    Attributes:
        ledger: The run's ledger.
        referee: Who judges.
        registry: What is tested.
    """

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder)
        self.referee = WordReferee()
        self.registry = Registry(PLAN, self.ledger, self.referee)

    def publish(
        self, data: bytes, contract: Contract = API, part: Part = LEFT, *, draft: bool = False,
        expected: int | None = None, token: int | None = None,
    ) -> ContractPublished | None:  # fmt: skip
        """Publish one file."""
        path = (contract.draft or "") if draft else contract.path
        return self.registry.publish(
            contract, {path: data}, part, draft=draft, expected=expected, token=token
        )

    def published(self) -> list[tuple[int, str]]:
        """Revision and digest of everything published so far, in order."""
        events = [entry.event for entry in self.ledger.entries()]
        return [(e.revision, e.sha256) for e in events if isinstance(e, ContractPublished)]

    def snapshots(self) -> dict[str, bytes]:
        """Everything that is stored, by name."""
        return {f.name: f.read_bytes() for f in (self.ledger.folder / "contracts").iterdir()}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """The registry of a new run."""
    return Desk(tmp_path)


def digest(data: bytes) -> str:
    """The identity of a snapshot."""
    return sha256(data).hexdigest()


# ---------------------------------------------------------------- bytes


@pytest.mark.parametrize("data", [b"{}\r\n", b"", bytes(range(256))])
def test_exact_bytes_are_kept_under_their_digest(desk: Desk, data: bytes) -> None:
    """Whoever reads the event finds the snapshot it speaks of, to the byte, and nothing else."""
    event = desk.publish(data)

    assert event == ContractPublished(
        name="api", revision=1, sha256=digest(data), part="left_phase2"
    )
    assert {digest(data): data} == desk.snapshots()
    assert {"api": event} == desk.ledger.state().contracts
    assert (event, data) == desk.registry.read("api")


def test_what_was_changed_behind_the_registrys_back_is_not_given_out(desk: Desk) -> None:
    """A forged snapshot is an error that names the file, and not a contract."""
    desk.publish(b"real")
    (stored,) = (desk.ledger.folder / "contracts").iterdir()
    stored.chmod(0o644)
    stored.write_bytes(b"fake")

    with pytest.raises(Infra, match="is not what was published"):
        desk.registry.read("api")


def test_snapshot_that_is_gone_is_an_error(desk: Desk) -> None:
    """It names the file."""
    desk.publish(b"real")
    (stored,) = (desk.ledger.folder / "contracts").iterdir()
    stored.unlink()

    with pytest.raises(Infra, match=f"{stored.name} cannot be read: No such file"):
        desk.registry.read("api")


def test_what_somebody_left_unfinished_is_never_seen_and_cleared_away(desk: Desk) -> None:
    """A publisher that died while it wrote leaves a file nobody takes for a snapshot."""
    half = desk.ledger.folder / "contracts" / f".unfinished-{digest(b'whole')}"
    half.parent.mkdir()
    half.write_bytes(b"who")

    desk.publish(b"whole")

    assert {digest(b"whole"): b"whole"} == desk.snapshots()


# ---------------------------------------------------------------- who, and what


def test_only_the_publisher_publishes(desk: Desk) -> None:
    """Another agent is told whose it is, and nothing is stored."""
    with pytest.raises(NotPublisher, match=r"right may not publish docs/contracts/api\.json"):
        desk.publish(b"forged", part=Part("right", 2))

    assert not desk.published()
    assert not (desk.ledger.folder / "contracts").exists()


def test_files_of_others_are_not_published_along(desk: Desk) -> None:
    """What a contract may bring with it is its publisher's, too."""
    files = {API.path: b"mine", "right/theirs.json": b"forged"}

    with pytest.raises(NotPublisher, match=r"may not publish right/theirs\.json"):
        desk.registry.publish(API, files, LEFT)


def test_draft_is_published_by_whoever_owns_its_file(desk: Desk) -> None:
    """That is not its publisher; nobody else can put one in its place."""
    with pytest.raises(NotPublisher):
        desk.publish(b"draft", part=LEFT, draft=True)

    assert desk.publish(b"draft", part=WRITER, draft=True) is not None


@pytest.mark.parametrize("draft", [True, False])
def test_what_is_not_valid_is_not_published(desk: Desk, *, draft: bool) -> None:
    """A draft no more than a contract; the findings say what to do, and nothing is stored."""
    with pytest.raises(GateFailed, match=r"is not valid \[word\]; write something else"):
        desk.publish(b"invalid", part=WRITER if draft else LEFT, draft=draft)

    assert not desk.published()


def test_same_bytes_are_judged_once(desk: Desk) -> None:
    """A check before publishing is not paid for twice."""
    desk.registry.check(API, {API.path: b"one"}, draft=False)
    desk.publish(b"one")

    assert ["one"] == desk.referee.checked


def test_contract_may_refer_to_what_others_have_published(desk: Desk) -> None:
    """It is judged among the published files, and the event says which bytes it is made of."""
    desk.publish(b"notes", NOTES, WRITER)

    event = desk.publish(b"see docs/contracts/notes.schema.json docs/contracts/none.json")

    assert event is not None
    assert {"docs/contracts/notes.schema.json": digest(b"NOTES")} == event.files


def test_contract_is_another_one_when_what_it_refers_to_has_changed(desk: Desk) -> None:
    """The same bytes can mean something else; that is a revision of its own."""
    text = b"see docs/contracts/notes.md"
    desk.publish(b"one", NOTES, WRITER)
    first = desk.publish(text)
    assert desk.publish(text) is None
    desk.publish(b"two", NOTES, WRITER)

    second = desk.publish(text)

    assert first is not None
    assert second is not None
    assert (1, 2) == (first.revision, second.revision)
    assert (first.sha256, first.files) != (second.sha256, second.files)
    assert {"docs/contracts/notes.md": digest(b"two")} == second.files


def test_what_merely_lies_beside_is_no_part_of_a_contract(desk: Desk) -> None:
    """A file of the publisher's own is, if the document refers to it."""
    beside = {"left/used.json": b"1", "left/unused.json": b"2"}

    event = desk.registry.publish(API, {API.path: b"see left/used.json", **beside}, LEFT)

    assert event is not None
    assert {"left/used.json": digest(b"1")} == event.files
    assert desk.registry.publish(API, {API.path: b"see left/used.json"} | beside, LEFT) is None


def test_nobody_is_shown_an_old_copy_of_anothers_file(desk: Desk) -> None:
    """What a contract refers to of another is shown as that other one has it by now."""
    desk.publish(b"one", NOTES, WRITER)
    desk.publish(b"see docs/contracts/notes.schema.json")
    desk.publish(b"two", NOTES, WRITER)

    shown = desk.registry.shown(desk.ledger.state())

    assert b"TWO" == desk.registry.snapshot(shown["docs/contracts/notes.schema.json"])


def test_snapshot_that_was_damaged_is_mended_by_publishing_it_again(desk: Desk) -> None:
    """As its error says."""
    desk.publish(b"one")
    (stored,) = (desk.ledger.folder / "contracts").iterdir()
    stored.chmod(0o644)
    stored.write_bytes(b"damaged")

    desk.publish(b"one")

    assert b"one" == desk.registry.read("api")[1]


# ---------------------------------------------------------------- revisions


def test_revisions_have_no_gaps(desk: Desk) -> None:
    """Each change is the next revision; the bytes that are the latest already are none."""
    for data in (b"1", b"2", b"2", b"3", b"1"):
        desk.publish(data)

    assert [(1, digest(b"1")), (2, digest(b"2")), (3, digest(b"3")), (4, digest(b"1"))] == (
        desk.published()
    )


def test_draft_is_revision_zero_and_is_superseded(desk: Desk) -> None:
    """What stands in until the contract is published is no revision of it."""
    assert desk.publish(b"draft", part=WRITER, draft=True) is not None
    assert desk.publish(b"real") is not None

    assert [(0, digest(b"draft")), (1, digest(b"real"))] == desk.published()


@pytest.mark.parametrize("is_draft", [True, False])
def test_draft_does_not_replace_what_is_there(desk: Desk, *, is_draft: bool) -> None:
    """Neither a contract nor the draft others may have begun on gives way to a draft."""
    desk.publish(b"first", part=WRITER if is_draft else LEFT, draft=is_draft)
    before = desk.published()

    assert desk.publish(b"late draft", part=WRITER, draft=True) is None

    assert before == desk.published()


def test_draft_that_turns_out_to_be_final_is_published(desk: Desk) -> None:
    """The contract may be the very bytes of its draft; from then on it is no draft."""
    desk.publish(b"same", part=WRITER, draft=True)
    desk.publish(b"same")

    assert [(0, digest(b"same")), (1, digest(b"same"))] == desk.published()
    assert references(PLAN, desk.ledger.state())["api"].path == "docs/contracts/api.json"


def test_revision_is_judged_against_the_one_before_and_against_the_draft(desk: Desk) -> None:
    """Both are in the event, for those who built on either."""
    desk.publish(b"draft", part=WRITER, draft=True)
    events = [desk.publish(word) for word in (b"breaking", b"annotation", b"compatible")]

    told = [(e.effect, e.effect_on_draft) for e in events if e is not None]
    assert [("breaking", "breaking"), ("annotation", "annotation"), ("compatible",) * 2] == told
    assert ("breaking", "annotation") in desk.referee.compared
    assert ("draft", "annotation") in desk.referee.compared


def test_first_revision_has_nothing_to_be_judged_against(desk: Desk) -> None:
    """Nobody can have built on anything."""
    event = desk.publish(b"breaking")

    assert event is not None
    assert ("", "") == (event.effect, event.effect_on_draft)


def test_contracts_are_numbered_each_by_itself(desk: Desk) -> None:
    """One contract's revisions do not count for another."""
    desk.publish(b"1")
    desk.publish(b"1", NOTES, WRITER)

    assert [1, 1] == [revision for revision, _ in desk.published()]


@pytest.mark.parametrize("expected", [0, 2])
def test_publishing_on_top_of_another_revision_is_a_conflict(desk: Desk, expected: int) -> None:
    """Somebody was quicker, or is mistaken; the message says what is the latest."""
    desk.publish(b"1")

    with pytest.raises(Conflict, match=f"is at revision 1, not at {expected}"):
        desk.publish(b"2", expected=expected)

    assert [1] == [revision for revision, _ in desk.published()]
    assert desk.publish(b"2", expected=1) is not None


def test_conflict_comes_before_being_the_same(desk: Desk) -> None:
    """Also who would publish what is there already learns that it had not seen it."""
    desk.publish(b"1")

    with pytest.raises(Conflict):
        desk.publish(b"1", expected=0)


def test_revisions_are_unique_whoever_publishes_at_once(tmp_path: Path) -> None:
    """Several writers with ledgers of their own get one revision each, none twice."""
    count = 12
    barrier = threading.Barrier(count)

    def work(number: int) -> None:
        desk = Desk(tmp_path)
        barrier.wait()
        desk.publish(str(number).encode())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(range(1, count + 1)) == [revision for revision, _ in Desk(tmp_path).published()]


def test_whoever_lost_the_claim_publishes_nothing(desk: Desk) -> None:
    """A late runner does not give its contracts to anybody."""
    tokens = []
    for _ in range(2):
        claimed = desk.ledger.claim(str(LEFT), session="now", worker="gw0", still=lambda _: True)
        assert claimed is not None
        claimed[0].release()
        tokens.append(claimed[1])

    with pytest.raises(Fenced):
        desk.publish(b"late", token=tokens[0])

    assert not desk.published()
    assert desk.publish(b"in time", token=tokens[1]) is not None


# ---------------------------------------------------------------- reading


def test_every_revision_can_still_be_read(desk: Desk) -> None:
    """Superseded ones and the draft, too; without a number it is the latest."""
    desk.publish(b"0", part=WRITER, draft=True)
    desk.publish(b"1")
    desk.publish(b"2")

    assert [b"0", b"1", b"2"] == [desk.registry.read("api", number)[1] for number in range(3)]
    assert b"2" == desk.registry.read("api")[1]


@pytest.mark.parametrize(
    ("name", "revision", "told"),
    [
        ("apy", None, "there is no contract 'apy'; there are notes, api"),
        ("notes", None, "contract notes is not there: nothing of it is published yet"),
        ("api", 7, "revision 7 of api is not there: its revisions are 1"),
    ],
)
def test_what_is_not_published_is_a_sentence(
    desk: Desk, name: str, revision: int | None, told: str
) -> None:
    """It says what there is instead."""
    desk.publish(b"1")

    with pytest.raises(Unpublished) as caught:
        desk.registry.read(name, revision)

    assert told == str(caught.value)


def test_agents_are_shown_where_the_document_stands(desk: Desk) -> None:
    """A draft at the draft's path with revision 0, then the contract at its own."""
    assert references(PLAN, desk.ledger.state()) == {}
    desk.publish(b"draft", part=WRITER, draft=True)
    drafted = references(PLAN, desk.ledger.state())["api"]
    desk.publish(b"real")
    final = references(PLAN, desk.ledger.state())["api"]

    assert ("docs/contracts/api.draft.json", 0) == (drafted.path, drafted.revision)
    assert ("docs/contracts/api.json", 1) == (final.path, final.revision)
    assert [digest(b"draft"), digest(b"real")] == [drafted.sha256, final.sha256]


def test_differences_are_told_from_what_somebody_holds(desk: Desk) -> None:
    """Not only from the revision before the latest one."""
    desk.publish(b"1")
    desk.publish(b"2")
    desk.publish(b"breaking 3")
    held = Revision(name="api", revision=1, sha256=digest(b"1"))

    assert desk.registry.differences(held).splitlines() == [
        "1 breaking, 0 compatible, 0 annotation",
        "  breaking (both): #/: 1 became breaking 3",
    ]


def test_any_two_revisions_can_be_compared(desk: Desk) -> None:
    """Also the latest with an earlier one, whatever was in between."""
    for word in (b"1", b"breaking 2", b"annotation 3"):
        desk.publish(word)

    assert [c.effect for c in desk.registry.changes("api", 1, 2)] == ["breaking"]
    assert [c.effect for c in desk.registry.changes("api", 2, None)] == ["annotation"]
    assert desk.registry.changes("api", 3, 3) == ()


@calm
@given(data=st.lists(st.sampled_from([b"1", b"2", b"breaking", b"invalid"]), max_size=8))
def test_whatever_is_published_the_ledger_and_the_snapshots_agree(
    data: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Revisions are 1, 2, 3 …, each has its bytes, and no two in a row have the same."""
    desk = Desk(tmp_path_factory.mktemp("run"))
    for each in data:
        try:
            desk.publish(each)
        except GateFailed:
            assert each == b"invalid"

    published = desk.published()
    assert list(range(1, len(published) + 1)) == [revision for revision, _ in published]
    assert all(desk.registry.read("api", r)[0].sha256 == d for r, d in published)
    assert all(one[1] != other[1] for one, other in pairwise(published))
