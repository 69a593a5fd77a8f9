"""The broker's certificate is renewed while it runs, in virtual time."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
from attrs import evolve
from cryptography import x509
from structlog.testing import capture_logs
from trio.testing import MockClock

from broker.renewal import EVERY, LEFT, keep_renewed
from broker.setup import BrokerSecrets
from p2pacs.identity.keys import Secret
from p2pacs.identity.node import CERTIFICATE, KEY, NodeIdentity
from tests.broker.conftest import Ground
from tests.small_disk import small_disk


def _keys(ground: Ground, identity: NodeIdentity) -> BrokerSecrets:
    return BrokerSecrets(ground.authority, identity, ground.key, Secret(bytes(32)))


def _serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


async def test_it_is_renewed_in_time(ground: Ground, autojump_clock: MockClock) -> None:
    own = ground.identity.folder / CERTIFICATE  # of one day
    first = _serial(own)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_renewed, _keys(ground, ground.identity))
        await trio.sleep(EVERY / 2)
        assert _serial(own) != first
        assert NodeIdentity.load(own.parent).expires > datetime.now(UTC) + LEFT
        second = _serial(own)
        await trio.sleep(EVERY)
        assert _serial(own) == second
        nursery.cancel_scope.cancel()


@pytest.mark.disk
async def test_on_a_full_disk_it_waits_for_room(
    ground: Ground, tmp_path: Path, autojump_clock: MockClock
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        shutil.copytree(ground.identity.folder, disk.folder / "identity")
        identity = evolve(ground.identity, folder=disk.folder / "identity")
        own = disk.folder / "identity" / CERTIFICATE
        before = _serial(own)
        disk.fill()
        with capture_logs() as logs:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(keep_renewed, _keys(ground, identity))
                await trio.sleep(60)
                assert _serial(own) == before
                disk.free()
                await trio.sleep(60)
                assert _serial(own) != before
                nursery.cancel_scope.cancel()
        waited = [one["file"] for one in logs if one["event"].startswith("waiting until")]
        assert waited == ["the broker's certificate"]


async def test_what_cannot_be_renewed_is_said_and_tried_again(
    ground: Ground, autojump_clock: MockClock
) -> None:
    soon = evolve(ground.identity, expires=datetime.now(UTC) + LEFT - timedelta(days=1))
    before = _serial(soon.folder / CERTIFICATE)
    key = soon.folder / KEY
    whole = key.read_bytes()
    key.write_bytes(b"damaged")
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_renewed, _keys(ground, soon))
            await trio.sleep(0.5 * EVERY)
            assert [one["event"] for one in logs if one["log_level"] == "error"] == [
                "the broker's certificate is not renewed"
            ]
            key.write_bytes(whole)
            await trio.sleep(EVERY)
            nursery.cancel_scope.cancel()
    assert _serial(soon.folder / CERTIFICATE) != before
