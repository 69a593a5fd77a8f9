"""Frames against pydicom's, out of a study on its way through a real network."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
import trio
from attrs import evolve
from pydicom.encaps import get_frame
from pydicom.filebase import DicomBytesIO
from pydicom.uid import UID

from p2pacs.dataset.header import DEFLATED
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError, NotFoundError
from p2pacs.study.excerpt import Excerpts
from p2pacs.study.images import Coding
from p2pacs.study.reader import StudyReader
from peer.retrieval.frame_reads import FrameReads, read_header_bytes
from peer.retrieval.instances.live_index import Known
from peer.retrieval.study_fetch import StudyFetch
from tests.p2pacs.dataset.test_pixel_data import FOLDER, encapsulated
from tests.p2pacs.study import samples
from tests.peer.retrieval.test_study_fetch import LIMIT, opened, read_all
from tests.peer.world import open_world

FILES = (
    "CT_small.dcm",
    "JPEG2000.dcm",
    "SC_rgb_rle_2frame.dcm",
    "examples_ybr_color.dcm",  # JPEG, 30 frames
    "liver_1frame.dcm",  # single bits
    "rtdose.dcm",  # 15 frames
    "rtdose_expb.dcm",  # ... in big endian
    "rtdose_rle.dcm",  # ... which zstd makes smaller
)


def file(name: str) -> EncodedInstance:
    """One of pydicom's, as an instance of the one study."""
    dataset = pydicom.dcmread(FOLDER / name)
    dataset.StudyInstanceUID = samples.STUDY_UID
    uid = f"1.2.3.{FILES.index(name)}"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    out = DicomBytesIO()
    pydicom.dcmwrite(out, dataset, enforce_file_format=False)
    return EncodedInstance.from_part10(out.getvalue())


def expected(one: EncodedInstance) -> list[bytes]:
    dataset = pydicom.dcmread(DicomBytesIO(one.part10()))
    count = int(dataset.get("NumberOfFrames") or 1)
    if UID(one.transfer_syntax_uid).is_compressed:
        return [get_frame(dataset.PixelData, n, number_of_frames=count) for n in range(count)]
    pixels = dataset.pixel_array.reshape((count, -1))
    if dataset.BitsAllocated == 1:
        return [np.packbits(frame, bitorder="little").tobytes() for frame in pixels]
    return [frame.astype(frame.dtype.newbyteorder("<")).tobytes() for frame in pixels]


def known_of(fetch: StudyFetch, one: EncodedInstance) -> Known:
    return next(
        known for known in fetch.known if known.entry.sop_instance_uid == one.sop_instance_uid
    )


async def frames_of(fetch: StudyFetch, one: EncodedInstance) -> list[bytes]:
    with trio.fail_after(LIMIT):
        reader = await FrameReads().open(fetch, known_of(fetch, one))
        return [await reader.read(number) for number in range(1, reader.count + 1)]


@pytest.mark.parametrize("coding", list(Coding))
async def test_frames_of_pydicom_come_as_they_are_stored(tmp_path: Path, coding: Coding) -> None:
    sent = list(map(file, FILES))
    async with open_world(tmp_path) as world:
        await world.broker.publish(sent, coding=coding)
        fetch = await opened(world, await world.add("a"))
        await read_all(fetch)
        for one in sent:
            assert await frames_of(fetch, one) == expected(one)


def real() -> Iterator[Path]:
    folder = Path(os.environ.get("P2PACS_DICOM_DATA", "/nowhere"))
    for series in sorted(folder.glob("*/")):
        yield next(path for path in sorted(series.rglob("*")) if path.is_file())


@pytest.mark.data
async def test_frames_of_real_series(tmp_path: Path) -> None:
    sent = []
    for path in real():
        try:
            one = EncodedInstance.from_part10(path.read_bytes())
        except BrokenInstanceError:
            continue
        dataset = pydicom.dcmread(path)
        dataset.StudyInstanceUID = samples.STUDY_UID
        out = DicomBytesIO()
        pydicom.dcmwrite(out, dataset, enforce_file_format=False)
        sent.append(EncodedInstance.from_part10(out.getvalue()))
        assert sent[-1].sop_instance_uid == one.sop_instance_uid
    assert sent
    async with open_world(tmp_path) as world:
        await world.broker.publish(sent)
        fetch = await opened(world, await world.add("a"))
        await read_all(fetch)
        for one in sent:
            assert await frames_of(fetch, one) == expected(one)


