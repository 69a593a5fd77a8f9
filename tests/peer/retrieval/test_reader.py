from pathlib import Path

import msgpack
import pytest
from attrs import evolve

from p2pacs.errors import ChunkMismatchError, ForbiddenError, KeyUnavailableError, NotFoundError
from p2pacs.identity.directory import Role
from p2pacs.ids import ChunkId, StudyId
from p2pacs.study.manifest import load_root
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.scheduling.priority import Priority
from peer.retrieval.instances.fetch_order import looked_at
from peer.retrieval.instances.viewport import ViewRequest
from peer.retrieval.reader import ReaderTuning
from peer.retrieval.requester import Requester
from peer.retrieval.sources.resolve import ResolvedStudy
from tests.p2pacs.study import samples
from tests.peer.retrieval.test_study_fetch import opened, read_all
from tests.peer.world import instances, open_world, reported
from tests.waiting import eventually


async def test_reading_is_audited_with_what_was_asked(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        await opened(world, peer)
        await peer.reads.open(world.broker.uid, Requester("VIEWER", "move", detail="C-MOVE to WS2"))
        await eventually(lambda: len(world.broker.audit) == 2)
        records = [msgpack.unpackb(raw) for raw in world.broker.audit]
        assert [(one["caller"], one["purpose"]) for one in records] == [
            ("TEST", "get"),
            ("VIEWER", "C-MOVE to WS2"),
        ]
        assert all(world.broker.uid not in str(one) for one in records)


async def test_the_list_of_the_first_chunks_comes_with_the_grant(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(3))
        peer = await world.add("a")
        await opened(world, peer)
        chunks = await peer.store.study(world.broker.study)
        root = load_root(world.broker.root, peer.identity.broker_key, world.broker.study)
        assert await chunks.segment(root.segments[0]) is not None


async def test_a_list_that_the_root_does_not_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        find = peer.resolver.find

        async def forged(study: StudyId, purpose: str) -> ResolvedStudy:
            return evolve(await find(study, purpose), segment=b"?" * 36)

        monkeypatch.setattr(peer.resolver, "find", forged)
        with pytest.raises(ChunkMismatchError):
            await opened(world, peer)
        chunks = await peer.store.study(world.broker.study)
        assert await chunks.segment(ChunkId.of(b"?" * 36)) is None


async def test_only_what_was_opened_can_be_got(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        with pytest.raises(NotFoundError, match="fetch it first"):
            peer.reads.get(world.broker.study)
        fetch = await opened(world, peer)
        assert peer.reads.get(world.broker.study) is fetch
        assert not peer.reads.in_use(world.broker.study)
        with fetch.in_use():
            assert peer.reads.in_use(world.broker.study)
        peer.reads.forget(world.broker.study)
        with pytest.raises(NotFoundError):
            peer.reads.get(world.broker.study)


async def test_idle_studies_are_forgotten_but_not_those_in_use(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        peer.reads.tuning = ReaderTuning(kept=0)
        fetch = await opened(world, peer)
        with fetch.in_use():
            assert await opened(world, peer) is fetch
        assert await opened(world, peer) is fetch


async def test_what_is_held_is_read_without_asking_anybody(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await world.add("a")
        record = world.broker.record()
        assert await peer.reads.held(record) is None
        fetch = await opened(world, peer)
        await read_all(fetch)
        await fetch.transfer.wait_complete()
        peer.reads.forget(record.study)
        await reported(world, peer)
        asked, audited = len(world.broker.asked), len(world.broker.audit)
        held = await peer.reads.held(record)
        assert held is not None
        assert len(held.known) == 2
        assert (len(world.broker.asked), await reported(world, peer)) == (asked, audited)


async def test_the_index_of_what_is_here_is_read_while_the_broker_is_asked(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await world.add("a")
        fetch = await opened(world, peer)
        await read_all(fetch)
        await fetch.transfer.wait_complete()
        study = world.broker.study
        find = peer.resolver.find

        async def patient(study: StudyId, purpose: str) -> ResolvedStudy:
            await eventually(lambda: bool(peer.reads.fetches) and peer.reads.get(study).settled)
            return await find(study, purpose)

        peer.reads.forget(study)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(peer.resolver, "find", patient)
            again = await opened(world, peer)
        assert again is not fetch
        assert again.settled
        # It is forgotten where the answer is no.
        peer.reads.forget(study)
        world.broker.forbidden = True
        with pytest.raises(ForbiddenError):
            await opened(world, peer)
        assert peer.reads.fetches == []


async def test_what_is_looked_at_comes_first_as_soon_as_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[list[int]] = []
    monkeypatch.setattr(Transfer, "look", lambda _, numbers: looks.append(list(numbers)))
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2), complete=False)
        peer = await world.add("a")
        fetch = await opened(world, peer)
        # Nobody reads: the index is read for whoever looks.
        assert peer.reads.look(fetch.study, ViewRequest(series=2)) == (0, 0)
        await eventually(lambda: len(fetch.known) == 2)
        assert not any(looks)
        late = samples.instance(9, SeriesInstanceUID="1.2.9")
        await world.broker.publish([late], complete=False)
        await eventually(lambda: any(looks))
        assert looks[-1] == list(fetch.known[2].chunks)
        peer.reads.look(fetch.study, ViewRequest(instances=(1, 1)))
        assert looks[-1] == list(fetch.known[0].chunks)
        peer.reads.look(fetch.study, None)
        assert looks[-1] == []
        await world.broker.publish(instances(1, first=3))
        await fetch.transfer.wait_complete()
        assert looks[-1] == []


async def test_a_view_outlives_its_transfer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[Transfer, list[int]]] = []
    monkeypatch.setattr(Transfer, "look", lambda one, numbers: looks.append((one, list(numbers))))
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2), complete=False)
        peer = await world.add("a")
        fetch = await opened(world, peer)
        peer.reads.look(fetch.study, ViewRequest(series=1))
        await eventually(lambda: looks)
        fetch.give_up()
        await opened(world, peer)
        transfer, numbers = looks[-1]
        assert transfer is fetch.transfer
        assert numbers == list(looked_at(fetch.known))


