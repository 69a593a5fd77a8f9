"""A large instance on its way to the PACS: decoded piece by piece into a file without a name.

It lies there in plain, as it does in the PACS beside the broker and as the broker can decode it at
any time; nobody can open the file, and it is gone with the process, however that ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from p2pacs.dataset.large import LargeInstance
from p2pacs.errors import CodingError
from p2pacs.files.unnamed_file import UnnamedFile
from p2pacs.limits import MIB
from p2pacs.study.gathered import GatheredBlob
from p2pacs.study.reader import ReadChunk, StudyReader
from p2pacs.study.study_index import InstanceEntry

SLICE_BYTES: Final = 8 * MIB
"""Are decoded in one go, or a frame where that is larger."""

DecodeBlobs = Callable[[tuple[GatheredBlob, ...]], Awaitable[bytes]]
"""The bytes that these are of (`p2pacs.workers.coding.Workers.decode_blobs`)."""


@asynccontextmanager
async def decoded_file(
    reader: StudyReader, entry: InstanceEntry, read: ReadChunk, decode: DecodeBlobs, folder: Path
) -> AsyncIterator[LargeInstance]:
    """The instance, verified; it can be read inside the block.

    Args:
        reader: of its study.
        entry: out of the index.
        read: gives chunks.
        decode: decodes some blobs.
        folder: on whose disk the file lies.

    Raises:
        CodingError: it does not decode, or is not what was published.
        CorruptStoreError, ManifestError: see `StudyReader.gather`.
        DiskFullError, LocalError: it cannot be written.
    """
    file = await trio.to_thread.run_sync(UnnamedFile, folder)
    try:
        digest = hashlib.sha256()
        slices = reader.gather_slices(entry, read, SLICE_BYTES)
        while blobs := await trio.to_thread.run_sync(_next, slices):
            data = await decode(blobs)
            await trio.to_thread.run_sync(_write, file, data, digest)
        if digest.digest() != entry.sha256:
            study = reader.root.study.short
            raise CodingError(f"an instance of study {study} did not come out exact")
        yield LargeInstance(
            entry.sop_class_uid,
            entry.sop_instance_uid,
            entry.transfer_syntax_uid,
            entry.sha256,
            entry.size,
            file.read,
        )
    finally:
        file.close()


def _next(slices: Iterator[tuple[GatheredBlob, ...]]) -> tuple[GatheredBlob, ...]:
    return next(slices, ())


def _write(file: UnnamedFile, data: bytes, digest: hashlib._Hash) -> None:
    digest.update(data)
    file.write(data)
