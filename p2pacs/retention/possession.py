"""Proof that another member holds a study: demanded before a copy is dropped.

Whoever would drop its copy (the asker) still has every byte of it. It sends a fresh random nonce
and the numbers of its chunks; the other member (the prover) answers with one hash over the nonce,
both addresses, and all those chunks as its disk has them. The asker computes the same hash over its
own bytes. A word alone counts for nothing; docs/security.md says what a proof shows and what it
cannot.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, Protocol

import trio
from attrs import frozen

from p2pacs.bitfield import Bitfield
from p2pacs.identity.keys import Verifier
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import NONCE_BYTES
from p2pacs.study.manifest import load_root

_LABEL: Final = b"p2pacs possession 1\0"

_BATCH: Final = 64
"""Chunks read and hashed at a time: 4 MiB, and between two batches others have their turn."""


class HeldChunks(Protocol):
    """What is asked of a study in the store."""

    @property
    def have(self) -> Bitfield:
        """Numbers of the chunks that can be read."""

    @property
    def root(self) -> bytes | None:
        """The newest signed root."""

    async def flush(self) -> None:
        """Until all that was put survives a power cut."""

    async def read_many(self, numbers: Sequence[int], *, verify: bool = False) -> list[bytes]:
        """Several chunks at once, in the order asked."""


class HeldStudies(Protocol):
    """What is asked of the store."""

    def holds(self, study: StudyId) -> bool:
        """Whether anything of this study is here."""

    async def study(self, study: StudyId) -> HeldChunks:
        """Open a study."""


async def holds_whole(
    store: HeldStudies, broker_key: Verifier, study: StudyId, version: int
) -> bool:
    """Whether every chunk of that version, or of a newer one, is held, and on disk.

    Raises:
        LocalError: the store cannot be read or written.
        ManifestError: the stored root is not the broker's.
    """
    if not store.holds(study):
        return False
    held = await store.study(study)
    if held.root is None:
        return False
    root = load_root(held.root, broker_key, study)
    whole = root.complete and root.version >= version and len(held.have) >= root.chunks
    if whole:
        await held.flush()
    return whole


@frozen
class Challenge:
    """What a proof is of, and for whom: it is of no use to anybody else, or later."""

    study: StudyId
    asker: VirtualAddress
    prover: VirtualAddress
    numbers: Bitfield
    """Chunks that the asker holds, and would drop."""
    nonce: bytes

    @classmethod
    def fresh(
        cls, study: StudyId, asker: VirtualAddress, prover: VirtualAddress, numbers: Bitfield
    ) -> Challenge:
        """A challenge that never was before."""
        return cls(study, asker, prover, numbers.copy(), secrets.token_bytes(NONCE_BYTES))

    async def prove(self, chunks: HeldChunks) -> bytes:
        """The proof, over the stored bytes of all these chunks, each verified as it is read.

        Raises:
            NotFoundError: one of them is not held.
            CorruptStoreError: one of them has rotted; it is no longer held.
        """
        digest = hashlib.sha256(_LABEL + self.nonce)
        for part in (self.asker.raw, self.prover.raw, self.study.raw):
            digest.update(part)
        for numbers in self._batches():
            found = await chunks.read_many(numbers, verify=True)
            await trio.to_thread.run_sync(_add, digest, numbers, found)
        return digest.digest()

    def _batches(self) -> Iterator[list[int]]:
        numbers = iter(self.numbers)
        while batch := list(islice(numbers, _BATCH)):
            yield batch


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


def _add(digest: _Digest, numbers: Sequence[int], chunks: Sequence[bytes]) -> None:
    for number, data in zip(numbers, chunks, strict=True):
        digest.update(number.to_bytes(4, "big") + len(data).to_bytes(4, "big"))
        digest.update(data)
