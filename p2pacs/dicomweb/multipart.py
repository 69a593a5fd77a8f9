"""Parser of multipart/related bodies as they stream in (RFC 2046, PS3.18 8.6.1.2): no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.message import Message
from enum import Enum, auto
from typing import Final

from attrs import field, frozen

from p2pacs import limits
from p2pacs.errors import BrokenInstanceError

HEADER_BYTES: Final = 16 * limits.KIB
"""Headers of one part, and what may stand before the first one."""

_LENGTH: Final = re.compile("[0-9]{1,18}")

_BOUNDARY_CHARACTERS: Final = 256
"""RFC 2046 5.1.1 allows 70; Orthanc's DICOMweb client has 73 where it stores."""


@frozen
class PartHead:
    """A part begins."""

    headers: Mapping[str, str]
    """Names in lower case."""


@frozen
class PartEnd:
    """The part that began last is whole."""


Event = PartHead | bytes | PartEnd
"""What is read of a body: of each part its head, its bytes in pieces, its end."""


@frozen
class BodyPart:
    """One part: its headers (names in lower case) and its body, in pieces as it came."""

    headers: Mapping[str, str]
    pieces: tuple[bytes, ...] = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.pieces))

    def parameter(self, name: str) -> str:
        """A parameter of the Content-Type, for instance ``transfer-syntax``; empty if absent."""
        message = Message()
        message["Content-Type"] = self.headers.get("content-type", "")
        value = message.get_param(name, "")
        return value if isinstance(value, str) and value != "*" else ""

    def body(self) -> bytes:
        """The body in one piece: copies it."""
        return b"".join(self.pieces)


class _State(Enum):
    PREAMBLE = auto()
    """Before the first delimiter."""
    DELIMITED = auto()
    """After a delimiter: a part begins, or all is over."""
    HEADERS = auto()
    COUNTED = auto()
    """In a body whose length its headers tell."""
    SEARCHED = auto()
    """In a body that goes on until the next delimiter."""
    FOLLOWED = auto()
    """After a counted body: the delimiter must follow."""
    OVER = auto()


