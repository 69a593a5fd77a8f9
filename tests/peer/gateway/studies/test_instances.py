from pathlib import Path

import pytest

from p2pacs.dataset.json_model import text
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import BusyError, UnavailableError
from p2pacs.study.study_index import InstanceEntry
from peer.gateway.studies.instances import InstanceDescriber, listing_of_entries
from tests.p2pacs.study import samples
from tests.peer.retrieval.test_study_fetch import opened, read_all
from tests.peer.world import described, instances, open_world
from tests.waiting import eventually


async def test_a_study_that_is_here_describes_itself(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(2)
        await world.broker.publish(sent)
        peer = await world.add("a")
        await read_all(await opened(world, peer))
        await world.stop("broker")
        # As after a restart: nothing of it is open.
        peer.reads.forget(world.broker.study)
        describe = InstanceDescriber(peer.host, peer.reads)
        found = await describe(world.broker.record())
        (series,) = found.series
        assert series.uid == f"{world.broker.uid}.1"
        assert [text(one, "SOPInstanceUID") for one in series.instances] == [
            one.sop_instance_uid for one in sent
        ]
        assert text(series.instances[0], "AvailableTransferSyntaxUID") == samples.EXPLICIT
        assert found.keys is None, "all is known of what is here"


async def test_the_broker_describes_the_others(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await world.add("a")
        describe = InstanceDescriber(peer.host, peer.reads)
        world.broker.described = described(2)
        found = await describe(world.broker.record())
        (series,) = found.series
        assert [text(one, "InstanceNumber") for one in series.instances] == ["1", "2"]
        assert not peer.host.engine.downloads.transfers

        world.broker.more = True
        with pytest.raises(BusyError, match="retrieve it"):
            await describe(world.broker.record())

        await world.stop("broker")
        await eventually(lambda: peer.identity.broker not in peer.host.mesh.links)
        with pytest.raises(UnavailableError, match="when the broker is there"):
            await describe(world.broker.record())


def test_an_index_of_version_0_1_does_not_tell_all() -> None:
    """It has numbers where the data set has texts, and fewer attributes."""
    raw = b'{"00200013":{"vr":"IS","Value":[7]},"00201041":{"vr":"DS","Value":[-120.5]}}'
    old = InstanceEntry("1.2.1", "1.2.2", "1.2.3", samples.EXPLICIT, bytes(32), 1, (), raw)
    listing = listing_of_entries([old])
    (series,) = listing.series
    assert text(series.instances[0], "InstanceNumber") == "7"
    assert text(series.instances[0], "SliceLocation") == "-120.5"
    assert listing.keys is not None
    assert tag("SliceLocation") in listing.keys
    assert tag("PixelSpacing") not in listing.keys
