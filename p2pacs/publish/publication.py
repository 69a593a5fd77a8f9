"""One publication of one study, from what is out already to all that the PACS gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import structlog
import trio

from p2pacs.dataset.uids import is_standard_uid
from p2pacs.errors import (
    CodingError,
    CorruptStoreError,
    DeadlineError,
    DiskFullError,
    ManifestError,
    NotFoundError,
    P2PacsError,
    PacsDataError,
    PacsError,
)
from p2pacs.identity.keys import StudyKey
from p2pacs.ids import StudyId
from p2pacs.limits import TEXT
from p2pacs.publish.changes import SourceChanges
from p2pacs.publish.comparison import gone, missing
from p2pacs.publish.context import PublishContext
from p2pacs.publish.headers import with_headers
from p2pacs.publish.pipeline import Pipeline
from p2pacs.publish.previous import load_or_recover, load_published
from p2pacs.publish.progress import PublishProgress, PublishStage
from p2pacs.publish.source import Description, Detail
from p2pacs.publish.version_writer import VersionWriter
from p2pacs.store import StudyStore
from p2pacs.study.builder import Published, StudyBuilder
from p2pacs.study.study_index import InstanceEntry, LeftOut

log = structlog.get_logger(__name__)


def _warn_of_uids(
    study: StudyId, entries: Sequence[InstanceEntry], previous: Published | None
) -> None:
    """Say it once: not again of instances that were published before."""
    before = previous.index.instances if previous is not None else {}
    odd = [
        entry
        for entry in entries
        if entry.sop_instance_uid not in before and not is_standard_uid(entry.sop_instance_uid)
    ]
    if odd:
        log.warning(
            "SOP Instance UIDs are not as PS3.5 9.1 has them: some systems will not take these "
            "instances, and DIMSE carries none of more than 64 characters",
            study=study.short,
            count=len(odd),
        )


class Publication:
    """Publishes a study; can be run again after an error, and then goes on."""

    def __init__(self, context: PublishContext, progress: PublishProgress) -> None:
        self._context = context
        self._progress = progress
        self._handled: set[str] = set()
        """SOP Instance UIDs that came from the source, usable or not, or that do not come."""
        self._changes = SourceChanges(progress.study, context.found_equal)
        self._withdrawn = False
        """Whether instances are out of the newest version until they are read again."""

    async def run(self, *, last: bool = False) -> Description:
        """Publish version after version until the source has no more; what it has.

        Args:
            last: it will not be run again: if it breaks off, a closing version says what is
                missing, so that nobody waits for it.

        Raises:
            P2PacsError: it broke off; what is out stays.
        """
        context, progress = self._context, self._progress
        key = await context.studies.ensure(progress.uid)
        files = await context.store.study(progress.study)
        files.pin()
        try:
            previous = await load_or_recover(context, files, key)
            out = previous.root.chunks if previous else 0
            await files.cut_back(out)
            progress.is_new = previous is None or progress.is_new
            if previous is not None:
                progress.published(previous.root.version)
            builder = StudyBuilder(
                progress.study, key, progress.uid, previous, chunk_bytes=context.chunk_bytes
            )
            writer = VersionWriter(progress, builder, files, context.sign, context.hooks)
            try:
                described = await self._publish(writer, previous, last=last)
            except DiskFullError as error:
                await files.cut_back(max(out, writer.chunks_out))
                await self._close_full(files, key, error)
                raise
            entries = list(builder.entries)
            _warn_of_uids(progress.study, entries, previous)
            return await trio.to_thread.run_sync(with_headers, described, entries)
        finally:
            files.pin(pinned=False)

    async def _close_full(self, files: StudyStore, key: StudyKey, error: DiskFullError) -> None:
        """Who waits for more than what is out hears why it does not come: a closing version needs
        much less room than the one that did not fit. Where there is none for it either, nothing
        happens: who asks again is told (`broker.handlers.study_grants`)."""
        try:
            found = await load_published(files, key, self._context.verifier)
            if found is None or found.root.complete or not found.index.instances:
                return
            context, progress = self._context, self._progress
            builder = StudyBuilder(
                progress.study, key, progress.uid, found, chunk_bytes=context.chunk_bytes
            )
            writer = VersionWriter(progress, builder, files, context.sign, context.hooks)
            self._close(writer, DiskFullError(f"the broker has no room for them: {error}"))
            await writer.cut(complete=True)
        except (DiskFullError, CorruptStoreError, CodingError, ManifestError) as again:
            log.warning("no closing version", study=files.study.short, why=str(again))

    async def _publish(
        self, writer: VersionWriter, previous: Published | None, *, last: bool
    ) -> Description:
        pipeline = Pipeline(
            self._context.source,
            writer,
            self._progress,
            budget=self._context.budget,
            coder=self._context.coder,
            slice_coder=self._context.slice_coder,
            urgency=self._context.urgency,
        )
        try:
            described = await self._retrieve(pipeline, writer, previous)
        except (PacsError, DeadlineError, NotFoundError) as error:
            is_new = bool(self._handled) or self._withdrawn
            is_out = previous is not None and previous.root.complete and not is_new
            is_some = writer.instances > 0 or self._withdrawn
            is_last = (last or isinstance(error, NotFoundError)) and is_some
            if is_last and not is_out:
                self._close(writer, error)
            await writer.cut(complete=is_last or is_out)
            raise
        if not writer.instances:
            raise self._progress.problem or PacsDataError(
                f"{self._context.source.name} lists no instances of study "
                f"{self._progress.study.short}"
            )
        await writer.cut(complete=True)
        self._changes.read_in_whole()
        return described

    def _close(self, writer: VersionWriter, error: P2PacsError) -> None:
        """Say what the source did not give before it broke off."""
        named: set[str] = set()
        count = self._progress.instances_wanted
        if (described := self._changes.listed) is not None:
            named = set(described.instances) - writer.uids
        unnamed = 0 if named else max(1, count - writer.instances)
        why = f"{len(named) + unnamed}: {error}"
        self._leave_out(writer, LeftOut(tuple(sorted(named)), unnamed, why[:TEXT]))

    async def _retrieve(
        self, pipeline: Pipeline, writer: VersionWriter, previous: Published | None
    ) -> Description:
        """Ask and retrieve until nothing is missing: instances may arrive meanwhile.

        Counting is cheap, listing instances is not: some PACS open every file for it. So a new
        study is retrieved whole, and listed only when the count is not what was got. One that
        was published before is listed: instances may have come, gone, or changed.
        """
        progress, source = self._progress, self._context.source
        published = previous.index.instances if previous is not None else {}
        lacking = previous.index.left_out.uids if previous is not None else ()
        known = set() if progress.everything else set(published)
        while True:
            progress.stage = PublishStage.ASKING
            # Once instances were listed, a list is asked for again, as it counts, too.
            first = Detail.SERIES if self._changes.listed is None else Detail.UIDS
            described = await source.describe(progress.uid, first)
            self._raise_if_corrected_since(described)
            await self._compare_study(described, published)
            if self._changes.is_corrected:
                known = set()
            seen = known | self._handled
            progress.instances_wanted, progress.instances_done = described.count or 0, len(seen)
            wanted: set[str] | None = None
            if published or self._handled:
                is_all = described.count == len(seen) == writer.instances
                if is_all and not (published or lacking or progress.left_out):
                    return described
                if first is Detail.SERIES:
                    described = await source.describe(progress.uid, Detail.UIDS)
                withdrawn, replaced = await self._compare_list(writer, described, published)
                wanted = (set(described.instances) - seen) | replaced
                progress.nameless.clear()
                if not wanted:
                    return self._finish(writer, described, previous)
                if replaced or withdrawn or wanted - published.keys() - {*lacking}:
                    await self._reopen(writer, replaced)
            progress.stage = PublishStage.RETRIEVING
            progress.compared()
            before = len(self._handled)
            await pipeline.run(described, wanted, self._handled)
            if len(self._handled) == before:
                self._nothing_came(wanted)
                if wanted is None:
                    return described
                return self._finish(writer, described, previous)

    def _raise_if_corrected_since(self, described: Description) -> None:
        """What was read before a correction may be as it was before: all is read again.

        Raises:
            PacsDataError: patient or study are others than when it was asked last.
        """
        if not self._changes.begins_anew(described, has_read=bool(self._handled)):
            return
        self._withdrawn = True
        self._handled.clear()
        self._progress.anew()
        raise PacsDataError(f"{self._context.source.name} corrected the study while it was read")

    def _nothing_came(self, wanted: set[str] | None) -> None:
        error = PacsDataError(f"{self._context.source.name} lists it and does not send it")
        for uid in wanted or ():
            self._progress.fail(error, uid)
        if wanted is None:
            self._progress.problem = PacsDataError(
                f"{self._context.source.name} did not send the instances of study "
                f"{self._progress.study.short}: check them there"
            )

    async def _compare_study(
        self, described: Description, published: Mapping[str, InstanceEntry]
    ) -> None:
        """If patient or study were corrected since, all instances are read again."""
        if self._changes.is_corrected:
            return
        if await trio.to_thread.run_sync(self._changes.compare_study, described, published):
            log.info("a study was corrected in its source", study=self._progress.study.short)
            self._progress.everything = True

    async def _compare_list(
        self, writer: VersionWriter, described: Description, published: Mapping[str, InstanceEntry]
    ) -> tuple[frozenset[str], set[str]]:
        """Take out what is gone from the source; that, and what must be read again."""
        has_read = bool(self._handled)
        await trio.to_thread.run_sync(
            partial(self._changes.note_list, described, has_read=has_read)
        )
        withdrawn = self._withdraw(writer, described)
        replaced = await trio.to_thread.run_sync(self._changes.replaced, published, withdrawn)
        return withdrawn, replaced - self._handled

    async def _reopen(self, writer: VersionWriter, replaced: set[str]) -> None:
        """Say that more comes before it does, so that nobody takes what is out for all there is;
        instances that are replaced are not given any more until they are read again."""
        if writer.withdraw(replaced & writer.uids):
            self._withdrawn = True
        await writer.cut(complete=False)

    def _finish(
        self, writer: VersionWriter, described: Description, previous: Published | None
    ) -> Description:
        """Say what is missing."""
        progress = self._progress
        before = previous.index.left_out if previous is not None else LeftOut()
        duplicates = progress.duplicates
        if not progress.everything and not self._handled:
            duplicates = before.unnamed  # nothing was asked for that could show them again
        left_out = missing(described, writer.uids, duplicates=duplicates, why=progress.why)
        if (left_out.uids, left_out.unnamed) != (before.uids, before.unnamed):
            self._leave_out(writer, left_out)
        self._changes.read_what_differed()
        return described

    def _leave_out(self, writer: VersionWriter, left_out: LeftOut) -> None:
        writer.leave_out(left_out)
        self._progress.missing = left_out
        if left_out.count:
            log.warning(
                "instances are missing",
                study=self._progress.study.short,
                count=left_out.count,
                why=left_out.why,
            )

    def _withdraw(self, writer: VersionWriter, described: Description) -> frozenset[str]:
        found = gone(described, writer.uids, self._handled)
        if count := writer.withdraw(found):
            log.info(
                "instances are gone from their source",
                study=self._progress.study.short,
                count=count,
            )
        return found
