import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import pytest
import trio
from attrs import evolve

from p2pacs.errors import BusyError
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import MIB
from p2pacs.retention.recycler import Recycler
from p2pacs.store import StudyStore
from p2pacs.store.chunk_index import Changes, ChunkIndex
from p2pacs.swarm.download.transfer import TransferState
from p2pacs.wire.messages.messages import Possession, PossessionQuery, Query, Reply
from peer.app import Peer
from tests.peer.retrieval.test_study_fetch import LIMIT, by_uid, opened, read_all
from tests.peer.world import World, instances, open_world
from tests.waiting import eventually


def at_once(recycler: Recycler) -> Recycler:
    """Nothing counts as being served only because it was just used."""
    recycler.tuning = evolve(recycler.tuning, served_seconds=-1.0)
    return recycler


async def _holding(world: World, name: str, role: Role = Role.HOSPITAL) -> Peer:
    peer = await world.add(name, role)
    await _fetched(world, peer)
    return peer


async def _fetched(world: World, peer: Peer) -> None:
    at_once(peer.recycler)
    if peer.blind:
        peer.replica.order(world.broker.study)
        await eventually(lambda: world.broker.study in peer.host.engine.downloads.transfers)
        transfer = peer.host.engine.downloads.transfers[world.broker.study]
    else:
        fetch = await opened(world, peer)
        await read_all(fetch)
        transfer = fetch.transfer
    with trio.fail_after(LIMIT):
        await transfer.wait_complete()


def _query(study: StudyId, version: int = 1, nonce: bytes = b"") -> PossessionQuery:
    return PossessionQuery(0, study.raw, version, b"\x80", nonce)


async def _ask(peer: Peer, member: VirtualAddress, query: PossessionQuery) -> Possession:
    reply = await peer.host.call(member, query, timeout=30)
    assert isinstance(reply, Possession)
    return reply


