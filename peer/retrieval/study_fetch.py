"""One study on its way here, and its instances as they become whole.

However many workstations and commands read a study, there is one `StudyFetch` of
it (`peer.retrieval.reader`). Each reader has a `Cursor` (`peer.retrieval.instances.cursor`). An
instance is joined for whoever takes it, one at a time; nothing decrypted is kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

import trio

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.pixel_data import Reading
from p2pacs.errors import (
    CorruptStoreError,
    NotFoundError,
)
from p2pacs.ids import StudyId
from p2pacs.phrases import Phrase
from p2pacs.study.excerpt import ExcerptRun, Excerpts
from p2pacs.study.study_index import LeftOut
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.swarm.scheduling.priority import Priority
from peer.retrieval.instances.cursor import Cursor, Wanted
from peer.retrieval.instances.fetch_order import first_of, looked_at, previews
from peer.retrieval.instances.instance_reader import InstanceReader, Preview
from peer.retrieval.instances.live_index import Known, LiveIndex
from peer.retrieval.instances.viewport import ViewRequest, shown
from peer.retrieval.sources.arrival import TUNING, Arrival, ArrivalTuning
from peer.retrieval.sources.resolve import ResolvedStudy
from peer.retrieval.sources.supply import Supply

T = TypeVar("T")

CANCELLED: Final = Phrase("the hospital that sends this study cancelled that: ask there")
"""Why the rest of a study does not come."""


class StudyFetch:
    """One study that this peer reads. `begin` comes first."""

    def __init__(
        self,
        study: StudyId,
        index: LiveIndex,
        instances: InstanceReader,
        supply: Supply,
        tuning: ArrivalTuning = TUNING,
    ) -> None:
        self.study = study
        self.users = 0
        """Readers at this moment."""
        self._viewed: ViewRequest | None = None
        self._previews: Sequence[int] = ()
        self._index = index
        self._instances = instances
        self._arrival = Arrival(study, supply, self._begun, tuning)
        self._least = 0
        self._one = trio.Lock()

    @property
    def known(self) -> Sequence[Known]:
        """The instances known so far; number n is at n - 1."""
        return self._index.known

    @property
    def present(self) -> list[Known]:
        """Those of them that the PACS has still."""
        return [known for known in self.known if not known.withdrawn]

    @property
    def left_out(self) -> LeftOut:
        """What the PACS lists and did not give: whoever retrieves the study is told."""
        return self._index.left_out

    @property
    def fetching(self) -> bool:
        """Whether its transfer is under way."""
        return self._arrival.fetching

    @property
    def transfer(self) -> Transfer:
        """What brings the chunks: another one after some of them were lost."""
        return self._arrival.transfer

    @property
    def priority(self) -> Priority:
        """How urgent it is."""
        return self._arrival.priority

    @property
    def given_up(self) -> bool:
        """Whether its transfer was stopped because nobody wanted it any more."""
        return self._arrival.given_up

    @property
    def current(self) -> bool:
        """Whether the index was read as far as the version that `begin` was told of: before,
        an instance may be known that has changed since."""
        return self._index.version >= max(1, self._least)

    @property
    def settled(self) -> bool:
        """Whether this version is the study's whole, and its index is read."""
        root = self.transfer.root
        return root is not None and root.complete and self._index.version == root.version

    # ------------------------------------------------------------ use

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While it is read: it is neither recycled nor given up."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1

    def cursor(self, wanted: Wanted | None = None, *, again: bool = False) -> Cursor:
        """A reader of the instances: see `Cursor`."""
        return Cursor(self, wanted, again=again)

    def instance(self, number: int) -> Known:
        """The instance of this number.

        Raises:
            NotFoundError: no such instance is known.
        """
        if not 0 < number <= len(self.known):
            raise NotFoundError(
                Phrase(
                    "study %(study)s has no image %(number)s (yet)",
                    study=self.study.short,
                    number=number,
                )
            )
        return self.known[number - 1]

    def by_uid(self, sop_instance_uid: str) -> Known | None:
        """The instance of this UID, if it is known and not withdrawn."""
        return self._index.by_uid(sop_instance_uid)

    def is_here(self, known: Known) -> bool:
        """Whether every chunk of an instance can be read."""
        have = self.transfer.have
        return all(number in have for number in known.chunks)

    async def read(self, known: Known) -> EncodedInstance:
        """Join one instance, byte for byte as the PACS sent it; what is missing is fetched.

        Raises:
            CodingError: it does not decode to what its hash says.
            UnavailableError: what is missing did not come.
        """
        return await self._arrival.mended(known.chunks, partial(self._instances.join, known))

    @property
    def is_all_here(self) -> bool:
        """Whether this version is the study's whole, and all of it can be read."""
        return self.settled and self.transfer.state is TransferState.COMPLETE

    async def ended(self) -> None:
        """Until its transfer is no longer under way."""
        while self.fetching:
            transfer = self.transfer
            await transfer.watch.until(lambda: transfer.state is not TransferState.FETCHING)  # noqa: B023

    async def decode_ahead(self, known: Known) -> bool:
        """See `InstanceReader.decode_ahead`."""
        return await self._instances.decode_ahead(known)

    async def decoded(self, known: Known) -> EncodedInstance | None:
        """An instance that image codecs made for an earlier reader, if it is still kept."""
        return await self._instances.decoded(known)

    def keeps(self, known: Known) -> bool:
        """Whether it is kept, as far as is known."""
        return self._instances.keeps(known)

    async def read_into(self, known: Known, buffer: memoryview) -> None:
        """The data set of one instance, into a buffer of its size.

        Raises:
            P2PacsError: as `read`.
        """
        if not await self._instances.decoded_into(known, buffer):
            buffer[:] = (await self.read(known)).data

    async def excerpts(self, known: Known) -> Excerpts:
        """What gives some bytes of an instance without the rest: for `run`, one at a time.

        Raises:
            CodingError: what the index declares does not add up.
        """
        return await self._instances.excerpts(known)

    async def want_beginning(
        self, told: Callable[[Sequence[Known]], object] = lambda _: None
    ) -> None:
        """Have what a viewer begins with come before all else: the headers, and the first image of
        the first series; until all instances are known.

        Args:
            told: given the instances that are new in the index, whose headers come first now. One
                may be named again later, changed.

        Raises:
            P2PacsError: why it does not come.
        """
        seen, shown = 0, False
        while True:
            mark = self.mark()
            await self.refresh()
            known = tuple(self.known)
            if new := known[seen:]:
                await self.want_headers(new)
                told(new)
            # Not before all headers are asked for: a viewer asks for no image before it has them.
            if not shown and self.current and (first := first_of(self.present)):
                shown, have = True, self.transfer.have
                self.transfer.want(number for number in first.chunks if number not in have)
            seen = len(known)
            if self.settled:
                return
            await self.moved(mark)

    async def want_headers(self, some: Sequence[Known]) -> None:
        """Have the headers of these instances come before all else, and together: who reads one
        after the other waits a round trip for each.

        Raises:
            CodingError: what the index declares does not add up.
        """
        needs, have = await self._instances.header_chunks(some), self.transfer.have
        self.transfer.want(number for number in needs if number not in have)

    async def run(self, excerpts: Excerpts, reading: Reading[T]) -> T:
        """What a reading makes of some bytes of an instance; they come before all others.

        Raises:
            CodingError: they do not decode to what their hashes say.
            UnavailableError: what is missing did not come.
            P2PacsError: whatever the reading itself raises.
        """
        run, needs = ExcerptRun(excerpts, reading), tuple[int, ...]()
        is_here = lambda number: number in self.transfer.have  # noqa: E731 - it may be another one
        while run.span is not None:
            read = partial(self._instances.go_on, run, is_here)
            needs = await self._arrival.mended(needs, read)
        return run.result

    async def read_headers(
        self, instances: Sequence[Known], make: Callable[[Excerpts], Reading[T]]
    ) -> list[T | None]:
        """What a reading makes of the header of each of several instances, as soon as all of them
        are here; None: use `run`.

        Raises:
            CodingError: something does not decode to what its hash says.
            UnavailableError: what is missing did not come.
            P2PacsError: whatever the reading itself raises.
        """
        needs = await self._instances.header_chunks(instances)
        read = partial(self._instances.read_here, instances, make)
        return await self._arrival.mended(sorted(needs), read)

    async def preview(self, known: Known, frame: int | None, level: int | None) -> Preview:
        """What can be shown of a frame before its instance is whole; nothing is waited for.

        Args:
            known: which instance.
            frame: from 1; None: the middle one.
            level: how fine at most; None: as coarse as there is.

        Raises:
            NotFoundError: there is nothing to show (yet).
            P2PacsError: it cannot be decoded.
        """
        coarsest = known.levels[0][0]
        level = coarsest if level is None else min(level, coarsest)
        frame = (known.entry.frames + 1) // 2 if frame is None else frame
        return await self._instances.preview(known, frame, level)

    # ------------------------------------------------------------ the transfer

    def begin(self, found: ResolvedStudy, priority: Priority) -> None:
        """Fetch, or go on fetching, what is not here of this version or a newer one.

        Args:
            found: who has it.
            priority: how urgent it is from now on, for all who read it.
        """
        self._arrival.begin(found, priority)

    def _begun(self, found: ResolvedStudy) -> None:
        self._least = max(self._least, found.version)
        self._show()

    def prioritise(self, priority: Priority) -> None:
        """From now on it is this urgent, for all who read it."""
        self._arrival.prioritise(priority)
        self._show()

    @property
    def awaited(self) -> bool:
        """Whether somebody looks at it, or waits to: then what can be shown soon comes first."""
        return self._viewed is not None or self.priority >= Priority.INTERACTIVE

    def look(self, request: ViewRequest | None) -> int:
        """From now on this is looked at, and comes first; None: nothing any more.

        Returns:
            So many instances of it are known already. Those that become known later are looked
            at from then on (`refresh`).
        """
        self._viewed = request
        return self._show()

    def _show(self) -> int:
        """Tell the transfer what comes first, as far as it is known; instances of the view."""
        viewed = [] if self._viewed is None else list(shown(self._viewed, self.known))
        urgent = self._previews if self.priority >= Priority.INTERACTIVE else ()
        self.transfer.look([*looked_at(viewed), *urgent])
        return len(viewed)

    async def follow(self) -> None:
        """Read the index as it comes, for whoever waits: before, no chunk has a meaning."""
        while self.awaited and self.fetching and not self.settled:
            mark = self.mark()
            await self.refresh()
            if not self.settled:
                await self.changed(mark)
                await self._arrival.coalesce()

    def give_up(self) -> None:
        """Stop fetching, unless somebody else reads it."""
        if self.users <= 1:
            self._arrival.give_up()

    def pause(self) -> None:
        """Stop fetching, whoever reads it: what is here stays, and whoever waits for the rest is
        told."""
        self._arrival.stop("this fetch was paused here: ask again to go on")

    def cancelled(self) -> None:
        """Stop fetching, whoever reads it: who sends it sends no more of it."""
        self._arrival.stop(CANCELLED)

    async def refresh(self) -> None:
        """Read the index as far as it is here; the rest of it is asked for first.

        Raises:
            ManifestError: the index cannot be.
            CodingError: the key does not open it.
        """
        if self.settled:
            return
        async with self._one:
            root, chunks = self.transfer.root, self.transfer.chunks
            if root is None or chunks is None:
                return
            have = self.transfer.have
            if len(chunks) < root.chunks:  # as far as they are listed, they can come meanwhile
                self.transfer.want(n for part in root.parts for n in part.numbers if n not in have)
                return
            await self._index.follow(root, chunks)
            parts = self._index.parts
            self.transfer.want(number for part in parts for number in part if number not in have)
            loaded = False
            for numbers in parts:
                if not all(number in have for number in numbers):
                    break
                try:
                    await self._index.load()
                except CorruptStoreError as error:
                    await self._arrival.restart(str(error))
                    return
                loaded = True
            if loaded:
                known = tuple(self.known)
                self._previews = await trio.to_thread.run_sync(previews, known)
                self._show()

    def mark(self) -> tuple[object, ...]:
        """How far the transfer is: changes with whatever a reader may wait for."""
        return self._arrival.mark()

    async def changed(self, since: tuple[object, ...]) -> None:
        """Until anything is other than at the time of the mark, for better or worse."""
        await self._arrival.changed(since)

    async def moved(self, since: tuple[object, ...]) -> None:
        """Until more is here than at the time of the mark.

        Raises:
            P2PacsError: why nothing more will come.
        """
        await self._arrival.moved(since)
