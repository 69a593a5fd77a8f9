"""The work itself is tested with `p2pacs.study`: here, that processes do it."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
import trio
from attrs import evolve

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError, CodingError, TranscodingError, WorkerError
from p2pacs.study.coding import code
from p2pacs.study.excerpt import Excerpts
from p2pacs.study.images import JXL, Coding
from p2pacs.transcode.transcoding import transcode
from p2pacs.workers.coding import Workers, open_workers
from p2pacs.workers.pool import Pool, PoolTuning
from scripts.phantom import slices
from tests.p2pacs.study.samples import Shelf
from tests.p2pacs.transcode.samples import EXPLICIT, IMPLICIT, JPEG, of_pydicom
from tests.p2pacs.workers.pieces import gathered
from tests.waiting import eventually


@pytest.fixture(scope="module")
def instance() -> EncodedInstance:
    return next(slices(1))


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with open_workers(2) as opened:
        yield opened


async def test_what_is_coded_is_decoded(workers: Workers, instance: EncodedInstance) -> None:
    coded = await workers.code(instance, Coding.SMALLEST)
    assert JXL in {blob.codec for blob in coded.blobs}
    assert await workers.decode(gathered(coded)) == instance


async def test_a_part_of_it_is_decoded(workers: Workers, instance: EncodedInstance) -> None:
    shelf = Shelf()
    shelf.publish([instance], study_uid=code(instance).study_instance_uid)
    reader = shelf.reader()
    (entry,) = reader.advance(shelf.chunks, shelf.chunks.__getitem__)
    excerpts = Excerpts(reader, entry)
    at = excerpts.header_bytes
    parts = excerpts.gather(at + 5, at + 500, shelf.chunks.__getitem__)
    assert await workers.excerpt(parts) == instance.data[at + 5 : at + 500]


async def test_many_at_once(workers: Workers) -> None:
    instances = list(slices(6))
    found: list[EncodedInstance] = []

    async def there_and_back(instance: EncodedInstance) -> None:
        coded = await workers.code(instance, Coding.PROGRESSIVE)
        found.append(await workers.decode(gathered(coded)))
        assert found[-1] == instance

    async with trio.open_nursery() as nursery:
        for instance in instances:
            nursery.start_soon(there_and_back, instance)
    assert len(found) == len(instances)


async def test_a_preview_is_drawn(workers: Workers, instance: EncodedInstance) -> None:
    coded = await workers.code(instance, Coding.SMALLEST)
    (preview,) = coded.previews
    drawn = await workers.picture(preview.codec, preview.coded)
    assert (drawn.rows, drawn.columns, drawn.samples) == (128, 128, 1)
    assert np.frombuffer(drawn.pixels, np.uint8).std() > 1


async def test_an_instance_is_converted(workers: Workers, instance: EncodedInstance) -> None:
    assert await workers.transcode(instance, IMPLICIT) == transcode(instance, IMPLICIT)
    compressed = of_pydicom("SC_rgb_jpeg_gdcm.dcm")
    assert await workers.transcode(compressed, EXPLICIT) == transcode(compressed, EXPLICIT)


async def test_what_cannot_be_converted_costs_its_own_call(
    workers: Workers, instance: EncodedInstance
) -> None:
    broken = evolve(instance, transfer_syntax_uid=JPEG)
    with pytest.raises(TranscodingError, match="JPEGBaseline8Bit: "):
        await workers.transcode(broken, EXPLICIT)
    assert await workers.transcode(instance, IMPLICIT) == transcode(instance, IMPLICIT)


async def test_what_is_no_dicom_is_refused(workers: Workers) -> None:
    with pytest.raises(BrokenInstanceError):
        await workers.code(
            EncodedInstance("1.2", "1.3", "1.2.840.10008.1.2", b"x"), Coding.SMALLEST
        )


async def test_what_does_not_decode_is_refused(workers: Workers, instance: EncodedInstance) -> None:
    whole = gathered(await workers.code(instance, Coding.SMALLEST))
    with pytest.raises(CodingError):
        await workers.decode(evolve(whole, sha256=bytes(32)))
    cut = tuple(evolve(blob, coded=blob.coded[:-9]) for blob in whole.blobs)
    with pytest.raises(CodingError):
        await workers.decode(evolve(whole, blobs=cut))
    with pytest.raises(CodingError):
        await workers.picture(JXL, b"nonsense")


def test_the_program_itself_loads_no_codecs() -> None:
    source = "import sys, broker.app, peer.app; sys.exit('imagecodecs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0


class _Counting:
    """A pool that counts its calls."""

    tuning = PoolTuning(idle=30.0)

    def __init__(self) -> None:
        self.calls: list[float] = []

    async def run(self, function: Callable[[], None], *, memory: int) -> None:
        function()
        self.calls.append(trio.current_time())
        if len(self.calls) == 2:
            raise WorkerError("a worker process ended")


async def test_a_process_stays_ready(autojump_clock: trio.abc.Clock) -> None:
    """It is called before it has been idle for so long that it would end."""
    pool = _Counting()
    with trio.move_on_after(100):
        await Workers(cast("Pool", pool)).stay_ready()
    assert [after - before for before, after in pairwise(pool.calls)] == [15.0] * 6


async def test_a_process_prepares_itself(workers: Workers) -> None:
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(workers.stay_ready)
            await eventually(lambda: bool(workers.processes))
            nursery.cancel_scope.cancel()
