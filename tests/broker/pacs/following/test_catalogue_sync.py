from collections.abc import AsyncIterator, Iterator
from datetime import date
from functools import partial
from pathlib import Path

import pytest
import trio
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from broker.pacs.following.catalogue_sync import CatalogueSync, CatalogueSyncTuning
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.views import study_view
from p2pacs.dataset.json_model import text
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import (
    DeadlineError,
    DiskFullError,
    P2PacsError,
    PacsDataError,
    PacsRefusedError,
    PacsUnreachableError,
)
from p2pacs.ids import StudyId
from p2pacs.publish.source import Description, Detail
from tests.broker.fakes import FakePacs
from tests.conformance.instances import make
from tests.p2pacs.catalogue.samples import attributes

CT, MR = "1.2.1", "1.2.2"
PACS_AWAY = PacsUnreachableError("refused")
TODAY = date(2024, 2, 1)


def id_of(uid: str) -> StudyId:
    return StudyId.derive(b"secret", uid)


class Bench:
    def __init__(
        self,
        index: CatalogueIndex,
        tuning: CatalogueSyncTuning = CatalogueSyncTuning(),  # noqa: B008
    ) -> None:
        self.pacs = FakePacs([make(CT), make(MR, date="20231224")])
        self.index = index
        self.news: list[int] = []
        self.looks: list[tuple[P2PacsError | None, int | None]] = []
        self.restaged: list[tuple[str, bool]] = []
        self.catalogue_sync = CatalogueSync(
            self.pacs,
            index,
            id_of,
            changed=self.news.append,
            restage=lambda uid, everything: self.restaged.append((uid, everything)),
            today=lambda: TODAY,
            every=60,
            looked=self._looked,
            tuning=tuning,
        )

    async def _looked(self, error: P2PacsError | None, studies: int | None) -> None:
        self.looks.append((error, studies))

    def uids(self) -> set[str]:
        return {uid for uid, _ in self.index.uids()}


@pytest.fixture
def index(tmp_path: Path) -> Iterator[CatalogueIndex]:
    opened = CatalogueIndex(tmp_path / "catalogue.db")
    yield opened
    opened.close()


@pytest.fixture
def bench(index: CatalogueIndex) -> Bench:
    return Bench(index)


@pytest.fixture
async def running(bench: Bench) -> AsyncIterator[Bench]:
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.catalogue_sync.run)
        yield bench
        nursery.cancel_scope.cancel()


async def settled(bench: Bench, seconds: float = 1) -> None:
    """Until every task waits for the clock: it jumps only then."""
    await trio.sleep(seconds)


async def test_a_round_finds_all_and_a_look_the_recent(bench: Bench) -> None:
    await bench.catalogue_sync.look(whole=False)
    assert bench.uids() == {CT}
    await bench.catalogue_sync.look(whole=True)
    assert bench.uids() == {CT, MR}
    record = bench.index.by_uid(CT)
    assert record is not None
    assert text(record.attributes, "PatientName") == "Müller^Jörg"
    assert [series.uid for series in record.series] == [f"{CT}.1"]
    assert record.series[0].instances == ()


async def test_nothing_new_costs_no_further_questions(bench: Bench) -> None:
    await bench.catalogue_sync.look(whole=True)
    seq, asked = bench.index.seq, len(bench.pacs.described)
    await bench.catalogue_sync.look(whole=True)
    assert (bench.index.seq, len(bench.pacs.described)) == (seq, asked)
    assert set(bench.pacs.described) == {Detail.SERIES}
    assert bench.news == [seq]


async def test_a_study_that_grew_is_seen_and_staged_again_if_published(bench: Bench) -> None:
    await bench.catalogue_sync.look(whole=True)
    known = bench.index.by_uid(CT)
    assert known is not None
    bench.pacs.add(make(CT, 1, 2))
    bench.pacs.add(make(MR, 1, 2, date="20231224"))
    await bench.catalogue_sync.update(evolve(known, version=4))
    await bench.catalogue_sync.look(whole=True)
    record = bench.index.by_uid(CT)
    assert record is not None
    assert record.version == 4
    assert text(study_view(record), "NumberOfStudyRelatedInstances") == "2"
    assert bench.restaged == [(CT, False)]