class MultipartReader:
    """Bytes in, events out; holds the headers of a part at most, or a delimiter's length.

    Args:
        boundary: from the Content-Type of the whole, see `boundary_of`.
        part_bytes: a body's size at most.
    """

    def __init__(self, boundary: str, *, part_bytes: int = limits.INSTANCE_BYTES) -> None:
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._part_bytes = part_bytes
        # The first delimiter may lack the line break before it.
        self._buffer = bytearray(b"\r\n")
        self._state = _State.PREAMBLE
        self._missing = 0
        self._held = 0
        self._events: list[Event] = []
        # Each goes on by one state, and says whether there may be more to do.
        self._steps = {
            _State.PREAMBLE: self._preamble,
            _State.DELIMITED: self._delimited,
            _State.HEADERS: self._parse_headers,
            _State.COUNTED: self._counted,
            _State.SEARCHED: self._search,
            _State.FOLLOWED: self._follow,
            _State.OVER: self._epilogue,
        }

    def feed(self, data: bytes) -> list[Event]:
        """What can be read now that ``data`` is here.

        Raises:
            BrokenInstanceError: not a multipart body, or a part beyond its bounds.
        """
        if self._state is _State.COUNTED and len(data) <= self._missing:
            self._take(data)  # the usual case: no copy
        else:
            self._buffer += data
            while self._steps[self._state]():
                pass
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """The stream has ended.

        Raises:
            BrokenInstanceError: in the middle of it.
        """
        if self._state is not _State.OVER:
            raise BrokenInstanceError("a multipart body ends too early")

    def _preamble(self) -> bool:
        at = self._buffer.find(self._delimiter)
        if at < 0:
            if len(self._buffer) > HEADER_BYTES:
                raise BrokenInstanceError("a body is not multipart, or its boundary is another")
            return False
        return self._consume(at + len(self._delimiter), _State.DELIMITED)

    def _delimited(self) -> bool:
        if self._buffer.startswith(b"--"):
            return self._consume(2, _State.OVER)
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > HEADER_BYTES:
                raise BrokenInstanceError("a multipart delimiter without an end")
            return False
        if self._buffer[:end].strip(b" \t"):
            raise BrokenInstanceError("a multipart delimiter with something after it")
        # The line break stays: it ends the headers if there are none.
        return self._consume(end, _State.HEADERS)

    def _parse_headers(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, HEADER_BYTES)
        if end < 0:
            if len(self._buffer) > HEADER_BYTES:
                raise BrokenInstanceError("headers of a part are too long")
            return False
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line.strip())
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self._events.append(PartHead(headers))
        self._held = 0
        length = headers.get("content-length")
        if length is None:
            return self._consume(end + 4, _State.SEARCHED)
        if not _LENGTH.fullmatch(length) or int(length) > self._part_bytes:
            raise BrokenInstanceError("a part whose length is wrong or too long")
        self._missing = int(length)
        return self._consume(end + 4, _State.COUNTED)

    def _counted(self) -> bool:
        piece = bytes(self._buffer[: self._missing])
        del self._buffer[: len(piece)]
        self._take(piece)
        return self._state is _State.FOLLOWED

    def _take(self, piece: bytes) -> None:
        if piece:
            self._events.append(piece)
        self._missing -= len(piece)
        if not self._missing:
            self._state = _State.FOLLOWED

    def _follow(self) -> bool:
        if len(self._buffer) < len(self._delimiter):
            return False
        if not self._buffer.startswith(self._delimiter):
            raise BrokenInstanceError("a part that is not as long as its headers say")
        return self._complete()

    def _search(self) -> bool:
        at = self._buffer.find(self._delimiter)
        # What cannot be the beginning of a delimiter is body.
        sure = at if at >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
        self._held += sure
        if self._held > self._part_bytes:
            raise BrokenInstanceError("a part that is too long")
        if sure:
            self._events.append(bytes(self._buffer[:sure]))
            del self._buffer[:sure]
        return at >= 0 and self._complete()

    def _complete(self) -> bool:
        self._events.append(PartEnd())
        return self._consume(len(self._delimiter), _State.DELIMITED)

    def _epilogue(self) -> bool:
        self._buffer.clear()
        return False

    def _consume(self, count: int, state: _State) -> bool:
        del self._buffer[:count]
        self._state = state
        return True


class MultipartParser:
    """Bytes in, whole parts out; holds one part at most.

    Args:
        boundary: from the Content-Type of the whole, see `boundary_of`.
        part_bytes: a body's size at most.
    """

    def __init__(self, boundary: str, *, part_bytes: int = limits.INSTANCE_BYTES) -> None:
        self._reader = MultipartReader(boundary, part_bytes=part_bytes)
        self._headers: Mapping[str, str] = {}
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> list[BodyPart]:
        """The parts that ``data`` completes.

        Raises:
            BrokenInstanceError: not a multipart body, or a part beyond its bounds.
        """
        parts = []
        for event in self._reader.feed(data):
            if isinstance(event, PartHead):
                self._headers, self._pieces = event.headers, []
            elif isinstance(event, bytes):
                self._pieces.append(event)
            else:
                parts.append(BodyPart(self._headers, tuple(self._pieces)))
                self._pieces = []
        return parts

    def finish(self) -> None:
        """The stream has ended.

        Raises:
            BrokenInstanceError: in the middle of it.
        """
        self._reader.finish()


def boundary_of(content_type: str) -> str:
    """The boundary that a Content-Type names.

    Raises:
        BrokenInstanceError: not multipart, or without a usable boundary.
    """
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary() if message.get_content_maintype() == "multipart" else None
    if boundary is None or not 0 < len(boundary) <= _BOUNDARY_CHARACTERS or not boundary.isascii():
        raise BrokenInstanceError("the answer of the PACS is not multipart: is it DICOMweb?")
    return boundary
