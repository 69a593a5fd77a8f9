import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.feed import Tombstone
from p2pacs.catalogue.find import find
from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.json_model import text
from p2pacs.dataset.search_options import SearchOptions
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import CorruptStoreError

from .samples import attributes, query, series, study


@pytest.fixture
def index(tmp_path: Path) -> Iterator[CatalogueIndex]:
    opened = CatalogueIndex(tmp_path / "catalogue.db")
    yield opened
    opened.close()


def found(index: CatalogueIndex, identifier: Dataset) -> set[str]:
    return {record.uid for record in index.candidates(identifier)}


def test_records_are_found_by_id_and_uid(index: CatalogueIndex) -> None:
    index.upsert([study(1), study(2)])
    record = index.get(study(2).study)
    assert record is not None
    assert record.uid == "1.2.2"
    assert index.by_uid("1.2.1") == study(1)
    assert index.by_uid("1.2.9") is None
    assert index.get(study(9).study) is None
    assert len(index) == 2
    assert dict(index.uids()) == {"1.2.1": study(1).study, "1.2.2": study(2).study}


def test_a_replaced_record_is_found_by_its_new_keys_only(index: CatalogueIndex) -> None:
    index.upsert([study(1, patient="old")])
    index.upsert([study(1, patient="new")])
    assert found(index, query(PatientID="old")) == set()
    assert found(index, query(PatientID="new")) == {"1.2.1"}
    assert len(index) == 1


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        (query(StudyInstanceUID="1.2.2"), {2}),
        (query(StudyInstanceUID="1.2.2\\1.2.3"), {2, 3}),
        (query(StudyInstanceUID="1.2.2", PatientID="P1"), set()),
        (query(PatientID="P1"), {1, 3}),
        (query(PatientID="P1", StudyDate="2024"), {1}),
        (query(PatientName="MÜLLER*"), {1}),
        (query(PatientName="*hans"), {1}),
        (query(StudyDate="20230101-20231231"), {2}),
        (query(ModalitiesInStudy="MR"), {2}),
        (query(Modality="MR"), {2}),
        (query(Modality="C*", PatientID="P1"), {1, 3}),
        (query("SERIES", StudyInstanceUID="1.2.2", Modality="CT"), set()),
        (query("PATIENT", Modality="MR"), {1, 2, 3}),
        (query("SERIES", SeriesInstanceUID="1.2.3.1"), {3}),
        (query("PATIENT", PatientID="P2", StudyDate="1999"), {2}),
        (query("PATIENT", StudyInstanceUID="1.2.2"), {1, 2, 3}),
        (query(), {1, 2, 3}),
        (Dataset(), {1, 2, 3}),
    ],
)
def test_indexed_keys_narrow_what_is_read(
    index: CatalogueIndex, identifier: Dataset, expected: set[int]
) -> None:
    index.upsert(
        [
            study(1, series("1.2.1.1", "CT"), name="Müller^Hans"),
            study(2, series("1.2.2.1", "MR"), patient="P2", date="20230601"),
            study(3, series("1.2.3.1", "CT"), date="20200101"),
        ]
    )
    assert found(index, identifier) == {f"1.2.{n}" for n in expected}


names = st.sampled_from(["Doe^John", "DOE^Jane", "Müller^Hans", "Doe", "Ito=伊藤", ""])
patients = st.sampled_from(["P1", "P2", "P10", ""])
dates = st.sampled_from(["20240131", "2024.01.31", "20231231", "2024", ""])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(names, patients, dates), max_size=5),
    st.sampled_from(["", "doe*", "doe^j*", "*", "?oe^*", "伊*", "müller^hans", "ito=*"]),
    st.sampled_from(["", "P1", "P1*", "P?", "P1\\P2"]),
    st.sampled_from(["", "2024", "20240131", "20240101-", "-20231231", "20240101-20240201"]),
)
def test_an_index_finds_what_a_full_search_finds(
    index: CatalogueIndex, rows: list[tuple[str, str, str]], name: str, patient: str, date: str
) -> None:
    records = [study(n, name=a, patient=b, date=c) for n, (a, b, c) in enumerate(rows, start=1)]
    index.remove([study(n).study for n in range(1, 6)])
    index.upsert(records)
    identifier = query(PatientName=name, PatientID=patient, StudyDate=date)
    searched = {str(a.StudyInstanceUID) for a in find(records, identifier, "STUDY")}
    narrowed = find(index.candidates(identifier), identifier, "STUDY")
    assert {str(answer.StudyInstanceUID) for answer in narrowed} == searched


