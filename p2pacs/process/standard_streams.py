"""Standard input, output and error, as every program of ours may take them for granted.

A shell, cron or a service manager may start a program without one of them (``2>&-``): the next file
that it opens, a study's for instance, would get that number, and what a library writes to standard
error would stand in it. Or standard error is a pipe whose reader has gone, or a file on a full
disk: what cannot be told there must not end a broker.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Final, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_ESCAPED: Final = "backslashreplace"
"""What becomes of a character that the encoding of the other side does not have."""


def mend() -> None:
    """To be called before anything else is opened, in the process that Python was started for."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the lowest number that is free is taken: this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    # Python has None for those that were not there when it began.
    sys.stdin = sys.stdin or _opened(0, "r")
    sys.stdout = sys.stdout or _opened(1, "w")
    sys.stderr = _forgiving(sys.stderr or _opened(2, "w"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ESCAPED)


def _opened(number: int, mode: str) -> TextIO:
    stream = os.fdopen(number, mode, encoding="utf-8", closefd=False)
    return cast("TextIO", stream)


def _forgiving(stream: TextIO) -> TextIO:
    """The same, which takes everything; a console of Windows stays as it is."""
    raw = getattr(stream.buffer, "raw", stream.buffer)  # PYTHONUNBUFFERED: it is one itself
    if not isinstance(raw, io.FileIO):
        return stream
    forgiving = io.BufferedWriter(_Forgiving(raw.fileno(), "w", closefd=False))
    return io.TextIOWrapper(
        forgiving, encoding=stream.encoding, errors=_ESCAPED, line_buffering=True
    )


class _Forgiving(io.FileIO):
    """A file; what cannot be written to it is lost."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, or not: the disk may be full, the reader gone, or (None) slow."""
        size = memoryview(data).nbytes
        try:
            written = super().write(data)
        except OSError:
            return size
        return size if written is None else written