async def test_a_corrected_name_stages_everything_again(bench: Bench) -> None:
    await bench.catalogue_sync.look(whole=True)
    known = bench.index.by_uid(CT)
    assert known is not None
    await bench.catalogue_sync.update(evolve(known, version=4))
    bench.pacs.add(make(CT, name="Right^Name"))
    await bench.catalogue_sync.look(whole=False)
    assert bench.restaged == [(CT, True)]


async def test_what_the_pacs_does_not_have_leaves_at_once_and_only_then(bench: Bench) -> None:
    await bench.catalogue_sync.look(whole=True)
    await bench.catalogue_sync.confirm_gone(CT)
    assert bench.uids() == {CT, MR}
    bench.pacs.remove(CT)
    bench.pacs.error = PacsUnreachableError("away")
    await bench.catalogue_sync.confirm_gone(CT)
    assert bench.uids() == {CT, MR}
    bench.pacs.error = None
    await bench.catalogue_sync.confirm_gone(CT)
    assert bench.uids() == {MR}


async def test_a_deleted_study_leaves_a_tombstone(bench: Bench) -> None:
    await bench.catalogue_sync.look(whole=True)
    before = bench.index.seq
    bench.pacs.remove(MR)
    await bench.catalogue_sync.look(whole=False)
    assert bench.uids() == {CT, MR}
    await bench.catalogue_sync.look(whole=True)
    assert bench.uids() == {CT}
    assert len(bench.index.since(before).entries) == 1


async def test_a_study_that_was_not_enumerated_but_is_there_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.catalogue_sync.look(whole=True)

    async def nothing(_span: object) -> AsyncIterator[object]:
        return
        yield

    monkeypatch.setattr(bench.pacs, "studies", nothing)
    await bench.catalogue_sync.look(whole=True)
    assert bench.uids() == {CT, MR}


async def test_a_round_does_not_ask_for_ever(index: CatalogueIndex) -> None:
    bench = Bench(index, CatalogueSyncTuning(confirmed=1))
    await bench.catalogue_sync.look(whole=True)
    bench.pacs.held.clear()
    await bench.catalogue_sync.look(whole=True)
    assert len(bench.uids()) == 1


@pytest.mark.parametrize(
    "error",
    [
        PacsUnreachableError("away"),
        PacsRefusedError("HTTP status 404"),
        PacsDataError("no JSON"),
        DeadlineError("hung"),
        DiskFullError("no room for the catalogue"),
    ],
)
async def test_the_catalogue_survives_a_pacs_that_is_away(
    running: Bench, autojump_clock: object, error: P2PacsError
) -> None:
    await settled(running)
    assert running.uids() == {CT, MR}
    running.pacs.error = error
    with capture_logs() as logs:
        running.catalogue_sync.hint(CT)
        await settled(running, 24 * 3600)
        assert running.uids() == {CT, MR}
        running.pacs.error = None
        running.pacs.remove(MR)
        running.pacs.add(make("1.2.3"))
        await settled(running, 7 * 3600)
    assert running.uids() == {CT, "1.2.3"}
    told = [(entry["event"], entry["log_level"]) for entry in logs]
    assert told[0] == ("the PACS was not swept", "warning")
    assert told.count(("the PACS answers again", "info")) == 1
    assert logs[0]["why"] == str(error)
    assert logs[0]["pacs"] == running.pacs.address
    assert running.looks[0] == (None, 2)
    assert running.looks[1] == (error, None)
    assert running.looks[-1] == (None, 2)


async def test_that_the_pacs_answers_is_said_once(bench: Bench, autojump_clock: object) -> None:
    with capture_logs() as logs, trio.move_on_after(500):
        await bench.catalogue_sync.run()
    assert logs == [
        {
            "event": "the PACS answers",
            "log_level": "info",
            "pacs": bench.pacs.address,
            "studies": 2,
        }
    ]
    assert len(bench.looks) > 2
    assert set(bench.looks) == {(None, 2)}


