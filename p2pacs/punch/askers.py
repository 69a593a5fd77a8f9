"""Who asks to meet this host, how often, and with what. Pure: no clock, no I/O."""

from __future__ import annotations

from typing import Final

from p2pacs.errors import AuthenticationError, BusyError
from p2pacs.ids import VirtualAddress
from p2pacs.limits import MEETINGS_A_MINUTE
from p2pacs.punch.offers import MeetingOffer
from p2pacs.punch.pairs import AskPace

SERIAL_SECONDS: Final = 600.0
"""An offer must be newer than the last one of the same member; after so long any is: its clock may
have been set."""


class Askers:
    """What members asked for until now."""

    def __init__(self) -> None:
        self._pace = AskPace(MEETINGS_A_MINUTE)
        self._serials: dict[VirtualAddress, tuple[int, float]] = {}

    def count(self, asker: VirtualAddress, now: float) -> None:
        """A member asks.

        Raises:
            BusyError: it did so too often.
        """
        if self._pace.is_exceeded(asker, now):
            raise BusyError(f"more than {MEETINGS_A_MINUTE} meetings within a minute")

    def take(self, offer: MeetingOffer, now: float) -> None:
        """An offer is good once: a neighbour may have kept an older one.

        Raises:
            AuthenticationError: it was made before the last one.
        """
        last, when = self._serials.get(offer.sender, (-1, now))
        if offer.time <= last and now - when < SERIAL_SECONDS:
            raise AuthenticationError("an offer that was made before the last one")
        self._serials[offer.sender] = offer.time, now
