from pathlib import Path

import trio
import trio.testing

from p2pacs.identity.directory import Role
from p2pacs.ids import VirtualAddress
from p2pacs.wire.messages import Message, Request
from tests.simulation.world import (
    open_world,
)

Clock = trio.testing.MockClock


async def test_a_requester_that_asks_for_what_is_not_here_is_refused(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        hospital = await world.add("hospital")
        heard: list[Message] = []

        def hear(_member: VirtualAddress, message: Message) -> bool:
            heard.append(message)
            return True

        await hospital.host.mesh.connect(broker.address)
        hospital.host.engine.news = hear  # type: ignore[method-assign]
        hospital.host.mesh.links[broker.address].send(Request(bytes(16), [3, 1]))
        await trio.sleep(1)
        assert [getattr(message, "numbers", None) for message in heard] == [[1, 3]]