async def test_a_study_that_is_whole_elsewhere_goes(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(2)
        await world.broker.publish(sent)
        peer = await _holding(world, "a")
        assert peer.store.used > 0
        assert await peer.recycler.make_room(1)
        assert peer.store.used == 0
        assert not peer.store.holds(world.broker.study)
        await eventually(lambda: not world.broker.announced[-1][1].held)
        assert world.broker.announced[-1][1].study == world.broker.study.raw
        # It can be fetched again.
        assert await read_all(await opened(world, peer)) == by_uid(sent)


async def test_the_last_copy_stays(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await _holding(world, "a")
        await world.broker.store.drop(world.broker.study)
        assert not await peer.recycler.make_room(1)
        await world.stop("broker")
        await eventually(lambda: peer.identity.broker not in peer.host.mesh.links)
        assert not await peer.recycler.make_room(1)
        assert peer.store.used > 0


async def test_a_study_in_use_stays(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await _holding(world, "a")
        with peer.reads.get(world.broker.study).in_use():
            assert not await peer.recycler.make_room(1)
        peer.recycler.tuning = evolve(peer.recycler.tuning, served_seconds=60.0)
        (await peer.store.study(world.broker.study)).touch()
        assert not await peer.recycler.make_room(1)


async def test_a_clock_that_was_ahead_keeps_no_study(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await _holding(world, "a")
        peer.recycler.tuning = evolve(peer.recycler.tuning, served_seconds=60.0)
        peer.store.writer.now = lambda: time.time() + 86_400
        (await peer.store.study(world.broker.study)).touch()
        peer.store.writer.now = time.time
        assert await peer.recycler.make_room(1)


async def test_too_little_is_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await _holding(world, "a")
        assert not await peer.recycler.make_room(10**9)
        assert peer.store.used > 0


# ---------------------------------------------------------------- the last copy


def _held_by(world: World, *peers: Peer) -> list[bool]:
    stores = [world.broker.store, *(peer.store for peer in peers)]
    return [store.holds(world.broker.study) for store in stores]


async def test_two_members_do_not_both_drop_the_last_copies(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        one, other = await _holding(world, "one"), await _holding(world, "other")
        await world.broker.store.drop(world.broker.study)

        async with trio.open_nursery() as nursery:
            for peer in (one, other):
                nursery.start_soon(peer.recycler.make_room, 1)
        for peer in (one, other):
            await peer.recycler.make_room(1)
        assert _held_by(world, one, other).count(True) == 1


async def test_the_broker_and_a_replica_do_not_both_drop(tmp_path: Path) -> None:
    """The broker's recycler is everybody's; whose copy went first does not matter."""
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        replica = await _holding(world, "r", Role.REPLICA)
        at_once(world.broker.recycler)
        assert await replica.recycler.make_room(1)
        assert _held_by(world, replica) == [True, False]
        assert not await world.broker.recycler.make_room(1), "the last one"
        await _fetched(world, replica)
        assert await world.broker.recycler.make_room(1)
        assert _held_by(world, replica) == [False, True]
        assert not await replica.recycler.make_room(1), "the last one"


async def test_who_proved_a_study_and_is_started_anew_keeps_it(tmp_path: Path) -> None:
    """Between the proof and the drop of who asked, the one who proved is started anew."""
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        one, other = await _holding(world, "one"), await _holding(world, "other")
        await world.broker.store.drop(world.broker.study)
        drop = one.recycler._drop

        async def slowly(study: StudyId) -> None:
            await world.stop("other")
            again = await world.start("other", tmp_path / "other", other.settings)
            at_once(again.recycler)
            assert not await again.recycler.make_room(1)
            await drop(study)
            assert not await again.recycler.make_room(1)

        one.recycler._drop = slowly
        with trio.fail_after(LIMIT):
            assert await one.recycler.make_room(1)
        again = world.peers["other"]
        assert _held_by(world, one, again) == [False, False, True]
        # It may go as soon as the other one has it again.
        world.broker.holders = [again.identity.address]
        await _fetched(world, one)
        assert await again.recycler.make_room(1)


async def test_who_is_started_anew_drops_nothing_on_proofs_that_it_got_before(
    tmp_path: Path,
) -> None:
    """Who asked is started anew before it drops, and is itself asked by the one who proved."""
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        one, other = await _holding(world, "one"), await _holding(world, "other")
        await world.broker.store.drop(world.broker.study)

        async def never(_study: StudyId) -> None:
            await trio.sleep_forever()

        one.recycler._drop = never
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.recycler.make_room, 1)
            await eventually(lambda: other.recycler._spent.get(one.identity.address) is not None)
            await eventually(lambda: not other.recycler._proving)
            nursery.cancel_scope.cancel()
        await world.stop("one")
        one = await world.start("one", tmp_path / "one", one.settings)
        at_once(one.recycler)
        assert await other.recycler.make_room(1)
        assert not await one.recycler.make_room(1)
        assert _held_by(world, one, other) == [False, True, False]


@pytest.mark.parametrize("times", [1, 50])
async def test_demands_of_another_member_keep_no_study(tmp_path: Path, times: int) -> None:
    """Whether it has the study or not: proofs cost it its budget, and nobody else anything."""
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer, asker = await _holding(world, "a"), await world.add("b")
        study, address = world.broker.study, peer.identity.address
        for store in (peer.store, asker.store, world.broker.store):
            await store.writer.flush()  # or what was used is written down meanwhile
        writes = 0
        apply = ChunkIndex.apply

        def written(self: ChunkIndex, changes: Iterable[Changes]) -> None:
            nonlocal writes
            writes += 1
            apply(self, changes)

        reads = 0
        read_many = StudyStore.read_many

        async def counted(
            self: StudyStore, numbers: Sequence[int], *, verify: bool = False
        ) -> list[bytes]:
            nonlocal reads
            reads += 1
            return await read_many(self, numbers, verify=verify)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StudyStore, "read_many", counted)
            patch.setattr(ChunkIndex, "apply", written)
            for _ in range(times):
                query = PossessionQuery(0, study.raw, 1, b"", bytes(32))
                assert not (await _ask(asker, address, query)).whole, "a proof of nothing"
            assert reads == 0
            for _ in range(times):
                assert (await _ask(asker, address, _query(study, 1, bytes(32)))).whole
        assert writes == 0, "nothing is written for a proof"
        assert await peer.recycler.make_room(1)
        assert not peer.store.holds(study)


async def test_who_demands_too_much_has_to_wait(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await _holding(world, "a")
        greedy, other = (VirtualAddress(bytes([0xFD, *bytes(14), n])) for n in (1, 2))
        query = _query(world.broker.study, 1, bytes(32))
        peer.recycler.tuning = evolve(
            peer.recycler.tuning, proof_burst=3.0 * MIB, proof_least=MIB, proof_rate=1e-6
        )
        capsys.readouterr()
        refused = 0
        for _ in range(20):
            try:
                await peer.recycler.answer(greedy, query)
            except BusyError:
                refused += 1
        assert refused == 16, "four mebibytes: the last one is a debt"
        assert (await peer.recycler.answer(other, query)).whole
        assert capsys.readouterr().out.count("demands proofs without end") == 1


async def test_why_nothing_may_be_recycled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await _holding(world, "a")
        (await peer.store.study(world.broker.study)).pin()
        capsys.readouterr()
        assert not await peer.recycler.make_room(1)
        assert "pinned=1" in capsys.readouterr().out
        (await peer.store.study(world.broker.study)).pin(pinned=False)
        await world.broker.store.drop(world.broker.study)
        assert not await peer.recycler.make_room(1)
        assert "not_proved_elsewhere=1" in capsys.readouterr().out


def _answer_with(peer: Peer, answer: Callable[[PossessionQuery], Awaitable[Possession]]) -> None:
    async def handle(_member: VirtualAddress, query: Query) -> Reply:
        assert isinstance(query, PossessionQuery)
        return await answer(query)

    peer.host.services.queries[PossessionQuery] = handle


@pytest.mark.parametrize("asker", ["hospital", "broker"])
@pytest.mark.parametrize("proof", [b"", bytes(32)], ids=["a mere word", "a made-up proof"])
async def test_a_liar_is_not_believed(tmp_path: Path, asker: str, proof: bytes) -> None:
    async def lie(query: PossessionQuery) -> Possession:
        return Possession(query.id, whole=True, proof=proof)

    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        liar = await world.add("liar")
        _answer_with(liar, lie)
        if asker == "hospital":
            peer = await _holding(world, "a")
            await world.broker.store.drop(world.broker.study)
            recycler, store = peer.recycler, peer.store
        else:
            recycler, store = at_once(world.broker.recycler), world.broker.store
        assert not await recycler.make_room(1)
        assert store.holds(world.broker.study)


async def test_a_proof_of_another_member_is_worth_nothing(tmp_path: Path) -> None:
    """A liar that passes the challenge on to who does hold the study."""
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        honest, liar = await _holding(world, "honest"), await world.add("liar")
        passed_on = []

        async def pass_on(query: PossessionQuery) -> Possession:
            reply = await _ask(liar, honest.identity.address, query)
            passed_on.append(reply)
            return Possession(query.id, reply.whole, reply.proof)

        async def no(query: PossessionQuery) -> Possession:
            return Possession(query.id, whole=False, proof=b"")

        _answer_with(liar, pass_on)
        ask = honest.host.services.queries[PossessionQuery]

        async def to_liars_alone(member: VirtualAddress, query: Query) -> Reply:
            assert isinstance(query, PossessionQuery)
            return await (ask(member, query) if member == liar.identity.address else no(query))

        honest.host.services.queries[PossessionQuery] = to_liars_alone
        assert not await at_once(world.broker.recycler).make_room(1)
        assert [len(reply.proof) for reply in passed_on] == [0, 32], "it was a real proof"
        assert world.broker.store.holds(world.broker.study)


async def test_what_has_rotted_is_no_copy(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await _holding(world, "a")
        await world.broker.store.writer.flush()
        (path,) = (world.broker.identity.folder / "store" / "chunks").glob("*.chunks")
        rotten = bytearray(path.read_bytes())
        rotten[-1] ^= 1
        path.write_bytes(rotten)
        assert not await peer.recycler.make_room(1)
        assert peer.store.used > 0


async def test_what_is_told(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer, asker = await _holding(world, "a"), await world.add("b")
        study, address = world.broker.study, peer.identity.address
        assert (await _ask(asker, address, _query(study))).whole
        assert not (await _ask(asker, address, _query(study, 2))).whole
        assert not (await _ask(asker, address, _query(StudyId(bytes(16))))).whole
        assert not (await _ask(asker, address, _query(study, 2, bytes(32)))).whole
        proof = await _ask(asker, address, _query(study, 1, bytes(32)))
        assert (proof.whole, len(proof.proof)) == (True, 32)


async def test_one_proof_at_a_time_for_a_member(tmp_path: Path) -> None:
    """Each reads a whole study: nobody may have more than one under way."""
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await _holding(world, "a")
        asker, other = (VirtualAddress(bytes([0xFD, *bytes(14), n])) for n in (1, 2))
        query = _query(world.broker.study, 1, bytes(32))
        whole: list[bool] = []

        async def ask(member: VirtualAddress) -> None:
            whole.append((await peer.recycler.answer(member, query)).whole)

        await peer.recycler._proofs.acquire_on_behalf_of("a third one")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, asker)
            nursery.start_soon(ask, other)
            await eventually(lambda: peer.recycler._asking == {asker, other})
            with pytest.raises(BusyError):
                await peer.recycler.answer(asker, query)
            assert not await peer.recycler.make_room(1), "what is being proved stays"
            peer.recycler._proofs.release_on_behalf_of("a third one")
        assert whole == [True, True]


async def test_the_store_is_kept_below_its_capacity(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        whole = world.broker.store.used
        peer = await world.add("a", store={"capacity": f"{whole + 100}B"})
        at_once(peer.recycler)
        fetch = await opened(world, peer)
        await read_all(fetch)
        await eventually(lambda: fetch.transfer.state is TransferState.COMPLETE)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.recycler.run)
            await eventually(lambda: peer.store.used == 0)
            nursery.cancel_scope.cancel()
