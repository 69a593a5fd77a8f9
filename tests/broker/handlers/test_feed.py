import random
import string
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.access.rules import ALL, NONE, parse_rule
from broker.handlers import feed
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.feed import PAGE_BYTES, Tombstone, decode_entry
from p2pacs.catalogue.former import MOST
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.ids import StudyId


def record(number: int, modality: str = "CT", *, version: int = 0, text: str = "") -> StudyRecord:
    attributes = {
        tag("ModalitiesInStudy"): entry("CS", modality),
        tag("StudyDescription"): entry("LO", text),
    }
    return StudyRecord(
        StudyId(number.to_bytes(16, "big")), f"1.2.{number}", attributes, (), version
    )


@pytest.fixture
def index(tmp_path: Path) -> CatalogueIndex:
    return CatalogueIndex(tmp_path / "catalogue.db")


def wrap(study: StudyId) -> bytes:
    return b"key of " + study.raw


@given(st.integers(0, 2**46), st.integers(0, 2**20))
def test_positions(seq: int, version: int) -> None:
    position = feed.position(seq, version)
    assert position < 2**63
    assert feed.sequence(position, version) == seq
    assert feed.sequence(position, version + 1) == 0


def test_only_what_may_be_read_and_keys_of_what_is_published(index: CatalogueIndex) -> None:
    index.upsert([record(1), record(2, "MR"), record(3, version=2)])
    page = feed.read_page(index, 0, parse_rule("Modality=CT"), 0, wrap)
    assert page.reset
    assert not page.more
    entries = [decode_entry(raw) for raw in page.entries]
    assert all(isinstance(one, StudyRecord) for one in entries)
    keys = [one.wrapped_key for one in entries if isinstance(one, StudyRecord)]
    assert keys == [b"", wrap(record(3).study)]
    assert [one.study for one in page.granted] == [record(3).study]
    assert feed.read_page(index, 0, NONE, 0, wrap).entries == []


def test_what_is_addressed_is_told_and_gone_when_it_is_not_any_more(index: CatalogueIndex) -> None:
    index.upsert([record(1, "MR", version=1), record(2, "MR"), record(3, "MR")])
    named = {record(1).study: True, record(2).study: False}
    rule = parse_rule("Modality=CT")
    page = feed.read_page(index, 0, rule, 0, wrap, addressed=lambda _: named)
    (raw,) = page.entries
    shown = decode_entry(raw)
    assert isinstance(shown, StudyRecord)
    assert (shown.study, shown.wrapped_key) == (record(1).study, wrap(record(1).study))
    index.upsert([record(1, "MR", version=1), record(2, "MR"), record(3, "MR")])
    asked: list[StudyId] = []

    def ended(some: Collection[StudyId]) -> dict[StudyId, bool]:
        asked.extend(some)
        return dict.fromkeys(named, False)

    page = feed.read_page(index, page.until, rule, 0, wrap, addressed=ended)
    assert list(map(decode_entry, page.entries)) == [Tombstone(one) for one in named]
    assert asked == [record(number).study for number in (1, 2, 3)]


def test_changes_after_a_position(index: CatalogueIndex) -> None:
    index.upsert([record(1), record(2)])
    rule = parse_rule("Modality=CT")
    first = feed.read_page(index, 0, rule, 5, wrap)
    assert feed.read_page(index, first.until, rule, 5, wrap).entries == []
    index.upsert([record(1, "MR"), record(2, text="changed")])
    index.remove([record(2).study])
    second = feed.read_page(index, first.until, rule, 5, wrap)
    assert not second.reset
    told = [decode_entry(raw) for raw in second.entries]
    assert told == [Tombstone(record(1).study), Tombstone(record(2).study)]


def test_nothing_is_told_of_studies_that_a_member_could_never_see(index: CatalogueIndex) -> None:
    rule = parse_rule("Modality=CT")
    index.upsert([record(1), record(2, "MR"), record(3, "MR")])
    first = feed.read_page(index, 0, rule, 0, wrap)
    index.upsert([record(2, "MR", text="changed"), record(4, "US")])
    index.remove([record(3).study, record(4).study, record(9).study])
    second = feed.read_page(index, first.until, rule, 0, wrap)
    assert (second.entries, second.reset) == ([], False)
    assert second.until > first.until


def test_who_slept_through_several_changes_is_told_that_a_study_is_gone(
    index: CatalogueIndex,
) -> None:
    rule = parse_rule("Modality=CT")
    index.upsert([record(1)])
    first = feed.read_page(index, 0, rule, 0, wrap)
    for step in (record(1, "MR"), record(1, "US")):
        index.upsert([step])
    index.remove([record(1).study])
    second = feed.read_page(index, first.until, rule, 0, wrap)
    assert [decode_entry(raw) for raw in second.entries] == [Tombstone(record(1).study)]


@given(st.lists(st.sampled_from(["CT", "MR", "US", ""]), min_size=1, max_size=24))
def test_whoever_saw_a_study_is_told_and_nobody_else(steps: list[str]) -> None:
    """Read after each change, or after the last: the same follower ends with the same studies."""
    rule = parse_rule("Modality=CT")
    with TemporaryDirectory() as folder:
        index = CatalogueIndex(Path(folder) / "catalogue.db")
        start = feed.read_page(index, 0, rule, 0, wrap).until
        eager, seen = start, False
        for number, modality in enumerate(steps):
            if modality:
                index.upsert([record(1, modality, text=str(number))])
            else:
                index.remove([record(1).study])
            page = feed.read_page(index, eager, rule, 0, wrap)
            eager = page.until
            told = [decode_entry(raw) for raw in page.entries]
            if modality == "CT":
                assert [type(one) for one in told] == [StudyRecord]
            elif seen or told:
                assert [type(one) for one in told] == [Tombstone]
                assert seen or number >= MOST
            seen = seen or modality == "CT"
        index.close()


def test_a_changed_rule_starts_anew(index: CatalogueIndex) -> None:
    index.upsert([record(1), record(2, "MR")])
    first = feed.read_page(index, 0, ALL, 0, wrap)
    assert len(first.entries) == 2
    again = feed.read_page(index, first.until, parse_rule("Modality=MR"), 1, wrap)
    assert again.reset
    assert len(again.entries) == 1
    assert not feed.read_page(index, again.until, parse_rule("Modality=MR"), 1, wrap).reset


def test_long_pages_are_cut_and_lose_nothing(index: CatalogueIndex) -> None:
    letters = random.Random(0)  # noqa: S311
    texts = ["".join(letters.choices(string.ascii_letters, k=9000)) for _ in range(60)]
    index.upsert(record(number, text=text) for number, text in enumerate(texts))
    since, seen = 0, 0
    pages = 0
    while True:
        page = feed.read_page(index, since, ALL, 3, wrap)
        assert sum(map(len, page.entries)) <= PAGE_BYTES
        assert page.reset is (pages == 0)
        seen += len(page.entries)
        since = page.until
        pages += 1
        if not page.more:
            break
    assert seen == 60
    assert pages > 1