values_told = st.sampled_from([None, "", "A", "B", "Müller^Anna"])
births = st.sampled_from([None, "", "1960", "19600101", "19611231"])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(births, values_told, values_told, st.booleans()), max_size=4),
    st.tuples(
        st.sampled_from(["", "1960", "19600101", "19600101-", "-19601231"]),
        st.sampled_from(["", "A", "*ü*", "a*", "?"]),
        st.sampled_from(["", "a", "müller*", "muller"]),
    ),
    st.booleans(),
)
def test_keys_that_a_study_need_not_tell_find_what_a_full_search_finds(
    index: CatalogueIndex,
    rows: list[tuple[str | None, str | None, str | None, bool]],
    asked: tuple[str, str, str],
    fuzzy: bool,
) -> None:
    birth, description, referring = asked
    records = []
    for number, (born, described, referred, published) in enumerate(rows, start=1):
        whole = study(number)
        values = {
            "PatientBirthDate": ("DA", born),
            "StudyDescription": ("LO", described),
            "ReferringPhysicianName": ("PN", referred),
        }
        held = {key: (vr, value) for key, (vr, value) in values.items() if value is not None}
        told = whole.attributes | attributes(**held)
        records.append(evolve(whole, attributes=told, version=int(published)))
    index.remove([study(n).study for n in range(1, 6)])
    index.upsert(records)
    identifier = query(
        PatientBirthDate=birth, StudyDescription=description, ReferringPhysicianName=referring
    )
    options = SearchOptions(fuzzy=fuzzy)
    searched = find(records, identifier, "STUDY", index.known, options)
    candidates = index.candidates(identifier, fuzzy=fuzzy)
    narrowed = find(candidates, identifier, "STUDY", index.known, options)
    assert {str(one.StudyInstanceUID) for one in narrowed} == {
        str(one.StudyInstanceUID) for one in searched
    }


def test_what_a_study_does_not_tell_may_be_what_is_asked_for(index: CatalogueIndex) -> None:
    silent, empty, other = study(1), study(2, PatientBirthDate=("DA", "")), study(3)
    index.upsert(evolve(one, version=1) for one in (silent, empty, other))
    asked = query(PatientBirthDate="19600101")
    assert found(index, asked) == {"1.2.1", "1.2.3"}
    index.upsert([study(3, PatientBirthDate=("DA", "19600101"))])  # so the PACS tells it
    assert found(index, asked) == {"1.2.3"}


# ---------------------------------------------------------------- the feed


def follow(source: CatalogueIndex, target: CatalogueIndex, limit: int = 2) -> list[bool]:
    resets = []
    while True:
        page = source.since(target.position, limit)
        target.apply(page.entries, page.until, reset=page.reset)
        resets.append(page.reset)
        if not page.more:
            return resets


def test_a_follower_gets_every_change_once(index: CatalogueIndex, tmp_path: Path) -> None:
    mine = CatalogueIndex(tmp_path / "mine.db")
    index.upsert([study(n) for n in range(1, 6)])
    assert follow(index, mine) == [True, False, False]
    assert len(mine) == 5
    index.remove([study(1).study])
    index.upsert([evolve(study(2), version=4)])
    page = index.since(mine.position)
    assert [type(entry) for entry in page.entries] == [Tombstone, StudyRecord]
    assert not page.reset
    follow(index, mine)
    assert mine.by_uid("1.2.1") is None
    two = mine.by_uid("1.2.2")
    assert two is not None
    assert two.version == 4
    assert index.since(mine.position).entries == ()
    assert mine.position == index.seq
    mine.close()


def test_a_rebuilt_index_makes_followers_start_anew(tmp_path: Path) -> None:
    first, mine = CatalogueIndex(tmp_path / "1.db"), CatalogueIndex(tmp_path / "mine.db")
    first.upsert([study(1)])
    follow(first, mine)
    rebuilt = CatalogueIndex(tmp_path / "2.db")
    rebuilt.upsert([study(2)])
    assert rebuilt.since(mine.position - 10**9).reset
    assert rebuilt.since(rebuilt.seq + 1).reset
    mine.apply((), 1, reset=False)
    follow(rebuilt, mine)
    assert dict(mine.uids()) == {"1.2.2": study(2).study}
    for opened in (first, mine, rebuilt):
        opened.close()


def test_a_restored_index_makes_followers_start_anew(tmp_path: Path) -> None:
    """Also those that ask when its numbers have long passed theirs."""
    lost, mine = CatalogueIndex(tmp_path / "1.db"), CatalogueIndex(tmp_path / "mine.db")
    lost.upsert([study(1)])
    follow(lost, mine)
    kept = mine.position
    with closing(sqlite3.connect(tmp_path / "1.db")) as source:
        source.execute("VACUUM INTO ?", [str(tmp_path / "backup.db")])
    lost.upsert([study(2)])
    follow(lost, mine)
    lost.close()
    restored = CatalogueIndex(tmp_path / "backup.db")
    restored.upsert([study(3)])
    assert restored.seq > mine.position
    assert not restored.since(kept).reset, "this it was told before the backup was made"
    assert follow(restored, mine)[0]
    assert dict(mine.uids()) == {"1.2.1": study(1).study, "1.2.3": study(3).study}
    for opened in (mine, restored):
        opened.close()


