"""A broker's coder, with processes that really die."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError
from p2pacs.limits import MIB
from p2pacs.publish import coder as coder_module
from p2pacs.publish.coder import coder, slice_coder
from p2pacs.study.codecs import IMAGES
from p2pacs.study.coding import CodedInstance, code, code_plain
from p2pacs.study.images import HTJ2K, JXL, Coding
from p2pacs.study.slices import Slice, SlicePlan
from p2pacs.study.split import Kind, SplitPiece
from p2pacs.workers import coding as workers_module
from p2pacs.workers.coding import Workers, open_workers
from p2pacs.workers.pool import PoolTuning
from scripts.phantom import slices
from tests.broker.publish.bench import bench
from tests.p2pacs.workers import jobs
from tests.p2pacs.workers.kept import KeptWorker
from tests.p2pacs.workers.pieces import gathered

SLICES = list(slices(6))
UID = code_plain(SLICES[0]).study_instance_uid
DEADLY = SLICES[2].sop_instance_uid


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with open_workers(2, start=KeptWorker.start) as opened:
        yield opened


def codecs(coded: CodedInstance) -> set[int]:
    return {blob.codec for blob in coded.blobs} & IMAGES


@pytest.mark.parametrize(("coding", "codec"), [(Coding.SMALLEST, JXL), (Coding.PROGRESSIVE, HTJ2K)])
async def test_images_are_coded_as_the_site_wants(
    workers: Workers, coding: Coding, codec: int
) -> None:
    coded = await coder(workers, coding)(SLICES[0])
    assert codecs(coded) == {codec}
    assert await workers.decode(gathered(coded)) == SLICES[0]


async def test_what_is_no_dicom_is_an_error_of_the_pacs(workers: Workers) -> None:
    broken = EncodedInstance("1.2", "1.3", "1.2.840.10008.1.2", b"x")
    with pytest.raises(BrokenInstanceError):
        await coder(workers, Coding.SMALLEST)(broken)


def crash(instance: EncodedInstance, coding: Coding) -> CodedInstance:
    """As `code`, with a codec that does not survive one of the images."""
    if instance.sop_instance_uid == DEADLY:
        os.abort()
    return code(instance, coding)


def bomb(instance: EncodedInstance, coding: Coding) -> CodedInstance:
    if instance.sop_instance_uid == DEADLY:
        jobs.devour()
    return code(instance, coding)


def stall(instance: EncodedInstance, coding: Coding) -> CodedInstance:
    if instance.sop_instance_uid == DEADLY:
        jobs.wait(3_600_000)
    return code(instance, coding)


@pytest.mark.parametrize("trouble", [crash, bomb, stall])
async def test_a_study_with_an_image_that_no_codec_survives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: object
) -> None:
    monkeypatch.setattr(workers_module, "code", trouble)
    # A busy machine may take minutes for an image: then others than the one would be late, too.
    tuning = PoolTuning(seconds=3.0 if trouble is stall else 100.0)
    plain: list[str] = []

    def noted(instance: EncodedInstance) -> CodedInstance:
        plain.append(instance.sop_instance_uid)
        return code_plain(instance)

    monkeypatch.setattr(coder_module, "code_plain", noted)
    with capture_logs() as logs:
        async with (
            open_workers(2, tuning) as workers,
            bench(tmp_path, *SLICES, coder=coder(workers, Coding.SMALLEST)) as b,
        ):
            progress = await b.publish(UID)
            assert (progress.instances_done, progress.left_out) == (len(SLICES), 0)
            assert await b.held(UID) == {one.sop_instance_uid: one for one in SLICES}
    assert DEADLY in plain
    if trouble is not stall:  # others may be late on a busy machine
        assert plain == [DEADLY]
    assert any(entry["log_level"] == "warning" for entry in logs)
    assert UID not in str(logs)


async def test_the_first_chunks_leave_before_the_last_image_is_coded(
    workers: Workers, tmp_path: Path
) -> None:
    first_is_out = trio.Event()
    in_workers = coder(workers, Coding.SMALLEST)

    async def waiting(instance: EncodedInstance) -> CodedInstance:
        if instance is SLICES[-1]:
            with trio.fail_after(30):
                await first_is_out.wait()
        return await in_workers(instance)

    async with bench(tmp_path, *SLICES, coder=waiting) as b, trio.open_nursery() as nursery:
        nursery.start_soon(b.publish, UID)
        with trio.fail_after(30):
            await b.grown.wait()
        assert b.roots[0].chunks > 2
        assert not b.roots[0].complete
        first_is_out.set()


async def test_what_is_compressed_already_goes_to_no_worker(workers: Workers) -> None:
    """It was copied six times on its way there and back: 303 MB at 1 GB."""
    pixels = bytes(range(256)) * 8192
    pieces = (SplitPiece(Kind.ENCAPSULATED, 0, MIB), SplitPiece(Kind.ENCAPSULATED, MIB, 2 * MIB))
    for compressible, processes in ((False, 0), (True, 1)):
        plan = SlicePlan("1.2", "1.3", b"{}", (), None, compressible)
        code_slice = slice_coder(workers, Coding.SMALLEST)
        blobs = await code_slice(pixels, Slice(0, 2 * MIB, pieces), plan)
        assert [blob.size for blob in blobs] == [MIB, MIB]
        assert len(workers.processes) == processes
        if not compressible:
            assert b"".join(blob.coded for blob in blobs) == pixels
