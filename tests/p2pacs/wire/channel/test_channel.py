"""Channels on real sockets: who gets in, and who does not."""

import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, evolve, field
from structlog.testing import capture_logs
from trio.testing import MockClock

from p2pacs import limits
from p2pacs.errors import (
    AccessError,
    AuthenticationError,
    DeadlineError,
    LinkClosedError,
    P2PacsError,
    RevokedError,
)
from p2pacs.identity import tls
from p2pacs.identity.certificates import to_pem
from p2pacs.identity.directory import Directory
from p2pacs.identity.node import NodeIdentity, make_request
from p2pacs.ids import VirtualAddress
from p2pacs.units import Endpoint
from p2pacs.wire.channel import deadlines
from p2pacs.wire.channel.channel import Accepted, accept, connect, open_tcp, socket_of
from p2pacs.wire.link.link import Link, run_link
from p2pacs.wire.messages.messages import (
    PROTOCOL,
    Block,
    Hello,
    Manifest,
    ManifestQuery,
    Message,
    Query,
    Reply,
)
from tests.p2pacs.identity.network import Network, record_of


@define
class Listener:
    """A member that listens and keeps what came of it."""

    endpoint: Endpoint
    accepted: list[Accepted] = field(factory=list)
    refused: list[P2PacsError] = field(factory=list)
    came: trio.Event = field(factory=trio.Event)
    """Somebody was accepted or refused."""


@asynccontextmanager
async def listening(
    identity: NodeIdentity,
    *,
    enrolment: bool = False,
    directory: Directory | None = None,
    context: ssl.SSLContext | None = None,
    within: float = deadlines.HANDSHAKE,
) -> AsyncIterator[Listener]:
    [tcp] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    listener = Listener(Endpoint("127.0.0.1", tcp.socket.getsockname()[1]))
    used = context or tls.server_context(identity, enrolment=enrolment)

    async def serve(stream: trio.SocketStream) -> None:
        try:
            accepted = await accept(stream, used, within=within)
            if directory is not None and accepted.remote is not None:
                directory.check(accepted.remote)
            listener.accepted.append(accepted)
            listener.came.set()
            await accepted.stream.send_all(b"hello")
        except P2PacsError as error:
            listener.refused.append(error)
            listener.came.set()
        except trio.BrokenResourceError:
            pass
        finally:
            await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.serve_listeners, serve, [tcp]))
        yield listener
        nursery.cancel_scope.cancel()


async def read_from(endpoint: Endpoint, dialler: NodeIdentity, server: VirtualAddress) -> bytes:
    stream, _ = await connect(endpoint, dialler, server)
    try:
        return bytes(await stream.receive_some())
    finally:
        await trio.aclose_forcefully(stream)


async def settle(listener: Listener) -> None:
    with trio.fail_after(60):
        await listener.came.wait()


async def test_two_members_know_each_other(network: Network) -> None:
    hospital = network.member("hospital")
    directory = network.directory(hospital)
    async with listening(network.broker, directory=directory) as listener:
        stream, remote = await connect(
            listener.endpoint, hospital, network.broker.address, source="127.0.0.1"
        )
        assert await stream.receive_some() == b"hello"
        assert socket_of(stream).getsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY)
        await stream.aclose()
    assert directory.check(remote).name == "broker"
    [accepted] = listener.accepted
    assert accepted.remote is not None
    assert directory.check(accepted.remote).name == "hospital"
    assert accepted.network_address == "127.0.0.1"
    assert stream.version() == "TLSv1.3"
    assert stream.cipher()[0] == "TLS_AES_256_GCM_SHA384"


def from_another_authority(network: Network) -> tuple[NodeIdentity, Directory]:
    """A certificate from elsewhere, for the address of one of our members."""
    ours = network.member("hospital")
    theirs = Network.create(network.folder / "elsewhere").member("x", address=ours.address)
    (theirs.folder / "authority.pem").write_bytes((ours.folder / "authority.pem").read_bytes())
    return evolve(theirs, authority=ours.authority), network.directory(ours)


def expired(network: Network) -> tuple[NodeIdentity, Directory]:
    member = network.member("hospital", lifetime=timedelta(seconds=-1))
    return member, network.directory(member)


def revoked(network: Network) -> tuple[NodeIdentity, Directory]:
    member = network.member("hospital")
    gone = evolve(record_of(member), revoked=True)
    return member, evolve(network.directory(), members=(gone,))


def borrowed(network: Network) -> tuple[NodeIdentity, Directory]:
    """Our authority's certificate for another's address, with another key."""
    owner = network.member("owner")
    return network.member("borrower", address=owner.address), network.directory(owner)


