"""What a running peer tells Prometheus, read by Prometheus' own parser."""

from pathlib import Path
from typing import Any

import httpx
import trio

from peer.api.client import PeerClient
from peer.app import run_peer
from peer.commands.get.study import get
from peer.metrics import METRICS, sent_readings
from tests.p2pacs.metrics.samples import scraped
from tests.peer.commands.get.test_study import Seen
from tests.peer.ingest.test_outgoing_state import NOW, told
from tests.peer.test_app import settings_of
from tests.peer.world import World, instances, open_world
from tests.waiting import eventually


async def _running(
    world: World, nursery: trio.Nursery, stop: trio.Event, **settings: Any
) -> tuple[Path, dict[str, Any]]:
    folder = world.register("a")
    made = settings_of(world, folder, **settings)
    said: list[dict[str, Any]] = []
    nursery.start_soon(run_peer, folder, made, said.append, stop)
    await eventually(lambda: said)
    return folder, said[0]


async def test_a_fetch_is_seen(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, trio.open_nursery() as nursery:
        await world.broker.publish(instances(2))
        stop = trio.Event()
        more = {
            "metrics": {"listen": "127.0.0.1:0"},
            "gateway": {"dicomweb": "127.0.0.1:0"},
            "sending": {"enabled": True},
        }
        folder, said = await _running(world, nursery, stop, store={"capacity": "1GB"}, **more)
        async with PeerClient.connect(folder) as peer:
            while not await peer.find({"patient_name": "GRÜN*"}):
                await trio.sleep(0.02)
        await get(folder, world.broker.uid, tmp_path / "out", Seen())
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            await http.get(f"http://{said['dicomweb']}/dicom-web/studies")
        samples, names = await scraped(said["metrics"])
        assert names == {one.name for one in METRICS}
        received = samples["p2pacs_received_bytes_total", ("broker",)]
        assert received == samples["p2pacs_store_bytes", ()] > 0
        assert samples["p2pacs_received_chunks_total", ("broker",)] >= 1
        assert samples["p2pacs_transfers_ended_total", ("complete",)] == 1
        assert samples["p2pacs_transfers", ()] == 0
        assert samples["p2pacs_store_capacity_bytes", ()] == 10**9
        assert samples["p2pacs_store_studies", ()] == samples["p2pacs_catalogue_studies", ()] == 1
        assert samples["p2pacs_links", ("broker",)] == samples["p2pacs_broker_linked", ()] == 1
        assert samples["p2pacs_dials_total", ("linked",)] >= 1
        assert samples["p2pacs_catalogue_lag_seconds", ()] >= 0
        assert samples["p2pacs_certificate_expires_timestamp_seconds", ("member",)] > 0
        assert samples["p2pacs_dicomweb_request_seconds_count", ("search", "2xx")] == 1
        assert samples["p2pacs_outgoing_studies", ("refused",)] == 0
        assert samples["p2pacs_outgoing_spool_bytes", ()] == 0
        assert samples["process_resident_memory_bytes", ()] > 0
        [(_, labels)] = [one for one in samples if one[0] == "p2pacs_info"]
        assert labels[:2] == ("peer", "hospital")
        told = " ".join(value for _, labels in samples for value in labels)
        assert world.broker.uid not in told
        assert str(world.network.broker.address) not in told
        stop.set()


async def test_nothing_is_told_unless_it_is_set(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, trio.open_nursery() as nursery:
        stop = trio.Event()
        _, said = await _running(world, nursery, stop)
        assert said["metrics"] is None
        stop.set()


def test_what_is_told_of_studies_that_are_sent() -> None:
    studies = [told(), told(refused="no"), told(safe=10, spooled=0, began=0)]
    readings = list(sent_readings(studies, NOW / 1000))
    said = {(one.name, *one.labels): one.value for one in readings}
    assert said["outgoing_studies", "refused"] == said["outgoing_studies", "stored"] == 1
    assert said["outgoing_studies", "cancelled"] == 0
    assert said["outgoing_spool_bytes",] == 2000
    assert said["outgoing_oldest_seconds",] == 120
    nothing = {one.name: one.value for one in sent_readings([], NOW / 1000)}
    assert nothing["outgoing_oldest_seconds"] == 0
