"""Any message within its bounds, drawn from the declarations."""

from typing import Any

import attrs
from hypothesis import strategies as st

from p2pacs.wire.messages.codec import CODECS, FieldCodec
from p2pacs.wire.messages.messages import Block, Message, SentNoted

_MOST = 40  # bytes or items that are worth drawing


def _scalar(kind: str, field: FieldCodec) -> st.SearchStrategy[Any]:
    if kind == "bool":
        return st.booleans()
    assert field.bound is not None
    least, most = field.bound.least, field.bound.most
    if kind == "int":
        return st.integers(least, most)
    size = min(most, max(_MOST, least))
    if kind == "bytes":
        return st.binary(min_size=least, max_size=size)
    assert kind == "str"
    return st.text(min_size=least, max_size=size)


def _ranges(field: FieldCodec) -> st.SearchStrategy[Any]:
    assert field.bound is not None
    most = field.bound.most
    pairs = st.integers(0, most - 1).flatmap(
        lambda first: st.tuples(st.just(first), st.integers(1, most - first))
    )
    return st.lists(pairs, max_size=_MOST)


def values_of(field: FieldCodec) -> st.SearchStrategy[Any]:
    if field.kind == "list[tuple[int, int]]":
        return _ranges(field)
    if field.kind.startswith("list["):
        return st.lists(_scalar(field.kind[5:-1], field), max_size=min(_MOST, _items(field)))
    return _scalar(field.kind, field)


def _items(field: FieldCodec) -> int:
    assert field.bound is not None
    return field.bound.items


def _consistent(message: Message) -> Message:
    if isinstance(message, Block):
        return attrs.evolve(message, offset=0, size=max(message.size, len(message.data)))
    if isinstance(message, SentNoted):
        count = min(map(len, (message.members, message.versions, message.shares)))
        return attrs.evolve(
            message,
            members=message.members[:count],
            versions=message.versions[:count],
            shares=message.shares[:count],
        )
    return message


def messages_of(number: int) -> st.SearchStrategy[Message]:
    codec = CODECS[number]
    drawn = {field.name: values_of(field) for field in codec.fields}
    return st.builds(codec.kind, **drawn).map(_consistent)


any_message = st.sampled_from(sorted(CODECS)).flatmap(messages_of)
