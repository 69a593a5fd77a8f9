from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
from attrs import evolve
from structlog.testing import capture_logs
from trio.testing import MockClock

from broker.pacs.retrieval.stream import Put, streamed
from broker.publish import Publisher
from broker.publish.publisher import PublisherTuning
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, entry, text
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import (
    BrokenInstanceError,
    DeadlineError,
    DiskFullError,
    DuplicateInstanceError,
    PacsDataError,
    PacsRefusedError,
    PacsUnreachableError,
    StateError,
    StudyNotFoundError,
    WrongStudyError,
)
from p2pacs.ids import StudyId
from p2pacs.publish import PublishStage
from p2pacs.publish.source import Description, Detail
from p2pacs.store import open_store
from p2pacs.study.study_index import LeftOut
from tests.broker.fakes import FakeKeys, FakePacs
from tests.conformance.instances import make, real, study_of

from .bench import SIGNING, Bench, bench, coded

CT, MR = "1.2.1", "1.2.2"


def ct(count: int, first: int = 1) -> list[EncodedInstance]:
    return [make(CT, 1, n) for n in range(first, first + count)]


def by_uid(instances: list[EncodedInstance]) -> dict[str, EncodedInstance]:
    return {instance.sop_instance_uid: instance for instance in instances}


def noise(study: str, count: int, name: str = "Doe^John") -> list[EncodedInstance]:
    """Images that no codec makes smaller."""
    pixels = 2 * 64 * 64
    return [
        evolve(one, data=one.data[:-pixels] + Random(n).randbytes(pixels))  # noqa: S311
        for n, one in enumerate(make(study, 1, n, name=name) for n in range(1, count + 1))
    ]


async def test_a_study_comes_out_as_it_went_in(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(5), make(CT, 2, 1), make(MR)) as b:
        progress = await b.publish(CT)
        assert progress.stage is PublishStage.PUBLISHED
        assert progress.problem is None
        assert await b.held(CT) == by_uid([*ct(5), make(CT, 2, 1)])
        assert b.roots[-1].complete
        assert b.keys.announced[-1] == (progress.version, True)
        (record,) = b.records
        assert (record.uid, record.version) == (CT, progress.version)


async def test_every_kind_of_instance_comes_out_exact(tmp_path: Path) -> None:
    instances = real()
    async with bench(tmp_path, *instances) as b:
        for uid in {study_of(one) for one in instances}:
            await b.publish(uid)
            assert await b.held(uid) == by_uid([one for one in instances if study_of(one) == uid])


async def test_the_first_version_is_out_while_the_pacs_still_sends(
    tmp_path: Path, autojump_clock: object
) -> None:
    pacs = FakePacs(ct(6))
    pacs.pause = 0.8
    async with bench(tmp_path, pacs=pacs) as b:
        progress = b.publisher.stage(CT)
        await progress.wait_version()
        assert len(pacs.sent) < 6
        assert not b.roots[0].complete
        assert len(await b.held(CT)) < 6
        await progress.wait()
        assert b.versions(CT) == list(range(1, len(b.roots) + 1))
        assert len(b.roots) >= 4
        assert [root.complete for root in b.roots] == [False] * (len(b.roots) - 1) + [True]


async def test_a_version_does_not_wait_for_the_next_instance(
    tmp_path: Path, autojump_clock: object
) -> None:
    pacs = FakePacs(ct(3))
    pacs.pause = 600
    async with bench(tmp_path, pacs=pacs) as b:
        b.publisher.stage(CT)
        await trio.sleep(1205)
        assert len(await b.held(CT)) == 2


