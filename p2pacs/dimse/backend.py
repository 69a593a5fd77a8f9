"""What stands behind a DICOM server: a peer's gateway, or the embedded archive."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from enum import Enum, IntEnum, auto
from typing import Protocol, Self

from attrs import field, frozen
from pydicom.dataset import Dataset

from p2pacs.dataset.answers import FindAnswers
from p2pacs.dataset.incoming import IncomingInstance, InstanceUids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dataset.vocabulary import QueryRoot
from p2pacs.dimse.association.contexts import Pair


class Ending(Enum):
    """How a retrieval ended."""

    OVER = auto()
    """All that there is was given, and sent or counted as failed."""
    BROKEN = auto()
    """An error ended it."""
    INTERRUPTED = auto()
    """The client cancelled it, or went away."""


def _nothing() -> None:
    return


def _nothing_at_the_end(ending: Ending) -> None:
    del ending


class Urgency(IntEnum):
    """Priority (0000,0700) of a request (PS3.7 9.3, E.1)."""

    MEDIUM = 0
    HIGH = 1
    LOW = 2

    @classmethod
    def of(cls, value: int | None) -> Self:
        """What a request says; medium where it says nothing that the standard knows."""
        return cls(value) if value in set(cls) else cls(cls.MEDIUM)


@frozen
class MissingInstances:
    """Instances that are asked for and cannot be had: failed sub-operations."""

    reason: str
    """For the Error Comment: without patient data."""
    uids: tuple[str, ...] = field(default=(), repr=False)
    """SOP Instance UIDs, as far as they are known."""
    unnamed: int = 0
    """How many more."""

    @property
    def count(self) -> int:
        """How many in all."""
        return len(self.uids) + self.unnamed


class Waiting(Enum):
    """What a retrieval gives while nothing is here."""

    NOTHING_YET = auto()


RetrievedItem = EncodedInstance | LargeInstance | MissingInstances | Waiting


@frozen
class Retrieval:
    """The instances that a C-MOVE or C-GET asks for, perhaps still arriving."""

    total: Callable[[], int]
    """How many there are, as far as known: it may grow while they arrive. From any thread."""
    instances: Iterator[RetrievedItem]
    """Read in the thread of the association; raises `P2PacsError` when no more can come. Where
    the next instance takes time it gives `Waiting.NOTHING_YET` now and then, so that progress is
    told, and a cancel or an abort is seen; one that reads ahead does so in threads of its own. A
    large one is read once, in order, before the next is asked for."""
    contexts: Callable[[], Collection[Pair]] = field(default=tuple)
    """(SOP Class, transfer syntax) of what is to come, as far as known. From any thread."""
    uids: Callable[[], Collection[str]] = field(default=tuple)
    """SOP Instance UIDs of all that is asked for, as far as known. From any thread."""
    arrived: Callable[[], None] = field(default=_nothing)
    """Called when the receiver has taken the instance that was given last."""
    close: Callable[[Ending], None] = field(default=_nothing_at_the_end)
    """Called once at the end, however it comes; a generator is closed before."""


class Backend(Protocol):
    """Called in threads of the server, several at once; must not block on the trio loop.

    A `P2PacsError` becomes its ``dicom_status`` and, cut to 64 characters, the Error Comment.
    """

    def find(
        self, identifier: Dataset, root: QueryRoot, caller: str, options: SearchOptions
    ) -> FindAnswers:
        """Answers to a C-FIND.

        Args:
            identifier: Query/Retrieve Level and keys.
            root: information model.
            caller: AE title of who asks.
            options: what was agreed on with it.
        """

    def retrieve(
        self,
        identifier: Dataset,
        root: QueryRoot,
        caller: str,
        purpose: str,
        urgency: Urgency,
        *,
        options: SearchOptions = LITERAL,
    ) -> Retrieval:
        """The instances that an identifier names.

        Args:
            identifier: Query/Retrieve Level and unique keys.
            root: information model.
            caller: AE title of who asks.
            purpose: for the audit: ``C-GET`` or ``C-MOVE to AET``.
            urgency: as the request says.
            options: what was agreed on with who asks.
        """

    def receive(self, uids: InstanceUids, caller: str) -> IncomingInstance:
        """Begin to keep an instance, whose data set then comes. Only called by a server that
        stores.

        Args:
            uids: its own.
            caller: AE title of who sends it.
        """
