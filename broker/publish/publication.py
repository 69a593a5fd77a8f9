"""One publication of one study, from what is out already to all that the PACS gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from attrs import frozen

from broker.pacs.adapter import Description, Detail, PacsAdapter
from broker.publish.coder import Coder
from broker.publish.pipeline import Pipeline
from broker.publish.previous import load_published
from broker.publish.progress import PublishProgress, PublishStage
from broker.publish.version_writer import PublishHooks, VersionWriter
from broker.study_keys import Study
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
from p2pacs.store import ChunkStore, StudyStore
from p2pacs.study.builder import Published, StudyBuilder
from p2pacs.study.manifest import ChunkList, Root
from p2pacs.study.study_index import StudyIndex

log = structlog.get_logger(__name__)


class KeySource(Protocol):
    """Ids and keys of studies, and which versions were announced (`StudyKeys`)."""

    def id_of(self, study_instance_uid: str) -> StudyId:
        """The id of a study in this network."""

    async def ensure(self, study_instance_uid: str) -> StudyKey:
        """The key of a study, made when it is first asked for."""

    async def find(self, study: StudyId) -> Study | None:
        """What is known of a study; None if it never had a key."""

    async def published(self, study: StudyId, version: int, *, complete: bool) -> None:
        """Remember that a version is out."""


@frozen
class PublishContext:
    """What all publications share."""

    pacs: PacsAdapter
    store: ChunkStore
    studies: KeySource
    signing_key: SigningKey
    outlets: PublishHooks
    recover: Callable[[StudyId], Awaitable[bool]]
    """Fetch what was published of a study back from other members; whether that worked."""
    budget: Budget
    coder: Coder
    chunk_bytes: int


class Publication:
    """Publishes a study; can be run again after an error, and then goes on."""

    def __init__(self, desk: PublishContext, staging: PublishProgress) -> None:
        self._desk = desk
        self._staging = staging
        self._handled: set[str] = set()

    async def run(self) -> Description:
        """Publish version after version until the PACS has no more; what it has.

        Raises:
            P2PacsError: it broke off; what is out stays.
        """
        desk, staging = self._desk, self._staging
        key = await desk.studies.ensure(staging.uid)
        files = await desk.store.study(staging.study)
        files.pin()
        try:
            previous = await self._previous(files, key)
            out = previous.root.chunks if previous else 0
            await files.cut_back(out)
            if previous is not None:
                staging.published(previous.root.version)
            builder = StudyBuilder(
                staging.study, key, staging.uid, previous, chunk_bytes=desk.chunk_bytes
            )
            press = VersionWriter(staging, builder, files, desk.signing_key, desk.outlets)
            known = set(previous.index.instances) if previous and not staging.everything else set()
            try:
                return await self._publish(press, known)
            except DiskFullError:
                await files.cut_back(max(out, press.chunks_out))
                raise
        finally:
            files.pin(pinned=False)

    async def _previous(self, files: StudyStore, key: StudyKey) -> Published | None:
        """What the next version goes on from: the store's, the other members', or a number."""
        study = files.study
        announced = await self._desk.studies.find(study)
        version = announced.version if announced else 0
        for last in (False, True):
            try:
                found = await load_published(files, key, self._desk.signing_key.public)
            except (CorruptStoreError, CodingError, ManifestError) as error:
                log.error("published study is damaged", study=study.short, why=str(error))  # noqa: TRY400
                found = None
            if found is not None or version == 0:
                return found
            if last or not await self._desk.recover(study):
                break
        log.warning("published study is lost, publishing it anew", study=study.short)
        empty = Root(study, version, False, self._desk.chunk_bytes, 0, 0, (), ())
        return Published(empty, ChunkList(), StudyIndex())

    async def _publish(self, press: VersionWriter, known: set[str]) -> Description:
        line = Pipeline(
            self._desk.pacs,
            press,
            self._staging,
            budget=self._desk.budget,
            coder=self._desk.coder,
        )
        try:
            described = await self._retrieve(line, known)
        except (PacsError, DeadlineError, NotFoundError):
            await press.cut(complete=False)
            raise
        if not press.instances:
            raise self._staging.problem or PacsDataError(
                f"{self._desk.pacs.name} lists no instances of study {self._staging.study.short}"
            )
        await press.cut(complete=True)
        return described

    async def _retrieve(self, line: Pipeline, known: set[str]) -> Description:
        """Ask and retrieve until nothing is missing: instances may arrive meanwhile.

        Counting is cheap, listing instances is not: some PACS open every file for it. So a
        study is retrieved whole when nothing of it is known, and listed only when the count
        is not what was got.
        """
        staging = self._staging
        while True:
            staging.stage = PublishStage.ASKING
            described = await self._desk.pacs.describe(staging.uid, Detail.SERIES)
            seen = known | self._handled
            staging.instances_wanted, staging.instances_done = described.count or 0, len(seen)
            missing: set[str] | None = None
            if described.count == len(seen) and seen:
                return described
            if seen:
                listed = await self._desk.pacs.describe(staging.uid, Detail.UIDS)
                missing = set(listed.instances) - seen
                if not missing:
                    return described
                described = listed
            staging.stage = PublishStage.RETRIEVING
            before = len(self._handled)
            await line.run(described, missing, self._handled)
            if len(self._handled) == before:
                count = "the" if missing is None else f"{len(missing)} of the"
                staging.problem = PacsDataError(
                    f"{self._desk.pacs.name} did not send {count} instances of study "
                    f"{staging.study.short}: check them in the PACS"
                )
                log.error("instances are missing", why=str(staging.problem))
                return described
