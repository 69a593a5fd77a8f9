"""A node and strangers in numbers: real sockets from several addresses, descriptors counted."""

import hashlib
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import structlog
import trio

from p2pacs import limits
from p2pacs.errors import LinkClosedError
from p2pacs.identity import certificates, tls
from p2pacs.identity.directory import MemberRecord, Role, sign_directory
from p2pacs.identity.keys import Secret
from p2pacs.identity.token import Token
from p2pacs.swarm.node import Node
from p2pacs.wire.channel import channel
from p2pacs.wire.enrolment.enrol import enrol
from p2pacs.wire.messages.messages import Enrolled, EnrolQuery
from tests.p2pacs.swarm.nodes import Nodes
from tests.p2pacs.swarm.test_node import until_linked

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="counts descriptors and binds 127.0.0.x"
)

SECRET = Secret(b"0123456789abcdef")


def connected_from(ends: set[tuple[str, int]]) -> int:
    """Descriptors of this process whose other end is one of these addresses and ports.

    The port alone would not do: the kernel gives one to several addresses.
    """
    return sum(_other_end(path) in ends for path in Path("/proc/self/fd").iterdir())


def _other_end(descriptor: Path) -> tuple[str, int] | None:
    """Address and port at the other end of a descriptor; None if it is no connection (any more)."""
    try:
        number = os.dup(int(descriptor.name))
    except OSError:
        return None
    try:
        one = socket.socket(fileno=number)
    except OSError:  # no socket: then it is not closed with one either
        os.close(number)
        return None
    with one, suppress(OSError, ValueError):  # not connected, or a path
        address, port = one.getpeername()[:2]
        return str(address), int(port)
    return None


class Flood:
    """Connections of strangers to one node, all open at this end."""

    def __init__(self, node: Node) -> None:
        self._to = node.listen[0]
        self._streams: list[trio.SocketStream] = []
        self._ends: set[tuple[str, int]] = set()

    async def silent(self, source: str, count: int) -> None:
        for _ in range(count):
            await self._open(source)

    async def enrolling(self, source: str, count: int) -> None:
        """Channels that have shown no certificate, and say nothing."""
        context = tls.enrolment_client_context(None)
        for _ in range(count):
            tcp = await self._open(source)
            try:
                await channel.handshake(tcp, context, who="node", server_hostname="any")
            except LinkClosedError:
                continue

    async def _open(self, source: str) -> trio.SocketStream:
        tcp = await channel.open_tcp(self._to, source=source)
        self._streams.append(tcp)
        self._ends.add(tcp.socket.getsockname())
        return tcp

    @property
    def held(self) -> int:
        """Descriptors that the node spends on it."""
        return connected_from(self._ends)

    async def until_held(self, most: int) -> None:
        with trio.fail_after(30):
            while self.held > most:
                await trio.sleep(0.01)

    async def end(self) -> None:
        for stream in self._streams:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def flooding(node: Node) -> AsyncIterator[Flood]:
    flood = Flood(node)
    try:
        yield flood
    finally:
        await flood.end()
    await flood.until_held(0)


class Admitting:
    """Just enough of a broker to admit newcomers."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    async def admit(self, query: EnrolQuery) -> Enrolled:
        network = self._nodes.network
        address = network.authority.new_address()
        key_hash = certificates.requested_key_hash(query.csr)
        new = MemberRecord(address, "new", Role.HOSPITAL, (), key_hash, query.box_key)
        self._nodes.records.append(new)
        self._nodes.publish()
        directory = self._nodes.books[0].directory
        return Enrolled(
            id=query.id,
            certificate=network.authority.issue(query.csr, address, "new"),
            authority=network.authority.certificate,
            broker_key=network.signing.public.raw,
            directory=sign_directory(directory, network.signing),
            settings=b"",
        )


def token(nodes: Nodes, broker: Node) -> Token:
    return Token(
        broker=broker.identity.address,
        endpoints=(str(broker.listen[0]),),
        authority_sha256=hashlib.sha256(nodes.network.authority.certificate).digest(),
        secret=SECRET,
    )


async def enrolled(nodes: Nodes, broker: Node, folder: Path) -> None:
    """A newcomer from 127.0.0.1 becomes a member; refused, it tries again."""
    with trio.fail_after(30):
        while True:
            try:
                await enrol(token(nodes, broker), folder, [])
            except LinkClosedError:
                await trio.sleep(0.1)
            else:
                return


@pytest.mark.parametrize(
    "sources",
    [["127.0.0.9"], ["127.0.0.1"], [f"127.0.0.{n}" for n in range(100, 120)]],
    ids=["one", "the members' own", "twenty"],
)
async def test_silent_connections_keep_nobody_out(tmp_path: Path, sources: Sequence[str]) -> None:
    async with Nodes(tmp_path) as nodes:
        admitting = Admitting(nodes)
        broker = await nodes.add("broker", Role.BROKER, host="127.0.0.2", enrol=admitting.admit)
        async with flooding(broker) as flood:
            for source in sources:
                await flood.silent(source, max(10, 70 // len(sources)))
            of_one = limits.KNOWN_CALLERS_OF_ONE
            await flood.until_held(min(limits.STRANGERS, of_one * len(sources)))
            hospital = await nodes.add("hospital", host="127.0.0.1")
            await until_linked(hospital, broker.identity.address)
            await enrolled(nodes, broker, tmp_path / "new")


async def test_channels_without_a_certificate_are_few(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        admitting = Admitting(nodes)
        broker = await nodes.add("broker", Role.BROKER, host="127.0.0.2", enrol=admitting.admit)
        async with flooding(broker) as flood:
            await flood.enrolling("127.0.0.9", 100)
            assert len(broker.admission) <= limits.STRANGERS_OF_ONE
            await flood.until_held(limits.STRANGERS_OF_ONE)
            await enrolled(nodes, broker, tmp_path / "new")
            hospital = await nodes.add("hospital", host="127.0.0.1")
            await until_linked(hospital, broker.identity.address)


async def test_a_flood_of_refused_channels_is_no_flood_of_lines(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add("broker", Role.BROKER, host="127.0.0.2")
        with structlog.testing.capture_logs() as logs:
            for _ in range(40):
                tcp = await channel.open_tcp(broker.listen[0], source="127.0.0.9")
                await tcp.send_all(b"GET / HTTP/1.1\r\n\r\n")
                with trio.fail_after(30), suppress(trio.BrokenResourceError):
                    while await tcp.receive_some():
                        pass
                await trio.aclose_forcefully(tcp)
        warned = [log for log in logs if log["log_level"] in {"info", "warning"}]
        assert [log["event"] for log in warned] == ["channel refused"]


async def test_a_member_that_is_refused_holds_its_place_until_it_has_gone(tmp_path: Path) -> None:
    async with Nodes(tmp_path) as nodes:
        broker = await nodes.add("broker", Role.BROKER, host="127.0.0.2")
        stranger = nodes.network.member("not in the directory")
        streams = []
        for _ in range(3):
            stream, _ = await channel.connect(
                broker.listen[0], stranger, broker.identity.address, source="127.0.0.9"
            )
            streams.append(stream)
        with trio.fail_after(30):
            while len(broker.admission) != 3:
                await trio.sleep(0.01)
            for stream in streams:
                await trio.aclose_forcefully(stream)
            while len(broker.admission):
                await trio.sleep(0.01)
