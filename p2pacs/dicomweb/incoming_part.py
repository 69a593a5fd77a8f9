"""An instance that comes as a part of a body: in memory, or a large one on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from p2pacs.dataset.bare import read_instance
from p2pacs.dataset.incoming import IncomingOnDisk, InstanceUids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import WHOLE_BYTES, LargeInstance
from p2pacs.dicomweb.multipart import BodyPart
from p2pacs.errors import BrokenInstanceError
from p2pacs.limits import MIB

_BLOCK_BYTES = MIB
"""Of a large part are written in one go."""

RetrievedPart = EncodedInstance | LargeInstance | BrokenInstanceError
"""The instance of a part, or what is wrong with it."""


class IncomingPart:
    """One part. `take` its pieces, and `write` when that says so; `end` gives the instance."""

    def __init__(self, headers: Mapping[str, str], folder: Path | None) -> None:
        """Nothing of its body came yet.

        Args:
            headers: of the part.
            folder: on whose disk a large one lies; None: in memory.
        """
        self._headers = headers
        self._folder = folder
        self._pieces: list[bytes] = []
        self._disk: IncomingOnDisk | None = None
        self._broken: BrokenInstanceError | None = None
        self.size = 0
        """Bytes of it in memory."""

    def take(self, piece: bytes) -> bool:
        """The next bytes; whether it is time to `write`."""
        self._pieces.append(piece)
        self.size += len(piece)
        most = WHOLE_BYTES if self._disk is None else _BLOCK_BYTES
        return self._folder is not None and self.size > most

    def write(self) -> None:
        """Write what came to the disk; blocking.

        Raises:
            LocalError: it cannot be written.
        """
        try:
            self._to_disk()
        except BrokenInstanceError as error:
            self._broken = error
        self._pieces, self.size = [], 0

    def end(self) -> RetrievedPart:
        """All came: the instance; blocking.

        Raises:
            LocalError: it cannot be written.
        """
        if self._disk is not None:
            self.write()
        if self._broken is not None:
            return self._broken
        if self._disk is not None:
            return self._disk.keep()
        try:
            return self._read()
        except BrokenInstanceError as error:
            return error

    def _to_disk(self) -> None:
        if self._broken is not None or self._folder is None:
            return
        if self._disk is None:
            beginning = self._read()
            self._disk = IncomingOnDisk(InstanceUids.of(beginning), self._folder)
            self._disk.write(beginning.data)
        else:
            self._disk.write(b"".join(self._pieces))

    def _read(self) -> EncodedInstance:
        part = BodyPart(self._headers, tuple(self._pieces))
        return read_instance(part.body(), part.parameter("transfer-syntax"))
