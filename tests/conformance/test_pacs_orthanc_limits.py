"""A real Orthanc that gives at most 100 or 30 answers, and has 131 studies of one day."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs

from broker.pacs.adapter import DateSpan
from broker.pacs.adapters.opening import open_pacs
from broker.pacs.address import parse_pacs
from p2pacs.dataset.json_model import text
from p2pacs.publish.source import Detail
from tests.broker.publish.bench import bench
from tests.components import Orthanc, orthanc

from .instances import make

pytestmark = pytest.mark.orthanc

STUDIES = [f"1.2.826.0.{n}" for n in range(1, 132)]


@pytest.fixture(scope="module", params=[100, 30])
def running(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Orthanc]:
    limit = request.param
    folder = tmp_path_factory.mktemp("orthanc")
    with orthanc(folder, LimitFindResults=limit, LimitFindInstances=limit) as started:
        started.load(make(uid, size=8).part10() for uid in STUDIES)
        started.load(make(STUDIES[0], 1, n, size=8).part10() for n in range(2, 141))
        yield started


@pytest.mark.parametrize("way", ["dicomweb", "dimse"])
async def test_all_studies_are_seen(running: Orthanc, way: str) -> None:
    address = parse_pacs(getattr(running, way))
    with capture_logs() as logs:
        async with open_pacs(address, aet="ME", dicom=None, silence=20) as pacs:
            found = [text(study, "StudyInstanceUID") async for study in pacs.studies(DateSpan())]
    assert sorted(set(found)) == sorted(STUDIES)
    assert not [entry for entry in logs if "missed" in entry["event"]]


@pytest.mark.parametrize("way", ["dicomweb", "dimse"])
async def test_a_study_with_more_instances_than_are_listed_is_published_whole(
    running: Orthanc, way: str, tmp_path: Path
) -> None:
    address = parse_pacs(getattr(running, way))
    async with (
        open_pacs(address, aet="ME", dicom=None, silence=20) as pacs,
        bench(tmp_path, pacs=pacs) as b,
    ):
        described = await pacs.describe(STUDIES[0], Detail.UIDS)
        assert described.count == 140
        progress = await b.publish(STUDIES[0])
        assert progress.left_out == 0
        assert len(await b.held(STUDIES[0])) == 140
        await b.publish(STUDIES[0])  # compared with a list that is cut off
        index = await b.index(STUDIES[0])
        assert (len(index.instances), index.left_out.count) == (140, 0)


@pytest.mark.parametrize("way", ["dicomweb", "dimse"])
async def test_a_study_with_more_series_than_are_listed_is_published_whole(
    running: Orthanc, way: str, tmp_path: Path
) -> None:
    uid = STUDIES[1]
    await trio.to_thread.run_sync(
        running.load, [make(uid, n, 1, size=8).part10() for n in range(2, 106)]
    )
    address = parse_pacs(getattr(running, way))
    async with (
        open_pacs(address, aet="ME", dicom=None, silence=20) as pacs,
        bench(tmp_path, pacs=pacs) as b,
    ):
        for _ in range(2):
            progress = await b.publish(uid)
            assert progress.left_out == 0
            index = await b.index(uid)
            assert (len(index.instances), index.left_out.count) == (105, 0)
            assert len(b.records[-1].series) == 105, "those that are not listed are found, too"
