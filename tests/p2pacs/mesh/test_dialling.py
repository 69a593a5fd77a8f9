import socket
import sys
from pathlib import Path

import pytest
import trio
from attrs import evolve

from p2pacs.errors import AuthenticationError, NoSourceError, P2PacsError
from p2pacs.identity.directory import MemberRecord, Role
from p2pacs.line.gather import GatheringStream
from p2pacs.line.line import UPLINK_SHARE, Line
from p2pacs.line.paced import SO_MAX_PACING_RATE, PacedStream
from p2pacs.mesh.dialling import TlsTransport
from p2pacs.units import Endpoint
from p2pacs.wire.channel.bulk import BulkStream
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
        with pytest.raises(AuthenticationError), trio.fail_after(60):
            await transport_of(nodes, Line()).connect(wrong)


async def _came_from(transport: TlsTransport, member: MemberRecord, host: str) -> str:
    """The address from which a member is dialled that listens here; it hangs up."""
    (listener,) = await trio.open_tcp_listeners(0, host=host)
    name = "localhost" if host == "127.0.0.1" else host
    there = f"{name}:{listener.socket.getsockname()[1]}"
    sources: list[str] = []

    async def answer() -> None:
        async with listener, await listener.accept() as stream:
            sources.append(stream.socket.getpeername()[0])

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            with pytest.raises(P2PacsError):
                await transport.connect(evolve(member, endpoints=(there,)))
    return sources[0]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.1 alone is this machine")
async def test_the_dialler_comes_from_the_side_that_it_dials(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        await nodes.add("broker", Role.BROKER)
        member = record_of(nodes.network.member("one"))
        both = transport_of(nodes, Line(lan=LAN), "127.0.0.7:1", "127.0.1.7:1")
        assert await _came_from(both, member, "127.0.1.9") == "127.0.1.7"
        assert await _came_from(both, member, "127.0.0.9") == "127.0.0.7"
        assert await _came_from(both, member, "127.0.0.1") == "127.0.0.7", "by its name"
        anywhere = transport_of(nodes, Line(), "0.0.0.0:1")
        assert await _came_from(anywhere, member, "127.0.0.9") == "127.0.0.1"


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
