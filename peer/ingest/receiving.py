"""An instance on its way into the spool: what came of it is on the disk, little of it in memory."""

from __future__ import annotations

import hashlib
import time
from types import TracebackType
from typing import Final, Self

from p2pacs.dataset.bare import read_instance
from p2pacs.dataset.elements import attributes_of
from p2pacs.dataset.header import Header, read_header, read_large_header
from p2pacs.dataset.incoming import InstanceUids
from p2pacs.dataset.instance import part10_head
from p2pacs.dataset.json_model import Json, dump, text
from p2pacs.dataset.uids import is_uid
from p2pacs.errors import BrokenInstanceError
from p2pacs.limits import INSTANCE_BYTES, MIB
from peer.spool.files import FileSpan, SpoolFile
from peer.spool.records import ArrivedInstance, SpoolOutcome
from peer.spool.spool import Spool

BLOCK_BYTES: Final = MIB
"""Held in memory of each instance that comes; what is not larger is written at its end."""

_UIDS = {
    "SOPClassUID": "SOP Class UID",
    "SOPInstanceUID": "SOP Instance UID",
    "StudyInstanceUID": "Study Instance UID",
    "SeriesInstanceUID": "Series Instance UID",
}


class Receiving:
    """An `p2pacs.dataset.incoming.IncomingInstance`, and a context manager. In any thread, in one
    at a time."""

    def __init__(
        self,
        spool: Spool,
        caller: str,
        uids: InstanceUids | None = None,
        *,
        syntax: str = "",
        most: int = INSTANCE_BYTES,
    ) -> None:
        """Nothing came yet.

        Args:
            spool: where it comes.
            caller: AE title, or whoever else sends it.
            uids: what is written is the data set that has these; None: a DICOM file (PS3.10 7),
                or what is left of one.
            syntax: transfer syntax of that, if somebody told it.
            most: bytes of a data set.
        """
        self._spool = spool
        self._most = most
        self._caller = caller
        self.uids = uids
        """None as long as they are not known."""
        self._syntax = syntax
        self._block = bytearray()
        self._digest = hashlib.sha256()
        self._size = 0
        """Bytes of the data set that are on the disk."""
        self._file: SpoolFile | None = None
        self._described: ArrivedInstance | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, piece: bytes) -> None:
        """The next bytes.

        Raises:
            DiskFullError: there is no room for them.
            BrokenInstanceError: no instance begins so, or none is as long.
            LocalError: they cannot be written.
        """
        self._block += piece
        if len(self._block) >= BLOCK_BYTES:
            self._flush(self._file or self._begin())

    def describe(self) -> ArrivedInstance:
        """That was all: what it is.

        Raises:
            BrokenInstanceError: it lacks a UID, or contradicts those that came with it.
            DiskFullError: there is no room.
            LocalError: it cannot be written.
        """
        if self._described is None:
            if self._file is not None:
                self._flush(self._file)
            uids = self.uids or self._identify()
            self._described = self._arrived(uids, checked_attributes(uids, self._header(uids)))
        return self._described

    def keep(self) -> SpoolOutcome:
        """That was all: keep it; returns when it survives a power cut.

        Raises:
            BrokenInstanceError: it lacks a UID, or contradicts those that came with it.
            DiskFullError: there is no room.
            ForbiddenError: its study may not be sent from here.
            LocalError: it cannot be written.
        """
        arrived, file = self.describe(), self._file
        if (before := self._spool.index.find_same(arrived)) is not None:
            return before
        if file is None:
            self._flush(file := self._begin())
        file.sync()
        file.close()
        self._file = None
        return self._spool.enter(arrived, file.path.name)

    def close(self) -> None:
        """Nothing stays of it unless it was kept."""
        self._block.clear()
        if self._file is not None:
            self._file.discard()
            self._file = None

    def _identify(self) -> InstanceUids:
        """Find the UIDs in the beginning of a file, and leave what stands before its data set."""
        instance = read_instance(bytes(self._block), self._syntax)
        self._block = bytearray(instance.data)
        self.uids = InstanceUids.of(instance)
        return self.uids

    def _begin(self) -> SpoolFile:
        uids = self.uids or self._identify()
        self._file = self._spool.files.create()
        self._file.write(part10_head(uids.sop_class, uids.instance, uids.transfer_syntax))
        return self._file

    def _flush(self, file: SpoolFile) -> None:
        if self._size + len(self._block) > self._most:
            raise BrokenInstanceError(
                f"an instance is longer than {self._most} bytes: send it in parts"
            )
        file.write(self._block)
        self._digest.update(self._block)
        self._size += len(self._block)
        self._block.clear()

    def _header(self, uids: InstanceUids) -> Header | None:
        """The header: out of memory, or of the beginning of the file."""
        if self._file is None:
            return read_header(bytes(self._block), uids.transfer_syntax)
        head = len(part10_head(uids.sop_class, uids.instance, uids.transfer_syntax))
        return read_large_header(
            FileSpan(self._file.path, head).read, self._size, uids.transfer_syntax
        )

    def _arrived(self, uids: InstanceUids, attributes: Json) -> ArrivedInstance:
        digest = self._digest.copy()
        digest.update(self._block)
        return ArrivedInstance(
            study_uid=text(attributes, "StudyInstanceUID"),
            series_uid=text(attributes, "SeriesInstanceUID"),
            uid=uids.instance,
            sop_class=uids.sop_class,
            syntax=uids.transfer_syntax,
            sha256=digest.digest(),
            size=self._size + len(self._block),
            attributes=dump(attributes),
            caller=self._caller,
            came=time.time_ns() // 1_000_000,
        )


def checked_attributes(uids: InstanceUids, header: Header | None) -> Json:
    """What the header of an instance says, if it can be published.

    Raises:
        BrokenInstanceError: it lacks a UID, or contradicts those that came with it.
    """
    if header is None:
        raise BrokenInstanceError("the header of an instance cannot be read")
    attributes = attributes_of(header)
    for keyword, name in _UIDS.items():
        if not is_uid(text(attributes, keyword)):
            raise BrokenInstanceError(f"an instance has no {name}")
    said = (text(attributes, "SOPClassUID"), text(attributes, "SOPInstanceUID"))
    if said != (uids.sop_class, uids.instance):
        raise BrokenInstanceError("the UIDs in an instance are not those that came with it")
    return attributes
