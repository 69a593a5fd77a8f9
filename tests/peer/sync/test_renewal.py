from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio

from p2pacs.errors import P2PacsError
from p2pacs.identity.node import NodeIdentity
from peer.sync.renewal import LEAST, LOOK, keep_renewed, pause, renew
from tests.peer.world import open_world


@pytest.mark.parametrize(
    ("left", "seconds"),
    [
        (timedelta(days=90), LOOK),
        (timedelta(hours=2), 1800.0),
        (timedelta(seconds=5), LEAST),
        (timedelta(days=-1), LEAST),
    ],
)
def test_the_nearer_the_end_the_more_often(left: timedelta, seconds: float) -> None:
    assert pause(left) == seconds


async def test_a_certificate_is_renewed_for_the_same_key(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("a")
        before = NodeIdentity.load(peer.identity.folder)
        after = await renew(peer.identity, peer.host)
        stored = NodeIdentity.load(peer.identity.folder)
        assert stored.expires == after.expires
        assert (stored.address, stored.key_hash) == (before.address, before.key_hash)


async def test_a_short_one_is_renewed_at_once(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("a", lifetime=timedelta(hours=1))
        soon = datetime.now(UTC) + timedelta(days=1)
        with trio.fail_after(60):
            while (await peer.overview.status())["certificate_expires"] < soon.isoformat():
                await trio.sleep(0.01)
        assert NodeIdentity.load(peer.identity.folder).expires > soon


async def test_the_broker_being_away_is_no_end(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("a")
        await world.stop("broker")
        with pytest.raises(P2PacsError):
            await renew(peer.identity, peer.host)
        with trio.move_on_after(0.2) as scope:
            await keep_renewed(peer.identity, peer.host, lambda _: None)
        assert scope.cancelled_caught
