"""Who takes part in one study's swarm, as seen from here, and what they were told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from attrs import define

from p2pacs.bitfield import Bitfield
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import HAVE_RANGES
from p2pacs.swarm.chunks import StudyChunks
from p2pacs.swarm.connection import Connection
from p2pacs.wire.messages import Have, Join, ManifestNews, Message

if TYPE_CHECKING:
    from p2pacs.swarm.download import Download


@define
class Partner:
    """A linked member that joined the study."""

    version: int
    has: Bitfield
    fetching: bool
    announced: int = 0
    """Numbers that it named in `Have`: each once, so never more than a study has."""


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as ascending [first, count] pairs."""
    result: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if result and sum(result[-1]) == number:
            result[-1] = (result[-1][0], result[-1][1] + 1)
        else:
            result.append((number, 1))
    return result


class Circle:
    """One study: its partners, its chunks here, its download if there is one."""

    def __init__(self, study: StudyId, links: dict[VirtualAddress, Connection]) -> None:
        self.study = study
        self.chunks: StudyChunks | None = None
        """None while nothing of the study is here."""
        self.version = 0
        """Of the newest root here."""
        self.listed = 0
        """Chunks in that root."""
        self.partners: dict[VirtualAddress, Partner] = {}
        self.told: set[VirtualAddress] = set()
        """Partners and holders who know from us that we take part."""
        self.download: Download | None = None
        self._fresh: list[int] = []
        self._fresh_for_idle: list[int] = []
        self._links = links

    @property
    def idle(self) -> bool:
        """Whether nothing of it is here and nobody takes part."""
        return self.chunks is None and self.download is None and not self.partners

    def completeness(self, member: VirtualAddress) -> float:
        """Which fraction of the study a member has, from 0 to 1."""
        partner = self.partners.get(member)
        return min(1.0, len(partner.has) / self.listed) if partner and self.listed else 0.0

    # ------------------------------------------------------------ telling

    def send(self, member: VirtualAddress, message: Message) -> None:
        """Send to a member if it is linked."""
        if link := self._links.get(member):
            link.send(message)

    def join(self, member: VirtualAddress) -> None:
        """Tell a member what we have, from now on."""
        if member in self._links:
            have = bytes(self.chunks.have) if self.chunks else b""
            fetching = self.download is not None
            self.send(member, Join(bytes(self.study), self.version, have, fetching))
            self.told.add(member)

    def join_all(self) -> None:
        """Tell all partners anew."""
        self._fresh.clear()
        self._fresh_for_idle.clear()
        for member in self.partners:
            self.join(member)

    def push_root(self, raw: bytes) -> None:
        """Give the newest root to the partners that do not have it."""
        for member, partner in self.partners.items():
            if partner.version < self.version:
                partner.version = self.version
                self.send(member, ManifestNews(bytes(self.study), raw))

    def gained(self, numbers: Iterable[int]) -> None:
        """Chunks are here now; `announce` tells it."""
        self._fresh.extend(numbers)

    def announce(self, *, also_idle: bool) -> bool:
        """Tell the partners what is new; whether some were left for later.

        Args:
            also_idle: Tell also those that fetch nothing (they only want to know how
                complete we are).
        """
        fresh, self._fresh = self._fresh, []
        self._fresh_for_idle.extend(fresh)
        late: list[int] = []
        if also_idle:
            late, self._fresh_for_idle = self._fresh_for_idle, []
        news = list(self._have(fresh))
        late_news = list(self._have(late))
        for member, partner in self.partners.items():
            if member not in self.told:
                self.join(member)
            else:
                for message in news if partner.fetching else late_news:
                    self.send(member, message)
        return bool(self._fresh_for_idle)

    def _have(self, numbers: list[int]) -> Iterator[Have]:
        pairs = ranges(numbers)
        for first in range(0, len(pairs), HAVE_RANGES):
            yield Have(bytes(self.study), pairs[first : first + HAVE_RANGES])
