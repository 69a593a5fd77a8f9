"""A study, series or instance that a DICOMweb client reads
(a `p2pacs.dicomweb.server.backend.OpenedResource`)."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, Protocol, TypeVar

import trio
from attrs import define, field, frozen

from p2pacs.concurrency.budget import Budget
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import WHOLE_BYTES
from p2pacs.dataset.metadata import MetadataWriter
from p2pacs.dicomweb.server.backend import InstanceData, Resource
from p2pacs.dicomweb.server.told import InstanceMetadata
from p2pacs.errors import NotFoundError, P2PacsError, UnavailableError
from p2pacs.limits import KIB, MIB
from p2pacs.study.study_index import InstanceEntry
from peer.gateway.studies.announced import NEWS, Announced
from peer.gateway.web.metadata_texts import TOGETHER, MetadataTexts
from peer.retrieval.instances.cursor import Cursor
from peer.retrieval.instances.live_index import Known
from peer.retrieval.instances.read_ahead import ReadAhead, ReadRequest
from peer.retrieval.large_reads import LargeRead
from peer.retrieval.study_fetch import StudyFetch

T = TypeVar("T")

_NO_WAIT: Final = 0.0

_RUN: Final = 16 * MIB
"""Bytes of instances that lie decoded and are taken one after the other: each by itself would cost
more in tasks than in reading, and within a run some are put together while others are sent."""

_RUN_HELD: Final = 4 * MIB
"""Bytes of those that are in memory at once, at most."""

_USUAL_HEADER: Final = 64 * KIB
"""Bytes of a header, as far as reading ahead counts them."""


def asks_for(resource: Resource, entry: InstanceEntry) -> bool:
    """Whether an instance of the study is, or is part of, what is named."""
    return resource.series in (None, entry.series_instance_uid) and resource.instance in (
        None,
        entry.sop_instance_uid,
    )


class ReadingRecord(Protocol):
    """What the audit will tell of a reading."""

    def begun(self, known: Known, /) -> None:
        """An instance, or something of it, is read for the client, ..."""

    def arrived(self, known: Known, /) -> None:
        """... and the client took it."""

    def ended(self, short: int, error: P2PacsError | None, /) -> None:
        """That was all, but for so many that the PACS has; or why there is no more."""


@frozen
class StoredInstance:
    """An instance for a client (a `p2pacs.dicomweb.server.backend.InstanceData`)."""

    fetch: StudyFetch
    known: Known
    nursery: trio.Nursery
    """Where a large one is read."""
    made: EncodedInstance | None = None
    """None: it lies decoded, or is large."""

    @property
    def outline(self) -> InstanceEntry:
        """Which one."""
        return self.known.entry

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Its data set; see `StudyFetch.read` and `LargeRead.next`."""
        if self.known.entry.size <= WHOLE_BYTES:
            yield (self.made or await self.fetch.read(self.known)).data
            return
        reading = LargeRead(self.fetch, self.known)
        self.nursery.start_soon(reading.run)
        while (piece := await reading.next()) is not None:
            yield piece

    async def read_into(self, buffer: memoryview) -> None:
        """Its data set; see `StudyFetch.read_into`."""
        if self.made is None:
            await self.fetch.read_into(self.known, buffer)
        else:
            buffer[:] = self.made.data


@frozen
class _InstanceRun:
    """Instances that are taken one after the other."""

    known: Sequence[Known]
    instances: Sequence[InstanceData]

    @property
    def held(self) -> int:
        """Bytes of them that are in memory at once."""
        return _held([known.entry.size for known in self.known])


def _held(sizes: Sequence[int]) -> int:
    return min(max(*sizes, min(sum(sizes), _RUN_HELD)), WHOLE_BYTES)


