"""Who holds or fetches a study, told to those who fetch it: what comes together goes together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import trio

from p2pacs.concurrency.signals import Bell
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import HOLDERS
from p2pacs.wire.messages.messages import HoldersNews, Message

GATHER_SECONDS: Final = 0.05
"""News wait so long for others. When many ask for a study at once, each would else be told of each
by a message of its own, and the grants would wait behind them on the broker's line."""


class HolderNews:
    """What members are about to be told."""

    def __init__(self, tell: Callable[[VirtualAddress, Message], object]) -> None:
        """Nothing is told before `run`.

        Args:
            tell: Sends news to a member.
        """
        self._tell = tell
        self._waiting: dict[tuple[VirtualAddress, StudyId], dict[VirtualAddress, None]] = {}
        self._bell = Bell()

    def add(
        self, member: VirtualAddress, study: StudyId, holders: Iterable[VirtualAddress]
    ) -> None:
        """Tell a member soon that these hold or fetch a study."""
        self._waiting.setdefault((member, study), {}).update(dict.fromkeys(holders))
        self._bell.ring()

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            await self._bell.wait()
            await trio.sleep(GATHER_SECONDS)
            waiting, self._waiting = self._waiting, {}
            for (member, study), holders in waiting.items():
                named = [bytes(one) for one in holders][-HOLDERS:]
                self._tell(member, HoldersNews(bytes(study), named))
