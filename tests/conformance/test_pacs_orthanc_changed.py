"""A real Orthanc whose studies are corrected, split, replaced and deleted after they were
published: who asks next is given what is there now, or is told that more comes."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from pydicom import dcmread

from broker.pacs.adapters.opening import open_pacs
from broker.pacs.address import parse_pacs
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import StudyNotFoundError
from tests.broker.publish.bench import Bench, bench
from tests.components import Orthanc, orthanc

from .instances import make

pytestmark = pytest.mark.orthanc

UID = "1.2.826.0.9"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as started:
        yield started


@frozen
class Ground:
    server: Orthanc
    bench: Bench

    def store(self, instances: Iterable[EncodedInstance]) -> None:
        """Instead of all that was there."""
        query = json.dumps({"Level": "Study", "Query": {"StudyInstanceUID": UID}}).encode()
        for one in json.loads(self.server.request("POST", "/tools/find", query)):
            self.server.request("DELETE", f"/studies/{one}")
        self.server.load(one.part10() for one in instances)

    async def asked(self) -> dict[str, EncodedInstance]:
        """What is given of the version that is out when somebody has asked."""
        progress = self.bench.publisher.stage(UID)
        await progress.wait_compared()
        given = await self.bench.held(UID)
        await progress.wait()
        return given


@pytest.fixture(params=["dicomweb", "dimse"])
async def ground(
    running: Orthanc, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Ground]:
    address = parse_pacs(getattr(running, request.param))
    async with (
        open_pacs(address, aet="ME", dicom=None, silence=20) as pacs,
        bench(tmp_path, pacs=pacs) as b,
    ):
        yield Ground(running, b)


def series(count: int, first: int = 1, **more: Any) -> list[EncodedInstance]:
    return [make(UID, 1, n, **more) for n in range(first, first + count)]


AFTER = {
    "patient": series(4, patient="NEW"),
    "name": series(4, name="Right^Name"),
    "description": series(4, StudyDescription="corrected"),
    "split": [*series(2), *(make(UID, 2, n, SOPInstanceUID=f"{UID}.1.{n}") for n in (3, 4))],
    "one fewer, others replaced": series(3, size=32),
    "one goes, one comes": [*series(3), *series(1, 9)],
    "more": series(7),
}


def _told(instance: EncodedInstance) -> list[object]:
    """What tells two of these apart, whatever the encoding: Orthanc writes anew over DIMSE."""
    dataset = dcmread(BytesIO(instance.part10()))
    keywords = ("PatientID", "PatientName", "StudyDescription", "SeriesInstanceUID", "PixelData")
    return [dataset[keyword].value for keyword in keywords]


@pytest.mark.parametrize("change", AFTER)
async def test_nothing_old_is_given(ground: Ground, change: str) -> None:
    after = {one.sop_instance_uid: one for one in AFTER[change]}
    ground.store(series(4))
    await ground.bench.publish(UID)
    await ground.bench.publish(UID)
    ground.store(after.values())
    given = await ground.asked()
    expected = {uid: _told(one) for uid, one in after.items()}
    assert {uid: _told(one) for uid, one in given.items()}.items() <= expected.items()
    assert {uid: _told(one) for uid, one in (await ground.bench.held(UID)).items()} == expected


async def test_a_study_that_is_deleted_is_told_to_be_gone(ground: Ground) -> None:
    ground.store(series(2))
    await ground.bench.publish(UID)
    ground.store([])
    with pytest.raises(StudyNotFoundError):
        await ground.bench.publish(UID)
