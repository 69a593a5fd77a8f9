"""Studies sent from here to a workstation: DCMTK's storescp."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgpack
import pytest
import trio

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BusyError, NotFoundError
from peer.app import Peer
from peer.sending.sends import SendsTuning, StudySend, WorkstationSends
from tests.components import free_port, storescp
from tests.peer.gateway.dimse.test_gateway import received
from tests.peer.retrieval.test_study_fetch import by_uid
from tests.peer.world import World, instances, open_world, reported
from tests.waiting import eventually


@asynccontextmanager
async def sending(
    folder: Path, sent: list[EncodedInstance], port: int, tuning: SendsTuning | None = None
) -> AsyncIterator[tuple[World, Peer, WorkstationSends]]:
    async with open_world(folder) as world:
        await world.broker.publish(sent)
        destinations = {"VIEWER": f"127.0.0.1:{port}"}
        peer = await world.add("a", gateway={"destinations": destinations})
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        sends = WorkstationSends(peer.gateway_parts, peer.settings, tuning)
        async with trio.open_nursery() as nursery:
            await nursery.start(sends.run)
            yield world, peer, sends
            nursery.cancel_scope.cancel()


def send(world: World, sends: WorkstationSends, aet: str = "VIEWER") -> StudySend:
    return sends.send(world.broker.study, world.broker.uid, aet, "anna")


@pytest.mark.dcmtk
async def test_a_study_that_is_not_here_comes_while_it_is_sent(tmp_path: Path) -> None:
    sent = instances(3)
    with storescp(tmp_path / "viewer", aet="VIEWER") as viewer:
        async with sending(tmp_path, sent, viewer.port) as (world, peer, sends):
            one = send(world, sends)
            await eventually(lambda: one.over)
            assert (one.error, one.sending.status, one.sending.total) == (None, 0, 3)
            assert sends.all == [one]
            assert await reported(world, peer) == 1
            told = msgpack.unpackb(world.broker.audit[0])
            assert (told["caller"], told["purpose"]) == ("anna", "C-MOVE to VIEWER, from the page")
            assert (told["outcome"], told["sent"], told["total"]) == ("done", 3, 3)
    assert received(tmp_path / "viewer") == by_uid(sent)


async def test_a_workstation_that_is_off_is_said(tmp_path: Path) -> None:
    async with sending(tmp_path, instances(2), free_port()) as (world, _, sends):
        one = send(world, sends)
        await eventually(lambda: one.over)
        assert one.sending.tally.failed == 2
        assert "VIEWER" in one.sending.comment
        assert world.broker.uid not in one.sending.comment


async def test_what_is_not_wanted_any_more_is_not_sent(tmp_path: Path) -> None:
    tuning = SendsTuning(at_once=1, waiting=1, remembered=1)
    async with sending(tmp_path, instances(2), free_port(), tuning) as (world, _, sends):
        first, second = send(world, sends), send(world, sends)
        with pytest.raises(BusyError, match="too many"):
            send(world, sends)
        second.cancel()
        await eventually(lambda: first.over and second.over)
        assert second.sending.tally.done == 0
        third = send(world, sends)
        assert sends.all == [third, second]
        assert sends.get(third.number) is third
        with pytest.raises(NotFoundError):
            sends.get(first.number)
        await eventually(lambda: third.over)


async def test_only_workstations_of_the_settings_are_sent_to(tmp_path: Path) -> None:
    async with sending(tmp_path, instances(1), free_port()) as (world, _, sends):
        assert sends.destinations == ["VIEWER"]
        with pytest.raises(NotFoundError, match="no such workstation"):
            send(world, sends, "OTHER")
        unknown = sends.send(world.broker.study, "1.2.3.4", "VIEWER", "anna")
        await eventually(lambda: unknown.over)
        assert isinstance(unknown.error, NotFoundError)
