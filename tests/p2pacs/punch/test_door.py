"""The door with meetings and strangers is tried in `test_meeting.py`; here, when it is open."""

from pathlib import Path

import pytest
import trio
import trio.testing

from p2pacs.punch.attempts import Attempts
from p2pacs.punch.door import HeldDoor
from p2pacs.punch.held_port import hold
from p2pacs.punch.meeting import Rendezvous
from tests.p2pacs.identity.network import Network


async def test_it_is_listened_at_while_a_meeting_is_on_and_not_otherwise(tmp_path: Path) -> None:
    port = hold()
    assert port is not None
    door, network = HeldDoor(port), Network.create(tmp_path)
    meetings = [
        Rendezvous(port, network.broker, network.member(name).address, b"", Attempts([], b""))
        for name in ("one", "other")
    ]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.run)
        await trio.testing.wait_all_tasks_blocked()

        async def is_open() -> bool:
            await trio.testing.wait_all_tasks_blocked()
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", port.number)
            except OSError:
                return False
            await stream.aclose()
            return True

        assert not await is_open()
        with door.open(b"1", meetings[0]):
            assert await is_open()
            with door.open(b"2", meetings[1]):
                assert len(door) == 2
            assert await is_open()
        assert not await is_open()
        with pytest.raises(KeyError), door.open(b"3", meetings[0]):
            raise KeyError
        assert not await is_open()
        nursery.cancel_scope.cancel()
