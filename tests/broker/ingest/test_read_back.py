import hashlib

import pytest

from broker.ingest.read_back import ReadBack
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import PacsDataError
from p2pacs.ids import StudyId
from p2pacs.study.study_index import InstanceEntry
from tests.broker.fakes import FakePacs
from tests.conformance.instances import make

UID = "1.2.1"
OF = StudyId(bytes(StudyId.size))
STUDY = [make(UID, number=number) for number in (1, 2, 3)]


def entries(*instances: EncodedInstance) -> dict[str, InstanceEntry]:
    return {
        one.sop_instance_uid: InstanceEntry(
            one.sop_class_uid,
            one.sop_instance_uid,
            f"{UID}.1",
            one.transfer_syntax_uid,
            hashlib.sha256(one.data).digest(),
            len(one.data),
            (),
            b"{}",
        )
        for one in instances
    }


async def test_what_comes_back_as_it_was_is_read_once() -> None:
    pacs = FakePacs(STUDY)
    read = ReadBack(pacs, remembered=8)
    assert await read.compare(OF, UID, entries(*STUDY[:2])) == 0
    assert await read.compare(OF, UID, entries(*STUDY)) == 0
    assert sorted(pacs.sent) == sorted(one.sop_instance_uid for one in STUDY)


async def test_what_is_given_again_is_read_again() -> None:
    pacs = FakePacs(STUDY)
    read = ReadBack(pacs, remembered=8)
    await read.compare(OF, UID, entries(*STUDY))
    again = STUDY[1].sop_instance_uid
    read.forget(OF, [again])
    await read.compare(OF, UID, entries(*STUDY))
    assert pacs.sent.count(again) == 2
    assert len(pacs.sent) == len(STUDY) + 1


async def test_what_was_changed_is_counted() -> None:
    changed = make(UID, number=2, name="Other")
    read = ReadBack(FakePacs([STUDY[0], changed, STUDY[2]]), remembered=8)
    assert await read.compare(OF, UID, entries(*STUDY)) == 1


async def test_what_is_not_there_or_not_given_is_said() -> None:
    with pytest.raises(PacsDataError, match="has them not"):
        await ReadBack(FakePacs(STUDY[:2]), remembered=8).compare(OF, UID, entries(*STUDY))
    pacs = FakePacs(STUDY)
    pacs.lost = {STUDY[0].sop_instance_uid}
    with pytest.raises(PacsDataError, match="took 1 instances"):
        await ReadBack(pacs, remembered=8).compare(OF, UID, entries(*STUDY))
