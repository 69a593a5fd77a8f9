from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from p2pacs.concurrency.budget import Budget
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import PacsUnreachableError
from p2pacs.publish import PublishProgress
from p2pacs.publish.coder import Coder
from p2pacs.publish.pipeline import Pipeline
from p2pacs.publish.version_writer import VersionWriter
from p2pacs.store import open_store
from p2pacs.study.coding import CodedInstance
from tests.broker.fakes import FakePacs
from tests.broker.publish.bench import coded
from tests.conformance.instances import make

from .test_version_writer import STUDY, UID, Published

COUNT = 12
SIZE = 10**6


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[VersionWriter]:
    async with open_store(tmp_path) as store:
        yield await Published().writer(store)


@pytest.fixture
def pacs() -> FakePacs:
    return FakePacs(make(UID, 1, n) for n in range(1, COUNT + 1))


def pipeline_of(
    pacs: FakePacs, writer: VersionWriter, coder: Coder = coded, budget: int = 10**6
) -> Pipeline:
    return Pipeline(
        pacs,
        writer,
        PublishProgress(STUDY, UID),
        budget=Budget(budget),
        coder=coder,
    )


async def test_instances_leave_in_the_order_in_which_they_came(
    pacs: FakePacs, writer: VersionWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    append = writer.append
    second = trio.Event()

    async def coder(instance: EncodedInstance) -> CodedInstance:
        if instance.sop_instance_uid == f"{UID}.1.1":
            await second.wait()  # the first is ready after the second
        elif instance.sop_instance_uid == f"{UID}.1.2":
            second.set()
        return await coded(instance)

    async def noted(instances: list[CodedInstance]) -> object:
        order.extend(one.sop_instance_uid for one in instances)
        return await append(instances)

    monkeypatch.setattr(writer, "append", noted)
    handled: set[str] = set()
    study = await pacs.describe(UID)
    await pipeline_of(pacs, writer, coder).run(study, None, handled)
    assert order == pacs.sent
    assert handled == set(order)
    assert len(order) == COUNT


async def test_little_is_in_memory_at_once(pacs: FakePacs, writer: VersionWriter) -> None:
    inside, most = 0, 0

    async def coder(instance: EncodedInstance) -> CodedInstance:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        try:
            return await coded(instance)
        finally:
            inside -= 1

    size = len(make(UID).data)
    pipeline = pipeline_of(pacs, writer, coder, budget=2 * size + size // 2)
    await pipeline.run(await pacs.describe(UID), None, set())
    assert 1 <= most <= 2
    assert writer.instances == COUNT


async def test_an_error_of_the_pacs_keeps_what_came_before(
    pacs: FakePacs, writer: VersionWriter
) -> None:
    study = await pacs.describe(UID)
    pacs.error, pacs.break_after = PacsUnreachableError("gone"), 4
    handled: set[str] = set()
    with pytest.raises(PacsUnreachableError):
        await pipeline_of(pacs, writer).run(study, None, handled)
    assert len(handled) == writer.instances == 4


async def test_a_pipeline_that_breaks_gives_its_budget_back(
    pacs: FakePacs, writer: VersionWriter
) -> None:
    budget = Budget(SIZE)

    async def coder(_instance: EncodedInstance) -> CodedInstance:
        raise RuntimeError("a defect")

    pipeline = Pipeline(
        pacs,
        writer,
        PublishProgress(STUDY, UID),
        budget=budget,
        coder=coder,
    )
    study = await pacs.describe(UID)
    with pytest.raises(RuntimeError, match="a defect"):
        await pipeline.run(study, None, set())
    await is_free(budget)


async def test_cancelling_gives_the_budget_back(
    autojump_clock: object, pacs: FakePacs, writer: VersionWriter
) -> None:
    pacs.pause = 3600
    budget = Budget(SIZE)
    pipeline = Pipeline(pacs, writer, PublishProgress(STUDY, UID), budget=budget, coder=coded)
    study = await pacs.describe(UID)
    with trio.move_on_after(5000) as scope:
        await pipeline.run(study, None, set())
    assert scope.cancelled_caught
    await is_free(budget)


async def is_free(budget: Budget) -> None:
    """All of it can be had at once, which it cannot while somebody holds a part."""
    with trio.fail_after(5):
        await budget.acquire(SIZE)
