"""Messages to bytes and back: msgpack arrays driven by the declarations of messages.py.

Every field is read by its declared type within its bound (bounds.py). A list's
claimed length is checked before the list exists, so memory follows the bytes that
arrived and never a stranger's claim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, get_args, get_origin

import attrs
import msgpack
from attrs import frozen

from p2pacs import limits
from p2pacs.errors import MalformedMessageError, MessageTooLongError, UnknownMessageError
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.bounds import ANY_INTEGER, BOUNDS, Bound
from p2pacs.wire.messages.messages import (
    NUMBERED,
    Block,
    Have,
    Message,
    Query,
    Reply,
    SentNoted,
)
from p2pacs.wire.messages.numbers import Numbers

Check = Callable[[Any], bool]

_HEAD: Final = 4
"""Bytes of a frame before its payload: the payload's length, big-endian."""

STUDY: Final = "study"
"""The field that may travel as a number."""

_FIXARRAY: Final = 0x90
"""First byte of a msgpack array of up to 15 items, plus their number."""


@frozen
class FieldCodec:
    """How one field is read and checked."""

    name: str
    kind: str
    """As in the description of the wire: ``int``, ``bytes``, ``list[int]``, …"""
    bound: Bound | None
    check: Check
    """Of the value, or of each item of a list."""


@frozen
class MessageCodec:
    """How one kind of message is read and checked."""

    number: int
    kind: type[Message]
    fields: tuple[FieldCodec, ...]
    whole: Check
    """What no field can say alone."""
    flat: bool
    """Whether no field is a list."""


def _integer(bound: Bound) -> Check:
    least, most = bound.least, bound.most
    return lambda value: type(value) is int and least <= value <= most


def _sized(of: type[bytes] | type[str], bound: Bound) -> Check:
    least, most = bound.least, bound.most
    return lambda value: type(value) is of and least <= len(value) <= most


def _pair(bound: Bound) -> Check:
    most = bound.most

    def check(value: Any) -> bool:
        if not isinstance(value, list | tuple) or len(value) != 2:
            return False
        first, count = value
        return type(first) is int and type(count) is int and 0 <= first < first + count <= most

    return check


def _is_bool(value: Any) -> bool:
    return type(value) is bool


def _check_of(of: Any, bound: Bound) -> Check:
    if of is bool:
        return _is_bool
    if of is int:
        return _integer(bound)
    if of in (bytes, str):
        return _sized(of, bound)
    if of == tuple[int, int]:
        return _pair(bound)
    raise TypeError(f"no message has a field of type {of}")


def _field_codec(kind: type[Message], name: str, of: Any) -> FieldCodec:
    bound = BOUNDS.get(f"{kind.__name__}.{name}", BOUNDS.get(name))
    if bound is None and of in (int, bool):
        bound = ANY_INTEGER
    if bound is None or (get_origin(of) is list) != (bound.items > 0):
        raise TypeError(f"{kind.__name__}.{name} needs a bound in bounds.py")
    item = get_args(of)[0] if get_origin(of) is list else of
    described = of.__name__ if isinstance(of, type) and not get_args(of) else str(of)
    shown = None if of is bool else bound
    return FieldCodec(name, described, shown, _check_of(item, bound))


def _anything(_message: Any) -> bool:
    return True


def _block_fits(block: Block) -> bool:
    return block.offset + len(block.data) <= block.size


def _copies_fit(noted: SentNoted) -> bool:
    return len(noted.members) == len(noted.versions) == len(noted.shares)


_WHOLE: Final[dict[type[Message], Check]] = {Block: _block_fits, SentNoted: _copies_fit}


def _message_codec(number: int, kind: type[Message]) -> MessageCodec:
    attrs.resolve_types(kind)
    fields = tuple(_field_codec(kind, field.name, field.type) for field in attrs.fields(kind))
    flat = not any(field.bound and field.bound.items for field in fields)
    return MessageCodec(number, kind, fields, _WHOLE.get(kind, _anything), flat)


CODECS: Final = {number: _message_codec(number, kind) for number, kind in messages.KINDS.items()}
_BY_KIND: Final = {codec.kind: codec for codec in CODECS.values()}


def _malformed(codec: MessageCodec, field: FieldCodec) -> MalformedMessageError:
    return MalformedMessageError(
        f"{codec.kind.__name__}.{field.name} is not {field.kind} within {field.bound}"
    )


