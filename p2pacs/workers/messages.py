"""What the program and a worker process say to each other over two pipes.

A message is a pickle; large byte strings lie beside it, so that they are written from where they
are and read to where they stay. The program trusts nothing that a worker says: codecs work on
strangers' bytes there. Its unpickler makes data and errors of this package, nothing else.
"""

from __future__ import annotations

import io
import pickle
import struct
import sys
from collections.abc import Callable, Sequence
from enum import Enum
from typing import IO, Any, Final

import attrs
from attrs import field, frozen

from p2pacs.errors import P2PacsError

_HEAD: Final = struct.Struct(">QQQ")
"""Number of the message, bytes of the pickle, how many byte strings lie beside it."""

_SIZE: Final = struct.Struct(">Q")

BESIDE_BYTES: Final = 16 * 1024
"""Byte strings from this length on are not copied into the pickle."""

_UNREADABLE: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)
"""What a pickle that makes no sense may raise."""


@frozen
class Task:
    """A call that a worker makes."""

    function: Callable[..., Any]
    """By its name: of a module that the worker imports."""
    arguments: tuple[Any, ...] = field(repr=False)


@frozen
class CallBatch:
    """Calls that a worker makes one after the other."""

    tasks: tuple[Task, ...]
    memory: int
    """Bytes of address space that they may take in addition."""


@frozen
class CallResult:
    """What a call gave."""

    value: Any = field(repr=False)


@frozen
class CallFailure:
    """What a call raised. (Anything but our own errors ends the worker.)"""

    error: P2PacsError


CallOutcome = CallResult | CallFailure


class _Pickler(pickle.Pickler):
    """Lays large byte strings aside."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.beside: list[bytes] = []

    def persistent_id(self, obj: Any) -> int | None:
        """The place of what is laid aside."""
        if type(obj) is bytes and len(obj) >= BESIDE_BYTES:
            self.beside.append(obj)
            return len(self.beside) - 1
        return None


_NO_DATA: Final = "a worker sent something other than data"


class _Unpickler(pickle.Unpickler):
    """Puts back what was laid aside."""

    def __init__(self, pickled: bytes, beside: Sequence[bytes]) -> None:
        super().__init__(io.BytesIO(pickled))
        self._beside = beside

    def persistent_load(self, pid: int) -> bytes:
        """What was laid aside at this place."""
        return self._beside[pid]


class _WaryUnpickler(_Unpickler):
    """Makes data and errors only."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """A class of this package that only holds data."""
        if module_name.startswith("p2pacs."):
            found = getattr(sys.modules.get(module_name), global_name, None)
            if isinstance(found, type) and (
                attrs.has(found) or issubclass(found, Enum | P2PacsError)
            ):
                return found
        if (module_name, global_name) == ("builtins", "getattr"):
            return _member
        raise pickle.UnpicklingError(_NO_DATA)


def _member(kind: object, name: str) -> Enum:
    """A member of an Enum of ours, as some versions of Python pickle it: by ``getattr``.

    3.11.2, which is Debian 12's, does; 3.11.7 does not.
    """
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind[name]
    raise pickle.UnpicklingError(_NO_DATA)


def send(to: IO[bytes], number: int, message: object) -> None:
    """Write a message.

    Args:
        to: the pipe.
        number: which one it is: an answer has the number of what it answers.
        message: anything that pickles.

    Raises:
        OSError: nobody reads any more.
    """
    pickled = io.BytesIO()
    pickler = _Pickler(pickled)
    pickler.dump(message)
    beside = pickler.beside
    to.write(_HEAD.pack(number, pickled.tell(), len(beside)))
    to.write(b"".join(_SIZE.pack(len(one)) for one in beside))
    to.write(pickled.getbuffer())
    for one in beside:
        to.write(one)
    to.flush()


def receive_batch(source: IO[bytes]) -> tuple[int, CallBatch]:
    """A batch with its number, as a worker reads it.

    Raises:
        EOFError: the program has ended.
    """
    number, pickled, beside = _receive(source, None)
    batch: CallBatch = _Unpickler(pickled, beside).load()
    return number, batch


def receive_outcomes(source: IO[bytes], number: int, most: int) -> list[CallOutcome]:
    """What a worker answers.

    Args:
        source: the pipe.
        number: of the batch.
        most: bytes that the answer may have.

    Raises:
        EOFError: the worker has ended.
        ValueError: it answers something else, or more.
    """
    answered, pickled, beside = _receive(source, most)
    if answered != number:
        raise ValueError("a worker answers something else")
    try:
        outcomes = _WaryUnpickler(pickled, beside).load()
    except _UNREADABLE as error:
        raise ValueError("a worker sends what cannot be read") from error
    if not isinstance(outcomes, list) or not all(isinstance(one, CallOutcome) for one in outcomes):
        raise ValueError("a worker sends something other than outcomes")
    return outcomes


def _receive(source: IO[bytes], most: int | None) -> tuple[int, bytes, list[bytes]]:
    number, length, count = _HEAD.unpack(_exactly(source, _HEAD.size))
    if most is not None and length + count * BESIDE_BYTES > most:
        raise ValueError("a worker answers too much")
    table = _exactly(source, count * _SIZE.size)
    sizes = [size for (size,) in _SIZE.iter_unpack(table)]
    if most is not None and length + sum(sizes) > most:
        raise ValueError("a worker answers too much")
    pickled = _exactly(source, length)
    return number, pickled, [_exactly(source, size) for size in sizes]


def _exactly(source: IO[bytes], size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError("the pipe has ended")
    return data
