import ssl

import pytest
import trio
from trio.testing import memory_stream_pair

from p2pacs.errors import AuthenticationError
from p2pacs.identity import tls
from p2pacs.identity.node import CERTIFICATE
from tests.p2pacs.identity.network import Network


def contexts(network: Network) -> list[ssl.SSLContext]:
    return [
        tls.server_context(network.broker),
        tls.server_context(network.broker, enrolment=True),
        tls.client_context(network.broker),
        tls.enrolment_client_context(network.authority.certificate),
        tls.enrolment_client_context(None),
    ]


def test_all_contexts_speak_tls_1_3_alone(network: Network) -> None:
    for context in contexts(network):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
        assert context.verify_flags & ssl.VerifyFlags.VERIFY_X509_STRICT


def test_nobody_but_the_network_is_trusted(network: Network) -> None:
    for context in contexts(network):
        trusted = context.get_ca_certs(binary_form=True)
        expected = [] if context.verify_mode is ssl.CERT_NONE else [network.authority.certificate]
        assert trusted == expected


def test_who_is_verified(network: Network) -> None:
    required, optional, client, enrolling, fetching = contexts(network)
    assert required.verify_mode is client.verify_mode is enrolling.verify_mode is ssl.CERT_REQUIRED
    assert client.check_hostname
    assert enrolling.check_hostname
    assert optional.verify_mode is ssl.CERT_OPTIONAL
    assert fetching.verify_mode is ssl.CERT_NONE
    assert required.num_tickets == optional.num_tickets == 0


async def handshake(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str
) -> tuple[tls.Stream, tls.Stream]:
    one, other = memory_stream_pair()
    theirs = trio.SSLStream(one, server, server_side=True)
    ours = trio.SSLStream(other, client, server_hostname=name)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.do_handshake)
        nursery.start_soon(ours.do_handshake)
    return theirs, ours


async def test_both_ends_learn_who_the_other_is(network: Network) -> None:
    member = network.member("a")
    theirs, ours = await handshake(
        tls.server_context(network.broker), tls.client_context(member), str(network.broker.address)
    )
    remote = tls.verify_channel(ours)
    assert (remote.address, remote.key_hash) == (network.broker.address, network.broker.key_hash)
    remote = tls.verify_channel(theirs)
    assert (remote.address, remote.key_hash) == (member.address, member.key_hash)
    assert tls.protocol_of(ours) == tls.protocol_of(theirs) == tls.ALPN
    assert not ours.session_reused


async def test_an_enrolments_channel_is_no_members(network: Network) -> None:
    theirs, ours = await handshake(
        tls.server_context(network.broker, enrolment=True),
        tls.enrolment_client_context(network.authority.certificate),
        str(network.broker.address),
    )
    for stream in (theirs, ours):
        assert tls.protocol_of(stream) == tls.ALPN_ENROL
        with pytest.raises(AuthenticationError, match="enrolment"):
            tls.verify_channel(stream)


async def test_a_member_may_not_come_without_a_certificate(network: Network) -> None:
    """The broker's listener lets TLS pass; the channel is then refused."""
    client = tls.enrolment_client_context(network.authority.certificate)
    client.set_alpn_protocols([tls.ALPN])
    server = tls.server_context(network.broker, enrolment=True)
    theirs, _ = await handshake(server, client, str(network.broker.address))
    with pytest.raises(AuthenticationError, match="without a certificate"):
        tls.verify_channel(theirs)


async def test_another_application_protocol_is_refused(network: Network) -> None:
    client = tls.client_context(network.member("a"))
    client.set_alpn_protocols(["h2"])
    server = tls.server_context(network.broker)
    for stream in await handshake(server, client, str(network.broker.address)):
        with pytest.raises(AuthenticationError, match="does not speak"):
            tls.protocol_of(stream)


def test_a_context_is_made_once_for_a_certificate(network: Network) -> None:
    member = network.member("one")
    before = tls.client_context(member), tls.server_context(member)
    assert before == (tls.client_context(member), tls.server_context(member))
    assert tls.server_context(member, enrolment=True) is not before[1]
    certificate = member.folder / CERTIFICATE
    renewed = certificate.with_suffix(".new")
    renewed.write_bytes(certificate.read_bytes())
    renewed.replace(certificate)
    after = tls.client_context(member), tls.server_context(member)
    assert before[0] is not after[0]
    assert before[1] is not after[1]