def stranger(network: Network) -> tuple[NodeIdentity, Directory]:
    return network.member("stranger"), network.directory()


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (from_another_authority, AuthenticationError),
        (expired, AuthenticationError),
        (revoked, RevokedError),
        (borrowed, AuthenticationError),
        (stranger, AuthenticationError),
    ],
)
async def test_a_listener_refuses(
    network: Network,
    make: Callable[[Network], tuple[NodeIdentity, Directory]],
    kind: type[AccessError],
) -> None:
    dialler, directory = make(network)
    with capture_logs() as logs:
        async with listening(network.broker, directory=directory) as listener:
            with pytest.raises(trio.BrokenResourceError):
                await read_from(listener.endpoint, dialler, network.broker.address)
            await settle(listener)
    assert listener.accepted == []
    assert [type(error) for error in listener.refused] == [kind]
    if make in (from_another_authority, expired):  # the rest is the directory's, logged by links
        assert [log["event"] for log in logs] == ["channel refused"]
        assert logs[0]["network_address"] == "127.0.0.1"


@pytest.mark.parametrize("make", [from_another_authority, expired])
async def test_a_dialler_refuses(
    network: Network, make: Callable[[Network], tuple[NodeIdentity, Directory]]
) -> None:
    server, _ = make(network)
    async with listening(server) as listener:
        with pytest.raises(AuthenticationError, match="certificate of 127"):
            await connect(listener.endpoint, network.broker, server.address)


async def test_a_dialler_names_the_clock_when_a_time_is_wrong(network: Network) -> None:
    """The lifetime that TLS checks is the one that a wrong clock of this machine breaks."""
    server, _ = expired(network)
    async with listening(server) as listener:
        with pytest.raises(AuthenticationError, match="has ended by the clock of this machine"):
            await connect(listener.endpoint, network.broker, server.address)


async def test_a_dialler_refuses_another_member_than_the_one_it_dialled(network: Network) -> None:
    async with listening(network.member("north")) as listener:
        with pytest.raises(AuthenticationError, match="mismatch"):
            await connect(listener.endpoint, network.broker, network.member("south").address)


async def test_a_dialler_sees_a_borrowed_address_in_the_directory(network: Network) -> None:
    server, directory = borrowed(network)
    async with listening(server) as listener:
        stream, remote = await connect(listener.endpoint, network.broker, server.address)
        await stream.aclose()
        with pytest.raises(AuthenticationError, match="key that is not in the directory"):
            directory.check(remote)


async def test_a_web_certificate_is_no_members(network: Network) -> None:
    """Neither as a server's nor as a client's."""
    member = network.member("web")
    csr = make_request(member.folder)
    web = network.authority.issue_web(csr, ["127.0.0.1"], lifetime=timedelta(days=1))
    (member.folder / "cert.pem").write_bytes(to_pem(web))
    async with listening(network.broker) as listener:
        with pytest.raises(trio.BrokenResourceError):
            await read_from(listener.endpoint, member, network.broker.address)
        await settle(listener)
        assert [type(error) for error in listener.refused] == [AuthenticationError]
    async with listening(member) as listener:
        with pytest.raises(AuthenticationError):
            await connect(listener.endpoint, network.broker, member.address)


# ---------------------------------------------------------------- other kinds of channel


@pytest.mark.parametrize("enrolment", [False, True])
@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0\0\0\x05\x94\x01\x01"])
async def test_plaintext_is_refused(network: Network, enrolment: bool, said: bytes) -> None:
    with capture_logs() as logs:
        async with listening(network.broker, enrolment=enrolment) as listener:
            tcp = await open_tcp(listener.endpoint)
            await tcp.send_all(said + bytes(300))
            await settle(listener)
            await tcp.aclose()
    assert [type(error) for error in listener.refused] == [AuthenticationError]
    assert [log["log_level"] for log in logs] == ["warning"]


async def test_a_plaintext_server_is_refused(network: Network) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(b"220 welcome\r\n" * 10)

    async with trio.open_nursery() as nursery:
        [tcp] = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        endpoint = Endpoint("127.0.0.1", tcp.socket.getsockname()[1])
        with pytest.raises(AuthenticationError, match="does not speak"):
            await connect(endpoint, network.broker, network.broker.address)
        nursery.cancel_scope.cancel()


def client_settings(change: Callable[[ssl.SSLContext], None]) -> Callable[..., ssl.SSLContext]:
    def make(identity: NodeIdentity) -> ssl.SSLContext:
        context = tls.client_context(identity)
        change(context)
        return context

    return make


def _only_tls_1_2(context: ssl.SSLContext) -> None:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2


def _no_alpn(context: ssl.SSLContext) -> None:
    context.set_alpn_protocols(["http/1.1"])


