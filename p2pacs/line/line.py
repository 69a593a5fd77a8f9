"""The access line of a host as the program was told of it: what is paced, how much, and when."""

from __future__ import annotations

import ipaddress
import math
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Protocol, Self

import structlog
import trio
from attrs import frozen

from p2pacs.hours import Hours, rate_at, seconds_to_change
from p2pacs.line.beside import IPAddress, is_beside
from p2pacs.line.gather import GATHER_SECONDS
from p2pacs.line.kept_rate import keep_rate, read_rate
from p2pacs.line.measured import MeasuredUplink
from p2pacs.line.pacer import Pacer
from p2pacs.line.pacing import TLS_OVER_TCP, Overhead
from p2pacs.units import MEASURED, IPNetwork, format_rate

log = structlog.get_logger(__name__)


UPLINK_SHARE: Final = 0.998
"""Of a configured uplink: all of it would never let a queue drain that was there once."""

KEPT_SHARE: Final = 0.8
"""Of what an uplink carried when it was last used: it begins with that, and has less to find."""

DOWN_BURST: Final = 0.25
"""Seconds of the downlink's rate that may be read at once: what is here has used the line."""

CLOCK_SECONDS: Final = 600.0
"""The wall clock is looked at this often at least: it may be set, or change to summer time."""


class SaidLine(Protocol):
    """What the settings of a program say of its line."""

    @property
    def uplink(self) -> int | Literal["measured"] | None:
        """As `Line.uplink`."""

    @property
    def downlink(self) -> int | None:
        """As `Line.downlink`."""

    @property
    def lan(self) -> tuple[IPNetwork, ...]:
        """As `Line.lan`."""

    @property
    def hours(self) -> tuple[Hours, ...]:
        """As `Line.hours`."""


@frozen
class Line:
    """The line of a host.

    A link whose remote network address lies in ``lan`` is not paced; of an uplink that is
    measured, none that has no router on its way.
    """

    uplink: int | Literal["measured"] | None = None
    """Bits a second of wire bytes that go out at most; None: not paced."""
    downlink: int | None = None
    """Bits a second of wire bytes that come in at most; None: not paced."""
    lan: tuple[IPNetwork, ...] = ()
    hours: tuple[Hours, ...] = ()
    """Hours with another rate for the uplink; if it is measured, with a limit."""
    overhead: Overhead = TLS_OVER_TCP
    """What the transport adds to what is written; simulations on bare lines have none."""
    kept: Path | None = None
    """The file that keeps over restarts what a measured uplink carries."""
    gather: float = GATHER_SECONDS
    """Seconds between two reads of a paced link; 0: each segment is read as it comes."""

    @classmethod
    def of(cls, said: SaidLine, kept: Path | None = None) -> Self:
        """The line that the settings tell of.

        Args:
            said: The settings.
            kept: As `Line.kept`.
        """
        return cls(said.uplink, said.downlink, said.lan, said.hours, kept=kept)

    def pacers(self) -> tuple[Pacer | None, Pacer | None]:
        """The budgets of uplink and downlink; None: not paced."""
        up = down = None
        if self.uplink == MEASURED:
            before = read_rate(self.kept) if self.kept else None
            start = before * KEPT_SHARE / 8 if before else None
            control = MeasuredUplink(trio.current_time(), start)
            if sys.platform != "linux":
                log.warning(
                    "only Linux tells what a line carries", rate=format_rate(control.rate * 8)
                )
            up = Pacer(math.inf, self.overhead, control=control)
        elif self.uplink is not None:
            up = Pacer(self.uplink * UPLINK_SHARE, self.overhead)
        if self.downlink is not None:
            down = Pacer(self.downlink, self.overhead, burst=DOWN_BURST)
        return up, down

    async def watch(self, uplink: Pacer) -> None:
        """See the queue of a measured uplink, keep what it carries, until cancelled.

        Args:
            uplink: Of `pacers`.
        """
        if self.uplink == MEASURED:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(uplink.watch)
                if self.kept:
                    nursery.start_soon(keep_rate, self.kept, uplink)

    async def follow_hours(
        self, uplink: Pacer, local_time: Callable[[], datetime] = datetime.now
    ) -> None:
        """Change the uplink's rate whenever the hours say so, until cancelled.

        Args:
            uplink: Of `pacers`.
            local_time: The wall clock.
        """
        usual = math.inf if self.uplink == MEASURED else float(self.uplink or 0)
        before = usual
        while self.hours:
            special = rate_at(self.hours, local_time())
            rate = usual if special is None else special
            if rate != before:
                before = rate
                uplink.change(rate * UPLINK_SHARE)
                log.info("uplink", limit="none" if rate == math.inf else format_rate(rate))
            seconds = seconds_to_change(self.hours, local_time())
            await trio.sleep(min(seconds, CLOCK_SECONDS))

    def is_named_lan(self, host: str) -> bool:
        """Whether a network address lies in `lan`."""
        address = _address(host)
        return any(address in network for network in self.lan)

    def is_lan(self, host: str) -> bool:
        """Whether a network address is on this side of the line.

        An uplink that is measured is nobody's who knows networks either, so what has no router on
        the way is on the LAN, too. A rate that was set, of the downlink, too, counts for all that
        is not named (members of one machine may be paced so).
        """
        if self.is_named_lan(host):
            return True
        nothing_set = self.uplink == MEASURED and self.downlink is None
        return nothing_set and is_beside(_address(host))


def _address(host: str) -> IPAddress:
    address = ipaddress.ip_address(host.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address
