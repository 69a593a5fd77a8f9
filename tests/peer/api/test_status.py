from pathlib import Path

from p2pacs.identity.book import DirectoryBook
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.study.manifest import load_root
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.priority import Priority
from peer.api.status import Rates, end_of, member_name, member_role, transfer_json, upload_json
from tests.peer.retrieval.test_study_fetch import opened, read_all
from tests.peer.world import instances, open_world

STRANGER = VirtualAddress(b"\xfd" + bytes(14) + b"\x01")


def _transfer() -> Transfer:
    return Transfer(StudyId(bytes(16)), Availability((), b""), Priority.STAT)


async def test_a_transfer_tells_what_came_from_whom(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(3))
        peer = await world.add("a")
        fetch = await opened(world, peer)
        await read_all(fetch)
        transfer = fetch.transfer
        await transfer.wait_complete()
        linked = peer.host.mesh.links
        said = transfer_json(transfer, peer.book, now=1e9, rates=Rates(), linked=linked)
        assert said["study"] == str(world.broker.study)
        assert (said["state"], said["error"]) == ("complete", None)
        assert said["priority"] == "interactive"
        assert said["bytes_received"] == said["bytes_total"] == said["bytes_held"] > 0
        assert (said["in_flight"], said["expected_seconds"], said["growing"]) == (0, 0.0, False)
        assert transfer.ended is not None
        assert said["seconds"] == round(transfer.ended - transfer.started, 3)
        assert said["sources"] == {
            "broker": {
                "bytes": said["bytes_received"],
                "rate": 0,
                "in_flight": 0,
                "role": "broker",
                "linked": True,
            }
        }
        assert world.broker.uid not in str(said)
        none = transfer_json(transfer, peer.book, now=0, rates=Rates(), linked=linked, sources=0)
        assert (none["sources"], none["further_sources"]) == ({}, 1)


async def test_when_a_transfer_ends(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        transfer = _transfer()
        assert end_of(transfer, 1_000) is None  # nothing is known
        key, study = world.broker.identity.broker_key, world.broker.study
        growing = await world.broker.publish(instances(2), complete=False)
        transfer.root = load_root(growing, key, study)
        assert end_of(transfer, 1_000) is None
        transfer.root = load_root(await world.broker.publish(instances(1, first=3)), key, study)
        transfer.bytes_held = transfer.bytes_total - 5_000
        assert end_of(transfer, 1_000) == 5.0
        assert end_of(transfer, 0) is None  # stalled
        transfer.cancel()
        assert end_of(transfer, 1_000) is None


async def test_a_transfer_that_has_only_begun(tmp_path: Path) -> None:
    book = DirectoryBook(tmp_path / "directory", None)  # type: ignore[arg-type]
    transfer = _transfer()
    now = transfer.started + 1.5
    said = transfer_json(transfer, book, now=now, rates=Rates(12.4), linked=frozenset())
    assert (said["bytes_total"], said["growing"], said["priority"]) == (0, True, "stat")
    assert (said["rate"], said["seconds"], said["expected_seconds"]) == (12, 1.5, None)


async def test_names(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("a")
        assert member_name(peer.book, peer.identity.address) == "a"
        assert member_role(peer.book, peer.identity.address) == "hospital"
        assert member_name(peer.book, STRANGER) == str(STRANGER)
        assert member_role(peer.book, STRANGER) is None
        assert upload_json(STRANGER, peer.book, sent=5, waiting=7, rate=1.6, linked=False) == {
            "name": str(STRANGER),
            "role": None,
            "bytes": 5,
            "waiting": 7,
            "rate": 2,
            "linked": False,
        }
