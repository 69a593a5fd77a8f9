import socket
from pathlib import Path

import pytest
import trio
from attrs import evolve

from p2pacs.errors import AuthenticationError, NoSourceError
from p2pacs.identity.directory import Role
from p2pacs.line.gather import GatheringStream
from p2pacs.line.line import UPLINK_SHARE, Line
from p2pacs.line.paced import SO_MAX_PACING_RATE, PacedStream
from p2pacs.mesh.dialling import TlsTransport
from p2pacs.units import Endpoint
from p2pacs.wire.bulk import BulkStream
from tests.p2pacs.identity.network import record_of
from tests.p2pacs.swarm.nodes import LAN, Nodes


def transport_of(nodes: Nodes, line: Line, *listen: str) -> TlsTransport:
    endpoints = [Endpoint.parse(text) for text in listen]
    return TlsTransport(nodes.network.broker, nodes.books[0], line, endpoints)


async def test_a_member_behind_nat_cannot_be_dialled(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        await nodes.add("broker", Role.BROKER)
        behind = nodes.network.member("behind")
        record = record_of(behind)
        transport = transport_of(nodes, Line())
        with pytest.raises(NoSourceError, match="dial itself"):
            await transport.connect(evolve(record, endpoints=()))


async def test_somebody_else_at_the_address_is_refused(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        await nodes.add("broker", Role.BROKER)
        await nodes.add("one")
        record = record_of(nodes.network.member("other"))
        wrong = evolve(record, endpoints=nodes.records[1].endpoints)
        with pytest.raises(AuthenticationError), trio.fail_after(10):
            await transport_of(nodes, Line()).connect(wrong)


async def test_the_dialler_comes_from_the_side_that_it_dials(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        await nodes.add("broker", Role.BROKER)
        both = transport_of(nodes, Line(lan=LAN), "127.0.0.7:1", "127.0.1.7:1")
        assert both._source("127.0.1.9") == "127.0.1.7"
        assert both._source("127.0.0.9") == "127.0.0.7"
        assert both._source("a.name") == "127.0.0.7"
        assert transport_of(nodes, Line(), "0.0.0.0:1")._source("127.0.0.9") is None


async def test_a_channel_on_the_line_is_paced_and_notices_silence(tmp_path: Path) -> None:
    line = Line(uplink=800_000, lan=LAN)
    async with Nodes(tmp_path) as nodes:
        await nodes.add("broker", Role.BROKER)
        await nodes.add("one")
        transport = transport_of(nodes, line)
        transport.pace(*line.pacers())
        opened = await transport.connect(nodes.records[1])
        assert isinstance(opened.stream, PacedStream)
        assert isinstance(opened.stream.inner, BulkStream)
        tls = opened.stream.inner.inner
        assert isinstance(tls.transport_stream, GatheringStream)
        sock = tls.transport_stream.inner.socket
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
        assert sock.getsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE) == 100_000 * UPLINK_SHARE
        await trio.aclose_forcefully(opened.stream)


async def test_gathering_can_be_switched_off(tmp_path: Path) -> None:
    line = Line(uplink=800_000, gather=0)
    async with Nodes(tmp_path) as nodes:
        await nodes.add("broker", Role.BROKER)
        await nodes.add("one")
        transport = transport_of(nodes, line)
        transport.pace(*line.pacers())
        opened = await transport.connect(nodes.records[1])
        assert isinstance(opened.stream, PacedStream)
        assert isinstance(opened.stream.inner, BulkStream)
        assert isinstance(opened.stream.inner.inner.transport_stream, trio.SocketStream)
        await trio.aclose_forcefully(opened.stream)
