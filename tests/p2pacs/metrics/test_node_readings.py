from pathlib import Path

from p2pacs.identity.node import CERTIFICATE
from p2pacs.metrics.definitions import METRICS
from p2pacs.metrics.node_readings import NodeMetrics, read_files
from tests.p2pacs.identity.network import Network
from tests.peer.world import instances, open_world
from tests.waiting import eventually


async def test_what_a_running_peer_tells(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        node = NodeMetrics(
            "peer",
            lambda: "hospital",
            peer.host,
            peer.book,
            peer.store,
            peer.recycler,
            peer.workers,
        )
        await eventually(lambda: peer.host.mesh.links)
        told = {(one.name, one.labels): one.value for one in node.read()}
        labels = {one.name.removeprefix("p2pacs_").removesuffix("_total"): one for one in METRICS}
        for name, values in told:
            assert len(values) == len(labels[name].labels), name
        assert told["links", ("broker",)] == 1
        assert told["store_bytes", ()] == told["transfers", ()] == 0
        assert ("store_capacity_bytes", ()) not in told  # none is set
        assert str(world.network.broker.address) not in str(told)


def test_what_is_read_from_the_disk(tmp_path: Path) -> None:
    identity = Network.create(tmp_path).broker
    (tmp_path / "broken.pem").write_text("no certificate")
    files = {
        "member": identity.folder / CERTIFICATE,
        "pages": tmp_path / "broken.pem",
        "dicom": tmp_path / "missing.pem",
    }
    told = {(one.name, one.labels): one.value for one in read_files(tmp_path, files)}
    free = told.pop(("store_disk_free_bytes", ()))
    assert free > 0
    ends = identity.expires.timestamp()
    assert told == {("certificate_expires_timestamp_seconds", ("member",)): ends}
    assert list(read_files(tmp_path / "missing", {})) == []
