"""What is published of a study, loaded again from the store."""

from __future__ import annotations

import trio

from p2pacs.errors import CorruptStoreError, NotFoundError
from p2pacs.identity.keys import StudyKey, Verifier
from p2pacs.store import StudyStore
from p2pacs.study.builder import Published
from p2pacs.study.manifest import ChunkList, load_root, load_segment
from p2pacs.study.reader import StudyReader


async def load_published(files: StudyStore, key: StudyKey, signed_by: Verifier) -> Published | None:
    """The newest version in the store, or None if there is none.

    Raises:
        CorruptStoreError: segments or chunks of its index are missing or rotten.
        CodingError: its index does not open with this key.
        ManifestError: it is not this broker's, or contradicts itself.
    """
    if files.root is None:
        return None
    root = load_root(files.root, signed_by, files.study)
    segments = [await files.segment(name) for name in root.segments]

    def load() -> Published:
        chunks = ChunkList()
        for number, raw in enumerate(segments):
            if raw is None:
                raise CorruptStoreError(f"the store lacks segments of study {files.study.short}")
            chunks.extend(load_segment(raw, root, number))
        reader = StudyReader(key, root, chunks)
        try:
            while not reader.whole:
                reader.load_part(files.load)
        except NotFoundError as error:
            raise CorruptStoreError(
                f"the store lacks chunks of the index of study {files.study.short}"
            ) from error
        return reader.published()

    return await trio.to_thread.run_sync(load)
