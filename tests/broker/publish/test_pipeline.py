from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from broker.publish import PublishProgress
from broker.publish.coder import Coder
from broker.publish.pipeline import Pipeline
from broker.publish.version_writer import VersionWriter
from p2pacs.budget import Budget
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import PacsUnreachableError
from p2pacs.store import open_store
from p2pacs.study.coding import CodedInstance
from tests.broker.fakes import FakePacs
from tests.conformance.instances import make

from .bench import coded
from .test_version_writer import STUDY, UID, Paper

COUNT = 12


@pytest.fixture
async def press(tmp_path: Path) -> AsyncIterator[VersionWriter]:
    async with open_store(tmp_path) as store:
        yield await Paper().press(store)


@pytest.fixture
def pacs() -> FakePacs:
    return FakePacs(make(UID, 1, n) for n in range(1, COUNT + 1))


def line_of(
    pacs: FakePacs, press: VersionWriter, coder: Coder = coded, budget: int = 10**6
) -> Pipeline:
    return Pipeline(
        pacs,
        press,
        PublishProgress(STUDY, UID),
        budget=Budget(budget),
        coder=coder,
    )


async def test_instances_leave_in_the_order_in_which_they_came(
    pacs: FakePacs, press: VersionWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    append = press.append
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

    monkeypatch.setattr(press, "append", noted)
    handled: set[str] = set()
    study = await pacs.describe(UID)
    await line_of(pacs, press, coder).run(study, None, handled)
    assert order == pacs.sent
    assert handled == set(order)
    assert len(order) == COUNT


async def test_little_is_in_memory_at_once(pacs: FakePacs, press: VersionWriter) -> None:
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
    line = line_of(pacs, press, coder, budget=2 * size + size // 2)
    await line.run(await pacs.describe(UID), None, set())
    assert 1 <= most <= 2
    assert press.instances == COUNT


async def test_an_error_of_the_pacs_keeps_what_came_before(
    pacs: FakePacs, press: VersionWriter
) -> None:
    study = await pacs.describe(UID)
    pacs.error, pacs.break_after = PacsUnreachableError("gone"), 4
    handled: set[str] = set()
    with pytest.raises(PacsUnreachableError):
        await line_of(pacs, press).run(study, None, handled)
    assert len(handled) == press.instances == 4


async def test_a_line_that_breaks_gives_its_budget_back(
    pacs: FakePacs, press: VersionWriter
) -> None:
    budget = Budget(10**6)

    async def coder(_instance: EncodedInstance) -> CodedInstance:
        raise RuntimeError("a defect")

    line = Pipeline(
        pacs,
        press,
        PublishProgress(STUDY, UID),
        budget=budget,
        coder=coder,
    )
    study = await pacs.describe(UID)
    with pytest.raises((RuntimeError, ExceptionGroup)):
        await line.run(study, None, set())
    assert budget._used == 0


async def test_cancelling_gives_the_budget_back(pacs: FakePacs, press: VersionWriter) -> None:
    pacs.pause = 3600
    line = line_of(pacs, press)
    study = await pacs.describe(UID)
    with trio.move_on_after(0.05):
        await line.run(study, None, set())
    assert line._budget._used == 0
