"""Bodies of requests that are larger than memory: read in pieces, with a bound on their time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import trio
from attrs import frozen
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from p2pacs.limits import MIB

PIECE_BYTES: Final = MIB
"""What is gathered before it is given on: each piece costs a change of threads."""


@frozen
class BodyPace:
    """How slow a body may come."""

    first_seconds: float = 30.0
    """For its beginning ..."""
    slowest: int = 16 * 1024
    """... and so many bytes a second from then on, the time apart that it waits for us: 128 kbit/s,
    as of DIMSE (`p2pacs.limits.DICOM_SLOWEST`)."""


async def read_pieces(
    request: Request, most: int, pace: BodyPace = BodyPace(), piece_bytes: int = PIECE_BYTES
) -> AsyncGenerator[bytes, None]:
    """A body as it comes, in pieces of some size.

    Args:
        request: whose.
        most: bytes of it.
        pace: how slow it may come.
        piece_bytes: what is gathered.

    Raises:
        HTTPException: it is longer (413) or slower (408).
        ClientDisconnect: its sender went away in the middle.
    """
    received, waited = 0, 0.0
    gathered: list[bytes] = []
    held = 0
    async with aclosing(request.stream()) as stream:
        while True:
            began = trio.current_time()
            left = pace.first_seconds + received / pace.slowest - waited
            with trio.move_on_after(left) as waiting:
                data = await anext(stream, None)
            if waiting.cancelled_caught:
                raise HTTPException(408, "The body comes too slowly: try again.")
            waited += trio.current_time() - began
            if data is None:
                break
            received += len(data)
            if received > most:
                raise HTTPException(413, f"The request is longer than {most} bytes.")
            gathered.append(data)
            held += len(data)
            if held >= piece_bytes:
                yield b"".join(gathered)
                gathered, held = [], 0
    if held:
        yield b"".join(gathered)


async def drain(request: Request, most: int = 16 * MIB, seconds: float = 5.0) -> None:
    """Read what a client still sends that is answered already, within bounds.

    Who writes a body and does not read meanwhile would find the connection reset, and never see the
    answer.
    """
    try:
        with trio.move_on_after(seconds):
            async with aclosing(read_pieces(request, most)) as pieces:
                async for _ in pieces:
                    pass
    except (HTTPException, ClientDisconnect, RuntimeError):
        return  # RuntimeError: Starlette's, where it was read before