async def test_a_pacs_that_is_away_at_the_start(bench: Bench, autojump_clock: object) -> None:
    bench.pacs.error = PACS_AWAY
    with capture_logs() as logs, trio.move_on_after(100):
        await bench.catalogue_sync.run()
    with capture_logs() as later, trio.move_on_after(100):
        bench.pacs.error = None
        await bench.catalogue_sync.run()
    assert {entry["event"] for entry in logs} == {"the PACS was not swept"}
    assert [entry["event"] for entry in later] == ["the PACS answers"]
    assert (bench.looks[0], bench.looks[-1]) == ((PACS_AWAY, None), (None, 2))


async def test_looks_come_by_the_clock_and_after_a_hint(
    running: Bench, autojump_clock: object
) -> None:
    await settled(running)
    running.pacs.add(make("1.2.3"))
    await settled(running, 30)
    assert "1.2.3" not in running.uids()
    await settled(running, 40)
    assert "1.2.3" in running.uids()
    running.pacs.add(make("1.2.4"), make("1.2.5", date="19990101"))
    running.catalogue_sync.hint("1.2.5")
    await settled(running, 1)
    assert {"1.2.4", "1.2.5"} <= running.uids()


async def test_a_hint_of_a_deleted_study(running: Bench, autojump_clock: object) -> None:
    await settled(running)
    running.pacs.remove(CT)
    running.catalogue_sync.hint(CT)
    await settled(running, 1)
    assert running.uids() == {MR}
    running.catalogue_sync.hint("1.2.99")
    await settled(running, 1)
    assert running.uids() == {MR}


async def test_an_update_never_lowers_the_version(bench: Bench) -> None:
    described = await bench.pacs.describe(CT)
    await bench.catalogue_sync.update(described.record(id_of(CT), 5))
    await bench.catalogue_sync.update(described.record(id_of(CT), 3))
    record = bench.index.by_uid(CT)
    assert record is not None
    assert record.version == 5
    assert len(bench.news) == 1


async def test_a_version_that_came_out_during_a_look_stays(
    bench: Bench, autojump_clock: object
) -> None:
    await bench.catalogue_sync.look(whole=True)
    described = await bench.pacs.describe(CT)
    await bench.catalogue_sync.update(described.record(id_of(CT), 1))
    bench.pacs.add(make(CT, 1, 2), *(make(f"1.2.3.{n}") for n in range(5)))
    bench.pacs.delay = 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(bench.catalogue_sync.look, whole=True))
        await trio.sleep(3.5)
        assert bench.restaged == [(CT, False)]
        grown = (await bench.pacs.describe(CT)).record(id_of(CT), 2)
        weight = attributes(PatientWeight=("DS", "70.50"))
        grown = evolve(grown, attributes=grown.attributes | weight)
        kept = await bench.catalogue_sync.update(grown)
    assert bench.index.by_uid(CT) == kept
    assert kept.version == 2
    assert text(kept.attributes, "PatientWeight") == "70.50"


