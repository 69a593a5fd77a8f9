"""The broker's certificates are renewed while it runs, in virtual time."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
from attrs import evolve
from cryptography import x509
from structlog.testing import capture_logs
from trio.testing import MockClock

from broker.pages.certificate import WebCertificate
from broker.renewal import EVERY, LEFT, keep_renewed
from broker.setup import BrokerSecrets
from p2pacs.identity.keys import Secret
from p2pacs.identity.node import CERTIFICATE, NodeIdentity
from tests.broker.conftest import Ground
from tests.small_disk import small_disk

PAGES = "web-cert.pem"


def _keys(ground: Ground, identity: NodeIdentity) -> BrokerSecrets:
    return BrokerSecrets(ground.authority, identity, ground.key, Secret(bytes(32)))


def _pages(ground: Ground, folder: Path) -> WebCertificate:
    return WebCertificate.make(folder, ground.authority, lambda: ["127.0.0.1"])


def _serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


async def test_both_are_renewed_in_time(
    ground: Ground, tmp_path: Path, autojump_clock: MockClock
) -> None:
    pages = _pages(ground, tmp_path / "web")
    own = ground.identity.folder / CERTIFICATE  # of one day
    first, web = _serial(own), _serial(tmp_path / "web" / PAGES)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_renewed, _keys(ground, ground.identity), pages)
        await trio.sleep(EVERY / 2)
        assert _serial(own) != first
        assert NodeIdentity.load(own.parent).expires > datetime.now(UTC) + LEFT
        assert _serial(tmp_path / "web" / PAGES) == web
        second = _serial(own)
        await trio.sleep(EVERY)
        assert _serial(own) == second
        assert _serial(tmp_path / "web" / PAGES) != web
        nursery.cancel_scope.cancel()


@pytest.mark.disk
async def test_on_a_full_disk_both_wait_for_room(
    ground: Ground, tmp_path: Path, autojump_clock: MockClock
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        pages = _pages(ground, disk.folder / "web")
        shutil.copytree(ground.identity.folder, disk.folder / "identity")
        identity = evolve(ground.identity, folder=disk.folder / "identity")
        own, web = disk.folder / "identity" / CERTIFICATE, disk.folder / "web" / PAGES
        before = _serial(own), _serial(web)
        disk.fill()
        with capture_logs() as logs:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(keep_renewed, _keys(ground, identity), pages)
                await trio.sleep(60)
                assert (_serial(own), _serial(web)) == before
                disk.free()
                await trio.sleep(60)
                assert _serial(own) != before[0]
                disk.fill()
                await trio.sleep(EVERY)
                assert _serial(web) == before[1]
                disk.free()
                await trio.sleep(60)
                assert _serial(web) != before[1]
                nursery.cancel_scope.cancel()
        waited = [one["file"] for one in logs if one["event"].startswith("waiting until")]
        assert waited == ["the broker's certificate", "the certificate of the pages"]


async def test_what_cannot_be_renewed_is_said_and_tried_again(
    ground: Ground, tmp_path: Path, autojump_clock: MockClock
) -> None:
    pages = _pages(ground, tmp_path / "web")
    before = _serial(tmp_path / "web" / PAGES)
    aside = (tmp_path / "web").rename(tmp_path / "aside")
    soon = evolve(ground.identity, expires=datetime.now(UTC) + LEFT - timedelta(days=1))
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_renewed, _keys(ground, soon), pages)
            await trio.sleep(1.5 * EVERY)
            assert [one["which"] for one in logs if one["log_level"] == "error"] == [
                "the certificate of the pages"
            ]
            aside.rename(tmp_path / "web")
            await trio.sleep(EVERY)
            nursery.cancel_scope.cancel()
    assert _serial(tmp_path / "web" / PAGES) != before
