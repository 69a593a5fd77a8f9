"""What the spool knows of instances and studies."""

from __future__ import annotations

from enum import Enum, auto

from attrs import field, frozen

from p2pacs.dataset.json_model import Json, load
from p2pacs.ids import StudyId


class SpoolOutcome(Enum):
    """What became of an instance that came."""

    KEPT = auto()
    """It is on the disk, and will be published."""
    KNOWN = auto()
    """The same bytes are there already."""
    BESIDE = auto()
    """Other bytes came before under its UIDs: it is on the disk (sent again: since then), and not
    published."""
    BROKEN = auto()
    """It is on the disk, was found broken since, and is not published."""


@frozen
class ArrivedInstance:
    """An instance that came, as it is entered."""

    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    uid: str = field(repr=False)
    sop_class: str
    syntax: str
    sha256: bytes
    """Of the data set."""
    size: int
    """Bytes of the data set."""
    attributes: bytes = field(repr=False)
    """Of its header, as DICOM JSON."""
    caller: str
    """AE title, or whoever else sent it."""
    came: int
    """Milliseconds since 1970."""


@frozen
class SpooledInstance:
    """An instance in the spool."""

    number: int
    """In the order in which they came."""
    uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_class: str
    syntax: str
    sha256: bytes
    """Of the data set."""
    size: int
    """Bytes of the data set."""
    json: bytes = field(repr=False)
    file: str | None
    """None if it is not here any more, as it is safe elsewhere."""
    came: int
    """Milliseconds since 1970."""

    @property
    def attributes(self) -> Json:
        """What a C-FIND may tell of it."""
        return load(self.json)


@frozen
class SpooledStudy:
    """How far a study is."""

    uid: str = field(repr=False)
    study: StudyId | None
    """None while no broker has given an id."""
    version: int
    """Newest that was published here; 0 if none was."""
    newest: int
    """Number of its last instance; those that are kept beside do not count."""
    published: int
    """All instances up to this number are in that version."""
    safe: int
    """All instances up to this number are elsewhere, too."""
    instances: int
    bytes: int
    beside: int
    """How many are kept and not published: under the UID of another one, or broken."""
    callers: tuple[str, ...]
    """AE titles that it came from."""
    refused: str | None
    """Why nothing of it may be published."""
    number: int
    """By which it is named here, in the order in which they began."""
    spooled: int
    """Bytes of the data sets that have a file."""
    began: int
    """When the first instance came: milliseconds since 1970 ..."""
    latest: int
    """... and the last one."""
    cancelled: str | None
    """Who wants nothing more of it published."""
    mixed: bool = False
    """Whether its instances name different patients."""

    @property
    def is_open(self) -> bool:
        """Whether something is left to do for it."""
        return self.cancelled is None and self.refused is None and not self.is_stored

    @property
    def is_stored(self) -> bool:
        """Whether the PACS has all that came."""
        return self.newest <= min(self.published, self.safe)


@frozen
class StudyCommitment:
    """How the last request of an AE title for Storage Commitment of a study stands."""

    caller: str
    asked: int
    """When: milliseconds since 1970."""
    answered: int | None
    """When it took the answer, likewise; None: it was not told yet."""
    safe: int
    """Instances that are, ..."""
    failed: int
    """... that never will be, ..."""
    waiting: int
    """... and that are waited for. Once it was answered these count as failed."""
