"""Studies that travel as numbers: the same for both sides, and only what was joined."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import MalformedMessageError
from p2pacs.limits import NUMBERED_STUDIES
from p2pacs.wire.link.session import LinkSession
from p2pacs.wire.messages.codec import decode, encode
from p2pacs.wire.messages.messages import (
    NUMBERED,
    PROTOCOL,
    Block,
    Hello,
    Join,
    Leave,
    ManifestNews,
    Message,
    Offer,
    Request,
)
from p2pacs.wire.messages.numbers import Numbers


def study(number: int) -> bytes:
    return number.to_bytes(16, "big")


def join(number: int) -> Join:
    return Join(study(number), 1, b"", fetching=True, priority=2, offers=True)


def said(number: int) -> st.SearchStrategy[Message]:
    name = study(number)
    return st.sampled_from(
        [
            join(number),
            Leave(name),
            Offer(name, 3, [1]),
            Request(name, [2]),
            Block(name, 1, 0, 3, b"abc"),
            ManifestNews(name, b"root"),
        ]
    )


talks = st.lists(st.integers(0, 2 * NUMBERED_STUDIES).flatmap(said), max_size=300)


@given(talks, talks)
def test_what_one_side_says_the_other_hears(ours: list[Message], theirs: list[Message]) -> None:
    """Also where messages go both ways at once: each side's numbers are its own."""
    here, there = LinkSession(), LinkSession()
    hello = Hello(PROTOCOL, "test", 1)
    for one, other, talk in ((here, there, ours), (there, here, theirs)):
        assert list(other.receive(one.send(hello))) == [hello]
        for message in talk:
            assert list(other.receive(one.send(message))) == [message]


def test_what_was_joined_is_a_byte() -> None:
    numbers = Numbers()
    offer = Offer(study(7), 3, [])
    before = encode(offer, numbers)
    assert before == encode(offer)
    numbers.joined(join(6))
    numbers.joined(join(7))
    numbers.joined(join(7))
    assert len(encode(offer, numbers)) == len(before) - 17
    assert decode(encode(offer, numbers)[4:], numbers) == offer
    assert decode(before[4:], numbers) == offer


def test_only_so_many_have_numbers() -> None:
    numbers = Numbers()
    for number in range(NUMBERED_STUDIES + 1):
        numbers.joined(join(number))
    last, beyond = Leave(study(NUMBERED_STUDIES - 1)), Leave(study(NUMBERED_STUDIES))
    assert len(encode(last, numbers)) < len(encode(beyond, numbers)) == len(encode(beyond))


@pytest.mark.parametrize("number", [1, 2, -1, 2**40, True])
def test_a_number_that_no_study_has_is_refused(number: int) -> None:
    numbers = Numbers()
    numbers.joined(join(0))
    with pytest.raises(MalformedMessageError):
        decode(_pack(21, number, 1, 0, 3, b"abc"), numbers)
    with pytest.raises(MalformedMessageError):
        decode(_pack(23, number, 1, [5]), numbers)


def test_numbers_are_for_what_is_said_often_alone() -> None:
    numbers = Numbers()
    numbers.joined(join(0))
    assert ManifestNews not in NUMBERED
    assert decode(encode(ManifestNews(study(0), b"root"), numbers)[4:]) == ManifestNews(
        study(0), b"root"
    )
    with pytest.raises(MalformedMessageError):
        decode(_pack(36, 0, b"root"), numbers)
    with pytest.raises(MalformedMessageError):
        decode(_pack(18, 0))  # a channel without numbers


def _pack(*values: object) -> bytes:
    raw: bytes = msgpack.packb(list(values))
    return raw