async def test_series_that_the_pacs_holds_back_stay_known(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.pacs.add(make(CT, 2))
    await bench.catalogue_sync.look(whole=True)
    described = await bench.pacs.describe(CT)
    known = await bench.catalogue_sync.update(described.record(id_of(CT), 1))

    def cut_off(untold: int) -> None:
        async def describe(_uid: str, _detail: Detail = Detail.INSTANCES) -> Description:
            await trio.lowlevel.checkpoint()
            return Description(CT, described.attributes, described.series[:1], untold)

        monkeypatch.setattr(bench.pacs, "describe", describe)

    for untold, series in ((1, known.series), (0, known.series[:1])):
        cut_off(untold)
        record = await bench.catalogue_sync.refresh(CT)
        assert record is not None
        assert record.series == series


async def test_an_old_study_in_a_small_pacs_is_found_at_the_next_look(
    running: Bench, autojump_clock: object
) -> None:
    await settled(running)
    running.pacs.add(make("1.2.4", date="19991231"))
    await settled(running, 61)
    assert "1.2.4" in running.uids()


@given(st.floats(0, 1e6))
def test_rounds_take_a_small_share_of_the_time(seconds: float) -> None:
    tuning = CatalogueSyncTuning()
    pause = tuning.round_pause(seconds)
    assert pause <= tuning.round_seconds
    assert pause == tuning.round_seconds or seconds <= pause * tuning.round_share * 1.001


# ---------------------------------------------------------------- studies that the PACS fails at


def fail(bench: Bench, uid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the PACS fails at this study alone."""
    describe = bench.pacs.describe

    async def failing(asked: str, detail: Detail = Detail.INSTANCES) -> Description:
        if asked == uid:
            raise PacsRefusedError("HTTP status 500")
        return await describe(asked, detail)

    monkeypatch.setattr(bench.pacs, "describe", failing)


async def test_a_study_that_the_pacs_fails_at_hides_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(bench, CT, monkeypatch)
    await bench.catalogue_sync.look(whole=True)
    assert bench.uids() == {MR}


async def test_one_that_cannot_be_confirmed_as_gone_keeps_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.pacs.add(make("1.2.3"))
    await bench.catalogue_sync.look(whole=True)
    fail(bench, CT, monkeypatch)
    bench.pacs.held.clear()
    await bench.catalogue_sync.look(whole=True)
    assert bench.uids() == {CT}


async def test_a_hint_that_fails_holds_nothing_up(
    running: Bench, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settled(running)
    with monkeypatch.context() as patch:
        fail(running, CT, patch)
        running.catalogue_sync.hint(CT)
        await settled(running)
        running.pacs.add(make("1.2.77"), make(CT, 1, 2))
        await settled(running, 600)
        assert "1.2.77" in running.uids()
    await settled(running, 3600)
    record = running.index.by_uid(CT)
    assert record is not None
    assert text(study_view(record), "NumberOfStudyRelatedInstances") == "2"


# ---------------------------------------------------------------- what only headers tell


async def published(bench: Bench, **told: tuple[str, str]) -> StudyRecord:
    """The study, published, with what its headers told besides."""
    await bench.catalogue_sync.look(whole=True)
    known = bench.index.by_uid(CT)
    assert known is not None
    (series,) = known.series
    left = attributes(Laterality=("CS", "L"))
    return await bench.catalogue_sync.update(
        evolve(
            known,
            version=1,
            attributes=known.attributes | attributes(**told),
            series=(evolve(series, attributes=series.attributes | left),),
        )
    )


async def test_what_headers_told_stays_while_the_pacs_does_not_tell_it(bench: Bench) -> None:
    known = await published(bench, PatientWeight=("DS", "70.50"))
    assert await bench.catalogue_sync.refresh(CT) == known
    await bench.catalogue_sync.look(whole=True)
    assert bench.index.by_uid(CT) == known
    bench.pacs.add(make(CT, 1, 2))
    await bench.catalogue_sync.look(whole=True)
    grown = bench.index.by_uid(CT)
    assert grown is not None
    assert text(study_view(grown), "NumberOfStudyRelatedInstances") == "2"
    assert text(grown.attributes, "PatientWeight") == "70.50"
    assert text(grown.series[0].attributes, "Laterality") == "L"


async def test_what_the_pacs_tells_at_every_look_is_its_own_to_say(bench: Bench) -> None:
    await published(bench, StudyDescription=("LO", "of the headers"))
    changed = await bench.catalogue_sync.refresh(CT)
    assert changed is not None
    assert text(changed.attributes, "StudyDescription") == "Schädel"


async def test_a_pacs_that_lost_characters_has_not_changed(bench: Bench) -> None:
    whole = {"PatientName": ("PN", "Müller^Jörg=山田"), "StudyDescription": ("LO", "Schädel頭")}
    known = await published(bench, **whole)
    seq = bench.index.seq
    for _ in range(2):
        await bench.catalogue_sync.look(whole=True)
        assert (bench.index.seq, bench.restaged) == (seq, [])
    assert await bench.catalogue_sync.refresh(CT) == known
    bench.pacs.untold = {tag("StudyDescription")}
    await bench.catalogue_sync.look(whole=True)
    assert (bench.index.by_uid(CT), bench.restaged) == (known, [])


async def test_a_correction_in_the_pacs_shows_before_it_is_published(bench: Bench) -> None:
    await published(bench, PatientName=("PN", "Müller^Jörg=山田"), PatientComments=("LT", "x"))
    bench.pacs.add(make(CT, name="Meier^Jörg", patient="Other"))
    await bench.catalogue_sync.look(whole=True)
    corrected = bench.index.by_uid(CT)
    assert corrected is not None
    assert text(corrected.attributes, "PatientName") == "Meier^Jörg"
    assert text(corrected.attributes, "PatientID") == "Other"
    assert not text(corrected.attributes, "PatientComments"), "those of another patient"
    assert bench.restaged == [(CT, True)]


async def test_what_headers_do_not_have_stays_known_to_be_empty(bench: Bench) -> None:
    await published(bench, PatientWeight=("DS", ""))
    record = await bench.catalogue_sync.refresh(CT)
    assert record is not None
    assert tag("PatientWeight") in record.attributes


async def test_a_pacs_that_does_not_count_has_not_changed(bench: Bench) -> None:
    bench.pacs.untold = {tag("NumberOfStudyRelatedInstances"), tag("NumberOfStudyRelatedSeries")}
    known = await published(bench, NumberOfStudyRelatedInstances=("IS", "1"))
    seq = bench.index.seq
    await bench.catalogue_sync.look(whole=True)
    assert bench.index.seq == seq
    assert bench.restaged == []
    assert bench.index.by_uid(CT) == known
    assert text(study_view(known), "NumberOfStudyRelatedInstances") == "1"


async def test_studies_that_an_older_program_described_are_described_again_once(
    index: CatalogueIndex,
) -> None:
    older = Bench(index)
    await older.catalogue_sync.look(whole=True)
    known = index.by_uid(CT)
    assert known is not None
    index.upsert([evolve(known, version=3, series=())])
    index.set_vocabulary(0)
    bench = Bench(index)
    for _ in range(3):
        await bench.catalogue_sync.look(whole=True)
    assert len(bench.pacs.described) == 2
    again = index.by_uid(CT)
    assert again == evolve(known, version=3)
    assert bench.restaged == [], "nothing changed in the PACS"


async def test_a_study_of_two_patients_is_compared_as_one(bench: Bench) -> None:
    bench.pacs.add(make(CT, 2, patient="PB", name="Roe^Bea"))
    await bench.catalogue_sync.look(whole=True)
    known, seq = bench.index.by_uid(CT), bench.index.seq
    assert known is not None
    assert [text(one, "PatientID") for one in known.patients] == [f"P{CT}", "PB"]
    await bench.catalogue_sync.look(whole=True)
    assert bench.index.seq == seq


# ---------------------------------------------------------------- UIDs as they are


async def test_an_odd_uid_is_said_once_by_the_id_of_its_study(bench: Bench) -> None:
    odd = "1.2.A" + "7" * 65
    bench.pacs.add(make(odd, 1, SeriesInstanceUID="1.2.3", SOPInstanceUID="1.2.4"))
    with capture_logs() as logs:
        for number in range(3):  # also of one that grows
            await bench.catalogue_sync.look(whole=True)
            bench.pacs.add(make(odd, 2, number))
    assert bench.uids() == {CT, MR, odd}
    warnings = [one for one in logs if one["log_level"] == "warning"]
    assert [one["study"] for one in warnings] == [id_of(odd).short]
    assert odd not in str(logs)
