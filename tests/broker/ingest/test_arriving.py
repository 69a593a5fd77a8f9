"""What has become whole of a study that a member sends is in the PACS before the rest is here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock

from broker.ingest.arriving import ArrivingInstances
from p2pacs.errors import PacsUnreachableError
from p2pacs.publish.previous import load_published
from p2pacs.study.builder import Published
from p2pacs.study.gathered import Gathered, decode_gathered
from p2pacs.study.reader import StudyReader
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.scheduling.availability import Availability
from tests.broker.fakes import FakePacs
from tests.broker.publish.bench import SIGNING, bench
from tests.conformance.instances import EncodedInstance, make

UID = "1.2.1"
STUDY = [make(UID, series, number) for series in (1, 2) for number in (1, 2, 3)]


@frozen
class Coming:
    """A study of which nothing is here yet, as far as the transfer says."""

    transfer: Transfer
    published: Published
    reader: StudyReader
    arriving: ArrivingInstances
    pacs: FakePacs

    def bring(self, *numbers: int) -> None:
        """These chunks are here now."""
        for number in numbers:
            self.transfer.have.add(number)
            self.transfer.bytes_held += 1
        self.transfer.watch.changed()

    def of(self, *instances: EncodedInstance) -> list[int]:
        """The chunks that these need."""
        entries = self.published.index.instances
        needed = (self.reader.chunks_of(entries[one.sop_instance_uid]) for one in instances)
        return sorted({number for numbers in needed for number in numbers})

    @property
    def index(self) -> list[int]:
        return [number for part in self.published.root.parts for number in part.numbers]


async def decode(gathered: Gathered) -> EncodedInstance:
    return await trio.to_thread.run_sync(decode_gathered, gathered)


@pytest.fixture
async def coming(tmp_path: Path) -> AsyncIterator[Coming]:
    async with bench(tmp_path, *STUDY) as made:
        study = (await made.publish(UID)).study
        files, key = await made.store.study(study), await made.keys.ensure(UID)
        published = await load_published(files, key, SIGNING.public)
        assert published is not None
        transfer = Transfer(study, Availability((), b""))
        transfer.root, transfer.chunks = published.root, published.chunks
        reader = StudyReader(key, published.root, published.chunks)
        reader.index = published.index
        pacs = FakePacs()
        arriving = ArrivingInstances(transfer, files, key, pacs, decode)
        yield Coming(transfer, published, reader, arriving, pacs)


async def test_nothing_goes_before_it_is_whole_and_known(
    coming: Coming, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(coming.arriving.run, UID)
        coming.bring(*coming.of(STUDY[0]))
        await trio.sleep(10)
        assert not coming.pacs.stored  # nobody knows what they are
        coming.bring(*coming.index)
        while STUDY[0] not in coming.pacs.stored:
            await trio.sleep(1)
        coming.bring(*coming.of(*STUDY))
        while len(coming.pacs.stored) < len(STUDY):
            await trio.sleep(1)
        coming.transfer.end(None)
    assert sorted(one.sop_instance_uid for one in coming.pacs.stored) == sorted(
        one.sop_instance_uid for one in STUDY
    )
    assert coming.pacs.held == {one.sop_instance_uid: one for one in STUDY}


async def test_what_the_pacs_has_is_not_stored_again(
    coming: Coming, autojump_clock: MockClock
) -> None:
    coming.pacs.add(*STUDY[:4])
    coming.bring(*coming.index, *coming.of(*STUDY))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(coming.arriving.run, UID)
        await trio.sleep(10)
        coming.transfer.end(None)
    assert coming.pacs.stored == STUDY[4:]


async def test_a_pacs_that_is_away_is_left_to_the_end(
    coming: Coming, autojump_clock: MockClock
) -> None:
    coming.pacs.error = PacsUnreachableError("away")
    coming.bring(*coming.index, *coming.of(*STUDY))
    await coming.arriving.run(UID)
    assert not coming.pacs.stored


async def test_the_last_go_as_soon_as_the_last_chunk_is_here(
    coming: Coming, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(coming.arriving.run, UID)
        coming.bring(*coming.index, *coming.of(*STUDY[:2]))
        await trio.sleep(10)
        coming.bring(*coming.of(*STUDY))
        coming.transfer.end(None)
    assert coming.pacs.held == {one.sop_instance_uid: one for one in STUDY}


async def test_it_ends_with_a_transfer_that_fails(
    coming: Coming, autojump_clock: MockClock
) -> None:
    coming.transfer.cancel()
    await coming.arriving.run(UID)
    assert not coming.pacs.stored