def test_followers_go_on_over_a_restart(tmp_path: Path) -> None:
    first, mine = CatalogueIndex(tmp_path / "1.db"), CatalogueIndex(tmp_path / "mine.db")
    first.upsert([study(1), study(2)])
    follow(first, mine)
    first.close()
    again = CatalogueIndex(tmp_path / "1.db")
    again.upsert([study(3)])
    assert follow(again, mine) == [False]
    assert len(mine) == 3
    for opened in (again, mine):
        opened.close()


def test_a_first_page_has_no_tombstones(index: CatalogueIndex) -> None:
    index.upsert([study(1)])
    index.remove([study(1).study, study(2).study])
    assert index.since(0).entries == ()
    assert index.since(0).until == index.seq


def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    index = CatalogueIndex(tmp_path / "c.db")
    last = index.upsert([study(1)])
    index.apply([study(2)], 77)
    index.close()
    again = CatalogueIndex(tmp_path / "c.db")
    assert again.seq > last
    assert again.position == 77
    assert len(again) == 2
    again.close()


def test_readers_and_a_writer_do_not_wait_for_each_other(index: CatalogueIndex) -> None:
    index.upsert([study(n) for n in range(1, 400)])
    reading = index.candidates(query())
    assert text(next(reading).attributes, "PatientID") == "P1"
    writer = threading.Thread(target=index.upsert, args=([study(400)],))
    writer.start()
    writer.join(timeout=30)
    assert not writer.is_alive()
    assert sum(1 for _ in reading) == 398
    assert len(index) == 400


def test_a_broken_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(CorruptStoreError, match="remove it"):
        CatalogueIndex(path)


# ---------------------------------------------------------------- what is known


def body_part(part: str) -> SeriesRecord:
    return SeriesRecord("1.2.1.1", attributes(Modality=("CS", "CT"), BodyPartExamined=("CS", part)))


def test_what_the_pacs_tells_is_known_and_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    index = CatalogueIndex(path)
    assert tag("BodyPartExamined") not in index.known
    index.upsert([study(1, body_part(""))])
    assert tag("PatientID") in index.known
    assert tag("BodyPartExamined") not in index.known
    index.upsert([study(1, body_part("HEAD"))])
    known = index.known
    assert {tag("BodyPartExamined"), tag("ModalitiesInStudy")} <= known
    index.close()
    again = CatalogueIndex(path)
    assert again.known == known
    again.close()


def test_what_headers_told_of_one_study_is_not_known_of_others(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    index = CatalogueIndex(path)
    index.upsert([study(2), evolve(study(1, body_part("HEAD")), version=1)])
    assert tag("BodyPartExamined") not in index.known
    index.close()
    with closing(sqlite3.connect(path)) as connection:  # as the version before kept it
        connection.execute("INSERT INTO catalogue_known VALUES ('00180015')")
        connection.execute("DELETE FROM catalogue_state WHERE name = 'known'")
        connection.commit()
    again = CatalogueIndex(path)
    assert tag("BodyPartExamined") not in again.known
    assert tag("PatientID") in again.known
    again.close()


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        ("STUDY", {"StudyInstanceUID": "*", "PatientID": "P1"}),
        ("SERIES", {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "*"}),
        ("STUDY", {"SeriesInstanceUID": "*"}),
    ],
)
def test_a_star_alone_is_no_uid(index: CatalogueIndex, level: str, keys: dict[str, str]) -> None:
    index.upsert([study(1, body_part("HEAD"))])
    asked = query(level, **keys)
    assert len(list(find(index.candidates(asked), asked, "STUDY", index.known))) == 1


