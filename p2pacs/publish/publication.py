"""One publication of one study, from what is out already to all that the PACS gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from attrs import frozen

from p2pacs.budget import Budget
from p2pacs.errors import (
    CodingError,
    CorruptStoreError,
    DeadlineError,
    DiskFullError,
    ManifestError,
    NotFoundError,
    PacsDataError,
    PacsError,
)
from p2pacs.identity.keys import SigningKey, StudyKey
from p2pacs.ids import StudyId
from p2pacs.publish.coder import Coder
from p2pacs.publish.pipeline import Pipeline
from p2pacs.publish.previous import load_published
from p2pacs.publish.progress import PublishProgress, PublishStage
from p2pacs.publish.source import Description, Detail, InstanceSource, StudyKeySource
from p2pacs.publish.version_writer import PublishHooks, VersionWriter
from p2pacs.store import ChunkStore, StudyStore
from p2pacs.study.builder import Published, StudyBuilder
from p2pacs.study.manifest import ChunkList, Root
from p2pacs.study.study_index import StudyIndex

log = structlog.get_logger(__name__)


@frozen
class PublishContext:
    """What all publications share."""

    source: InstanceSource
    store: ChunkStore
    studies: StudyKeySource
    signing_key: SigningKey
    hooks: PublishHooks
    recover: Callable[[StudyId], Awaitable[bool]]
    """Fetch what was published of a study back from other members; whether that worked."""
    budget: Budget
    coder: Coder
    chunk_bytes: int


class Publication:
    """Publishes a study; can be run again after an error, and then goes on."""

    def __init__(self, context: PublishContext, progress: PublishProgress) -> None:
        self._context = context
        self._progress = progress
        self._handled: set[str] = set()

    async def run(self) -> Description:
        """Publish version after version until the PACS has no more; what it has.

        Raises:
            P2PacsError: it broke off; what is out stays.
        """
        context, progress = self._context, self._progress
        key = await context.studies.ensure(progress.uid)
        files = await context.store.study(progress.study)
        files.pin()
        try:
            previous = await self._previous(files, key)
            out = previous.root.chunks if previous else 0
            await files.cut_back(out)
            if previous is not None:
                progress.published(previous.root.version)
            builder = StudyBuilder(
                progress.study, key, progress.uid, previous, chunk_bytes=context.chunk_bytes
            )
            writer = VersionWriter(progress, builder, files, context.signing_key, context.hooks)
            known = set(previous.index.instances) if previous and not progress.everything else set()
            try:
                return await self._publish(writer, known)
            except DiskFullError:
                await files.cut_back(max(out, writer.chunks_out))
                raise
        finally:
            files.pin(pinned=False)

    async def _previous(self, files: StudyStore, key: StudyKey) -> Published | None:
        """What the next version goes on from: the store's, the other members', or a number."""
        study = files.study
        announced = await self._context.studies.find(study)
        version = announced.version if announced else 0
        for last in (False, True):
            try:
                found = await load_published(files, key, self._context.signing_key.public)
            except (CorruptStoreError, CodingError, ManifestError) as error:
                log.error("published study is damaged", study=study.short, why=str(error))  # noqa: TRY400
                found = None
            if found is not None or version == 0:
                return found
            if last or not await self._context.recover(study):
                break
        log.warning("published study is lost, publishing it anew", study=study.short)
        empty = Root(study, version, False, self._context.chunk_bytes, 0, 0, (), ())
        return Published(empty, ChunkList(), StudyIndex())

    async def _publish(self, writer: VersionWriter, known: set[str]) -> Description:
        pipeline = Pipeline(
            self._context.source,
            writer,
            self._progress,
            budget=self._context.budget,
            coder=self._context.coder,
        )
        try:
            described = await self._retrieve(pipeline, known)
        except (PacsError, DeadlineError, NotFoundError):
            await writer.cut(complete=False)
            raise
        if not writer.instances:
            raise self._progress.problem or PacsDataError(
                f"{self._context.source.name} lists no instances of study "
                f"{self._progress.study.short}"
            )
        await writer.cut(complete=True)
        return described

    async def _retrieve(self, pipeline: Pipeline, known: set[str]) -> Description:
        """Ask and retrieve until nothing is missing: instances may arrive meanwhile.

        Counting is cheap, listing instances is not: some PACS open every file for it. So a
        study is retrieved whole when nothing of it is known, and listed only when the count
        is not what was got.
        """
        progress = self._progress
        while True:
            progress.stage = PublishStage.ASKING
            described = await self._context.source.describe(progress.uid, Detail.SERIES)
            seen = known | self._handled
            progress.instances_wanted, progress.instances_done = described.count or 0, len(seen)
            missing: set[str] | None = None
            if described.count == len(seen) and seen:
                return described
            if seen:
                listed = await self._context.source.describe(progress.uid, Detail.UIDS)
                missing = set(listed.instances) - seen
                if not missing:
                    return described
                described = listed
            progress.stage = PublishStage.RETRIEVING
            before = len(self._handled)
            await pipeline.run(described, missing, self._handled)
            if len(self._handled) == before:
                count = "the" if missing is None else f"{len(missing)} of the"
                progress.problem = PacsDataError(
                    f"{self._context.source.name} did not send {count} instances of study "
                    f"{progress.study.short}: check them in the PACS"
                )
                log.error("instances are missing", why=str(progress.problem))
                return described
