"""An instance while it comes: its bytes go where they are kept, piece by piece."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Protocol

from attrs import define, field, frozen

from p2pacs.dataset.instance import EncodedInstance


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


@define
class IncomingInMemory:
    """One that is gathered in memory, and then handed on."""

    _uids: InstanceUids
    _store: Callable[[EncodedInstance], None]
    """Keeps it, or raises `P2PacsError`."""
    _data: io.BytesIO = field(factory=io.BytesIO, init=False, repr=False)

    def write(self, piece: bytes) -> None:
        """See `IncomingInstance.write`."""
        self._data.write(piece)

    def keep(self) -> None:
        """See `IncomingInstance.keep`."""
        self._store(self._uids.with_data(self._data.getvalue()))

    def close(self) -> None:
        """See `IncomingInstance.close`."""
        self._data = io.BytesIO()
