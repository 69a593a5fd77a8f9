"""What is known of a publication under way: for whoever waits for it, and for status pages."""

from __future__ import annotations

from enum import StrEnum

import trio
from attrs import define, field

from p2pacs.errors import P2PacsError
from p2pacs.ids import StudyId


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
    stage: PublishStage = PublishStage.WAITING
    version: int = 0
    """Newest version out; 0 while there is none."""
    instances_wanted: int = 0
    instances_done: int = 0
    bytes_read: int = 0
    """Data set bytes that came from the PACS."""
    left_out: int = 0
    """Instances that are not usable; ``problem`` tells of the last one."""
    problem: P2PacsError | None = field(default=None, repr=False)
    """Why it failed, or what was left out."""
    _out: trio.Event = field(factory=trio.Event, init=False, repr=False)
    _ended: trio.Event = field(factory=trio.Event, init=False, repr=False)

    def published(self, version: int) -> None:
        """A version is out."""
        self.version = version
        if version:
            self._out.set()

    def left(self, problem: P2PacsError) -> None:
        """An instance is not usable."""
        self.left_out += 1
        self.problem = problem

    def end(self, error: P2PacsError | None) -> None:
        """It is over."""
        if error is not None:
            self.problem = error
        self.stage = PublishStage.FAILED if error is not None else PublishStage.PUBLISHED
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

    async def wait(self) -> None:
        """Until all is out.

        Raises:
            P2PacsError: it failed; earlier versions are intact.
        """
        await self._ended.wait()
        if self.stage is PublishStage.FAILED and self.problem is not None:
            raise self.problem
