from pathlib import Path

import pytest

from p2pacs.dataset.json_model import text
from p2pacs.errors import BusyError, UnavailableError
from peer.gateway.instances import InstanceDescriber
from tests.p2pacs.study import samples
from tests.peer.retrieval.test_study_fetch import opened, read_all
from tests.peer.world import eventually, instances, open_world


async def test_a_study_that_is_here_describes_itself(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(2)
        await world.broker.publish(sent)
        peer = await world.add("a")
        await read_all(await opened(world, peer))
        await world.stop("broker")
        # As after a restart: nothing of it is open.
        peer.fetcher.forget(world.broker.study)
        describe = InstanceDescriber(peer.identity, peer.node, peer.fetcher)
        found = await describe(world.broker.record())
        assert [text(one, "SOPInstanceUID") for one in found] == [
            one.sop_instance_uid for one in sent
        ]
        assert text(found[0], "SeriesInstanceUID") == f"{world.broker.uid}.1"
        assert text(found[0], "AvailableTransferSyntaxUID") == samples.EXPLICIT


async def test_the_broker_describes_the_others(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await world.add("a")
        describe = InstanceDescriber(peer.identity, peer.node, peer.fetcher)
        world.broker.described = [samples.encode(samples.dataset(n)) for n in (1, 2)]
        found = await describe(world.broker.record())
        assert [text(one, "InstanceNumber") for one in found] == ["1", "2"]
        assert not peer.node.transfers

        world.broker.more = True
        with pytest.raises(BusyError, match="retrieve it"):
            await describe(world.broker.record())

        await world.stop("broker")
        await eventually(lambda: peer.identity.broker not in peer.node.linked)
        with pytest.raises(UnavailableError, match="when the broker is there"):
            await describe(world.broker.record())