async def test_instances_that_arrive_later_are_a_new_version(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        first = await b.publish(CT)
        b.pacs.add(*ct(2, first=4))
        b.pacs.sent.clear()
        second = await b.publish(CT)
        assert second.version > first.version
        assert sorted(b.pacs.sent) == [f"{CT}.1.4", f"{CT}.1.5"]
        assert len(await b.held(CT)) == 5


async def test_a_version_that_was_stored_and_not_announced_is_announced(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        first = await b.publish(CT)
        study = b.keys.id_of(CT)
        for left in ((first.version - 1, False), (0, False)):  # killed between the two
            b.keys.versions[study] = left
            again = await b.publish(CT)
            assert again.version == first.version
            assert b.keys.versions[study] == (first.version, True)


async def test_an_unchanged_study_is_no_new_version(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        first = await b.publish(CT)
        b.pacs.sent.clear()
        assert (await b.publish(CT)).version == first.version
        assert b.pacs.sent == []
        again = await b.publish(CT, everything=True)
        assert again.version == first.version
        assert len(b.pacs.sent) == 3


async def test_what_a_member_publishes_is_left_alone(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    sent: set[StudyId] = set()
    async with bench(tmp_path, *ct(3), is_sent=sent.__contains__) as b:
        first = await b.publish(CT)
        b.pacs.sent.clear()
        b.pacs.add(*ct(4))
        sent.add(first.study)
        assert b.publisher.stage(CT) is None
        await trio.sleep(3600)
        assert not b.pacs.sent
        sent.clear()
        await b.publish(CT)
        assert len(b.pacs.sent) == 1


async def test_a_corrected_name_moves_only_headers(tmp_path: Path) -> None:
    async with bench(tmp_path, *noise(CT, 5)) as b:
        await b.publish(CT)
        used = b.store.used
        corrected = noise(CT, 5, name="Right^Name")
        b.pacs.add(*corrected)
        await b.publish(CT, everything=True)
        assert await b.held(CT) == by_uid(corrected)
        assert b.store.used - used < used / 4


async def test_instances_that_arrive_while_it_is_staged_are_in_it(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(2)) as b:
        progress = b.publisher.stage(CT)
        await progress.wait_version()
        b.pacs.add(*ct(1, first=3))
        await progress.wait()
        assert len(await b.held(CT)) == 3


async def test_one_study_is_staged_once_at_a_time(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        first = b.publisher.stage(CT)
        assert b.publisher.stage(CT) is first
        assert b.publisher.stage(CT, everything=True) is first
        await first.wait()
        again = b.publisher.publications[first.study]
        assert again is not first
        await again.wait()
        assert len(b.pacs.sent) == 6


async def test_several_studies_at_once(tmp_path: Path) -> None:
    studies = [f"1.2.{n}" for n in range(10, 16)]
    instances = [make(study, 1, n) for study in studies for n in range(1, 4)]
    async with bench(tmp_path, *instances) as b:
        publications = [b.publisher.stage(study) for study in studies]
        for progress in publications:
            await progress.wait()
        for study in studies:
            assert len(await b.held(study)) == 3


async def test_a_restart_goes_on_from_the_store(tmp_path: Path) -> None:
    keys = FakeKeys()
    async with bench(tmp_path, *ct(3), keys=keys) as b:
        first = await b.publish(CT)
    async with bench(tmp_path, *ct(5), keys=keys) as b:
        second = await b.publish(CT)
        assert second.version > first.version
        assert sorted(b.pacs.sent) == [f"{CT}.1.4", f"{CT}.1.5"]
        assert await b.held(CT) == by_uid(ct(5))


async def test_a_publisher_that_does_not_run_stages_nothing(tmp_path: Path) -> None:
    async def nobody(_study: object) -> None:
        return

    async with open_store(tmp_path) as store:
        publisher = Publisher(FakePacs(), store, FakeKeys(), SIGNING, coded, updated=nobody)
        with pytest.raises(StateError):
            publisher.stage(CT)


# ---------------------------------------------------------------- bad input


async def test_a_study_nobody_has(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(1)) as b:
        with pytest.raises(StudyNotFoundError):
            await b.publish("1.2.99")


@pytest.mark.parametrize("error", [PacsUnreachableError("away"), DeadlineError("hung")])
async def test_a_pacs_that_is_away_fails_at_once_if_nothing_is_out(
    tmp_path: Path, error: PacsUnreachableError
) -> None:
    async with bench(tmp_path, *ct(1)) as b:
        b.pacs.error = error
        progress = b.publisher.stage(CT)
        with pytest.raises(type(error)):
            await progress.wait_version()
        b.pacs.error = None
        await b.publish(CT)
        assert len(await b.held(CT)) == 1


async def test_a_pacs_that_breaks_off_is_asked_again_for_what_is_missing(
    tmp_path: Path, autojump_clock: object
) -> None:
    pacs = FakePacs(ct(6))
    pacs.pause = 1.5
    pacs.error, pacs.break_after = PacsUnreachableError("gone"), 2
    async with bench(tmp_path, pacs=pacs) as b:
        progress = b.publisher.stage(CT)
        await trio.sleep(4)
        assert len(await b.held(CT)) == 2
        assert not b.roots[-1].complete
        pacs.error = pacs.break_after = None
        await progress.wait()
        assert len(pacs.sent) == len(set(pacs.sent)) == 6
        assert await b.held(CT) == by_uid(ct(6))
        assert b.roots[-1].complete


async def test_a_pacs_that_stays_broken_leaves_what_is_out(
    tmp_path: Path, autojump_clock: object
) -> None:
    pacs = FakePacs(ct(6))
    pacs.error, pacs.break_after = PacsRefusedError("out of resources"), 2
    async with bench(tmp_path, pacs=pacs) as b:
        progress = b.publisher.stage(CT)
        await progress.wait_version()
        pacs.break_after = 0
        with pytest.raises(PacsRefusedError):
            await progress.wait()
        assert progress.stage is PublishStage.FAILED
        assert len(await b.held(CT)) == 2
        assert b.roots[-1].complete  # so that nobody waits for more, which would not come
        assert (await b.index(CT)).left_out.count == 4
        pacs.error = pacs.break_after = None
        await b.publish(CT)
        assert await b.held(CT) == by_uid(ct(6))


async def test_a_pacs_that_breaks_off_again_and_again_gets_there(
    tmp_path: Path, autojump_clock: object
) -> None:
    pacs = FakePacs(ct(12))
    pacs.error, pacs.break_after = PacsRefusedError("out of resources"), 2
    async with bench(tmp_path, pacs=pacs) as b:
        await b.publish(CT)
        assert await b.held(CT) == by_uid(ct(12))
        assert len(pacs.sent) == 12


async def test_an_instance_of_another_study_is_left_out(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        b.pacs.extra = [make(MR)]
        progress = await b.publish(CT)
        assert isinstance(progress.problem, WrongStudyError)
        assert progress.left_out == 1
        assert CT not in str(progress.problem)
        assert await b.held(CT) == by_uid(ct(3))
        assert b.roots[-1].complete


async def test_one_uid_with_other_bytes_is_left_out(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        b.pacs.extra = [make(CT, 1, 2, name="Somebody^Else")]
        progress = await b.publish(CT)
        assert isinstance(progress.problem, DuplicateInstanceError)
        assert len(await b.held(CT)) == 3


async def test_what_is_no_dicom_is_left_out(tmp_path: Path) -> None:
    broken = EncodedInstance("1.2", f"{CT}.1.9", "1.2.840.10008.1.2.1", b"this is no data set")
    async with bench(tmp_path, *ct(3)) as b:
        b.pacs.extra = [broken]
        progress = await b.publish(CT)
        assert progress.left_out == 1
        assert isinstance(progress.problem, PacsDataError)
        assert await b.held(CT) == by_uid(ct(3))


async def test_a_study_of_nothing_usable_fails(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(1)) as b:
        b.pacs.lost = {f"{CT}.1.1"}
        b.pacs.extra = [make(MR)]
        with pytest.raises(PacsDataError):
            await b.publish(CT)
        assert b.roots == []


async def test_instances_that_never_come_are_told(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        b.pacs.lost = {f"{CT}.1.2"}
        progress = await b.publish(CT)
        assert isinstance(progress.problem, PacsDataError)
        assert progress.left_out == 1
        assert len(await b.held(CT)) == 2
        assert b.roots[-1].complete
        assert (await b.index(CT)).left_out == LeftOut((f"{CT}.1.2",), 0, progress.why)
        assert progress.why == "1: the central PACS lists it and does not send it"
        b.pacs.lost = set()
        await b.publish(CT)
        assert len(await b.held(CT)) == 3
        assert (await b.index(CT)).left_out == LeftOut()


async def test_instances_that_cannot_be_had_are_told_and_the_others_come(tmp_path: Path) -> None:
    broken = BrokenInstanceError("it is truncated")
    async with bench(tmp_path, *ct(6)) as b:
        b.pacs.failing = {f"{CT}.1.2": broken, f"{CT}.1.5": PacsRefusedError("its file is lost")}
        progress = await b.publish(CT)
        assert progress.left_out == 2
        assert await b.held(CT) == by_uid([*ct(1), *ct(2, first=3), *ct(1, first=6)])
        left_out = (await b.index(CT)).left_out
        assert left_out.uids == (f"{CT}.1.2", f"{CT}.1.5")
        assert left_out.unnamed == 0
        assert set(left_out.why.split("; ")) == {"1: it is truncated", "1: its file is lost"}
        versions = len(b.roots)
        await b.publish(CT)  # asked for again, and nothing new
        assert len(b.roots) == versions
        del b.pacs.failing[f"{CT}.1.2"]
        assert (await b.publish(CT)).left_out == 1
        assert (await b.index(CT)).left_out.uids == (f"{CT}.1.5",)
        assert len(await b.held(CT)) == 5


async def test_what_has_no_uid_is_asked_for_by_name_and_counted_once(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        b.pacs.failing = {f"{CT}.1.2": BrokenInstanceError("no header")}
        b.pacs.nameless = True
        progress = await b.publish(CT)
        assert progress.left_out == 1
        assert progress.why == "1: no header"
        assert (await b.index(CT)).left_out.uids == (f"{CT}.1.2",)


async def test_a_second_instance_under_a_uid_is_counted_as_missing(tmp_path: Path) -> None:
    second = make(CT, 1, 2, name="Somebody^Else")
    async with bench(tmp_path, *ct(3)) as b:
        b.pacs.extra = [second]
        progress = await b.publish(CT)
        assert (progress.left_out, progress.duplicates) == (1, 1)
        left_out = (await b.index(CT)).left_out
        assert (left_out.uids, left_out.unnamed) == ((), 1)
        assert "one SOP Instance UID" in left_out.why
        await b.publish(CT)  # it is known, though nothing is sent again
        assert (await b.index(CT)).left_out == left_out
        b.pacs.extra = []
        await b.publish(CT, everything=True)
        assert (await b.index(CT)).left_out.count == 0


# ---------------------------------------------------------------- what changes in the PACS


async def test_what_was_published_is_compared_again_after_a_while(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with bench(tmp_path, *ct(3), tuning=PublisherTuning(compare_seconds=300)) as b:
        await b.publish(CT)
        versions = b.versions(CT)
        await trio.sleep(1000)
        assert b.versions(CT) == versions  # nothing changed, and nothing was sent again
        assert len(b.pacs.sent) == 3
        del b.pacs.held[f"{CT}.1.2"]
        await trio.sleep(330)
        assert set(await b.held(CT)) == {f"{CT}.1.1", f"{CT}.1.3"}


async def test_comparing_again_holds_up_nobody(tmp_path: Path, autojump_clock: object) -> None:
    studies = [f"1.2.{n}" for n in range(10, 18)]
    instances = [make(study) for study in [*studies, CT]]
    async with bench(tmp_path, *instances, tuning=PublisherTuning(compare_seconds=300)) as b:
        for study in studies:
            await b.publish(study)
        b.pacs.delay = 10
        await trio.sleep(325)
        began = trio.current_time()
        under_way = [one for one in b.publisher.publications.values() if not one.over]
        assert len(under_way) == 1
        await b.publisher.stage(CT).wait_version()
        assert trio.current_time() - began < 15


async def test_one_that_is_asked_for_is_read_again_in_whole_now_and_then(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with bench(tmp_path, *noise(CT, 3), tuning=PublisherTuning(read_seconds=3600)) as b:
        await b.publish(CT)
        other = evolve(noise(CT, 9)[8], sop_instance_uid=f"{CT}.1.2")
        pixels = 2 * 64 * 64
        same_header = noise(CT, 2)[1].data[:-pixels]
        other = evolve(other, data=same_header + other.data[-pixels:])
        b.pacs.add(other)
        await b.publisher.stage(CT, asked=True).wait()
        assert (await b.held(CT))[f"{CT}.1.2"] != other  # a list does not tell
        await trio.sleep(3700)
        await b.publisher.stage(CT, asked=True).wait()
        assert (await b.held(CT))[f"{CT}.1.2"] == other
        sent = len(b.pacs.sent)
        await b.publisher.stage(CT, asked=True).wait()
        assert len(b.pacs.sent) == sent


async def test_a_publication_that_a_restart_broke_off_goes_on_by_itself(
    tmp_path: Path, autojump_clock: object
) -> None:
    keys, pacs = FakeKeys(), FakePacs(ct(6))
    pacs.pause = 1.5
    async with bench(tmp_path, pacs=pacs, keys=keys) as b:
        await b.publisher.stage(CT).wait_version()
        assert not b.roots[-1].complete
    pacs.pause = 0.0
    async with bench(tmp_path, pacs=pacs, keys=keys) as b:
        await trio.sleep(5)
        assert await b.held(CT) == by_uid(ct(6))
        assert b.roots[-1].complete


async def test_a_series_that_is_gone_is_withdrawn(tmp_path: Path) -> None:
    gone = [make(CT, 2, n) for n in range(1, 4)]
    async with bench(tmp_path, *ct(3), *gone) as b:
        await b.publish(CT)
        for one in gone:
            del b.pacs.held[one.sop_instance_uid]
        await b.publish(CT)
        assert await b.held(CT) == by_uid(ct(3))
        assert (await b.index(CT)).withdrawn == set(by_uid(gone))
        assert b.roots[-1].complete
        b.pacs.add(*gone)
        used = b.store.used
        await b.publish(CT)
        assert await b.held(CT) == by_uid([*ct(3), *gone])
        assert b.store.used - used < 2000  # the index alone


async def test_one_that_goes_and_one_that_comes_are_noticed(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        await b.publish(CT)
        del b.pacs.held[f"{CT}.1.2"]
        b.pacs.add(*ct(1, first=9))
        await b.publish(CT)
        assert set(await b.held(CT)) == {f"{CT}.1.1", f"{CT}.1.3", f"{CT}.1.9"}


async def test_one_that_is_replaced_is_noticed_by_what_the_pacs_tells(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        await b.publish(CT)
        b.pacs.sent.clear()
        other = evolve(make(CT, 1, 9), sop_instance_uid=f"{CT}.1.2")
        uid = (f"{CT}.1.9".encode(), f"{CT}.1.2".encode())
        other = evolve(other, data=other.data.replace(*uid))
        b.pacs.add(other)
        await b.publish(CT)
        assert b.pacs.sent == [f"{CT}.1.2"]
        assert (await b.held(CT))[f"{CT}.1.2"] == other
        await b.publish(CT)
        assert len(b.pacs.sent) == 1


async def test_who_asks_waits_for_the_list_whatever_the_count(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        await b.publish(CT)
        b.pacs.delay = 10
        began = trio.current_time()
        progress = b.publisher.stage(CT)
        await progress.wait_compared()
        assert trio.current_time() - began > 15  # a count and a list
        await progress.wait()
        del b.pacs.held[f"{CT}.1.2"]
        progress = b.publisher.stage(CT)
        await progress.wait_compared()
        assert f"{CT}.1.2" not in await b.held(CT)
        await progress.wait()
        assert set(await b.held(CT)) == {f"{CT}.1.1", f"{CT}.1.3"}


async def ready(b: Bench) -> set[str]:
    """What somebody would be given who asks now: of a version that is whole, or will be."""
    progress = b.publisher.stage(CT)
    await progress.wait_compared()
    given = set(await b.held(CT))
    version = b.roots[-1]
    await progress.wait()
    assert version.complete == (progress.version == version.version)
    assert b.roots[-1].complete
    return given


@pytest.mark.parametrize(
    "new",
    [
        [make(CT, 1, n, patient="NEW") for n in range(1, 4)],
        [make(CT, 1, n, name="Right^Name") for n in range(1, 4)],
        [make(CT, 1, n, StudyDescription="corrected") for n in range(1, 4)],
    ],
    ids=["patient", "name", "description"],
)
async def test_what_was_corrected_is_given_only_when_it_was_read_again(
    tmp_path: Path, new: list[EncodedInstance]
) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        await b.publish(CT)
        await b.publish(CT)
        b.pacs.add(*new)
        assert await ready(b) == set()
        assert await b.held(CT) == by_uid(new)
        b.pacs.sent.clear()
        await b.publish(CT)
        assert b.pacs.sent == []


async def test_a_pacs_that_corrects_its_database_alone_is_read_once(tmp_path: Path) -> None:
    class Correcting(FakePacs):
        def _told(self, record: StudyRecord) -> Json:
            return super()._told(record) | {tag("PatientID"): entry("LO", "NEW")}

    async with bench(tmp_path, pacs=Correcting(ct(3))) as b:
        await b.publish(CT)
        await b.publish(CT)
        b.pacs.sent.clear()
        await b.publish(CT)
        assert b.pacs.sent == []
        assert await b.held(CT) == by_uid(ct(3))


class Corrected(FakePacs):
    """Sends what it holds at that moment, and is corrected after so many instances."""

    after = 2

    def __init__(self, old: list[EncodedInstance], new: list[EncodedInstance]) -> None:
        super().__init__(old)
        self.new = new

    def retrieve(
        self, study: Description, wanted: Collection[str] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[EncodedInstance]]:
        async def produce(put: Put) -> None:
            uids = [uid for uid in self.held if wanted is None or uid in wanted]
            for uid in uids:
                if len(self.sent) == self.after:
                    self.held.clear()
                    self.add(*self.new)
                if uid in self.held:
                    self.sent.append(uid)
                    await put(self.held[uid])

        return streamed(produce)


CORRECTIONS = {
    "patient": {"patient": "NEW"},
    "name": {"name": "Right^Name"},
    "description": {"StudyDescription": "corrected"},
}


@pytest.mark.parametrize("how", CORRECTIONS)
@pytest.mark.parametrize("published", [0, 3])
async def test_one_that_is_corrected_while_it_is_read_is_read_again(
    tmp_path: Path, autojump_clock: object, how: str, published: int
) -> None:
    more: dict[str, Any] = CORRECTIONS[how]
    old, new = ct(8), [make(CT, 1, n, **more) for n in range(1, 9)]
    pacs = Corrected(old[:published] or old, new)
    async with bench(tmp_path, pacs=pacs) as b:
        if published:
            pacs.after = -1
            await b.publish(CT)
            pacs.add(*old)
            pacs.after = published + 2
        progress = await b.publish(CT)
        assert await b.held(CT) == by_uid(new)
        assert progress.left_out == 0
        assert b.roots[-1].complete
        assert text(b.records[-1].attributes, "PatientID") == text(
            (await pacs.describe(CT)).attributes, "PatientID"
        )
        pacs.sent.clear()
        await b.publish(CT)
        assert pacs.sent == []


async def test_a_pacs_that_tells_now_this_now_that_is_not_read_for_ever(
    tmp_path: Path, autojump_clock: object
) -> None:
    class Fickle(FakePacs):
        looks = 0

        def _told(self, record: StudyRecord) -> Json:
            self.looks += 1
            return super()._told(record) | {tag("PatientID"): entry("LO", str(self.looks))}

    async with bench(tmp_path, pacs=Fickle(ct(3))) as b:
        for _ in range(2):
            await b.publish(CT)
            assert await b.held(CT) == by_uid(ct(3))
        assert len(b.pacs.sent) < 30


async def test_of_one_patient_nothing_of_another_stays(tmp_path: Path) -> None:
    """Both were there under the same UIDs, until the wrong one was deleted."""
    new = [make(CT, 1, n, patient="NEW") for n in range(1, 5)]
    async with bench(tmp_path, *ct(2), *new[2:]) as b:
        await b.publish(CT)
        b.pacs.add(*new)
        await b.publish(CT)
        assert await b.held(CT) == by_uid(new)


async def test_a_second_patient_under_the_same_uid_takes_nothing_from_the_first(
    tmp_path: Path,
) -> None:
    """Orthanc gives neither then, by DICOMweb."""

    class Both(FakePacs):
        async def describe(self, uid: str, detail: Detail = Detail.INSTANCES) -> Description:
            one = await super().describe(uid, detail)
            of_old = {tag("PatientID"): entry("LO", "OLD")}
            second = evolve(one.series[0], attributes=one.series[0].attributes | of_old)
            return evolve(one, series=(*one.series, second))

    old, new = ([make(CT, 1, n, patient=name) for n in (1, 2)] for name in ("OLD", "NEW"))
    async with bench(tmp_path, *old) as b:
        await b.publish(CT)
        await b.publish(CT)
        b.pacs.add(*new)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(b.pacs, "describe", Both(new).describe)
            await b.publish(CT)
            assert await b.held(CT) == by_uid(old)
            assert (await b.index(CT)).left_out.count == 2
        await b.publish(CT)
        assert await b.held(CT) == by_uid(new)


async def test_what_changed_while_others_came_is_compared_at_the_next_time(
    tmp_path: Path,
) -> None:
    later = [make(CT, 1, n, ContentTime="120000") for n in range(1, 7)]
    earlier = [make(CT, 1, n, ContentTime="110000") for n in range(1, 7)]
    pacs = Corrected(earlier[:3], later)
    pacs.after = -1
    async with bench(tmp_path, pacs=pacs) as b:
        await b.publish(CT)
        pacs.add(*earlier)
        pacs.after = len(pacs.sent) + 2
        await b.publish(CT)
        await b.publish(CT)
        assert await b.held(CT) == by_uid(later)


async def test_a_series_that_was_split_is_read_again(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(4)) as b:
        await b.publish(CT)
        split = [make(CT, 2, n, SOPInstanceUID=f"{CT}.1.{n}") for n in (3, 4)]
        b.pacs.add(*split)
        b.pacs.sent.clear()
        assert await ready(b) == {f"{CT}.1.1", f"{CT}.1.2"}
        assert sorted(b.pacs.sent) == [f"{CT}.1.3", f"{CT}.1.4"]
        assert await b.held(CT) == by_uid([*ct(2), *split])


async def test_of_a_series_that_lost_an_instance_the_others_are_read_again(tmp_path: Path) -> None:
    other = make(CT, 2, 1)
    async with bench(tmp_path, *ct(3), other) as b:
        await b.publish(CT)
        b.pacs.remove(CT)
        smaller = [make(CT, 1, n, size=32) for n in (1, 2)]
        b.pacs.add(*smaller, other)
        b.pacs.sent.clear()
        assert await ready(b) == {other.sop_instance_uid}
        assert sorted(b.pacs.sent) == [f"{CT}.1.1", f"{CT}.1.2"]
        assert await b.held(CT) == by_uid([*smaller, other])


async def test_who_asks_for_a_study_that_grew_is_told_that_more_comes(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        await b.publish(CT)
        b.pacs.add(*ct(3, first=4))
        assert await ready(b) == set(by_uid(ct(3)))
        assert await b.held(CT) == by_uid(ct(6))


async def test_what_is_withdrawn_and_does_not_come_again_is_missing(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        await b.publish(CT)
        b.pacs.add(*(make(CT, 1, n, patient="NEW") for n in range(1, 4)))
        b.pacs.error, b.pacs.break_after = PacsUnreachableError("gone"), 0
        with pytest.raises(PacsUnreachableError):
            await b.publish(CT)
        assert b.roots[-1].complete
        assert await b.held(CT) == {}
        assert (await b.index(CT)).left_out.count == 3
        b.pacs.error = b.pacs.break_after = None
        await b.publish(CT)
        assert len(await b.held(CT)) == 3
        assert (await b.index(CT)).left_out.count == 0


async def test_what_the_pacs_says_is_not_there_is_told(
    tmp_path: Path, autojump_clock: object
) -> None:
    gone: list[str] = []

    async def note(uid: str) -> None:
        await trio.lowlevel.checkpoint()
        gone.append(uid)

    async with bench(tmp_path, *ct(3), gone=note) as b:
        await b.publish(CT)
        b.pacs.error = PacsUnreachableError("away")
        with pytest.raises(PacsUnreachableError):
            await b.publish(CT)
        assert gone == []
        b.pacs.error = None
        b.pacs.remove(CT)
        with pytest.raises(StudyNotFoundError):
            await b.publish(CT)
        assert gone == [CT]


async def test_a_list_that_is_cut_off_withdraws_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(6)) as b:
        await b.publish(CT)
        b.pacs.lists_at_most = 4
        await b.publish(CT)
        assert len(await b.held(CT)) == 6


async def test_a_pacs_that_goes_away_for_good_leaves_a_closing_version(
    tmp_path: Path, autojump_clock: object
) -> None:
    pacs = FakePacs(ct(6))
    pacs.error, pacs.break_after = PacsUnreachableError("gone"), 2
    async with bench(tmp_path, pacs=pacs) as b:
        progress = b.publisher.stage(CT)
        await progress.wait_version()
        pacs.break_after = None
        with pytest.raises(PacsUnreachableError):
            await progress.wait()
        assert b.roots[-1].complete
        left_out = (await b.index(CT)).left_out
        assert (left_out.count, left_out.why) == (4, "4: gone")
        version = b.roots[-1].version
        with pytest.raises(PacsUnreachableError):
            await b.publish(CT)
        assert b.roots[-1].version == version  # nothing new to say
        pacs.error = None
        await b.publish(CT)
        assert await b.held(CT) == by_uid(ct(6))
        assert (await b.index(CT)).left_out == LeftOut()


# ---------------------------------------------------------------- a full store, a lost one


async def test_a_full_store_is_told_and_keeps_what_was_there(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(2), *noise(MR, 40), capacity=60_000) as b:
        await b.publish(CT)
        with pytest.raises(DiskFullError, match="capacity"):
            await b.publish(MR)
        assert await b.held(CT) == by_uid(ct(2))
        b.store.writer.capacity = None
        await b.publish(MR)
        assert await b.held(MR) == by_uid(noise(MR, 40))
        assert await b.held(CT) == by_uid(ct(2))


async def test_a_store_that_gets_full_leaves_a_closing_version(tmp_path: Path) -> None:
    """Who has the first version must not wait for ever for one that does not fit."""
    instances = noise(CT, 40)
    pacs = FakePacs(instances)
    pacs.error, pacs.break_after = PacsUnreachableError("a moment"), 2
    tuning = PublisherTuning(retry_seconds=(0.01,))
    async with bench(tmp_path, pacs=pacs, capacity=60_000, tuning=tuning) as b:
        progress = b.publisher.stage(CT)
        await progress.wait_version()
        pacs.error = pacs.break_after = None
        with pytest.raises(DiskFullError, match="capacity"):
            await progress.wait()
        assert b.roots[-1].complete
        left_out = (await b.index(CT)).left_out
        held = await b.held(CT)
        assert 2 <= len(held) < 40
        assert held.items() <= by_uid(instances).items()
        assert left_out.count == 40 - len(held)
        assert ": the broker has no room for them: the store is full" in left_out.why
        version = 0
        while b.roots[-1].version > version:  # as long as another one fits, or there is news
            version = b.roots[-1].version
            with pytest.raises(DiskFullError, match="capacity"):
                await b.publish(CT)
            assert b.roots[-1].complete
        assert version < 40
        b.store.writer.capacity = None
        await b.publish(CT)
        assert await b.held(CT) == by_uid(instances)
        assert (await b.index(CT)).left_out == LeftOut()


async def test_recycling_comes_before_a_full_store(tmp_path: Path) -> None:
    def make_room(b: Bench) -> object:
        async def make() -> bool:
            study = b.keys.id_of(CT)
            held = b.store.holds(study)
            b.roots = [root for root in b.roots if root.study != study]
            await b.store.drop(study)
            b.store.writer.capacity = 10_000_000
            return held

        return make

    instances = [*ct(2), *noise(MR, 40)]
    async with bench(tmp_path, *instances, capacity=60_000, make_room=make_room) as b:
        await b.publish(CT)
        await b.publish(MR)
        assert await b.held(MR) == by_uid(noise(MR, 40))
        assert not b.store.holds(b.keys.id_of(CT))


async def test_a_lost_study_is_published_anew_above_its_old_versions(tmp_path: Path) -> None:
    async with bench(tmp_path, *ct(3)) as b:
        first = await b.publish(CT)
        await b.store.drop(first.study)
        b.roots.clear()
        second = await b.publish(CT)
        assert b.roots[0].version == first.version + 1
        assert second.version > first.version
        assert await b.held(CT) == by_uid(ct(3))


async def test_a_lost_study_is_fetched_back_if_others_have_it(tmp_path: Path) -> None:
    keys, asked = FakeKeys(), []

    async def recover(study: object) -> bool:
        await trio.lowlevel.checkpoint()
        asked.append(study)
        return False

    async with bench(tmp_path, *ct(3), keys=keys, recover=recover) as b:
        first = await b.publish(CT)
        assert asked == []
        await b.store.drop(first.study)
        b.roots.clear()
        await b.publish(CT)
        assert asked == [first.study]


async def test_a_pacs_that_is_away_is_no_failure_of_what_is_out(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with bench(tmp_path, *ct(2)) as b:
        await b.publish(CT)
        b.pacs.error = PacsUnreachableError("away")
        with capture_logs() as logs:
            progress = b.publisher.stage(CT)
            assert progress is not None
            await progress.wait_over()
        assert progress.stage is PublishStage.FAILED
        assert not [one for one in logs if one["log_level"] == "error"]
        said = next(one for one in logs if one["event"].startswith("what is out stays"))
        assert said["why"] == "away"
        with capture_logs() as logs:  # of one that never was out somebody waits
            unknown = b.publisher.stage(MR)
            assert unknown is not None
            await unknown.wait_over()
        assert "publication failed" in [one["event"] for one in logs]
