import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from p2pacs.errors import DeadlineError, ForbiddenError, LinkClosedError, P2PacsError
from p2pacs.wire.link.calls import Calls
from p2pacs.wire.messages.messages import AuditKept, Pong, QueryFailure


async def test_replies_find_their_callers() -> None:
    calls = Calls("north")
    got: dict[int, object] = {}

    async def call(number: int) -> None:
        try:
            got[number] = await calls.wait(number, 10)
        except P2PacsError as error:
            got[number] = type(error)

    async with trio.open_nursery() as nursery:
        for number in range(1, 4):
            nursery.start_soon(call, number)
        await wait_all_tasks_blocked()
        calls.answered(Pong(2))
        calls.answered(QueryFailure(1, ForbiddenError.wire_code, "not for you"))
        await wait_all_tasks_blocked()
        calls.drop()
    assert got == {1: ForbiddenError, 2: Pong(2), 3: LinkClosedError}


async def test_a_late_reply_means_nothing(autojump_clock: MockClock) -> None:
    calls = Calls("north")
    with pytest.raises(DeadlineError, match="north did not answer within 5 s"):
        await calls.wait(1, 5)
    calls.answered(AuditKept(1))
    calls.drop()
