from collections.abc import Iterable
from pathlib import Path

import pytest
import trio
from attrs import evolve

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import (
    BadSignatureError,
    CodingError,
    DiskFullError,
    ForbiddenError,
    KeyUnavailableError,
    NoSourceError,
    NotFoundError,
    PacsUnreachableError,
    StudyNotFoundError,
    UnavailableError,
)
from p2pacs.identity.keys import SigningKey, StudyKey
from p2pacs.study.manifest import load_root, sign_root
from p2pacs.swarm.download.patience import DownloadTuning
from p2pacs.swarm.download.transfer import Transfer, TransferState
from peer.app import Peer
from peer.retrieval.reader import ReaderTuning
from peer.retrieval.requester import Requester
from peer.retrieval.sources.arrival import ArrivalTuning
from peer.retrieval.study_fetch import StudyFetch
from tests.peer.world import World, instances, open_world, reported
from tests.waiting import eventually

LIMIT = 40.0
"""Seconds: a hanging test must not hang the others."""


async def read_all(fetch: StudyFetch) -> dict[str, EncodedInstance]:
    """Every instance, each exactly once."""
    found: dict[str, EncodedInstance] = {}
    with fetch.in_use(), trio.fail_after(LIMIT):
        cursor = fetch.cursor()
        while (known := await cursor.next()) is not None:
            assert known.entry.sop_instance_uid not in found
            found[known.entry.sop_instance_uid] = await fetch.read(known)
    return found


async def opened(world: World, peer: Peer) -> StudyFetch:
    with trio.fail_after(LIMIT):
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        return await peer.reads.open(world.broker.uid, Requester("TEST", "get"))


def by_uid(sent: list[EncodedInstance]) -> dict[str, EncodedInstance]:
    return {one.sop_instance_uid: one for one in sent}


# ---------------------------------------------------------------- the ordinary way


