"""Enrolment on real sockets, an attacker in the middle included."""

import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import msgpack
import pytest
import trio
from attrs import define, evolve, field

from p2pacs.errors import (
    AuthenticationError,
    DeadlineError,
    DirectoryError,
    LinkClosedError,
    P2PacsError,
    StateError,
)
from p2pacs.identity import certificates, tls
from p2pacs.identity.book import FILE, DirectoryBook
from p2pacs.identity.directory import Directory, MemberRecord, Role, sign_directory
from p2pacs.identity.keys import Secret
from p2pacs.identity.node import NodeIdentity
from p2pacs.identity.token import Token
from p2pacs.units import Endpoint
from p2pacs.wire.channel.channel import accept
from p2pacs.wire.enrolment.enrol import enrol
from p2pacs.wire.enrolment.serving import serve_enrolment
from p2pacs.wire.messages.messages import (
    Enrolled,
    EnrolQuery,
)
from tests.p2pacs.identity.network import Network, record_of

SECRET = Secret(b"0123456789abcdef")
SETTINGS: bytes = msgpack.packb({"name": "north", "role": "hospital", "uplink": 800_000})


@define
class Broker:
    """Just enough of a broker to admit one member."""

    network: Network
    endpoint: Endpoint
    asked: list[EnrolQuery] = field(factory=list)
    change: Callable[[Enrolled], Enrolled] = field(default=lambda answer: answer)
    held: trio.Event | None = None
    """It does not answer before this."""

    @property
    def token(self) -> Token:
        return Token(
            broker=self.network.broker.address,
            endpoints=(str(self.endpoint),),
            authority_sha256=hashlib.sha256(self.network.authority.certificate).digest(),
            secret=SECRET,
        )

    async def admit(self, query: EnrolQuery) -> Enrolled:
        self.asked.append(query)
        if self.held is not None:
            await self.held.wait()
        if query.secret != SECRET.reveal():
            raise AuthenticationError("this token is spent; ask for a new one")
        address = self.network.authority.new_address()
        key_hash = certificates.requested_key_hash(query.csr)
        new = MemberRecord(
            address, "north", Role.HOSPITAL, tuple(query.endpoints), key_hash, query.box_key
        )
        members = (record_of(self.network.broker, Role.BROKER), new)
        return self.change(
            Enrolled(
                id=query.id,
                certificate=self.network.authority.issue(query.csr, address, "north"),
                authority=self.network.authority.certificate,
                broker_key=self.network.signing.public.raw,
                directory=sign_directory(Directory(5, 0, members), self.network.signing),
                settings=SETTINGS,
            )
        )


@asynccontextmanager
async def broker_of(
    network: Network, *, context: ssl.SSLContext | None = None, authority: bytes | None = None
) -> AsyncIterator[Broker]:
    [tcp] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    broker = Broker(network, Endpoint("127.0.0.1", tcp.socket.getsockname()[1]))
    used = context or tls.server_context(network.broker, enrolment=True)

    async def serve(stream: trio.SocketStream) -> None:
        try:
            accepted = await accept(stream, used)
        except P2PacsError:
            return
        assert accepted.remote is None
        shown = authority or network.authority.certificate
        await serve_enrolment(accepted.stream, shown, broker.admit)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.serve_listeners, serve, [tcp]))
        yield broker
        nursery.cancel_scope.cancel()


async def test_a_token_makes_a_member(network: Network) -> None:
    folder = network.folder / "north"
    async with broker_of(network) as broker:
        token = Token.decode(broker.token.encode())
        answer = await enrol(token, folder, ["198.51.100.7:4443"])
    assert answer.settings == SETTINGS
    identity = NodeIdentity.load(folder)
    assert (identity.name, identity.broker) == ("north", network.broker.address)
    book = DirectoryBook(folder / FILE, identity.broker_key)
    record = book.directory.get(identity.address)
    assert record is not None
    assert record.endpoints == ("198.51.100.7:4443",)
    assert record.box_key == identity.box_key.public
    assert len(broker.asked) == 1


