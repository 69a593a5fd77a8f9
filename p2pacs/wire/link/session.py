"""The state machine of a link, without sockets or clock: bytes to messages and back.

Three verbs: `LinkSession.receive` turns bytes into messages that the state allows,
`LinkSession.send` and `LinkSession.ask` turn messages into bytes, `LinkSession.automatic`
gives what the protocol itself has to answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

from attrs import evolve

from p2pacs import limits
from p2pacs.errors import BusyError, ProtocolError
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.bounds import ID
from p2pacs.wire.messages.codec import decode, encode
from p2pacs.wire.messages.failures import failure
from p2pacs.wire.messages.frames import FrameReader
from p2pacs.wire.messages.messages import (
    Hello,
    Join,
    Leave,
    Message,
    Ping,
    Pong,
    Query,
    QueryFailure,
    Reply,
)
from p2pacs.wire.messages.numbers import Numbers


class LinkState(Enum):
    """State of one direction of a link."""

    GREETING = auto()
    """Nothing was said yet."""
    OPEN = auto()
    """`Hello` was said."""
    CLOSED = auto()
    """The last word was said."""


class Sort(Enum):
    """Kind of a message, as the state machine sees it."""

    HELLO = auto()
    NEWS = auto()
    QUERY = auto()
    REPLY = auto()
    FAREWELL = auto()
    """A `QueryFailure` with id 0."""


TRANSITIONS: Final = {
    (LinkState.GREETING, Sort.HELLO): LinkState.OPEN,
    (LinkState.GREETING, Sort.FAREWELL): LinkState.CLOSED,
    (LinkState.OPEN, Sort.NEWS): LinkState.OPEN,
    (LinkState.OPEN, Sort.QUERY): LinkState.OPEN,
    (LinkState.OPEN, Sort.REPLY): LinkState.OPEN,
    (LinkState.OPEN, Sort.FAREWELL): LinkState.CLOSED,
}
"""All that may be said, in either direction; anything else is a `ProtocolError`."""

FOREIGN: Final = (messages.EnrolQuery, messages.Enrolled, messages.AuthorityCertificate)
"""Messages of an enrolment's channel, which has no session."""


def sort_of(message: Message) -> Sort:
    """What this message is to the state machine."""
    if isinstance(message, QueryFailure) and message.id == 0:
        return Sort.FAREWELL
    if isinstance(message, Reply):
        return Sort.REPLY
    if isinstance(message, Query):
        return Sort.QUERY
    return Sort.HELLO if isinstance(message, Hello) else Sort.NEWS


def reply_to(kind: type[Query]) -> type[Message]:
    """The kind of message that answers this kind of query: the next number."""
    return messages.KINDS[messages.NUMBERS[kind] + 1]


_NEWS: Final = frozenset(
    kind
    for kind in messages.KINDS.values()
    if not issubclass(kind, (Hello, Query, Reply, *FOREIGN))
)
"""What may be said on an open link at any time, and leaves it open."""


def _next(state: LinkState, message: Message) -> LinkState:
    if state is LinkState.OPEN and type(message) in _NEWS:
        return state  # nearly every message; the look-up below costs eight calls
    after = TRANSITIONS.get((state, sort_of(message)))
    if after is None or isinstance(message, FOREIGN):
        kind = type(message).__name__
        raise ProtocolError(f"{kind} is not allowed on a link that is {state.name.lower()}")
    return after


class LinkSession:
    """One end of a link."""

    def __init__(self) -> None:
        self._frames = FrameReader(limits.HANDSHAKE_FRAME_BYTES)
        self._theirs = self._ours = LinkState.GREETING
        self._asked: dict[int, type[Query]] = {}
        self._open: set[int] = set()
        self._joined: set[bytes] = set()
        self._their_numbers, self._our_numbers = Numbers(), Numbers()
        self._last_id = 0
        self._automatic: list[bytes] = []
        self._refused = 0

    # ------------------------------------------------------------ bytes to messages

    def receive(self, data: bytes) -> Iterator[Message]:
        """Take received bytes; yield the messages that they complete.

        The caller exhausts the iterator. `Ping` and queries above the limit are answered by
        `automatic` and not yielded.

        Raises:
            ProtocolError: what the protocol does not allow; the link must be closed.
        """
        for payload in self._frames.feed(data):
            message = decode(payload, self._their_numbers)
            self._their_numbers.joined(message)
            self._theirs = _next(self._theirs, message)
            if self._admit(message):
                yield message

    def _admit(self, message: Message) -> bool:
        match message:
            case Hello():
                if message.protocol != messages.PROTOCOL:
                    raise ProtocolError(
                        f"the other side speaks protocol {message.protocol}, this one "
                        f"{messages.PROTOCOL}; update the older program"
                    )
                self._frames.limit = limits.FRAME_BYTES
            case Reply():
                self._match(message)
            case Query():
                return self._accept(message)
            case Join():
                self._joined.add(message.study)
                if len(self._joined) > limits.JOINED_STUDIES:
                    raise ProtocolError(f"more than {limits.JOINED_STUDIES} studies joined")
            case Leave():
                self._joined.discard(message.study)
            case _:
                pass
        return True

    def _match(self, reply: Reply) -> None:
        if isinstance(reply, QueryFailure) and reply.id == 0:
            return
        kind = self._asked.pop(reply.id, None)
        if kind is None:
            raise ProtocolError(f"{type(reply).__name__} answers no open query")
        if not isinstance(reply, QueryFailure | reply_to(kind)):
            raise ProtocolError(f"{type(reply).__name__} does not answer {kind.__name__}")

    def _accept(self, query: Query) -> bool:
        if isinstance(query, Ping):
            self._automatic.append(encode(Pong(query.id)))
            return False
        if query.id in self._open:
            raise ProtocolError(f"query {query.id} is asked twice at once")
        if len(self._open) >= limits.OPEN_QUERIES:
            self._refused += 1
            if self._refused > limits.REFUSED_QUERIES:
                raise ProtocolError(f"more than {limits.OPEN_QUERIES} queries at once, for ever")
            busy = BusyError(f"{limits.OPEN_QUERIES} queries are open already; ask again later")
            self._automatic.append(encode(failure(query.id, busy)))
            return False
        self._open.add(query.id)
        return True

    # ------------------------------------------------------------ messages to bytes

    def send(self, message: Message) -> bytes:
        """The bytes of news, of a reply or of the last word.

        A reply is sent once: the query with its id is then no longer open.

        Raises:
            ProtocolError: the state does not allow it, or the message may not travel.
        """
        after = _next(self._ours, message)
        frame = encode(message, self._our_numbers)
        self._ours = after
        self._our_numbers.joined(message)
        if isinstance(message, Reply):
            self._open.discard(message.id)
        return frame

    def ask(self, query: Query) -> tuple[int, bytes]:
        """A new id, and the bytes of the query under it (its own id does not matter).

        Raises:
            BusyError: too many of our queries wait for an answer here.
            ProtocolError: as `send`.
        """
        if len(self._asked) >= limits.OPEN_QUERIES and not isinstance(query, Ping):
            raise BusyError(f"{limits.OPEN_QUERIES} queries to this member wait; try again later")
        number = self._last_id % ID.most + 1
        frame = self.send(evolve(query, id=number))
        self._last_id = number
        self._asked[number] = type(query)
        return number, frame

    def automatic(self) -> list[bytes]:
        """Frames that the protocol itself owes the other side, each given once."""
        frames, self._automatic = self._automatic, []
        return frames
