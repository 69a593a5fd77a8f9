from typing import Any

from trio.testing import MockClock

from p2pacs.errors import DiskFullError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.scheduling.priority import Priority
from peer.pages.live.received_state import EVERY, RECEIVED, ReceivedState
from peer.retrieval.sent_here import SentHere

ONE = SentHere(StudyId(bytes(16)), VirtualAddress(b"\xfd" + bytes(15)), Priority.STAT, 1_000)


class Listing:
    def __init__(self) -> None:
        self.asked = 0
        self.found: list[SentHere] = []
        self.error: DiskFullError | None = None

    async def unread(self) -> list[SentHere]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.found


async def test_it_is_looked_up_now_and_then(mock_clock: MockClock) -> None:
    listing: Any = Listing()
    state = ReceivedState(listing)
    assert state.look() == {RECEIVED: {"state": "none", "words": ""}}
    await state.prepare()
    listing.found = [ONE]
    await state.prepare()
    assert listing.asked == 1
    mock_clock.jump(EVERY)
    await state.prepare()
    words = "1 new study was sent to this hospital; STAT: 1"
    assert state.look() == {RECEIVED: {"state": "some", "words": words}}
    listing.error = DiskFullError("no room")
    mock_clock.jump(EVERY)
    await state.prepare()
    assert state.look()[RECEIVED]["state"] == "some"
