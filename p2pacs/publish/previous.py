"""What is published of a study, loaded again: from the store, or from other members."""

from __future__ import annotations

import structlog
import trio

from p2pacs.errors import CodingError, CorruptStoreError, ManifestError, NotFoundError
from p2pacs.identity.keys import StudyKey, Verifier
from p2pacs.publish.context import PublishContext
from p2pacs.store import StudyStore
from p2pacs.study.builder import Published
from p2pacs.study.manifest import ChunkList, Root, load_root, load_segment
from p2pacs.study.reader import StudyReader
from p2pacs.study.study_index import StudyIndex

log = structlog.get_logger(__name__)


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


async def load_or_recover(
    context: PublishContext, files: StudyStore, key: StudyKey
) -> Published | None:
    """What the next version goes on from: the store's, the other members', or a number.

    A version that is in the store and that nobody heard of, as the program ended in between, is
    announced.

    Returns:
        None if nothing was ever published. Of a study that is lost everywhere an empty version
        with the number of the last one: members take none that is not above it.
    """
    study = files.study
    announced = await context.studies.find(study)
    version = announced.version if announced else 0
    for last in (False, True):
        try:
            found = await load_published(files, key, context.verifier)
        except (CorruptStoreError, CodingError, ManifestError) as error:
            log.error("published study is damaged", study=study.short, why=str(error))  # noqa: TRY400
            found = None
        if found is not None and found.root.version > version:
            await context.hooks.announce(study, found.root.version, found.root.complete)
        if found is not None or version == 0:
            return found
        if last or not await context.recover(study):
            break
    log.warning("published study is lost, publishing it anew", study=study.short)
    empty = Root(study, version, False, context.chunk_bytes, 0, 0, (), ())
    return Published(empty, ChunkList(), StudyIndex())
