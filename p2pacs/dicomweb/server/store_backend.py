"""What a DICOMweb server stores into."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from attrs import field, frozen


@frozen
class KeptInstance:
    """What became of an instance that is on the disk."""

    study: str = field(repr=False)
    series: str = field(repr=False)
    sop_class: str
    instance: str = field(repr=False)
    known: bool = False
    """Whether the same bytes were there before."""
    beside: bool = False
    """Whether other bytes came before under its UID: it is kept, and goes nowhere."""


class InstanceWriter(Protocol):
    """An instance that is being received."""

    @property
    def sop_class_uid(self) -> str:
        """Of what kind it is; empty as long as, or if, that is not known."""

    @property
    def sop_instance_uid(self) -> str:
        """Which one it is; likewise."""

    async def write(self, piece: bytes) -> None:
        """The next bytes of its file (PS3.10).

        Raises:
            P2PacsError: it cannot be kept.
        """

    async def keep(self) -> KeptInstance:
        """That was all of it; returns when it survives a power cut.

        Raises:
            P2PacsError: why it is not kept.
        """


class StoreBackend(Protocol):
    """Keeps instances that are stored by STOW-RS."""

    def receive(
        self, caller: str, study: str | None
    ) -> AbstractAsyncContextManager[InstanceWriter]:
        """An instance that comes now; left without `keep` nothing of it stays.

        Args:
            caller: who stores it.
            study: the Study Instance UID that it must have, if any.
        """
