from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from sqlalchemy import select

from p2pacs.errors import (
    DiskFullError,
    ForbiddenError,
    NoSourceError,
    NotFoundError,
    P2PacsError,
    PacsUnreachableError,
    StudyNotFoundError,
    UnavailableError,
)
from p2pacs.swarm.download.transfer import TransferState
from p2pacs.swarm.scheduling.priority import Priority
from peer.app import Peer
from peer.db import fetches, ordered, paused
from peer.retrieval.pending_fetches import PendingFetchesTuning
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch
from tests.peer.retrieval.test_study_fetch import by_uid, opened, read_all
from tests.peer.world import World, instances, open_world, reported
from tests.waiting import eventually


async def _noted(peer: Peer) -> list[Any]:
    return list(await peer.database.run(lambda c: c.execute(select(fetches)).all()))


async def _until_noted(peer: Peer, count: int) -> Any:
    with trio.fail_after(30):
        while len(rows := await _noted(peer)) != count:
            await trio.sleep(0.01)
    return rows[0] if rows else None


async def _half_fetched(world: World, *, priority: Priority = Priority.INTERACTIVE) -> Peer:
    """A peer that waits for the second half of a study."""
    await world.broker.publish(instances(2), complete=False)
    peer = await world.add("a")
    await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
    requester = Requester("VIEWER", "move", priority, detail="C-MOVE to WS2")
    fetch = await peer.reads.open(world.broker.uid, requester)
    await eventually(lambda: len(fetch.transfer.have) > 0)
    await _until_noted(peer, 1)
    return peer


def _transfer(peer: Peer, world: World) -> Any:
    return peer.host.engine.downloads.transfers.get(world.broker.study)


