import attrs
import pytest

from p2pacs.wire.messages import KINDS, NUMBERS, Message, Query, Reply


@pytest.mark.parametrize("kind", KINDS.values())
def test_messages_are_frozen_values(kind: type[Message]) -> None:
    assert attrs.has(kind)
    assert kind.__hash__ is not None
    assert NUMBERS[kind] == next(number for number, known in KINDS.items() if known is kind)


@pytest.mark.parametrize("kind", KINDS.values())
def test_queries_and_replies_begin_with_their_id(kind: type[Message]) -> None:
    first = attrs.fields(kind)[0].name
    assert (first == "id") == issubclass(kind, Query | Reply)


def test_every_query_has_a_reply_with_the_next_number() -> None:
    for number, kind in KINDS.items():
        if issubclass(kind, Query):
            assert issubclass(KINDS[number + 1], Reply)
