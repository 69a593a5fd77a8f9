"""A study, series or instance that a DICOMweb client reads
(a `p2pacs.dicomweb.server.backend.OpenedResource`)."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final

import trio
from attrs import define

from p2pacs.budget import Budget
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dicomweb.server.backend import InstanceHeader, Resource
from p2pacs.errors import NotFoundError, UnavailableError
from p2pacs.study.study_index import InstanceEntry
from peer.retrieval.frame_reads import read_header_bytes
from peer.retrieval.live_index import Known
from peer.retrieval.study_fetch import StudyFetch

NEWS: Final = 3.0
"""Seconds at most that the catalogue is waited for where it tells of more than a study has."""

_STEP: Final = 0.15
"""Seconds between two looks."""


@define(eq=False)
class WebResource:
    """What one request names, of a study that is read."""

    fetch: StudyFetch
    resource: Resource
    budget: Budget
    """Bytes of instances in memory, of all requests."""
    promised: Callable[[], Awaitable[int]]
    """How many instances the catalogue tells of; 0 if it does not."""
    short: int = 0
    """Instances that the catalogue tells of, and that were not published."""

    def _wanted(self, entry: InstanceEntry) -> bool:
        of = self.resource
        return of.series in (None, entry.series_instance_uid) and of.instance in (
            None,
            entry.sop_instance_uid,
        )

    @property
    def _is_whole(self) -> bool:
        return self.fetch.settled and self.fetch.current

    @property
    def _known(self) -> list[Known]:
        return [known for known in self.fetch.present if self._wanted(known.entry)]

    @property
    def tag(self) -> str | None:
        """What changes with any of its instances; None as long as not all are known."""
        if not self._is_whole:
            return None
        digest = hashlib.sha256(self.fetch.study.raw)
        for known in self._known:
            digest.update(known.entry.sha256)
        return digest.hexdigest()[:32]

    @property
    def missing(self) -> int:
        """Instances that it has and that the PACS did not give; in which series one of them is,
        nobody knows."""
        left_out = self.fetch.left_out
        if self.resource.instance is not None:
            return int(self.resource.instance in left_out.uids)
        return left_out.count + self.short

    @property
    def why(self) -> str:
        """Why they cannot be had."""
        return self.fetch.left_out.why or "it has more of it than was published"

    async def _look(self, patience: float = 0.0) -> None:
        """Whether the catalogue tells of more than there is. Its news and that of a version come
        each by itself: a moment is left for both to be here."""
        self.short = 0
        if not self._is_whole or self.resource.instance is not None:
            return
        has = len(self._known) + self.fetch.left_out.count
        for more_time in (*[True] * round(patience / _STEP), False):
            self.short = max(0, await self.promised() - has)
            if not (self.short and more_time):
                break
            await trio.sleep(_STEP)

    @property
    def transfer_syntaxes(self) -> list[str]:
        """In which its known instances are stored."""
        return list(dict.fromkeys(known.entry.transfer_syntax_uid for known in self._known))

    async def instances(self) -> AsyncGenerator[EncodedInstance, None]:
        """Its instances, each as soon as it is here.

        Raises:
            NotFoundError: there is none.
            P2PacsError: why the others do not come.
        """
        fetch, given = self.fetch, list[Known]()
        cursor = fetch.cursor(self._wanted)
        while (known := await cursor.next()) is not None:
            if not given:
                await self._look()
            given.append(known)
            await self.budget.acquire(known.entry.size)
            try:
                yield await fetch.read(known)
            finally:
                self.budget.release(known.entry.size)
            if self.resource.instance:
                return
        await self._check_given(given)

    async def headers(self) -> AsyncGenerator[InstanceHeader, None]:
        """The headers of its instances, which are here before the pixels.

        Raises:
            NotFoundError: there is none.
            P2PacsError: why the others do not come.
        """
        given = list[Known]()
        async for known in self._listed():
            if not given:
                await self._look()
            given.append(known)
            entry = known.entry
            resource = Resource(
                self.resource.study, entry.series_instance_uid, entry.sop_instance_uid
            )
            data = await read_header_bytes(self.fetch, known)
            yield InstanceHeader(resource, entry.transfer_syntax_uid, data)
            if self.resource.instance:
                return
        await self._check_given(given)

    async def _check_given(self, given: Sequence[Known]) -> None:
        """Whether these are all that the newest version has.

        Raises:
            NotFoundError: there is none.
            UnavailableError: others are in it.
        """
        if not given:
            raise self._none()
        known = self.fetch.known
        if any(known[one.number - 1].entry.sha256 != one.entry.sha256 for one in given):
            raise UnavailableError("it changed in the PACS while it was sent: retrieve it again")
        await self._look(NEWS)

    async def _listed(self) -> AsyncGenerator[Known, None]:
        """Its instances as they become known, which is before they are here."""
        fetch, seen, begun = self.fetch, 0, False
        while True:
            mark = fetch.mark()
            await fetch.refresh()
            begun = begun or fetch.current
            if begun:
                known = tuple(fetch.known)
                for one in known[seen:]:
                    if not one.withdrawn and self._wanted(one.entry):
                        yield one
                seen = len(known)
                if fetch.settled and len(fetch.known) == seen:
                    return
            await fetch.moved(mark)

    def _none(self) -> NotFoundError | UnavailableError:
        if self.resource.instance is not None and self.missing:
            return UnavailableError(f"the PACS did not give this instance: {self.why}")
        kind = "instance" if self.resource.instance else "series"
        named = self.resource.series is not None
        return NotFoundError(f"no such {kind} in the study" if named else "it has no instances")