async def test_who_asked_is_noted_until_it_is_complete(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await _half_fetched(world, priority=Priority.STAT)
        (row,) = await _noted(peer)
        assert (row.study, row.caller, row.purpose) == (world.broker.study.raw, "VIEWER", "move")
        assert (row.detail, Priority(row.priority)) == ("C-MOVE to WS2", Priority.STAT)
        assert world.broker.uid not in str(row)
        await world.broker.publish(instances(2, first=3))
        await _until_noted(peer, 0)


async def test_a_peer_that_was_stopped_goes_on(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await _half_fetched(world, priority=Priority.PREFETCH)
        held = _transfer(peer, world).bytes_held
        await world.stop("a")
        await world.broker.publish(instances(2, first=3))
        asked = len(world.broker.asked)
        peer = await world.start("a", tmp_path / "a", peer.settings)
        await eventually(lambda: _transfer(peer, world) is not None)
        transfer = _transfer(peer, world)
        assert transfer.priority is Priority.PREFETCH
        await transfer.wait_complete()
        assert transfer.bytes_received == transfer.bytes_total - held
        await _until_noted(peer, 0)
        # Its key is granted anew, for the old purpose; nobody reads it a second time.
        assert world.broker.asked[asked:] == [("move", peer.identity.address)]
        assert await reported(world, peer) == 1
        sent = [*instances(2), *instances(2, first=3)]
        assert await read_all(await opened(world, peer)) == by_uid(sent)


async def test_what_was_given_up_is_not_taken_up_again(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await _half_fetched(world)
        peer.reads.get(world.broker.study).give_up()
        await _until_noted(peer, 0)
        await world.stop("a")
        peer = await world.start("a", tmp_path / "a", peer.settings)
        await eventually(lambda: peer.identity.broker in peer.host.mesh.links)
        assert not peer.host.engine.downloads.transfers


async def test_what_ends_because_the_peer_stops_goes_on_later(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await _half_fetched(world)
        peer.pending.close()
        peer.reads.get(world.broker.study).give_up()  # as the gateway does for its callers
        await world.stop("a")
        peer = await world.start("a", tmp_path / "a", peer.settings)
        await eventually(lambda: _transfer(peer, world) is not None)


def _tuned(tuning: PendingFetchesTuning) -> Callable[[Peer], None]:
    def prepare(peer: Peer) -> None:
        peer.pending.tuning = tuning

    return prepare


async def test_without_the_broker_it_is_tried_again(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.prepare = _tuned(PendingFetchesTuning(retry=0.05))
        peer = await _half_fetched(world)
        await world.stop("a")
        world.broker.staged = PacsUnreachableError("the PACS is off")
        asked = len(world.broker.asked)
        peer = await world.start("a", tmp_path / "a", peer.settings)
        await eventually(lambda: len(world.broker.asked) > asked + 2)
        assert len(await _noted(peer)) == 1
        world.broker.staged = None
        await eventually(lambda: _transfer(peer, world) is not None)


async def test_it_is_tried_again_as_soon_as_the_broker_is_back(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.prepare = _tuned(PendingFetchesTuning(retry=3600))
        peer = await _half_fetched(world)
        await world.stop("a")
        world.broker.staged = PacsUnreachableError("the PACS is off")
        asked = len(world.broker.asked)
        peer = await world.start("a", tmp_path / "a", peer.settings)
        await eventually(lambda: len(world.broker.asked) > asked)
        await world.stop("broker")
        world.broker.staged = None
        await world.start_broker()
        await eventually(lambda: _transfer(peer, world) is not None)
        fetch = peer.reads.get(world.broker.study)
        fetch.transfer.end(NoSourceError("nobody has it"))  # and once more, without the broker
        await world.stop("broker")
        await world.start_broker()
        await eventually(lambda: fetch.fetching)


@pytest.mark.parametrize("void", [StudyNotFoundError("gone"), None])
async def test_what_can_never_be_or_nobody_waits_for_is_dropped(
    tmp_path: Path, void: P2PacsError | None
) -> None:
    async with open_world(tmp_path) as world:
        peer = await _half_fetched(world)
        await world.stop("a")
        world.broker.staged = void or PacsUnreachableError("the PACS is off")
        if void is None:
            world.prepare = _tuned(PendingFetchesTuning(patience=-1))
        peer = await world.start("a", tmp_path / "a", peer.settings)
        await _until_noted(peer, 0)


@pytest.mark.parametrize("read", [True, False])
async def test_a_fetch_that_failed_goes_on_if_nobody_was_told(
    tmp_path: Path, *, read: bool
) -> None:
    async with open_world(tmp_path) as world:
        world.prepare = _tuned(PendingFetchesTuning(retry=0.05))
        peer = await _half_fetched(world)
        fetch: StudyFetch = peer.reads.get(world.broker.study)
        fetch.users += read
        fetch.transfer.end(DiskFullError("no room"))
        if read:
            await _until_noted(peer, 0)
            assert fetch.transfer.state is TransferState.FAILED
        else:
            await eventually(lambda: fetch.fetching)
            assert len(await _noted(peer)) == 1


async def test_what_is_here_already_is_not_noted(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await world.add("a")
        fetch = await opened(world, peer)
        await fetch.transfer.wait_complete()
        await _until_noted(peer, 0)
        for _ in range(3):
            await opened(world, peer)
        assert await _noted(peer) == []


async def test_a_full_disk_does_not_keep_a_study_from_being_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(2)
        await world.broker.publish(sent[:1], complete=False)
        peer = await world.add("a")
        tried: list[object] = []

        async def full(_work: object) -> None:
            tried.append(_work)
            await trio.lowlevel.checkpoint()
            raise DiskFullError("no room")

        fetch = await peer.reads.resume(world.broker.study, Requester("TEST", "get"))
        monkeypatch.setattr(peer.pending, "_database", SimpleNamespace(run=full))
        peer.pending.asked(fetch, Requester("TEST", "get"))
        await eventually(lambda: tried)
        await world.broker.publish(sent[1:])
        assert await read_all(fetch) == by_uid(sent)
        await eventually(lambda: len(tried) == 2)


SOMEBODY = Requester("anna", "get", detail="page")


async def _paused_rows(peer: Peer) -> int:
    return len(await peer.database.run(lambda c: c.execute(select(paused)).all()))


async def test_what_is_paused_keeps_what_is_here_and_stays_paused_over_a_restart(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path) as world:
        peer = await _half_fetched(world)
        fetch = peer.reads.get(world.broker.study)
        held = fetch.transfer.bytes_held
        await peer.pending.pause(fetch, SOMEBODY)
        assert not fetch.fetching
        assert peer.pending.paused == {world.broker.study}
        await world.stop("a")
        await world.broker.publish(instances(2, first=3))
        peer = await world.start("a", tmp_path / "a", peer.settings)
        await eventually(lambda: peer.pending.paused)
        await eventually(lambda: peer.host.mesh.broker_linked)
        assert _transfer(peer, world) is None
        fetch = await peer.pending.resume(world.broker.study, peer.reads.resume)
        await fetch.transfer.wait_complete()
        assert fetch.transfer.bytes_received == fetch.transfer.bytes_total - held
        await _until_noted(peer, 0)
        assert (peer.pending.paused, await _paused_rows(peer)) == (frozenset(), 0)
        assert world.broker.asked[-1][0] == "move"  # for whom it was


async def test_who_reads_what_is_paused_is_told(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await _half_fetched(world)
        fetch = peer.reads.get(world.broker.study)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_paused_soon, peer, fetch)
            with pytest.raises(UnavailableError, match="paused"), fetch.in_use():
                await read_all(fetch)


async def _paused_soon(peer: Peer, fetch: StudyFetch) -> None:
    await eventually(lambda: fetch.users)
    await peer.pending.pause(fetch, SOMEBODY)


async def test_who_asks_anew_ends_the_pause(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await _half_fetched(world)
        await peer.pending.pause(peer.reads.get(world.broker.study), SOMEBODY)
        fetch = await peer.reads.open(world.broker.uid, Requester("VIEWER2", "move"))
        assert fetch.fetching
        assert not peer.pending.paused
        with trio.fail_after(30):
            while (await _noted(peer))[0].caller != "VIEWER2":
                await trio.sleep(0.01)
        assert await _paused_rows(peer) == 0


async def test_what_is_paused_can_be_cancelled_and_what_is_not_cannot_be_resumed(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path) as world:
        peer = await _half_fetched(world)
        fetch = peer.reads.get(world.broker.study)
        with pytest.raises(NotFoundError, match="not paused"):
            await peer.pending.resume(world.broker.study, peer.reads.resume)
        await peer.pending.pause(fetch, SOMEBODY)
        with pytest.raises(NotFoundError, match="not being fetched"):
            await peer.pending.pause(fetch, SOMEBODY)
        await peer.pending.cancel(world.broker.study)
        assert not peer.pending.paused
        assert await _noted(peer) == []


async def test_how_urgent_it_became_is_remembered(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await _half_fetched(world)
        await peer.pending.prioritised(world.broker.study, Priority.STAT)
        (row,) = await _noted(peer)
        assert Priority(row.priority) is Priority.STAT


# ------------------------------------------------------------ ordered by the broker


async def _versions(peer: Peer) -> list[int]:
    rows = await peer.database.run(lambda c: c.execute(select(ordered.c.version)).scalars().all())
    return list(rows)


async def test_an_order_is_carried_out_at_its_priority_and_over_a_restart(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2), complete=False)
        peer = await world.add("a")
        await peer.pending.order(world.broker.study, 1, Priority.STAT)
        assert await _versions(peer) == [1]
        await eventually(lambda: _transfer(peer, world) is not None)
        assert _transfer(peer, world).priority is Priority.STAT
        assert peer.pending.ordered == {world.broker.study}
        await world.stop("a")
        await world.broker.publish(instances(2, first=3))
        peer = await world.start("a", tmp_path / "a", peer.settings)
        await _until_noted(peer, 0)
        assert not peer.pending.ordered
        assert await _versions(peer) == []
        assert _transfer(peer, world).state is TransferState.COMPLETE
        assert {purpose for purpose, _ in world.broker.asked} == {"address"}
        assert await reported(world, peer) == 0  # nobody has read it


async def test_an_order_outlasts_those_who_read_meanwhile_and_everybodys_patience(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path) as world:
        world.prepare = _tuned(PendingFetchesTuning(retry=0.05, patience=-1))
        peer = await _half_fetched(world)
        await peer.pending.order(world.broker.study, 1, Priority.INTERACTIVE)
        await eventually(lambda: peer.pending.ordered)
        fetch = await peer.reads.open(world.broker.uid, Requester("VIEWER", "move"))
        fetch.give_up()  # as the gateway does for its callers
        await eventually(lambda: fetch.fetching)
        fetch.users += 1
        fetch.transfer.end(DiskFullError("no room"))  # somebody is told, and nobody asks again
        await eventually(lambda: fetch.fetching)
        (row,) = await _noted(peer)
        assert row.purpose == "address"
        await world.stop("a")
        world.broker.staged = PacsUnreachableError("the PACS is off")
        asked = len(world.broker.asked)
        peer = await world.start("a", tmp_path / "a", peer.settings)
        await eventually(lambda: len(world.broker.asked) > asked + 2)
        world.broker.staged = None
        await world.broker.publish(instances(2, first=3))
        await _until_noted(peer, 0)


async def test_a_newer_version_that_is_ordered_is_fetched_of_who_has_it(tmp_path: Path) -> None:
    """The broker's root may be older: it fetches what a member sends itself."""
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await world.add("a")
        fetch = await opened(world, peer)
        await fetch.transfer.wait_complete()
        await peer.pending.order(world.broker.study, 1, Priority.INTERACTIVE)
        await _until_noted(peer, 0)  # it is here
        await world.broker.publish(instances(2, first=3))
        await peer.pending.order(world.broker.study, 2, Priority.INTERACTIVE)
        await _until_noted(peer, 0)
        root = _transfer(peer, world).root
        assert root is not None
        assert root.version == 2


async def test_a_version_that_nobody_has_yet_is_waited_for(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.prepare = _tuned(PendingFetchesTuning(retry=0.05))
        await world.broker.publish(instances(2))
        peer = await world.add("a")
        await peer.pending.order(world.broker.study, 2, Priority.INTERACTIVE)
        asked = len(world.broker.asked)
        await eventually(lambda: len(world.broker.asked) > asked + 2)
        assert peer.pending.ordered
        await world.broker.publish(instances(2, first=3))
        await _until_noted(peer, 0)


async def test_a_person_may_pause_or_cancel_an_order(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.prepare = _tuned(PendingFetchesTuning(retry=0.05))
        peer = await _half_fetched(world)
        await peer.pending.order(world.broker.study, 1, Priority.INTERACTIVE)
        await eventually(lambda: peer.pending.ordered)
        fetch = peer.reads.get(world.broker.study)
        await peer.pending.pause(fetch, SOMEBODY)
        await eventually(lambda: not peer.pending.ordered)
        assert not fetch.fetching
        await peer.pending.order(world.broker.study, 1, Priority.INTERACTIVE)  # it stays paused
        assert peer.pending.paused == {world.broker.study}
        fetch = await peer.pending.resume(world.broker.study, peer.reads.resume)
        assert fetch.fetching
        await peer.pending.order(world.broker.study, 1, Priority.INTERACTIVE)
        await eventually(lambda: peer.pending.ordered)
        await peer.pending.cancel(world.broker.study)
        fetch.give_up()
        await _until_noted(peer, 0)
        assert not fetch.fetching
        assert await _versions(peer) == []


@pytest.mark.parametrize("void", [StudyNotFoundError("gone"), ForbiddenError("not any more")])
async def test_an_order_that_is_void_is_dropped(tmp_path: Path, void: P2PacsError) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("a")
        world.broker.staged = void
        await peer.pending.order(world.broker.study, 1, Priority.INTERACTIVE)
        await _until_noted(peer, 0)
        assert not peer.pending.ordered