def encode(message: Message, numbers: Numbers | None = None) -> bytes:
    """The message as a frame: length, then payload.

    Args:
        message: Which.
        numbers: Of the side that sends it.

    Raises:
        MalformedMessageError: a field that the other side would refuse.
        MessageTooLongError: more than `limits.FRAME_BYTES` in all.
    """
    codec = _BY_KIND[type(message)]
    values: list[Any] = [codec.number]
    for field in codec.fields:
        value = getattr(message, field.name)
        items = field.bound.items if field.bound else 0
        fits = len(value) <= items and all(map(field.check, value)) if items else field.check(value)
        if not fits:
            raise _malformed(codec, field)
        if numbers is not None and field.name == STUDY:
            value = numbers.short(codec.kind, value)
        values.append(value)
    if not codec.whole(message):
        raise MalformedMessageError(f"{codec.kind.__name__} contradicts itself")
    payload: bytes = msgpack.packb(values)
    if len(payload) > limits.FRAME_BYTES:
        raise MessageTooLongError(
            f"a {codec.kind.__name__} of {len(payload)} bytes; at most {limits.FRAME_BYTES} travel"
        )
    return len(payload).to_bytes(_HEAD, "big") + payload


def decode(payload: bytes | memoryview, numbers: Numbers | None = None) -> Message:
    """The message in one frame's payload.

    Args:
        payload: Without its length.
        numbers: Of the side that sent it.

    Raises:
        UnknownMessageError: a number that no message of this version has.
        MalformedMessageError: anything else that is not exactly one well-formed message.
    """
    codec = CODECS.get(payload[1]) if len(payload) > 1 else None
    try:
        if codec is not None and codec.flat and payload[0] == _FIXARRAY + len(codec.fields) + 1:
            message = _read_flat(codec, payload, numbers)
        else:
            message = _read_stream(payload, numbers)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise MalformedMessageError("a message that is not the msgpack array it must be") from error
    if not _BY_KIND[type(message)].whole(message):
        raise MalformedMessageError(f"{type(message).__name__} contradicts itself")
    return message


def _read_flat(
    codec: MessageCodec, payload: bytes | memoryview, numbers: Numbers | None
) -> Message:
    """A message without lists, all at once: a `Block` is copied once, not three times."""
    arity = len(codec.fields) + 1
    _, *values = msgpack.unpackb(payload, max_array_len=arity, max_map_len=0, max_ext_len=0)
    for place, field in enumerate(codec.fields):  # no call more than there must be: every block
        if numbers is not None and field.name == STUDY:
            values[place] = numbers.study(codec.kind, values[place])
        if not field.check(values[place]):
            raise _malformed(codec, field)
    return codec.kind(*values)


def _checked(codec: MessageCodec, field: FieldCodec, value: Any, numbers: Numbers | None) -> Any:
    """A value that is no list, as it is meant."""
    if numbers is not None and field.name == STUDY:
        value = numbers.study(codec.kind, value)
    if not field.check(value):
        raise _malformed(codec, field)
    return value


def _read_stream(payload: bytes | memoryview, numbers: Numbers | None) -> Message:
    # Two items at most in an array that `unpack` reads: the ranges of a `Have`. All other
    # lists are opened below, with their own bound.
    unpacker = msgpack.Unpacker(
        max_buffer_size=max(len(payload), 1),
        max_array_len=2,
        max_map_len=0,
        max_ext_len=0,
    )
    unpacker.feed(payload)
    message = _read(unpacker, numbers)
    if unpacker.tell() != len(payload):
        raise MalformedMessageError("bytes after the end of a message")
    return message


def _read(unpacker: Any, numbers: Numbers | None) -> Message:
    arity = unpacker.read_array_header()
    number = unpacker.unpack() if arity else None
    if type(number) is not int:
        raise MalformedMessageError("a message begins with its number")
    codec = CODECS.get(number)
    if codec is None:
        raise UnknownMessageError(f"message {number} is unknown here; update this program")
    if arity != len(codec.fields) + 1:
        raise MalformedMessageError(
            f"{codec.kind.__name__} has {len(codec.fields)} fields, not {arity - 1}"
        )
    return codec.kind(*[_read_field(unpacker, codec, field, numbers) for field in codec.fields])


def _read_field(
    unpacker: Any, codec: MessageCodec, field: FieldCodec, numbers: Numbers | None
) -> Any:
    if field.bound is None or not field.bound.items:
        return _checked(codec, field, unpacker.unpack(), numbers)
    count = unpacker.read_array_header()
    if count > field.bound.items:
        raise _malformed(codec, field)
    values = [unpacker.unpack() for _ in range(count)]
    if not all(map(field.check, values)):
        raise _malformed(codec, field)
    if codec.kind is Have:
        return [tuple(pair) for pair in values]
    return values


def describe() -> str:
    """The wire in plain text, one field a line: frozen by a test (docs/wire.md)."""
    return "".join(_describe(CODECS[number]) for number in sorted(CODECS))


def _describe(codec: MessageCodec) -> str:
    sort = next(base.__name__ for base in (Query, Reply, Message) if issubclass(codec.kind, base))
    lines = [f"{codec.number} {codec.kind.__name__} ({sort.replace('Message', 'News')})"]
    for field in codec.fields:
        bound = "" if field.bound is None else f" {field.bound}"
        if field.name == STUDY and codec.kind in NUMBERED:
            bound += " or number"
        lines.append(f"    {field.name}: {field.kind}{bound}")
    return "\n".join(lines) + "\n"
