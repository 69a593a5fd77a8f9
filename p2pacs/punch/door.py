"""Who comes to the held port while meetings are on: told apart by the token that they say first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
import trio

from p2pacs.concurrency.tasks import Tasks
from p2pacs.limits import EARLY_CONNECTIONS
from p2pacs.punch.held_port import HeldPort
from p2pacs.punch.meeting import Rendezvous, read_token

log = structlog.get_logger(__name__)

SAY_SECONDS: Final = 3.0
"""To say the token back: 16 bytes on a fresh connection."""

ACCEPT_SECONDS: Final = 0.1
"""Before the next try to accept a connection, after one that failed."""


class HeldDoor:
    """The held port, listened at for as long as a meeting is on, and not otherwise."""

    def __init__(self, port: HeldPort) -> None:
        """Nobody listens yet.

        Args:
            port: Which.
        """
        self.port = port
        self._meetings: dict[bytes, Rendezvous] = {}
        self._early = 0
        self._listening = trio.CancelScope()
        self._tasks = Tasks()

    def __len__(self) -> int:
        """Meetings that are on."""
        return len(self._meetings)

    async def run(self) -> None:
        """Be there until cancelled; the port is let go of then."""
        try:
            await self._tasks.run()
        finally:
            self.port.close()

    @contextmanager
    def open(self, token: bytes, meeting: Rendezvous) -> Iterator[None]:
        """Who says this token comes to this meeting, for as long as the block takes."""
        if not self._meetings:
            self._listening = trio.CancelScope()
            listeners = self.port.listen()
            if not (listeners and self._tasks.start(self._listen, listeners, self._listening)):
                for listener in listeners:
                    listener.socket.close()
        self._meetings[token] = meeting
        try:
            yield
        finally:
            del self._meetings[token]
            meeting.drop()
            if not self._meetings:
                self._listening.cancel()

    async def _listen(self, listeners: list[trio.SocketListener], scope: trio.CancelScope) -> None:
        with scope:
            try:
                async with trio.open_nursery() as nursery:
                    for listener in listeners:
                        nursery.start_soon(self._accept, listener, nursery)
            finally:
                for listener in listeners:
                    listener.socket.close()

    async def _accept(self, listener: trio.SocketListener, nursery: trio.Nursery) -> None:
        # not `trio.serve_listeners`, which closes a connection when its handler is done with it
        while True:
            try:
                tcp = await listener.accept()
            except OSError as error:  # no descriptor is free, for example
                log.debug("nobody can come to the held port", why=str(error))
                await trio.sleep(ACCEPT_SECONDS)
            else:
                nursery.start_soon(self._came, tcp)

    async def _came(self, tcp: trio.SocketStream) -> None:
        taken = False
        self._early += 1
        try:
            taken = self._early <= EARLY_CONNECTIONS and await self._sorted(tcp)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            log.debug("a connection to the held port broke")
        finally:
            self._early -= 1
            if not taken:
                tcp.socket.close()

    async def _sorted(self, tcp: trio.SocketStream) -> bool:
        """Find out for which meeting somebody came; whether that one takes it."""
        said = await read_token(tcp)
        meeting = self._meetings.get(said)
        if meeting is None:
            return False
        with trio.move_on_after(SAY_SECONDS):
            await tcp.send_all(said)
            return meeting.came(tcp)
        return False
