"""Functions that workers call in tests."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from p2pacs.errors import CodingError

RELEASED = "released"
"""The file by which a test lets go of `held`."""


def pid(_argument: object = None) -> int:
    return os.getpid()


def echo(data: bytes) -> bytes:
    return data


def length(data: bytes) -> int:
    return len(data)


def refuse(text: str) -> None:
    raise CodingError(text)


def stumble(secret: str) -> None:
    raise ValueError(secret)


def abort(_data: bytes = b"") -> None:
    os.abort()


def segfault() -> None:
    ctypes.string_at(0)


def hang(folder: str) -> None:
    """For ever in C, with the interpreter locked: as a codec may hang."""
    Path(folder, str(os.getpid())).touch()
    lock = ctypes.PyDLL(None)
    while True:
        lock.sleep(3600)


def wait(milliseconds: int) -> int:
    time.sleep(milliseconds / 1000)
    return os.getpid()


def held(folder: str) -> int:
    """Until the test lets go; says that it has begun."""
    _sign(folder)
    while not Path(folder, RELEASED).exists():
        time.sleep(0.01)
    return os.getpid()


def devour(_data: bytes = b"") -> int:
    return len(bytearray(8 * 2**30))


def devour_in_c() -> int:
    """As C++ does it: without memory it aborts."""
    allocate = ctypes.CDLL(None).malloc
    allocate.restype = ctypes.c_void_p
    if not allocate(ctypes.c_size_t(8 * 2**30)):
        os.abort()
    return 0


def chatter() -> str:
    sys.stdout.write("to standard output")
    sys.stdout.flush()
    os.write(1, b"again")
    return "said"


def suicide() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def limits() -> tuple[int, bool]:
    return os.nice(0), "trio" in sys.modules


def _sign(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()


def once_hung(folder: str) -> int:
    """Hangs in the first process that is asked, and in no other."""
    if not any(Path(folder).iterdir()):
        hang(folder)
    return os.getpid()


def counted_suicide(folder: str) -> None:
    _sign(folder)
    suicide()


def counted_stumble(folder: str) -> None:
    _sign(folder)
    stumble("")
