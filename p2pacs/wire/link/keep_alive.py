"""Whether the other side of one link is still there: asked when nothing came for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from p2pacs.errors import DeadlineError, LinkClosedError, P2PacsError
from p2pacs.wire.channel import deadlines
from p2pacs.wire.messages.messages import Ping, Query


class KeepAlive:
    """Watches for silence."""

    def __init__(
        self,
        name: str,
        ask: Callable[[Query, float], Awaitable[object]],
        end: Callable[[P2PacsError], None],
    ) -> None:
        """From now on the other side has `deadlines.HELLO` to say `Hello`.

        Args:
            name: Of the other side, for errors.
            ask: Asks it, with the seconds that it has; raises `DeadlineError`, and
                `LinkClosedError` if the link has closed.
            end: Told why it is taken to be gone.
        """
        self.greeted = trio.Event()
        """It has said `Hello`."""
        self._name = name
        self._ask = ask
        self._end = end
        self._heard_at = trio.current_time()

    def heard(self) -> None:
        """Something came."""
        self._heard_at = trio.current_time()

    async def run(self) -> None:
        """Watch until cancelled."""
        with trio.move_on_after(deadlines.HELLO):
            await self.greeted.wait()
        if not self.greeted.is_set():
            self._end(DeadlineError(f"{self._name} did not say Hello"))
        while True:
            silent_since = self._heard_at
            await trio.sleep_until(silent_since + deadlines.IDLE)
            if self._heard_at == silent_since and not await self._alive():
                self._end(DeadlineError(f"{self._name} gave no sign of life"))

    async def _alive(self) -> bool:
        before = self._heard_at
        try:
            await self._ask(Ping(0), deadlines.ANSWER)
        except DeadlineError:
            return self._heard_at != before
        except LinkClosedError:
            return True  # closed already, with an error of its own
        return True
