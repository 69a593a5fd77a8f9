import random
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.handlers import feed
from broker.members.access import ALL, NONE, parse_rule
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.feed import PAGE_BYTES, Tombstone, decode_entry
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
