"""What is known of a publication under way: for whoever waits for it, and for status pages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

import trio
from attrs import define, field

from p2pacs.errors import DuplicateInstanceError, P2PacsError
from p2pacs.ids import StudyId
from p2pacs.limits import TEXT
from p2pacs.study.study_index import LeftOut


class PublishStage(StrEnum):
    """Where a publication is."""

    WAITING = "waiting"
    ASKING = "asking"
    """The PACS is asked what there is."""
    RETRIEVING = "retrieving"
    PUBLISHED = "published"
    """All that the PACS gives is out."""
    FAILED = "failed"
    """What was published before the error stays."""


@define(eq=False)
class PublishProgress:
    """One publication of one study."""

    study: StudyId
    uid: str = field(repr=False)
    everything: bool = False
    """Whether instances that are published already are asked for again, to be compared."""
    is_new: bool = False
    """Whether nothing of the study was published before."""
    stage: PublishStage = PublishStage.WAITING
    version: int = 0
    """Newest version out; 0 while there is none."""
    instances_wanted: int = 0
    instances_done: int = 0
    bytes_read: int = 0
    """Data set bytes that came from the PACS."""
    failed: dict[str, str] = field(factory=dict, repr=False)
    """SOP Instance UID → why this instance did not come, or is not usable."""
    nameless: Counter[str] = field(factory=Counter, repr=False)
    """Why instances without a known UID are not usable: until they are asked for by name."""
    others: Counter[str] = field(factory=Counter, repr=False)
    """Why further ones were left out: of another study, or a second one under a UID."""
    duplicates: int = 0
    """Of these, second ones under a UID."""
    problem: P2PacsError | None = field(default=None, repr=False)
    """Why it failed, or what was left out."""
    missing: LeftOut | None = field(default=None, repr=False)
    """What the newest version has not, if this publication found out something new about it."""
    ended_at: float = math.inf
    """When it ended, by trio's clock."""
    _compared: trio.Event = field(factory=trio.Event, init=False, repr=False)
    _out: trio.Event = field(factory=trio.Event, init=False, repr=False)
    _ended: trio.Event = field(factory=trio.Event, init=False, repr=False)

    def published(self, version: int) -> None:
        """A version is out."""
        self.version = version
        if version:
            self._out.set()

    def left(self, problem: P2PacsError) -> None:
        """An instance came that cannot be in this study."""
        self.others[str(problem)] += 1
        self.duplicates += isinstance(problem, DuplicateInstanceError)
        self.problem = problem

    def fail(self, problem: P2PacsError, uid: str | None) -> None:
        """An instance did not come, or is not usable."""
        if uid is None:
            self.nameless[str(problem)] += 1
        else:
            self.failed[uid] = str(problem)
        self.problem = problem

    def anew(self) -> None:
        """All is asked for again: what was left out may come."""
        self.everything = True
        self.failed.clear()
        self.nameless.clear()
        self.others.clear()
        self.duplicates, self.instances_done = 0, 0

    def came(self, uids: Iterable[str]) -> None:
        """These came after all."""
        for uid in uids:
            self.failed.pop(uid, None)

    @property
    def left_out(self) -> int:
        """Instances that did not come or are not usable; ``problem`` tells of the last one."""
        return len(self.failed) + self.nameless.total() + self.others.total()

    @property
    def why(self) -> str:
        """Why instances are left out, the most frequent reason first; empty if none is."""
        reasons = Counter(self.failed.values()) + self.nameless + self.others
        return "; ".join(f"{count}: {text}" for text, count in reasons.most_common())[:TEXT]

    def compared(self) -> None:
        """What is out was compared with a list of the source, as far as it is to be."""
        self._compared.set()

    def end(self, error: P2PacsError | None) -> None:
        """It is over."""
        if error is not None:
            self.problem = error
        self.stage = PublishStage.FAILED if error is not None else PublishStage.PUBLISHED
        self.ended_at = trio.current_time()
        self._compared.set()
        self._out.set()
        self._ended.set()

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    async def wait_version(self) -> int:
        """The newest version, as soon as there is one.

        Raises:
            P2PacsError: it failed before anything was out.
        """
        await self._out.wait()
        if not self.version and self.problem is not None:
            raise self.problem
        return self.version

    async def wait_compared(self) -> None:
        """Until what is gone from the source, or is another there, is out of the newest version,
        and that version says whether more comes; or until it is over."""
        await self._compared.wait()

    async def wait_over(self) -> None:
        """Until it has ended, well or not."""
        await self._ended.wait()

    async def wait(self) -> None:
        """Until all is out.

        Raises:
            P2PacsError: it failed; earlier versions are intact.
        """
        await self._ended.wait()
        if self.stage is PublishStage.FAILED and self.problem is not None:
            raise self.problem
