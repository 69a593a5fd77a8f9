from pathlib import Path

import structlog
from structlog.testing import capture_logs

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.publish.source import Detail
from p2pacs.study.coding import CodedInstance
from tests.broker.publish.bench import bench, coded
from tests.conformance.instances import make

UID = "1.2.1"


async def test_a_new_study_is_counted_and_never_listed(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID), make(UID, 1, 2)) as b:
        await b.publish(UID)
        assert b.pacs.described == [Detail.SERIES, Detail.SERIES]


async def test_an_unchanged_study_is_listed_once(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID)) as b:
        await b.publish(UID)
        b.pacs.described.clear()
        await b.publish(UID)
        assert b.pacs.described == [Detail.SERIES, Detail.UIDS]


async def test_a_study_that_grew_is_listed(tmp_path: Path) -> None:
    async with bench(tmp_path, make(UID)) as b:
        await b.publish(UID)
        b.pacs.described.clear()
        b.pacs.add(make(UID, 1, 2))
        progress = await b.publish(UID)
        assert b.pacs.described == [Detail.SERIES, Detail.UIDS, Detail.UIDS]
        assert (progress.instances_done, progress.instances_wanted) == (2, 2)


async def test_a_study_is_pinned_only_while_it_is_staged(tmp_path: Path) -> None:
    pinned: list[bool] = []

    async def coder(instance: EncodedInstance) -> CodedInstance:
        pinned.extend(info.pinned for info in b.store.studies())
        return await coded(instance)

    async with bench(tmp_path, make(UID), coder=coder) as b:
        await b.publish(UID)
        assert pinned == []  # nothing was in the store yet
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
