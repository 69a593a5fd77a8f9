"""`scripts/bench coding`: how small real series get, how fast, and whether they come back.

Every series is published as a study of its own: coded, verified, sealed, cut into versions as
a broker cuts them, read back from its chunks, and compared. Beside it, zstd -9, HTJ2K and
JPEG-LS on the same files (`scripts.rivals`).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, cast

import trio
from attrs import define, field

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.output.json_object import JsonObject
from p2pacs.publish.schedule import CUT_BYTES
from p2pacs.study.builder import StudyBuilder
from p2pacs.study.coding import CodedInstance, code
from p2pacs.study.images import Coding
from p2pacs.study.manifest import sign_root
from p2pacs.study.reader import StudyReader
from p2pacs.study.split import Kind
from p2pacs.workers.coding import Workers, open_workers
from scripts import phantom
from scripts.precompressed import Compression, compressed, native_bytes
from scripts.rivals import CodecTally, compare, mb_s
from scripts.series import Series, find_series
from tests.p2pacs.study.samples import KEY, SIGNER, STUDY, Shelf

HELP: Final = "how small and how fast real series are coded, against zstd, HTJ2K and JPEG-LS"

POOLED: Final = "pooled"
GOALS: Final = {
    "ct-ge": 5.2,
    "ct-philips-brain-1mm": 5.2,
    "mr-ge-fmri64": 4.5,
    "mr-siemens-mprage": 5.8,
    POOLED: 5.4,
}
"""Series → ratio over whole instances, manifest included; asked of the smallest coding. The
pooled one is asked where all the others are there."""

RUNS: Final = 3
"""Of everything that is timed, but the opponents."""

T = TypeVar("T")
R = TypeVar("R")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the benchmark's arguments."""
    add = parser.add_argument
    add("--dicom", type=Path, required=True, metavar="DIR", help="every series in and below it")
    add(
        "--compressed",
        type=Compression,
        choices=list(Compression),
        help="the images as DCMTK compresses them",
    )
    add("--coding", type=Coding, choices=list(Coding), default=Coding.SMALLEST, help="of images")


@define
class Seconds:
    """How long something took."""

    one: float = 0.0
    """On one core."""
    all: float = 0.0
    """On all cores."""

    def rates(self, size: int) -> JsonObject:
        """Millions of bytes a second."""
        return {"one": mb_s(size, self.one), "all": mb_s(size, self.all)}