IMAGES = [samples.noise(number, 20_000)[::2] for number in range(40)]


def but_frame(number: int) -> Callable[[StudyReader], set[int]]:
    """The chunks that an image needs alone: not its header, nor its table, nor this frame."""

    def withheld(reader: StudyReader) -> set[int]:
        (entry,) = reader.index.instances.values()
        excerpts = Excerpts(reader, entry)
        start = excerpts.header_bytes + 8 + 4 * len(IMAGES)
        frame = start + number * (len(IMAGES[0]) + 8)
        needed = excerpts.chunks(0, start) | excerpts.chunks(frame, frame + len(IMAGES[0]) + 8)
        return set(reader.chunks_of(entry)) - needed

    return withheld


async def test_a_frame_is_read_while_the_rest_is_not_here(tmp_path: Path) -> None:
    one = encapsulated(IMAGES, "table")
    async with open_world(tmp_path) as world:
        await world.broker.publish([one], withheld=but_frame(32))
        fetch = await opened(world, await world.add("a"))
        with fetch.in_use(), trio.fail_after(LIMIT):
            known = await first_known(fetch)
            reader = await FrameReads().open(fetch, known)
            assert reader.count == len(IMAGES)
            assert await reader.read(33) == IMAGES[32]
            assert not fetch.is_here(known)
            assert IMAGES[32] not in await read_header_bytes(fetch, known)
            # What is not here is waited for.
            found: list[bytes] = []

            async def read() -> None:
                found.append(await reader.read(3))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await world.supply()
            assert found == [IMAGES[2]]


async def first_known(fetch: StudyFetch) -> Known:
    while not fetch.known:
        mark = fetch.mark()
        await fetch.refresh()
        if not fetch.known:
            await fetch.changed(mark)
    return fetch.known[0]


@pytest.mark.parametrize("how", ["table", "no table", "extended table", "fragments"])
async def test_where_frames_lie_is_remembered(tmp_path: Path, how: str) -> None:
    one = encapsulated(IMAGES[:6], how)
    async with open_world(tmp_path) as world:
        await world.broker.publish([one])
        fetch = await opened(world, await world.add("a"))
        await read_all(fetch)
        reads = FrameReads()
        for number in (1, 6, 2):
            reader = await reads.open(fetch, fetch.known[0])
            assert await reader.read(number) == IMAGES[number - 1]
        with pytest.raises(NotFoundError, match="frames 1 to 6"):
            await reader.read(7)
        with pytest.raises(NotFoundError, match="frames 1 to 6"):
            await reader.read(0)


async def test_a_deflated_instance_has_frames(tmp_path: Path) -> None:
    pixels = samples.noise(1, 2 * 64 * 64)
    plain = samples.instance(1, NumberOfFrames="2", PixelData=pixels)
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = deflater.compress(plain.data) + deflater.flush()
    one = evolve(plain, data=data, transfer_syntax_uid=DEFLATED)
    async with open_world(tmp_path) as world:
        await world.broker.publish([one])
        fetch = await opened(world, await world.add("a"))
        await read_all(fetch)
        assert b"".join(await frames_of(fetch, one)) == pixels


async def test_without_pixel_data_there_are_no_frames(tmp_path: Path) -> None:
    one = samples.instance(1)
    one = evolve(one, data=one.data[: one.data.rindex(b"\xe0\x7f\x10\x00")])
    async with open_world(tmp_path) as world:
        await world.broker.publish([one])
        fetch = await opened(world, await world.add("a"))
        await read_all(fetch)
        with pytest.raises(NotFoundError, match="no frames"):
            await frames_of(fetch, one)
        assert await read_header_bytes(fetch, fetch.known[0]) == one.data


async def test_what_has_rotted_comes_again(tmp_path: Path) -> None:
    one = encapsulated(IMAGES, "table")
    async with open_world(tmp_path) as world:
        await world.broker.publish([one])
        peer = await world.add("a")
        fetch = await opened(world, peer)
        await read_all(fetch)
        await fetch.transfer.wait_complete()
        await peer.store.writer.flush()
        (path,) = (tmp_path / "a" / "store").rglob("*.chunks")
        data = bytearray(path.read_bytes())
        for at in range(4000, len(data), 8000):
            data[at] ^= 1
        path.write_bytes(data)
        assert await frames_of(fetch, one) == IMAGES