async def test_what_comes_out_is_what_went_in(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(5)
        await world.broker.publish(sent)
        peer = await world.add("a")
        fetch = await opened(world, peer)
        assert await read_all(fetch) == by_uid(sent)
        assert world.broker.asked == [("get", peer.identity.address)]
        assert [known.number for known in fetch.known] == [1, 2, 3, 4, 5]
        assert (await fetch.read(fetch.instance(3))) == sent[2]
        with pytest.raises(NotFoundError):
            fetch.instance(6)


async def test_two_readers_share_one_transfer(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(4)
        await world.broker.publish(sent)
        peer = await world.add("a")
        one, other = await opened(world, peer), await opened(world, peer)
        assert one is other
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(read_all, one)
        assert len(peer.host.engine.downloads.transfers) == 1
        assert one.transfer.bytes_received == one.transfer.bytes_total


async def test_a_part_of_a_study(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(4)
        await world.broker.publish(sent)
        fetch = await opened(world, await world.add("a"))
        wanted = sent[2].sop_instance_uid
        cursor = fetch.cursor(lambda entry: entry.sop_instance_uid == wanted)
        with trio.fail_after(LIMIT):
            known = await cursor.next()
            assert known is not None
            assert await fetch.read(known) == sent[2]
            assert await cursor.next() is None


async def test_a_study_that_grows_while_it_is_read(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(6)
        await world.broker.publish(sent[:2], complete=False)
        fetch = await opened(world, await world.add("a"))
        found: dict[str, EncodedInstance] = {}

        async def read() -> None:
            found.update(await read_all(fetch))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await eventually(lambda: len(fetch.known) == 2)
            assert not fetch.settled
            await world.broker.publish(sent[2:4], complete=False)
            await eventually(lambda: len(fetch.known) == 4)
            await world.broker.publish(sent[4:])
        assert found == by_uid(sent)
        assert fetch.settled


async def test_all_parts_of_the_index_are_wanted_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants: list[tuple[set[int], set[int]]] = []
    want = Transfer.want

    def noted(transfer: Transfer, numbers: Iterable[int]) -> None:
        wants.append((set(numbers), set(transfer.have)))
        want(transfer, wants[-1][0])

    monkeypatch.setattr(Transfer, "want", noted)
    async with open_world(tmp_path) as world:
        sent = instances(6)
        for place in (0, 2, 4):
            await world.broker.publish(sent[place : place + 2], complete=place == 4)
        fetch = await opened(world, await world.add("a"))
        assert await read_all(fetch) == by_uid(sent)
        root = fetch.transfer.root
        assert root is not None
        assert len(root.parts) == 3
        first, here = wants[0]
        assert first == {number for part in root.parts for number in part.numbers} - here


async def test_a_study_of_which_nothing_is_published_yet(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.broker.catalogue.upsert([world.broker.record()])
        fetch = await opened(world, await world.add("a"))
        sent = instances(2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_all, fetch)
            await world.broker.publish(sent)
        assert len(fetch.known) == 2


async def test_a_later_version_keeps_the_numbers(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(3)
        await world.broker.publish(sent)
        peer = await world.add("a")
        await read_all(await opened(world, peer))
        late = instances(1, first=9)
        changed = evolve(sent[0], data=instances(1, first=1, rows=32)[0].data)
        await world.broker.publish([*late, changed])
        fetch = await opened(world, peer)
        assert await read_all(fetch) == by_uid([changed, *sent[1:], *late])
        numbers = {known.entry.sop_instance_uid: known.number for known in fetch.known}
        assert [numbers[one.sop_instance_uid] for one in [*sent, *late]] == [1, 2, 3, 4]


# ---------------------------------------------------------------- the broker is away


async def test_without_the_broker_the_members_give_it(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(4)
        await world.broker.publish(sent)
        first, second = await world.add("first"), await world.add("second")
        await read_all(await opened(world, first))
        await eventually(lambda: second.index.by_uid(world.broker.uid) is not None)
        await world.stop("broker")
        await eventually(lambda: second.identity.broker not in second.host.mesh.links)
        # The key came with the catalogue: this study was never asked for here.
        fetch = await opened(world, second)
        assert await read_all(fetch) == by_uid(sent)
        assert set(fetch.transfer.sources) == {first.identity.address}


async def test_without_the_broker_what_is_here_can_be_read_after_a_restart(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(3)
        await world.broker.publish(sent)
        peer = await world.add("a")
        await read_all(await opened(world, peer))
        await world.stop("a")
        await world.stop("broker")
        peer = await world.start("a", tmp_path / "a", peer.settings)
        assert await read_all(await opened(world, peer)) == by_uid(sent)


async def test_without_the_broker_and_without_a_key(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("a")
        world.broker.catalogue.upsert([world.broker.record()])
        await peer.catalogue.catch_up()
        await world.stop("broker")
        with pytest.raises(KeyUnavailableError, match="try again when it is linked"):
            await opened(world, peer)


async def test_without_the_broker_and_without_holders(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        peer.host.engine.downloads.tuning = DownloadTuning(hope_seconds=0.5)
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        await world.stop("broker")
        fetch = await opened(world, peer)
        with pytest.raises(NoSourceError, match="try again"):
            await read_all(fetch)


# ---------------------------------------------------------------- what goes wrong


async def test_a_study_that_nobody_has(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        await opened(world, peer)
        with pytest.raises(StudyNotFoundError, match="catalogue"):
            await peer.reads.open("1.2.3.4", Requester("TEST", "get"))
        world.broker.staged = StudyNotFoundError("the PACS does not have it any more")
        with pytest.raises(StudyNotFoundError, match="any more"):
            await opened(world, peer)


async def test_a_study_that_the_rule_forbids_is_forgotten_here(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        fetch = await opened(world, peer)
        world.broker.forbidden = True
        with pytest.raises(ForbiddenError):
            await opened(world, peer)
        # Nothing was audited as read, and the grant is gone.
        assert await reported(world, peer) == 1
        with pytest.raises(KeyUnavailableError):
            await peer.grants.key(fetch.study)


async def test_a_pacs_that_does_not_answer(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        world.broker.staged = PacsUnreachableError("the PACS refuses connections")
        with pytest.raises(PacsUnreachableError, match="refuses"):
            await opened(world, peer)


async def test_a_manifest_with_a_wrong_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path) as world:
        raw = await world.broker.publish(instances(1))
        peer = await world.add("a")
        root = load_root(raw, world.broker.identity.broker_key, world.broker.study)
        forged = sign_root(root, SigningKey.generate())
        monkeypatch.setattr(type(world.broker), "root", forged)
        with pytest.raises(BadSignatureError):
            await opened(world, peer)
        monkeypatch.undo()
        assert len(await read_all(await opened(world, peer))) == 1


async def test_an_older_manifest_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(3)
        old = await world.broker.publish(sent[:1])
        peer = await world.add("a")
        await world.broker.publish(sent[1:])
        await read_all(await opened(world, peer))
        monkeypatch.setattr(type(world.broker), "root", old)
        fetch = await opened(world, peer)
        assert await read_all(fetch) == by_uid(sent)
        assert fetch.transfer.root is not None
        assert fetch.transfer.root.version == 2


async def test_a_wrong_key_gives_no_wrong_images(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        world.broker.key = StudyKey.generate()
        with pytest.raises(CodingError):
            await read_all(await opened(world, peer))


async def test_a_full_store_stops_the_transfer_and_space_lets_it_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(8)
        await world.broker.publish(sent)
        peer = await world.add("a", store={"capacity": "20kB"})
        fetch = await opened(world, peer)
        with pytest.raises(DiskFullError):
            await read_all(fetch)
        assert fetch.transfer.state is TransferState.FAILED
        held = len(fetch.transfer.have)
        assert held > 0
        monkeypatch.setattr(peer.store.writer, "capacity", None)
        fetch = await opened(world, peer)
        assert await read_all(fetch) == by_uid(sent)
        assert fetch.transfer.bytes_received < fetch.transfer.bytes_total


async def test_a_rotten_chunk_is_fetched_again(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(3)
        await world.broker.publish(sent)
        peer = await world.add("a")
        fetch = await opened(world, peer)
        await read_all(fetch)
        await (await peer.store.study(fetch.study)).flush()
        (file,) = (tmp_path / "a" / "store" / "chunks").rglob("*.chunks")
        raw = bytearray(await trio.Path(file).read_bytes())
        for at in range(0, len(raw), 4096):
            raw[at] ^= 1
        await trio.Path(file).write_bytes(raw)
        assert await read_all(fetch) == by_uid(sent)


async def test_nothing_comes_and_the_holders_are_asked_for_anew(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.broker.catalogue.upsert([world.broker.record()])
        peer = await world.add("a")
        peer.reads.tuning = ReaderTuning(arrival=ArrivalTuning(patience=0.05))
        fetch = await opened(world, peer)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_all, fetch)
            await eventually(lambda: len(world.broker.asked) > 3)
            await world.broker.publish(instances(1))
        assert len(fetch.known) == 1


async def test_giving_up_stops_the_transfer_unless_others_read(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.broker.catalogue.upsert([world.broker.record()])
        fetch = await opened(world, await world.add("a"))
        with fetch.in_use(), fetch.in_use():
            fetch.give_up()
            assert fetch.transfer.state is TransferState.FETCHING
        with fetch.in_use():
            fetch.give_up()
        assert fetch.transfer.ended is not None
        with pytest.raises(UnavailableError, match="cancelled"):
            await read_all(fetch)


async def test_what_a_viewer_begins_with_is_wanted_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[int] = []
    want = Transfer.want

    def noting(transfer: Transfer, numbers: Iterable[int]) -> None:
        want(transfer, noted := list(numbers))
        wanted.extend(noted)

    monkeypatch.setattr(Transfer, "want", noting)
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(4))
        peer = await world.add("a")
        fetch = await opened(world, peer)
        with trio.fail_after(LIMIT), fetch.in_use():
            await fetch.want_beginning()
        assert fetch.settled
        first, *others = fetch.present
        have = fetch.transfer.have
        assert {number for number in first.chunks if number not in have} <= set(wanted)
        assert not any(set(one.chunks) - set(first.chunks) <= set(wanted) for one in others)