@define(eq=False)
class WebResource:
    """What one request names, of a study that is read."""

    fetch: StudyFetch
    resource: Resource
    cursor: Cursor
    """Through the instances that `asks_for` names."""
    budget: Budget
    """Bytes of instances in memory, of all requests."""
    announced: Announced
    record: ReadingRecord
    nursery: trio.Nursery
    """Where it is read ahead: to be cancelled at the end."""
    texts: MetadataTexts
    """Of all requests."""
    compare: Callable[[], Awaitable[None]]
    """Has the study compared with the PACS."""
    short: int = 0
    """Instances that the catalogue tells of, and that were not published."""
    _taken: int = field(default=0, init=False)
    """Of the budget."""
    _promised: frozenset[int] | None = field(default=None, init=False)
    """Numbers of the instances of which the client was told the sizes; None: it was not."""

    def _wanted(self, entry: InstanceEntry) -> bool:
        return asks_for(self.resource, entry)

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

    @property
    def transfer_syntaxes(self) -> list[str]:
        """In which its known instances are stored."""
        return list(dict.fromkeys(known.entry.transfer_syntax_uid for known in self._known))

    @property
    def outline(self) -> Sequence[InstanceEntry] | None:
        """Its instances without their data; None as long as not all are known. No others are given
        from then on."""
        if not self._is_whole:
            return None
        known = self._known
        self._promised = frozenset(one.number for one in known)
        return [one.entry for one in known]

    # ------------------------------------------------------------ what is in it

    async def instances(self) -> AsyncGenerator[Sequence[InstanceData], None]:
        """Its instances, each as soon as it is here; the next ones are read meanwhile. Of those
        that lie decoded, several at once: they are read when they are taken.

        Raises:
            NotFoundError: there is none.
            P2PacsError: why the others do not come.
        """
        with self._read(self._instances()) as ahead:
            while (run := await ahead.next()) is not None:
                yield run.instances
                self._release(run.held)
                for one in run.known:
                    self.record.arrived(one)

    async def metadata(self) -> AsyncGenerator[Sequence[InstanceMetadata], None]:
        """The metadata of its instances, whose headers are here before the pixels, many at once.

        Raises:
            NotFoundError: there is none.
            P2PacsError: why the others do not come.
        """
        with self._read(self._metadata()) as ahead:
            while (some := await ahead.next()) is not None:
                known, texts = some
                yield texts
                for one in known:
                    self.record.arrived(one)

    def close(self) -> None:
        """What was read and not taken is let go of."""
        self._release(self._taken)

    def _release(self, size: int) -> None:
        self._taken -= size
        self.budget.release(size)

    @contextmanager
    def _read(self, requests: AsyncGenerator[ReadRequest[T], None]) -> Iterator[ReadAhead[T]]:
        ahead = ReadAhead(requests)
        self.nursery.start_soon(ahead.run)
        try:
            yield ahead
        except P2PacsError as error:
            self.record.ended(self.short, error)
            raise
        self.record.ended(self.short, None)

    async def _instances(self) -> AsyncGenerator[ReadRequest[_InstanceRun], None]:
        given = list[Known]()
        await self._compare_short()
        while not self._is_promised(given) and (first := await self.cursor.next()) is not None:
            if self._promised is not None and first.number not in self._promised:
                continue
            some = self._with_others(first)
            for known in some:
                await self._begin(known, given)
            size = _held([known.entry.size for known in some])
            await self.budget.acquire(size)
            self._taken += size
            yield ReadRequest(size, partial(self._run, some))
            if self.resource.instance:
                return
        await self._check_given(given)

    def _with_others(self, first: Known) -> Sequence[Known]:
        """An instance, and if it lies decoded those behind it that do, too."""
        some, left = [first], _RUN - first.entry.size

        def fits(known: Known) -> bool:
            is_new = self._promised is not None and known.number not in self._promised
            return known.entry.size <= left and self.fetch.keeps(known) and not is_new

        while self.fetch.keeps(first) and (known := self.cursor.another(fits)) is not None:
            some.append(known)
            left -= known.entry.size
        return some

    async def _run(self, some: Sequence[Known]) -> _InstanceRun:
        fetch = self.fetch
        read = (  # in a worker, while others are given
            len(some) == 1 and some[0].entry.size <= WHOLE_BYTES and not fetch.keeps(some[0])
        )
        made = await fetch.read(some[0]) if read else None
        return _InstanceRun(
            some, [StoredInstance(fetch, known, self.nursery, made) for known in some]
        )

    async def _metadata(
        self,
    ) -> AsyncGenerator[ReadRequest[tuple[Sequence[Known], Sequence[InstanceMetadata]]], None]:
        given, writer = list[Known](), MetadataWriter()
        await self._compare_short()
        async for listed in self._listed():
            if self.resource.instance is None:
                await self.fetch.want_headers(listed)
            for at in range(0, len(listed), TOGETHER):
                some = listed[at : at + TOGETHER]
                for known in some:
                    await self._begin(known, given)
                size = sum(min(known.entry.size, _USUAL_HEADER) for known in some)
                yield ReadRequest(size, partial(self._metadata_of, some, writer))
        await self._check_given(given)

    async def _metadata_of(
        self, instances: Sequence[Known], writer: MetadataWriter
    ) -> tuple[Sequence[Known], Sequence[InstanceMetadata]]:
        study = self.resource.study
        return instances, await self.texts.of(self.fetch, study, instances, writer)

    async def _begin(self, known: Known, given: list[Known]) -> None:
        if not given:
            await self._look()
        given.append(known)
        self.record.begun(known)

    def _is_promised(self, given: Sequence[Known]) -> bool:
        """Whether these are all that the client was told of: what is new since is for its next
        request, and what is gone since is missed."""
        return self._promised is not None and len(given) >= len(self._promised)

    async def _compare_short(self) -> None:
        """Where the catalogue tells of more than is here, the study is compared with the PACS
        before anything is given: what is here is not what was asked for."""
        await self.fetch.refresh()
        await self._look()
        if self.short:
            await self.compare()

    async def _look(self, patience: float = _NO_WAIT) -> None:
        """Whether the catalogue tells of more than there is."""
        short = 0
        if self._is_whole and self.resource.instance is None:
            has = len(self._known) + self.fetch.left_out.count
            short = await self.announced.beyond(self.fetch.study, has, patience)
        self.short = short

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

    async def _listed(self) -> AsyncGenerator[list[Known], None]:
        """Its instances as they become known, which is before they are here."""
        fetch, seen, begun = self.fetch, 0, False
        named = self.resource.instance
        while True:
            mark = fetch.mark()
            await fetch.refresh()
            begun = begun or fetch.current
            if begun:
                known = tuple(fetch.known)
                found = [
                    one for one in known[seen:] if not one.withdrawn and self._wanted(one.entry)
                ]
                seen = len(known)
                if found:
                    yield found
                is_all = fetch.settled and len(fetch.known) == seen
                if is_all or (found and named is not None):
                    return
            await fetch.moved(mark)

    def _none(self) -> NotFoundError | UnavailableError:
        if self.resource.instance is not None and self.missing:
            return UnavailableError(f"the PACS did not give this instance: {self.why}")
        kind = "instance" if self.resource.instance else "series"
        named = self.resource.series is not None
        return NotFoundError(f"no such {kind} in the study" if named else "it has no instances")