def _no_certificate(identity: NodeIdentity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=identity.authority)
    context.set_alpn_protocols([tls.ALPN])
    return context


@pytest.mark.parametrize("enrolment", [False, True])
@pytest.mark.parametrize(
    "make", [client_settings(_only_tls_1_2), client_settings(_no_alpn), _no_certificate]
)
async def test_other_kinds_of_tls_are_refused(
    network: Network, enrolment: bool, make: Callable[[NodeIdentity], ssl.SSLContext]
) -> None:
    hospital = network.member("hospital")
    async with listening(network.broker, enrolment=enrolment) as listener:
        tcp = await open_tcp(listener.endpoint)
        name = str(network.broker.address)
        stream = trio.SSLStream(tcp, make(hospital), server_hostname=name)
        with pytest.raises(trio.BrokenResourceError):  # noqa: PT012  # either may break
            await stream.do_handshake()
            await stream.receive_some()
        await settle(listener)
        await trio.aclose_forcefully(stream)
    assert [type(error) for error in listener.refused] == [AuthenticationError]
    assert listener.accepted == []


async def test_a_server_with_tls_1_2_only_is_refused(network: Network) -> None:
    context = tls.server_context(network.broker)
    _only_tls_1_2(context)
    async with listening(network.broker, context=context) as listener:
        with pytest.raises(LinkClosedError, match="broke"):  # trio sends no alert
            await connect(listener.endpoint, network.member("a"), network.broker.address)
        await settle(listener)
        assert [type(error) for error in listener.refused] == [AuthenticationError]


async def test_only_enrolment_comes_without_a_certificate(network: Network) -> None:
    context = tls.enrolment_client_context(network.authority.certificate)
    for enrolment in (True, False):
        async with listening(network.broker, enrolment=enrolment) as listener:
            tcp = await open_tcp(listener.endpoint)
            name = str(network.broker.address)
            stream = trio.SSLStream(tcp, context, server_hostname=name)
            await stream.do_handshake()
            await settle(listener)
            assert [one.remote for one in listener.accepted] == ([None] if enrolment else [])
            await trio.aclose_forcefully(stream)


# ---------------------------------------------------------------- ciphers

OTHER_CIPHERS = ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"]

_CONFIGURATION = """
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = default
[default]
Ciphersuites = {cipher}
"""

_PEER = """
import socket, ssl, sys
side, port, folder, name = sys.argv[1:]
server = side == "server"
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
context.load_cert_chain(folder + "/cert.pem", folder + "/key.pem")
context.load_verify_locations(folder + "/authority.pem")
context.set_alpn_protocols(["p2pacs/1"])
context.verify_mode = ssl.CERT_REQUIRED
if server:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    tcp = listener.accept()[0]
else:
    tcp = socket.create_connection(("127.0.0.1", int(port)))
try:
    tls = context.wrap_socket(tcp, server_side=server, server_hostname=None if server else name)
    print(tls.cipher()[0], flush=True)
    print(tls.recv(10), flush=True)
except OSError as error:
    print(type(error).__name__, flush=True)
"""
"""A peer of plain `ssl` in a process of its own: only OpenSSL's configuration file can name
the cipher suites of TLS 1.3."""


def other_peer(
    folder: Path, side: str, identity: NodeIdentity, cipher: str, *, port: int = 0, name: str = ""
) -> tuple[list[str], dict[str, str]]:
    configuration = folder / "openssl.cnf"
    configuration.write_text(_CONFIGURATION.format(cipher=cipher))
    command = [sys.executable, "-c", _PEER, side, str(port), str(identity.folder), name]
    return command, {"OPENSSL_CONF": str(configuration)}


@pytest.mark.parametrize("cipher", OTHER_CIPHERS)
async def test_a_listener_refuses_other_ciphers(
    network: Network, cipher: str, tmp_path: Path
) -> None:
    hospital = network.member("hospital")
    with capture_logs() as logs:
        async with listening(network.broker, enrolment=True) as listener:
            name, port = str(network.broker.address), listener.endpoint.port
            command, env = other_peer(tmp_path, "client", hospital, cipher, port=port, name=name)
            done = await trio.run_process(command, env=env, capture_stdout=True)
            await settle(listener)
    assert done.stdout.decode().split()[0] == cipher
    assert b"hello" not in done.stdout
    assert listener.accepted == []
    assert cipher in str(listener.refused[0])
    assert isinstance(listener.refused[0], AuthenticationError)
    assert cipher in logs[0]["why"]


