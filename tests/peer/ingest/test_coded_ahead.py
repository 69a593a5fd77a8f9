import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError
from p2pacs.study.coding import CodedInstance, code_plain
from peer.ingest.coded_ahead import CodedAhead
from tests.conformance.instances import make

FIRST, SECOND = make("1.2.1", 1, 1), make("1.2.1", 1, 2)


class SlowCoder:
    """Takes a second for each."""

    def __init__(self) -> None:
        self.coded: list[str] = []
        self.breaks = False

    async def __call__(self, instance: EncodedInstance) -> CodedInstance:
        self.coded.append(instance.sop_instance_uid)
        await trio.sleep(1)
        if self.breaks:
            raise BrokenInstanceError("it ends in the middle of its pixels")
        return code_plain(instance)


async def test_it_is_coded_once(autojump_clock: MockClock) -> None:
    coder = SlowCoder()
    ahead = CodedAhead(coder)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ahead.begin, FIRST)
        await trio.sleep(0.5)
        assert await ahead(FIRST) == code_plain(FIRST)
    assert trio.current_time() == pytest.approx(1.0)
    assert await ahead(SECOND) == code_plain(SECOND)
    assert coder.coded == [FIRST.sop_instance_uid, SECOND.sop_instance_uid]
    await ahead(FIRST)  # it is not kept
    assert len(coder.coded) == 3


async def test_another_one_of_its_uid_is_coded_itself(autojump_clock: MockClock) -> None:
    ahead = CodedAhead(SlowCoder())
    await ahead.begin(FIRST)
    other = evolve(FIRST, data=SECOND.data)
    assert await ahead(other) == code_plain(other)


async def test_what_is_wrong_with_it_is_said_when_it_is_asked_for(
    autojump_clock: MockClock,
) -> None:
    coder = SlowCoder()
    coder.breaks = True
    ahead = CodedAhead(coder)
    await ahead.begin(FIRST)
    with pytest.raises(BrokenInstanceError, match="in the middle"):
        await ahead(FIRST)


async def test_it_is_coded_anew_where_that_was_cancelled(autojump_clock: MockClock) -> None:
    ahead = CodedAhead(SlowCoder())
    with trio.move_on_after(0.5):
        await ahead.begin(FIRST)
    assert await ahead(FIRST) == code_plain(FIRST)
