"""Which parts of sending a peer has, by its settings and by what is left in its spool."""

from pathlib import Path

import pytest

from peer.app import open_peer
from peer.config import SPOOL
from peer.spool.spool import Spool
from tests.peer.fake_sending import arrived
from tests.peer.test_app import settings_of
from tests.peer.world import instances, open_world


async def test_who_never_sent_has_no_parts_for_it(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        folder = world.register("a")
        settings = settings_of(world, folder, sending={"enabled": False})
        async with open_peer(folder, settings) as peer:
            assert peer.outbound is None
        assert not (folder / SPOOL).exists()


@pytest.mark.parametrize("enabled", [True, False])
async def test_what_was_left_is_sent_but_nothing_more_taken(tmp_path: Path, enabled: bool) -> None:
    async with open_world(tmp_path) as world:
        folder = world.register("a")
        spool = Spool(folder / SPOOL, reserve=0)
        arrived(spool, instances(1))
        spool.close()
        settings = settings_of(world, folder, sending={"enabled": enabled})
        async with open_peer(folder, settings) as peer:
            assert peer.outbound is not None
            assert len(peer.outbound.spool.index.list_studies()) == 1
            taken = (
                peer.outbound.take,
                peer.outbound.files,
                peer.outbound.commit_service,
                peer.gateway_parts.take,
                peer.overview.incoming,
            )
            assert [part is not None for part in taken] == [enabled] * 5