async def test_a_transfer_can_be_more_and_less_urgent(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.broker.catalogue.upsert([world.broker.record()])
        peer = await world.add("a")
        fetch = await opened(world, peer)
        seen = [fetch.transfer.priority]
        peer.reads.prioritise(fetch.study, Priority.BACKGROUND)
        seen.append(fetch.transfer.priority)
        uid = world.broker.uid
        await peer.reads.open(uid, Requester("TEST", "get", Priority.STAT))
        seen.append(fetch.transfer.priority)
        await peer.reads.open(uid, Requester("TEST", "get", Priority.PREFETCH))
        seen.append(fetch.transfer.priority)
        peer.reads.forget(fetch.study)
        peer.reads.prioritise(fetch.study, Priority.PREFETCH)  # as those of a replica
        seen.append(fetch.transfer.priority)
        assert [one.name for one in seen] == [
            "INTERACTIVE", "BACKGROUND", "STAT", "STAT", "PREFETCH",
        ]  # fmt: skip
        with pytest.raises(NotFoundError, match="not being fetched"):
            peer.reads.prioritise(StudyId(bytes(16)), Priority.STAT)


async def test_a_later_fetch_is_as_urgent_as_it_says(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await world.add("a")
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        uid = world.broker.uid
        fetch = await peer.reads.open(uid, Requester("TEST", "get", Priority.STAT))
        await fetch.transfer.wait_complete()
        await world.broker.publish(instances(1, first=3))
        await peer.reads.open(uid, Requester("TEST", "get", Priority.PREFETCH))
        assert fetch.transfer.priority is Priority.PREFETCH


async def test_a_blind_replica_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        replica = await world.add("r", Role.REPLICA)
        replica.index.upsert([world.broker.record()])
        monkeypatch.setattr(world.broker, "wrapped", lambda _member, _study: b"")
        with pytest.raises(KeyUnavailableError, match="a replica holds no keys"):
            await opened(world, replica)
