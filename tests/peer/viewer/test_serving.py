"""Where the viewer runs; what its origin answers is in `test_site`."""

from pathlib import Path

import httpx
import trio

from p2pacs.identity.directory import Role
from peer.viewer.archive import contents
from peer.viewer.installed import install
from tests.peer.viewer.archives import archive_of
from tests.peer.world import instances, open_world
from tests.waiting import eventually


async def test_a_hospital_serves_it_with_its_own_studies(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    install(shared / "viewer", contents(archive_of(tmp_path / "a.tgz")))
    gateway = {"viewer": "127.0.0.1:0", "viewer_files": str(shared)}
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a", gateway=gateway)
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        async with trio.open_nursery() as nursery, httpx.AsyncClient(timeout=40.0) as http:
            where: str = await nursery.start(peer.serve_viewer)
            assert "<html>" in (await http.get(f"{where}/viewer")).text
            (study,) = (await http.get(f"{where}/dicom-web/studies")).json()
            assert study["0020000D"]["Value"] == [world.broker.uid]
            assert not peer.reads.fetches
            opened = f"{where}/viewer?StudyInstanceUIDs={world.broker.uid}"
            assert "<html>" in (await http.get(opened)).text
            await eventually(lambda: peer.reads.fetches)  # before a script asks for anything
            assert [purpose for purpose, _ in world.broker.asked] == ["view"]
            nursery.cancel_scope.cancel()


async def test_it_is_off_where_it_is_not_set_and_at_a_replica(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, trio.open_nursery() as nursery:
        peer = await world.add("a")
        assert await nursery.start(peer.serve_viewer) is None
        replica = await world.add("r", Role.REPLICA, gateway={"viewer": "127.0.0.1:0"})
        await eventually(lambda: replica.blind)
        assert await nursery.start(replica.serve_viewer) is None
        nursery.cancel_scope.cancel()
