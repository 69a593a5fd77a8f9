from pathlib import Path

import msgpack
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import AuthenticationError, MalformedMessageError, P2PacsError
from p2pacs.identity.directory import MemberRecord
from p2pacs.identity.member_signature import MemberKey
from p2pacs.ids import StudyId
from p2pacs.limits import CANDIDATES, OFFER_BYTES
from p2pacs.punch.nat import Nat
from p2pacs.punch.offers import TOKEN_BYTES, MeetingOffer, digest, read_offer, token
from tests.p2pacs.identity.network import Network, record_of

CT = StudyId(bytes(16))


class Two:
    def __init__(self, folder: Path) -> None:
        network = Network.create(folder)
        self.one, self.other = network.member("one"), network.member("other")
        self.key = MemberKey.load(self.one.folder)
        self.record: MemberRecord = record_of(self.one)
        self.offer = MeetingOffer(
            self.one.address, self.other.address, CT, 1000, Nat.STEADY, ("203.0.113.9:4000",)
        )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    return Two(tmp_path_factory.mktemp("network"))


def test_there_and_back(two: Two) -> None:
    largest = evolve(
        two.offer,
        endpoints=tuple(f"[{'ffff:' * 7}ffff]:{60000 + n}" for n in range(CANDIDATES)),
        answers=digest(b"an offer"),
    )
    for offer in (two.offer, largest):
        raw = offer.signed(two.key)
        assert len(raw) <= OFFER_BYTES
        assert read_offer(raw, two.record, two.other.address) == offer


def test_only_by_the_member_that_it_names_and_for_the_one_that_it_is_for(two: Two) -> None:
    raw = two.offer.signed(two.key)
    with pytest.raises(AuthenticationError):
        read_offer(raw, record_of(two.other), two.other.address)
    with pytest.raises(MalformedMessageError):
        read_offer(raw, two.record, two.one.address)
    forged = evolve(two.offer, endpoints=("192.0.2.1:4000",))
    body = msgpack.unpackb(forged.signed(two.key))[0]
    _, public, signature = msgpack.unpackb(raw)
    with pytest.raises(AuthenticationError):
        read_offer(msgpack.packb([body, public, signature]), two.record, two.other.address)


def test_a_token_is_of_both_offers(two: Two) -> None:
    assert len(token(b"a", b"b")) == TOKEN_BYTES
    assert len({token(b"a", b"b"), token(b"b", b"a"), token(b"a", b"c")}) == 3


@given(st.data())
def test_what_strangers_send(two: Two, data: st.DataObject) -> None:
    fields = msgpack.unpackb(msgpack.unpackb(two.offer.signed(two.key))[0])
    place = data.draw(st.integers(0, len(fields) - 1))
    scalar = st.none() | st.integers(-(2**63), 2**63) | st.text() | st.binary() | st.booleans()
    fields[place] = data.draw(scalar | st.lists(scalar, max_size=20))
    body = msgpack.packb(fields)
    made = two.key.sign(body, b"p2pacs meeting")
    try:
        offer = read_offer(
            msgpack.packb([body, made.public, made.signature]), two.record, two.other.address
        )
    except P2PacsError:
        return
    assert offer.receiver == two.other.address
    assert len(offer.endpoints) <= CANDIDATES


@given(st.binary(max_size=2 * OFFER_BYTES))
def test_noise(two: Two, raw: bytes) -> None:
    with pytest.raises(P2PacsError):
        read_offer(raw, two.record, two.other.address)