@define
class CodingFigures:
    """One series, or several together. Bytes, unless said otherwise."""

    instances: int = 0
    size: int = 0
    """Of all data sets."""
    coded: int = 0
    """Of everything that is published: chunks, segments, root."""
    exact: bool = True
    """Every data set came back from the chunks with the bytes that it had."""
    header: int = 0
    coded_header: int = 0
    pixel: int = 0
    coded_pixel: int = 0
    preview: int = 0
    encoding: Seconds = field(factory=Seconds)
    decoding: Seconds = field(factory=Seconds)
    rivals: dict[str, CodecTally] = field(factory=dict)
    native: int = 0
    """Of the frames when they are native."""

    @property
    def ratio(self) -> float:
        """How much smaller it got, all told."""
        return self.size / self.coded

    def add(self, other: CodingFigures) -> None:
        """Counts another series, too."""
        for name in ("instances", "size", "native", "coded", "header", "pixel", "preview"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.coded_header += other.coded_header
        self.coded_pixel += other.coded_pixel
        self.exact = self.exact and other.exact
        for mine, theirs in ((self.encoding, other.encoding), (self.decoding, other.decoding)):
            mine.one += theirs.one
            mine.all += theirs.all
        for name, tally in other.rivals.items():
            self.rivals.setdefault(name, CodecTally()).add(tally)

    def figures(self) -> JsonObject:
        """As printed."""
        blobs = self.coded_header + self.coded_pixel + self.preview
        return {
            "instances": self.instances,
            "bytes": self.size,
            "coded_bytes": self.coded,
            "exact": self.exact,
            "ratio": round(self.ratio, 3),
            "header_bytes": self.header,
            "coded_header_bytes": self.coded_header,
            "pixel_bytes": self.pixel,
            "coded_pixel_bytes": self.coded_pixel,
            "preview_bytes": self.preview,
            "manifest_bytes": self.coded - blobs,
            "encode_mb_s": self.encoding.rates(self.size),
            "decode_mb_s": self.decoding.rates(self.size),
            "native_bytes": self.native,
            "native_encode_mb_s": self.encoding.rates(self.native),
            "native_decode_mb_s": self.decoding.rates(self.native),
            **{name: tally.figures() for name, tally in self.rivals.items()},
        }


async def run(_folder: Path, given: argparse.Namespace) -> JsonObject:
    """Measures every series, one after the other."""
    found = await trio.to_thread.run_sync(find_series, given.dicom)
    measured: list[tuple[Series, CodingFigures]] = []
    async with open_workers() as workers:
        for series in found:
            instances = await trio.to_thread.run_sync(series.instances)
            if given.compressed is not None:
                instances = await trio.to_thread.run_sync(compressed, instances, given.compressed)
            measured.append((series, await measure(instances, given.coding, workers)))
    return printed(measured, given.coding, is_native=given.compressed is None)


async def measure(
    instances: Sequence[EncodedInstance], coding: Coding, workers: Workers
) -> CodingFigures:
    """Publishes a series and reads it back, on one core and on all."""
    await _warm(workers, coding)
    made = CodingFigures(len(instances), sum(len(one.data) for one in instances))
    made.native = sum(map(native_bytes, instances))

    async def on_one() -> _Study:
        study = _Study()
        for instance in instances:
            study.take(code(instance, coding))
        return study.close()

    async def on_all() -> _Study:
        study = _Study()
        await in_order(partial(workers.code, coding=coding), instances, study.take)
        return study.close()

    study, made.encoding.one = await best(on_one, time.process_time)
    _, made.encoding.all = await best(on_all)
    await _read_back(study, instances, workers, made)
    made.coded = study.published
    _weigh(study, made)
    made.rivals = await trio.to_thread.run_sync(compare, instances)
    return made


async def best(
    work: Callable[[], Awaitable[R]], clock: Callable[[], float] = time.perf_counter
) -> tuple[R, float]:
    """What some work gives, and the seconds of its best run: the least disturbed one.

    Args:
        work: is done several times.
        clock: of what is on one core, the processor's time: others may work beside it.
    """
    seconds: list[float] = []
    for _ in range(RUNS):
        begin = clock()
        result = await work()
        seconds.append(clock() - begin)
    return result, min(seconds)


async def _warm(workers: Workers, coding: Coding) -> None:
    """Has codecs loaded, here and in every process, before anything is timed."""
    for instance in phantom.slices(1):
        code(instance, coding)
    loads = list(phantom.slices(os.cpu_count() or 1))  # each large enough for a process
    await in_order(partial(workers.code, coding=coding), loads, lambda _: None)


async def in_order(
    work: Callable[[T], Awaitable[R]], items: Sequence[T], take: Callable[[R], None]
) -> None:
    """Has all items worked on at once, and takes the results in their order."""
    results: list[R | None] = [None] * len(items)
    done = [trio.Event() for _ in items]

    async def one(number: int, item: T) -> None:
        results[number] = await work(item)
        done[number].set()

    async with trio.open_nursery() as nursery:
        for number, item in enumerate(items):
            nursery.start_soon(one, number, item)
        for number, event in enumerate(done):
            await event.wait()
            result, results[number] = results[number], None
            take(cast("R", result))


class _Study:
    """A study that grows version by version."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.published = 0
        """Bytes of chunks, segments and root."""
        self._builder: StudyBuilder | None = None

    def take(self, coded: CodedInstance) -> None:
        """Adds an instance. The first is a version of its own; so is every large heap."""
        if self._builder is None:
            self._builder = StudyBuilder(STUDY, KEY, coded.study_instance_uid)
        self._builder.append(coded)
        if self.shelf.root is None or self._builder.pending_bytes >= CUT_BYTES:
            self._cut(self._builder, complete=False)

    def close(self) -> _Study:
        """The last version."""
        if self._builder is not None:
            self._cut(self._builder, complete=True)
        return self

    def reader(self) -> StudyReader:
        """Reads the newest version."""
        reader = self.shelf.reader()
        reader.advance(self.shelf.chunks, self.shelf.chunks.__getitem__)
        return reader

    def _cut(self, builder: StudyBuilder, *, complete: bool) -> None:
        batch = builder.cut()
        root = builder.root(complete=complete)
        raw = sign_root(root, SIGNER)
        self.shelf.take(batch, raw)
        segments = sum(len(self.shelf.list.segment(n)) for n in range(len(root.segments)))
        self.published = root.total_bytes + segments + len(raw)


async def _read_back(
    study: _Study, instances: Sequence[EncodedInstance], workers: Workers, made: CodingFigures
) -> None:
    """Every data set again from the chunks, twice, and whether each is what it was."""
    reader, read = study.reader(), study.shelf.chunks.__getitem__
    entries = list(reader.index.instances.values())

    async def on_one() -> list[EncodedInstance]:
        return [reader.join(entry, read) for entry in entries]

    async def on_all() -> list[EncodedInstance]:
        joined: list[EncodedInstance] = []
        gathered = [reader.gather(entry, read) for entry in entries]
        await in_order(workers.decode, gathered, joined.append)
        return joined

    joined, made.decoding.one = await best(on_one, time.process_time)
    again, made.decoding.all = await best(on_all)
    expected = {one.sop_instance_uid: one for one in instances}
    made.exact = all(
        {one.sop_instance_uid: one for one in found} == expected for found in (joined, again)
    )


def _weigh(study: _Study, made: CodingFigures) -> None:
    """What the bytes are, before and after."""
    index = study.reader().index
    for entry in index.instances.values():
        for ref in index.refs(entry):
            if ref.kind is Kind.HEADER:
                made.header += ref.size
            else:
                made.pixel += ref.size
    for number in range(len(index.blobs)):
        ref = index.blobs[number]
        if ref.kind is Kind.PREVIEW:
            made.preview += ref.coded
        elif ref.kind is Kind.HEADER:
            made.coded_header += ref.coded
        else:
            made.coded_pixel += ref.coded


def printed(
    measured: Sequence[tuple[Series, CodingFigures]], coding: Coding, *, is_native: bool = True
) -> JsonObject:
    """All figures and goals; these are for native images."""
    pooled = CodingFigures()
    for _, one in measured:
        pooled.add(one)
    ratios = {series.name: one.ratio for series, one in measured} | {POOLED: pooled.ratio}
    asked = GOALS if coding is Coding.SMALLEST and is_native else {}
    goals = {
        name: {"goal": goal, "ratio": round(ratios[name], 3), "passed": ratios[name] >= goal}
        for name, goal in asked.items()
        if name in ratios and (name != POOLED or asked.keys() <= ratios.keys())
    }
    return {
        "coding": str(coding),
        "series": [
            {"name": series.name, "modality": series.modality, **one.figures()}
            for series, one in measured
        ],
        "pooled": pooled.figures(),
        "goals": goals,
        "passed": pooled.exact and all(goal["passed"] for goal in goals.values()),
    }
