"""A member's side of `scripts.lab.uplink`: sends as fast as a line carries that nobody described.

    python -m scripts.lab.uplink_sender HOST PORT

Each tenth of a second it prints the time (Unix), what may be sent (bits a second) and whether a
router tells of the queue.
"""

from __future__ import annotations

import math
import sys
import time
from contextlib import suppress
from typing import Final

import trio

from p2pacs.line.measured import MeasuredUplink
from p2pacs.line.paced import PacedStream
from p2pacs.line.pacer import Pacer
from p2pacs.line.pacing import Overhead

BLOCK: Final = 16_000
TELL_SECONDS: Final = 0.1


async def send(host: str, port: int) -> None:
    """Until the other end closes."""
    control = MeasuredUplink(trio.current_time())
    pacer = Pacer(math.inf, Overhead(record=0), control=control)
    with suppress(trio.BrokenResourceError):
        async with await trio.open_tcp_stream(host, port) as tcp, trio.open_nursery() as nursery:
            nursery.start_soon(pacer.watch)
            nursery.start_soon(_tell, control)
            stream = PacedStream(tcp, pacer, None, tcp.socket)
            while True:
                await pacer.ready()
                size = min(BLOCK, max(1448, int(0.17 * pacer.rate)))
                stream.prepay(size)
                await stream.send_all(bytes(size))


async def _tell(control: MeasuredUplink) -> None:
    while True:
        print(time.time(), control.rate * 8, int(control.seen), control.hops.found, flush=True)
        await trio.sleep(TELL_SECONDS)


if __name__ == "__main__":
    trio.run(send, sys.argv[1], int(sys.argv[2]))
