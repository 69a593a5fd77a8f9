"""Large instances from a source to the version writer."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import evolve

from p2pacs.concurrency.budget import Budget
from p2pacs.dataset.large import LargeInstance
from p2pacs.errors import CorruptStoreError
from p2pacs.publish import PublishProgress
from p2pacs.publish.coder import code_slice_plain
from p2pacs.publish.pipeline import Pipeline
from p2pacs.publish.source import Description, Detail, Retrieved
from p2pacs.publish.version_writer import VersionWriter
from p2pacs.store import open_store
from p2pacs.study.coding import CodedBlob
from p2pacs.study.slices import Slice, SlicePlan
from p2pacs.study.split import PIECE_BYTES
from tests.broker.publish.bench import coded
from tests.conformance.instances import make

from .test_version_writer import STUDY, UID, Published

FRAMES = 20
BUDGET = PIECE_BYTES
ONE = make(UID, 1, 1, size=1024)
AT = ONE.data.index(b"\xe0\x7f\x10\x00")
HEAD, FRAME = ONE.data[: AT + 12], ONE.data[AT + 12 :]
assert len(FRAME) == 2 * 1024 * 1024


def volume(uid: str = UID) -> LargeInstance:
    """Native frames that the header does not count: pieces that are cut by length."""
    header = make(uid, 1, 2, size=1024).data[:AT]
    length = FRAMES * len(FRAME)
    data = header + HEAD[AT : AT + 8] + length.to_bytes(4, "little") + FRAMES * FRAME
    named = make(uid, 1, 2)
    return LargeInstance(
        named.sop_class_uid,
        named.sop_instance_uid,
        named.transfer_syntax_uid,
        hashlib.sha256(data).digest(),
        len(data),
        lambda first, end: data[first:end],
    )


class Source:
    """Gives what it was given."""

    name = "a source"

    def __init__(self, *given: Retrieved) -> None:
        self.given = given

    async def describe(self, uid: str, detail: Detail = Detail.INSTANCES) -> Description:
        raise NotImplementedError

    @asynccontextmanager
    async def retrieve(
        self, study: Description, wanted: Collection[str] | None = None
    ) -> AsyncIterator[AsyncIterator[Retrieved]]:
        yield self._all()

    async def _all(self) -> AsyncGenerator[Retrieved, None]:
        for one in self.given:
            await trio.lowlevel.checkpoint()
            yield one


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[VersionWriter]:
    async with open_store(tmp_path) as store:
        yield await Published().writer(store)


async def run(
    writer: VersionWriter, *given: Retrieved, budget: Budget | None = None, **options: object
) -> tuple[PublishProgress, set[str]]:
    progress, handled = PublishProgress(STUDY, UID), set[str]()
    pipeline = Pipeline(
        Source(*given),
        writer,
        progress,
        budget=budget or Budget(BUDGET),
        coder=coded,
        **options,  # type: ignore[arg-type]
    )
    await pipeline.run(Description(UID, {}, ()), None, handled)
    return progress, handled


async def test_it_goes_out_among_others_and_the_budget_comes_back(writer: VersionWriter) -> None:
    budget, sent = Budget(BUDGET), volume()
    small = [make(UID, 1, number) for number in (3, 4)]
    progress, handled = await run(writer, small[0], sent, small[1], budget=budget)
    assert handled == {one.sop_instance_uid for one in (*small, sent)}
    assert writer.uids == handled
    assert progress.instances_done == 3
    assert not progress.left_out
    with trio.fail_after(1):
        await budget.acquire(BUDGET)


async def test_little_of_it_is_in_memory_at_once(writer: VersionWriter) -> None:
    inside, most, count = 0, 0, 0

    async def coder(data: bytes, piece: Slice, plan: SlicePlan) -> tuple[CodedBlob, ...]:
        nonlocal inside, most, count
        inside += len(data)
        most, count = max(most, inside), count + 1
        try:
            return await code_slice_plain(data, piece, plan)
        finally:
            inside -= len(data)

    await run(writer, volume(), slice_coder=coder)
    assert count >= 4
    assert most <= BUDGET


@pytest.mark.parametrize("budget", [1, BUDGET])
async def test_bytes_that_are_not_those_that_came_are_no_instance(
    writer: VersionWriter, budget: int
) -> None:
    sent, small = volume(), make(UID, 1, 3)
    rotten = evolve(sent, sha256=bytes(32))
    progress, handled = await run(writer, rotten, small, budget=Budget(budget))
    assert handled == {sent.sop_instance_uid, small.sop_instance_uid}
    assert writer.uids == {small.sop_instance_uid}
    assert progress.left_out


async def test_one_that_cannot_be_read_is_no_instance(writer: VersionWriter) -> None:
    sent = volume()

    def read(first: int, end: int) -> bytes:
        if end > 2 * BUDGET:
            raise CorruptStoreError("the disk is broken")
        return sent.read(first, end)

    progress, _ = await run(writer, evolve(sent, read=read))
    assert not writer.uids
    assert progress.left_out


async def test_one_of_another_study_is_left_out(writer: VersionWriter) -> None:
    progress, handled = await run(writer, volume("1.2.2"), make(UID))
    assert handled == {"1.2.2.1.2", f"{UID}.1.1"}
    assert writer.uids == {f"{UID}.1.1"}
    assert progress.left_out


async def test_a_defect_gives_the_budget_back(writer: VersionWriter) -> None:
    budget = Budget(BUDGET)

    async def coder(_data: bytes, _piece: Slice, _plan: SlicePlan) -> tuple[CodedBlob, ...]:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        await run(writer, volume(), budget=budget, slice_coder=coder)
    with trio.fail_after(1):
        await budget.acquire(BUDGET)
