"""An instance while it comes: its bytes go where they are kept, piece by piece."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Final, Protocol

from attrs import field, frozen

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import WHOLE_BYTES, LargeInstance
from p2pacs.files.unnamed_file import UnnamedFile
from p2pacs.limits import MIB

_BLOCK_BYTES: Final = MIB
"""Of a large instance are written in one go."""


@frozen
class InstanceUids:
    """What must be told of a data set before its bytes: group 0002 would (PS3.10 7.1)."""

    sop_class: str
    instance: str = field(repr=False)
    transfer_syntax: str

    @classmethod
    def of(cls, instance: EncodedInstance) -> InstanceUids:
        """Those of an instance."""
        return cls(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid)

    def with_data(self, data: bytes) -> EncodedInstance:
        """The instance, or the beginning of it, that they are of."""
        return EncodedInstance(self.sop_class, self.instance, self.transfer_syntax, data)


class IncomingInstance(Protocol):
    """One that comes, in one thread after the other. `close` it, whatever became of it."""

    def write(self, piece: bytes) -> None:
        """The next bytes of its data set.

        Raises:
            P2PacsError: it cannot be kept. Then nothing of it is, and the rest need not come.
        """

    def keep(self) -> object:
        """That was all: keep it. Returns when it is safe.

        Raises:
            P2PacsError: it is not kept.
        """

    def close(self) -> None:
        """Nothing stays of it unless it was kept."""


class IncomingOnDisk:
    """One that is gathered in memory unless it gets large: then in a file without a name."""

    def __init__(self, uids: InstanceUids, folder: Path) -> None:
        """Nothing came yet.

        Args:
            uids: its own.
            folder: on whose disk a large one lies.
        """
        self._uids = uids
        self._folder = folder
        self._held = io.BytesIO()
        self._file: UnnamedFile | None = None
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, piece: bytes) -> None:
        """See `IncomingInstance.write`.

        Raises:
            LocalError: it cannot be written.
        """
        self._size += len(piece)
        self._held.write(piece)
        if self._size > WHOLE_BYTES and self._held.tell() >= _BLOCK_BYTES:
            self._flush()

    def keep(self) -> EncodedInstance | LargeInstance:
        """All of it, or a way to it, for as long as somebody refers to it.

        Raises:
            LocalError: it cannot be written.
        """
        if self._size <= WHOLE_BYTES:
            return self._uids.with_data(self._held.getvalue())
        file, self._file = self._flush(), None
        uids = self._uids
        return LargeInstance(
            uids.sop_class,
            uids.instance,
            uids.transfer_syntax,
            self._digest.digest(),
            self._size,
            file.read,
        )

    def close(self) -> None:
        """See `IncomingInstance.close`."""
        self._held = io.BytesIO()
        if self._file is not None:
            self._file.close()

    def _flush(self) -> UnnamedFile:
        if self._file is None:
            self._file = UnnamedFile(self._folder)
        data, self._held = self._held.getvalue(), io.BytesIO()
        self._digest.update(data)
        self._file.write(data)
        return self._file