@pytest.mark.parametrize("cipher", OTHER_CIPHERS)
async def test_a_dialler_refuses_other_ciphers(
    network: Network, cipher: str, tmp_path: Path
) -> None:
    hospital = network.member("hospital")
    command, env = other_peer(tmp_path, "server", network.broker, cipher)
    async with trio.open_nursery() as nursery:
        start: Any = partial(trio.run_process, command, env=env, stdout=subprocess.PIPE)
        process: trio.Process = await nursery.start(start)
        assert process.stdout is not None
        port = int((await process.stdout.receive_some()).decode())
        with pytest.raises(AuthenticationError, match=cipher):
            await connect(Endpoint("127.0.0.1", port), hospital, network.broker.address)
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- deadlines


async def test_nobody_listens(network: Network) -> None:
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        endpoint = Endpoint("127.0.0.1", unused.getsockname()[1])
        with pytest.raises(LinkClosedError, match="cannot connect"):
            await connect(endpoint, network.broker, VirtualAddress(b"\xfd" + bytes(15)))


async def test_a_handshake_has_a_deadline(network: Network) -> None:
    async with listening(network.broker, within=0.05) as listener:
        tcp = await open_tcp(listener.endpoint)
        await settle(listener)
        assert [type(error) for error in listener.refused] == [DeadlineError]
        await tcp.aclose()
    [mute] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    endpoint = Endpoint("127.0.0.1", mute.socket.getsockname()[1])
    with pytest.raises(DeadlineError):
        await connect(endpoint, network.broker, network.broker.address, within=0.05)
    await mute.aclose()


async def test_connecting_has_a_deadline(
    network: Network, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def never(*_args: object, **_options: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(trio, "open_tcp_stream", never)
    with pytest.raises(DeadlineError, match="did not answer"):
        await open_tcp(Endpoint("127.0.0.1", 1))
    assert trio.current_time() == pytest.approx(deadlines.CONNECT)


# ---------------------------------------------------------------- a link over it all


@define
class Exchange:
    """Sends blocks as soon as the link is open, and counts those that come."""

    ready: trio.Event = field(factory=trio.Event)
    links: list[Link] = field(factory=list)
    received: int = 0
    expected: int = 0
    all_here: trio.Event = field(factory=trio.Event)
    """So many blocks as are expected have come."""
    ends: list[P2PacsError | None] = field(factory=list)

    def opened(self, link: Link, hello: Hello) -> None:
        self.links.append(link)
        self.ready.set()

    def closed(self, link: Link, error: P2PacsError | None) -> None:
        self.ends.append(error)

    def news(self, link: Link, message: Message) -> None:
        assert isinstance(message, Block)
        assert message.number == self.received
        self.received += 1
        if self.received == self.expected:
            self.all_here.set()

    def drained(self, link: Link) -> None:
        """Blocks are sent by tasks that wait."""

    async def query(self, link: Link, query: Query) -> Reply:
        return Manifest(query.id, self.received.to_bytes(4, "big"))

    async def run(self, stream: trio.abc.Stream, address: VirtualAddress) -> None:
        hello = Hello(PROTOCOL, "test", 0)
        await run_link(stream, remote=address, hello=hello, handler=self, dialled=True, lan=False)

    async def upload(self, blocks: int) -> None:
        await self.ready.wait()
        for number in range(blocks):
            data = bytes(limits.BLOCK_BYTES)
            await self.links[0].send_blocks(Block(bytes(16), number, 0, len(data), data))
        reply = await self.links[0].call(ManifestQuery(0, bytes(16), 0), timeout=10)
        assert isinstance(reply, Manifest)


async def test_a_link_moves_blocks_both_ways_at_once_and_says_why_it_ends(
    network: Network,
) -> None:
    hospital = network.member("hospital")
    ours, theirs = Exchange(expected=50), Exchange(expected=50)
    [tcp] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    endpoint = Endpoint("127.0.0.1", tcp.socket.getsockname()[1])

    async def serve() -> None:
        accepted = await accept(await tcp.accept(), tls.server_context(network.broker))
        await theirs.run(accepted.stream, hospital.address)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        stream, remote = await connect(endpoint, hospital, network.broker.address)
        nursery.start_soon(ours.run, stream, remote.address)
        async with trio.open_nursery() as uploads:
            uploads.start_soon(ours.upload, 50)
            uploads.start_soon(theirs.upload, 50)
        with trio.fail_after(60):
            await ours.all_here.wait()
            await theirs.all_here.wait()
        theirs.links[0].close(RevokedError("hospital was revoked"))
    await tcp.aclose()
    assert [str(error) for error in ours.ends] == ["hospital was revoked"]
    assert [type(error) for error in theirs.ends] == [RevokedError]
    assert ours.links[0].bytes_received > 50 * limits.BLOCK_BYTES
