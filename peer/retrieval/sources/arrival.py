"""A study on its way here, by one transfer after another: what can be mended here is mended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import structlog
import trio
from attrs import frozen

from p2pacs.errors import CorruptStoreError, DiskFullError, P2PacsError, UnavailableError
from p2pacs.ids import StudyId
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.swarm.scheduling.priority import Priority
from peer.retrieval.sources.resolve import ResolvedStudy
from peer.retrieval.sources.supply import Supply

T = TypeVar("T")


@frozen
class ArrivalTuning:
    """What an arrival goes by; seconds, unless it says otherwise."""

    patience: float = 20.0
    """Without a chunk or a newer manifest, after which the broker (or, when it is away, all
    members) is asked again who has the study. The transfer itself decides when to give up."""

    coalesce: float = 0.02
    """Between two looks at what has become whole."""

    mended: int = 3
    """Times that what rotted of one instance is fetched again before its reader is told."""


TUNING: Final = ArrivalTuning()
"""As measured."""

log = structlog.get_logger(__name__)


class Arrival:
    """Brings what a study lacks here; `begin` comes first.

    What stalls is asked for anew, what has rotted or is lost is fetched again, and where the store
    is full, room is made: whoever waits hears only of what cannot be mended here.

    Args:
        study: which.
        supply: where it comes from.
        began: told what was begun, when `transfer` may be another one.
        tuning: what it goes by.
    """

    def __init__(
        self,
        study: StudyId,
        supply: Supply,
        began: Callable[[ResolvedStudy], object],
        tuning: ArrivalTuning = TUNING,
    ) -> None:
        self.transfer: Transfer
        """What brings the chunks now, or did last."""
        self.priority = Priority.BACKGROUND
        """How urgent it is."""
        self.given_up = False
        """Whether its transfer was stopped because nobody wanted it any more."""
        self._study = study
        self._supply = supply
        self._began = began
        self._tuning = tuning
        self._found: ResolvedStudy
        self._restarting = trio.Lock()

    @property
    def fetching(self) -> bool:
        """Whether its transfer is under way."""
        return self.transfer.state is TransferState.FETCHING

    # ------------------------------------------------------------ beginning and ending

    def begin(self, found: ResolvedStudy, priority: Priority | None = None) -> None:
        """Fetch, or go on fetching, what is not here of this version or a newer one.

        Args:
            found: who has it.
            priority: how urgent it is from now on; None: as before.
        """
        self._found = found
        self.priority = self.priority if priority is None else priority
        self.given_up = False
        self.transfer = self._supply.start(found, self.priority)
        self._began(found)

    def prioritise(self, priority: Priority) -> None:
        """From now on it is this urgent."""
        self.priority = priority
        self.transfer.prioritise(priority)

    def give_up(self) -> None:
        """Stop fetching: what is here stays."""
        if self.fetching:
            self.given_up = True
            self.transfer.cancel()

    def stop(self, why: str) -> None:
        """Stop fetching, whoever reads it: whoever waits for the rest is told."""
        self.given_up = True
        self.transfer.end(UnavailableError(why))

    async def restart(self, why: str) -> None:
        """Fetch again what was here and is lost; however many readers find it, ask once."""
        async with self._restarting:
            if not self.fetching:
                log.warning("rotten chunks, fetched again", study=self._study.short, error=why)
                self._found = await self._supply.again()
            self.begin(self._found)

    # ------------------------------------------------------------ waiting

    def mark(self) -> tuple[object, ...]:
        """How far the transfer is: changes with whatever a reader may wait for."""
        transfer = self.transfer
        version = transfer.root.version if transfer.root else 0
        listed = len(transfer.chunks or ())
        return transfer, len(transfer.have), version, listed, transfer.state

    async def changed(self, since: tuple[object, ...]) -> None:
        """Until anything is other than at the time of the mark, for better or worse."""
        await self.transfer.watch.until(lambda: self.mark() != since)

    async def coalesce(self) -> None:
        """Let a few chunks more come before the next look: each look costs the same."""
        await trio.sleep(self._tuning.coalesce)

    async def moved(self, since: tuple[object, ...]) -> None:
        """Until more is here than at the time of the mark.

        Raises:
            P2PacsError: why nothing more will come.
        """
        while self.mark() == since and self.transfer.state is not TransferState.FAILED:
            if self.transfer.state is TransferState.COMPLETE:  # and yet something is missing
                await self.restart("chunks of a complete study are missing")
                if self.transfer.state is TransferState.COMPLETE:
                    short = self._study.short
                    raise UnavailableError(f"study {short} is not whole here: try again")
                return
            with trio.move_on_after(self._tuning.patience) as waiting:
                await self.changed(since)
            if waiting.cancelled_caught:
                log.info("nothing came, asking again", study=self._study.short)
                self.transfer.add_holders((await self._supply.again()).holders)
        if self.transfer.state is TransferState.FAILED:
            await self._mend(self.transfer.error)
        await self.coalesce()

    async def mended(self, numbers: Sequence[int], read: Callable[[], Awaitable[T]]) -> T:
        """Read what is in these chunks once they are here; what has rotted of them comes again.

        Raises:
            UnavailableError: what is missing did not come.
            P2PacsError: whatever the reading itself raises.
        """
        for _ in range(self._tuning.mended):
            await self._arrived(numbers)
            try:
                return await read()
            except CorruptStoreError as error:
                await self.restart(str(error))
        await self._arrived(numbers)
        return await read()

    async def _arrived(self, numbers: Sequence[int]) -> None:
        """Until these chunks can be read."""
        self.transfer.want(numbers)
        while not all(number in self.transfer.have for number in numbers):
            await self.moved(self.mark())

    async def _mend(self, error: P2PacsError | None) -> None:
        """Go on after a failure that can be mended here, else raise it."""
        need = self.transfer.bytes_total - self.transfer.bytes_held
        if isinstance(error, DiskFullError) and await self._supply.make_room(need):
            log.info("made room, going on", study=self._study.short)
            self.begin(await self._supply.again())
            return
        if isinstance(error, CorruptStoreError):  # told once; what is lost is not held any more
            await self.restart(str(error))
            return
        raise error or UnavailableError(f"fetching study {self._study.short} was stopped")
