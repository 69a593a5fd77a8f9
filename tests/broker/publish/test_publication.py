from pathlib import Path

import structlog
from attrs import evolve
from structlog.testing import capture_logs

from broker.pacs.adapter import Detail
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.study.coding import CodedInstance
from tests.conformance.instances import make

from .bench import bench, coded

UID = "1.2.1"


async def test_a_new_study_is_counted_and_never_listed(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID), make(UID, 1, 2)) as b:
        await b.publish(UID)
        assert b.pacs.described == [Detail.SERIES, Detail.SERIES]


async def test_an_unchanged_study_is_counted_once(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID)) as b:
        await b.publish(UID)
        b.pacs.described.clear()
        await b.publish(UID)
        assert b.pacs.described == [Detail.SERIES]


async def test_a_study_that_grew_is_listed(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID)) as b:
        await b.publish(UID)
        b.pacs.described.clear()
        b.pacs.add(make(UID, 1, 2))
        staging = await b.publish(UID)
        assert b.pacs.described == [Detail.SERIES, Detail.UIDS, Detail.SERIES]
        assert (staging.instances_done, staging.instances_wanted) == (2, 2)


async def test_a_study_is_pinned_only_while_it_is_staged(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID)) as b:
        pinned: list[bool] = []

        async def coder(instance: EncodedInstance) -> CodedInstance:
            pinned.extend(info.pinned for info in b.store.studies())
            return await coded(instance)

        await b.publish(UID)
        b.publisher._desk = evolve(b.publisher._desk, coder=coder)
        b.pacs.add(make(UID, 1, 2))
        await b.publish(UID)
        assert pinned == [True]
        assert [info.pinned for info in b.store.studies()] == [False]


async def test_nothing_of_a_patient_is_logged(tmp_path: Path) -> None:
    structlog.reset_defaults()
    async with bench(tmp_path, make(UID, name="Secret^Name")) as b:
        b.pacs.extra = [make("1.2.99")]
        with capture_logs() as logs:
            await b.publish(UID)
        assert logs
        assert UID not in str(logs)
        assert "Secret" not in str(logs)