async def test_the_next_endpoint_is_tried(network: Network) -> None:
    async with broker_of(network) as broker:
        token = evolve(broker.token, endpoints=("127.0.0.1:1", str(broker.endpoint)))
        await enrol(token, network.folder / "north", [])
    assert NodeIdentity.load(network.folder / "north").name == "north"


async def test_no_endpoint_answers(network: Network) -> None:
    token = Token(network.broker.address, ("127.0.0.1:1",), bytes(32), SECRET)
    with pytest.raises(LinkClosedError):
        await enrol(token, network.folder / "north", [])


async def test_a_spent_token_says_so_and_another_try_uses_the_same_keys(network: Network) -> None:
    folder = network.folder / "north"
    async with broker_of(network) as broker:
        spent = evolve(broker.token, secret=Secret(bytes(16)))
        with pytest.raises(AuthenticationError, match="spent"):
            await enrol(spent, folder, [])
        await enrol(broker.token, folder, [])
        hashes = {certificates.requested_key_hash(query.csr) for query in broker.asked}
        assert len(hashes) == 1
        with pytest.raises(StateError):
            await enrol(broker.token, folder, [])


# ---------------------------------------------------------------- an attacker in the middle


async def test_another_network_gets_nothing(network: Network) -> None:
    """Somebody else answers with a network of their own: its authority is not the pinned one."""
    attacker = Network.create(network.folder / "attacker")
    async with broker_of(attacker) as broker:
        token = evolve(
            broker.token,
            broker=network.broker.address,
            authority_sha256=hashlib.sha256(network.authority.certificate).digest(),
        )
        with pytest.raises(AuthenticationError, match="nothing was sent"):
            await enrol(token, network.folder / "north", [])
        assert broker.asked == []


async def test_showing_the_true_authority_does_not_help_another_network(network: Network) -> None:
    """They replay the true authority's certificate, which is no secret; TLS then fails."""
    attacker = Network.create(network.folder / "attacker")
    true = network.authority.certificate
    async with broker_of(attacker, authority=true) as broker:
        token = evolve(
            broker.token,
            broker=network.broker.address,
            authority_sha256=hashlib.sha256(true).digest(),
        )
        with pytest.raises(AuthenticationError, match="certificate of 127"):
            await enrol(token, network.folder / "north", [])
        assert broker.asked == []


async def test_another_member_is_not_the_broker(network: Network) -> None:
    """A hospital with a true certificate cannot play the broker."""
    hospital = network.member("evil")
    context = tls.server_context(hospital, enrolment=True)
    async with broker_of(network, context=context) as broker:
        with pytest.raises(AuthenticationError, match="mismatch"):
            await enrol(broker.token, network.folder / "north", [])
        assert broker.asked == []


async def test_an_answer_that_does_not_verify_is_not_kept(network: Network) -> None:
    other = Network.create(network.folder / "other")
    changes: list[tuple[Callable[[Enrolled], Enrolled], type[P2PacsError]]] = [
        (lambda one: evolve(one, authority=other.authority.certificate), AuthenticationError),
        (lambda one: evolve(one, broker_key=other.signing.public.raw), DirectoryError),
        (lambda one: evolve(one, certificate=one.authority), AuthenticationError),
        (
            lambda one: evolve(one, directory=sign_directory(Directory(1, 0, ()), network.signing)),
            AuthenticationError,
        ),
    ]
    async with broker_of(network) as broker:
        for change, kind in changes:
            broker.change = change
            with pytest.raises(kind):
                await enrol(broker.token, network.folder / "north", [])
            with pytest.raises(StateError):
                NodeIdentity.load(network.folder / "north")


# ---------------------------------------------------------------- the broker's side alone


async def test_a_silent_broker_is_given_up(network: Network) -> None:
    async with broker_of(network) as broker:
        broker.held = trio.Event()
        with pytest.raises(DeadlineError, match="does not answer"):
            await enrol(broker.token, network.folder / "north", [], within=0.5)
        broker.held.set()