def test_an_index_of_version_0_1_learns_what_it_knows(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    index = CatalogueIndex(path)
    index.upsert([study(1, body_part("HEAD")), study(2)])
    known = index.known
    index.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE catalogue_known")
        connection.execute("DELETE FROM catalogue_state WHERE name IN ('vocabulary', 'known')")
        connection.commit()
    again = CatalogueIndex(path)
    assert again.known == known
    assert again.vocabulary == 0
    again.set_vocabulary(1)
    assert again.vocabulary == 1
    again.close()


def test_a_study_of_two_patients_is_among_the_candidates_of_each(index: CatalogueIndex) -> None:
    other = attributes(PatientID=("LO", "PB"), PatientName=("PN", "Roe^Bea"))
    index.upsert([study(1, series("1.2.1.1"), SeriesRecord("1.2.1.2", other), patient="PA")])
    for keys in ({"PatientID": "PA"}, {"PatientID": "PB"}, {"PatientName": "roe*"}):
        assert found(index, query(**keys)) == {"1.2.1"}
    assert found(index, query(PatientID="PC")) == set()


def test_the_newest_come_first_and_those_without_a_date_last(index: CatalogueIndex) -> None:
    dates = {1: "20240101", 2: "20250101", 3: "", 4: "20240601"}
    index.upsert(study(number, date=date) for number, date in dates.items())
    index.upsert([study(5, patient="other", date="20260101")])
    index.remove([study(2).study])
    assert [one.uid for one in index.newest({})] == ["1.2.5", "1.2.4", "1.2.1", "1.2.3"]
    mine = index.newest(attributes(PatientID=("LO", "P1")))
    assert [one.uid for one in mine] == ["1.2.4", "1.2.1", "1.2.3"]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"PatientID": ("LO", "P1"), "ModalitiesInStudy": ("CS", "CT")},
        {"PatientName": ("PN", "*"), "StudyDate": ("DA", "20240101-20241231")},
        {"StudyDate": ("DA", "20240401-")},
        {"StudyDate": ("DA", "20240401-20250101"), "ModalitiesInStudy": ("CS", "CT")},
        {"StudyInstanceUID": ("UI", "1.2.7")},
        {"AccessionNumber": ("SH", "none")},
    ],
)
def test_the_newest_are_the_same_studies_in_order(
    index: CatalogueIndex, keys: dict[str, tuple[str, str]]
) -> None:
    dates = [f"2024{number % 12 + 1:02}01" if number % 5 else "" for number in range(1, 30)]
    index.upsert(study(number, date=date) for number, date in enumerate(dates, 1))
    asked = attributes(**keys)
    newest = list(index.newest(asked))
    assert {one.uid for one in newest} == {one.uid for one in index.narrowed("STUDY", asked)}
    assert len(newest) == len({one.uid for one in newest})
    order = [text(one.attributes, "StudyDate") for one in newest]
    assert order == sorted(order, reverse=True)


def test_a_study_of_two_dates_comes_once(index: CatalogueIndex) -> None:
    other = attributes(PatientID=("LO", "PB"), StudyDate=("DA", "20230101"))
    index.upsert(
        [study(1, SeriesRecord("1.2.1.2", other), date="20240101"), study(2, date="20230601")]
    )
    assert [one.uid for one in index.newest({})] == ["1.2.1", "1.2.2"]


def test_who_takes_the_newest_alone_has_the_others_not_read(index: CatalogueIndex) -> None:
    index.upsert(study(number, date=f"2024{number % 12 + 1:02}01") for number in range(1, 40))
    newest = index.newest({})
    assert next(newest).uid == "1.2.35"  # of one day the one that changed last
    newest.close()  # type: ignore[attr-defined]
    index.upsert([study(99)])


@pytest.mark.parametrize("skip", [0, 1, 3, 4, 5, 6, 9])
def test_the_newest_are_passed_over_in_their_order(index: CatalogueIndex, skip: int) -> None:
    dates = ["20240101", "", "20250101", "20240601", "", "20240601"]
    index.upsert(study(number, date=date) for number, date in enumerate(dates))
    assert index.one_each
    every = [one.uid for one in index.newest({})]
    assert [one.uid for one in index.newest({}, skip=skip)] == every[skip:]
    other = attributes(PatientID=("LO", "PB"))
    index.upsert([study(1, series("1.2.1.1"), SeriesRecord("1.2.1.2", other))])
    assert not index.one_each
    index.remove([study(1).study])
    assert index.one_each


def test_names_that_sound_alike_are_candidates(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    index = CatalogueIndex(path)
    index.upsert([study(1, name="Müller^Hans"), study(2, name="Doe^John")])
    asked = query(PatientName="Muller")
    assert not list(index.candidates(asked))
    assert [one.uid for one in index.candidates(asked, fuzzy=True)] == ["1.2.1"]
    with index._database.writing() as connection:  # as the version before left it
        connection.exec_driver_sql("DELETE FROM catalogue_terms WHERE kind <> 'name'")
        connection.exec_driver_sql("DELETE FROM catalogue_state WHERE name = 'terms'")
    index.close()
    again = CatalogueIndex(path)
    assert [one.uid for one in again.candidates(asked, fuzzy=True)] == ["1.2.1"]
    assert [one.uid for one in again.candidates(query(PatientID="P1"))] == ["1.2.1", "1.2.2"]
    again.close()
