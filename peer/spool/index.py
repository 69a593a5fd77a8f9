"""The index of the spool: what is known of each instance that came, and of its study."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from p2pacs.dataset.json_model import Json, load
from p2pacs.errors import ForbiddenError
from p2pacs.ids import StudyId
from p2pacs.sql.portable import insert_missing
from p2pacs.sql.sqlite import SqliteFile
from peer.spool.entering import enter_instance, find_here, is_out, look_again, published_of
from peer.spool.instance_progress import InstanceProgress, find_progress
from peer.spool.leaving import forget_old, leave, list_old
from peer.spool.recipient_index import RecipientIndex
from peer.spool.records import ArrivedInstance, SpooledInstance, SpooledStudy, SpoolOutcome
from peer.spool.tables import NOTHING, cancellations, instances, prepare, recount, studies

CANCELLED: Final = "somebody here cancelled this study: have it sent again under Sent on the pages"

_REMEDY: Final = "move the whole folder away and keep it"


class SpoolIndex:
    """The rows of the spool; threads may use it at once. `close` when done."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it.

        Raises:
            LocalError: it cannot be made or read.
            StateError: it was written by a newer p2pacs.
        """
        with ExitStack() as opening:
            self._file = opening.enter_context(closing(SqliteFile(path, _REMEDY)))
            self.recipients = RecipientIndex(self._file)
            """To whom studies go."""
            self._file.transact(prepare)
            opening.pop_all()

    def close(self) -> None:
        """Close it."""
        self._file.close()

    # ------------------------------------------------------------ instances

    def find_same(self, arrived: ArrivedInstance) -> SpoolOutcome | None:
        """What became of the same bytes, if they are here already; if not, they may come.

        Raises:
            ForbiddenError: the broker lets nothing of this study be published, or somebody here
                cancelled it.
        """
        query = select(studies).where(studies.c.uid == arrived.study_uid)
        with self._file.reading() as connection:
            found = find_here(connection, arrived)
            is_again = found is not None and is_out(connection, arrived.study_uid, found[1])
            study = connection.execute(query).one_or_none()
        if found is not None:
            if is_again:
                self._look_again(arrived.study_uid, found[1])
            return found[0]
        if study is not None and study.cancelled is not None:
            raise ForbiddenError(CANCELLED)
        if study is not None and study.refused is not None:
            raise ForbiddenError(study.refused)
        return None

    def find_known(self, uid: str, syntax: str, sha256: bytes) -> tuple[str, SpoolOutcome] | None:
        """The study of an instance that is here, and what became of it; None of another.

        Args:
            uid: its SOP Instance UID.
            syntax: its Transfer Syntax UID.
            sha256: of its data set.
        """
        same = (
            instances.c.uid == uid,
            instances.c.syntax == syntax,
            instances.c.sha256 == sha256,
            instances.c.file.is_not(None),
        )
        columns = (instances.c.study_uid, instances.c.beside, instances.c.number)
        query = select(*columns).where(*same)
        with self._file.reading() as connection:
            row = connection.execute(query.order_by(instances.c.beside).limit(1)).first()
            if row is None:
                return None
            is_again = is_out(connection, row.study_uid, row.number)
            before = select(instances.c.number).where(
                instances.c.study_uid == row.study_uid,
                instances.c.uid == uid,
                instances.c.beside.is_(False),
            )
            other = connection.execute(before.limit(1)).first()
        if is_again:
            self._look_again(row.study_uid, row.number)
        if not row.beside:
            return row.study_uid, SpoolOutcome.KNOWN
        return row.study_uid, SpoolOutcome.BROKEN if other is None else SpoolOutcome.BESIDE

    def _look_again(self, study_uid: str, number: int) -> None:
        self._file.transact(lambda c: look_again(c, study_uid, number))

    def enter(self, arrived: Sequence[tuple[ArrivedInstance, str]]) -> list[SpoolOutcome]:
        """Enter instances whose files are on the disk, all or none.

        Args:
            arrived: each with the name of its file.

        Raises:
            LocalError: it cannot be written.
        """
        with self._file.writing() as connection:
            return [enter_instance(connection, one, file) for one, file in arrived]

    def list_files(self) -> set[str]:
        """Names of the files that belong to it."""
        query = select(instances.c.file).where(instances.c.file.is_not(None))
        with self._file.reading() as connection:
            return set(connection.execute(query).scalars())

    def list_instances(
        self, study_uid: str, above: int = 0, most: int | None = None
    ) -> list[SpooledInstance]:
        """What came of a study, in this order, without what is kept beside.

        Args:
            study_uid: Study Instance UID.
            above: only those of a higher number.
            most: so many of them; None: all.
        """
        query = select(instances).where(
            instances.c.study_uid == study_uid,
            instances.c.number > above,
            instances.c.beside.is_(False),
        )
        with self._file.reading() as connection:
            rows = connection.execute(query.order_by(instances.c.number).limit(most)).all()
        return [_instance(row) for row in rows]

    def set_aside(self, study_uid: str, uids: Iterable[str]) -> int:
        """Publish these no more, and keep them: they are broken; how many there are.

        Args:
            study_uid: Study Instance UID.
            uids: SOP Instance UIDs; those that are not here are passed over.
        """

        def work(connection: Connection) -> int:
            count = sum(
                connection.execute(
                    update(instances)
                    .where(
                        instances.c.study_uid == study_uid,
                        instances.c.uid == uid,
                        instances.c.beside.is_(False),
                        instances.c.file.is_not(None),
                    )
                    .values(beside=True)
                ).rowcount
                for uid in uids
            )
            if count:
                recount(connection, study_uid)
            return count

        return self._file.transact(work)

    def find_progress(self, uids: Collection[str]) -> list[InstanceProgress]:
        """All that came under these SOP Instance UIDs; see `find_progress`."""
        with self._file.reading() as connection:
            return list(find_progress(connection, uids))

    def drop(self, spooled: SpooledInstance) -> None:
        """Forget an instance that cannot be read any more: it is taken when it is sent again."""
        which = instances.c.number == spooled.number

        def work(connection: Connection) -> None:
            of = connection.execute(select(instances.c.study_uid).where(which)).scalar()
            connection.execute(delete(instances).where(which))
            if of is not None:
                recount(connection, of)

        self._file.transact(work)

    # ------------------------------------------------------------ studies

    def list_studies(self) -> list[SpooledStudy]:
        """All studies of which something came, in the order in which they began."""
        return self._list()

    def study(self, uid: str) -> SpooledStudy | None:
        """One study; None if nothing of it came."""
        return next(iter(self._list(studies.c.uid == uid)), None)

    def named(self, number: int) -> SpooledStudy | None:
        """The study of this number; None if there is none (any more)."""
        return next(iter(self._list(studies.c.number == number)), None)

    def _list(self, *which: ColumnElement[bool]) -> list[SpooledStudy]:
        there = studies.c.instances + studies.c.beside > 0
        query = select(studies).where(there, *which).order_by(studies.c.number)
        with self._file.reading() as connection:
            return [_study(row) for row in connection.execute(query)]

    def attributes(self, uid: str) -> Json:
        """What a C-FIND may tell of a study, out of the first instance of it; empty if it has
        none."""
        query = select(instances.c.attributes).where(instances.c.study_uid == uid)
        with self._file.reading() as connection:
            found = connection.execute(query.order_by(instances.c.number).limit(1)).scalar()
        return {} if found is None else load(found)

    def admitted(self, uid: str, study: StudyId) -> None:
        """The broker lets a study be published, under this id."""
        self._note(uid, study=study.raw, refused=None)

    def refuse(self, uid: str, why: str) -> None:
        """The broker does not let a study be published: nothing more of it is taken; what came
        stays."""
        self._note(uid, refused=why)

    def cancel(self, uid: str, by: str) -> None:
        """Somebody wants nothing more of a study published: nothing more of it is taken; what
        came stays. The broker is to be told."""
        count = select(studies.c.uid, studies.c.instances).where(studies.c.uid == uid)

        def work(connection: Connection) -> None:
            connection.execute(update(studies).where(studies.c.uid == uid).values(cancelled=by))
            connection.execute(delete(cancellations).where(cancellations.c.uid == uid))
            connection.execute(insert(cancellations).from_select(["uid", "count"], count))

        self._file.transact(work)

    def list_cancellations(self) -> dict[str, int]:
        """Studies that the broker is to be told of that they were cancelled, and how many instances
        of each had come."""
        with self._file.reading() as connection:
            rows = connection.execute(select(cancellations)).all()
        return {row[0]: row[1] for row in rows}

    def cancellation_over(self, uid: str) -> None:
        """The broker was told that a study was cancelled, or need not be told any more."""
        change = delete(cancellations).where(cancellations.c.uid == uid)
        self._file.transact(lambda c: c.execute(change))

    def retry(self, uid: str) -> None:
        """A study that was cancelled or refused may be published again. Of one that was cancelled
        the broker is told all anew: that it is sent, and to whom."""
        anew = update(studies).where(studies.c.uid == uid, studies.c.cancelled.is_not(None))

        def work(connection: Connection) -> None:
            connection.execute(anew.values(published=studies.c.safe))
            # Who was not told of it need not be; until publishing begins there would be time.
            connection.execute(delete(cancellations).where(cancellations.c.uid == uid))

        self._file.transact(work)
        self._note(uid, cancelled=None, refused=None)
        self.recipients.untold(uid)

    def forget_old(self, before: int) -> int:
        """Forget the studies that have been in the PACS for long, one at a time; how many there
        were; see `peer.spool.leaving.forget_old`."""
        with self._file.reading() as connection:
            old = list_old(connection, before)
        return sum(self._file.transact(partial(forget_old, uid=uid, before=before)) for uid in old)

    def remove(self, uid: str) -> list[str]:
        """Forget what is not elsewhere of a study, and that it was refused or cancelled; the files
        that nobody needs any more."""
        which = (instances.c.study_uid == uid, instances.c.file.is_not(None))

        def work(connection: Connection) -> list[str]:
            names = list(connection.execute(select(instances.c.file).where(*which)).scalars())
            connection.execute(delete(instances).where(*which))
            recount(connection, uid)
            nothing = studies.c.instances + studies.c.beside == 0
            connection.execute(delete(studies).where(studies.c.uid == uid, nothing))
            return names

        self._note(uid, cancelled=None, refused=None)

        return self._file.transact(work)

    def version_out(self, uid: str, version: int) -> None:
        """A version of a study was published."""
        self._note(uid, version=version)

    def all_out(self, uid: str, newest: int) -> None:
        """All instances of a study up to this number are in its newest version."""
        self._note(uid, published=newest)

    def home(self, uid: str, newest: int) -> list[str]:
        """All instances of a study up to this number are in the PACS, but for those that were sent
        again since it was asked for; the files that are not needed any more."""
        return self._file.transact(lambda c: leave(c, uid, min(newest, published_of(c, uid))))

    def safe(self, uid: str, newest: int) -> list[str]:
        """All instances of a study up to this number are elsewhere; the files that are not needed
        any more."""
        return self._file.transact(lambda c: leave(c, uid, newest))

    def _note(self, uid: str, **values: object) -> None:
        def work(connection: Connection) -> None:
            insert_missing(connection, studies, NOTHING | {"uid": uid})
            connection.execute(update(studies).where(studies.c.uid == uid).values(**values))

        self._file.transact(work)


def _instance(row: Row[Any]) -> SpooledInstance:
    return SpooledInstance(
        number=row.number,
        uid=row.uid,
        series_uid=row.series_uid,
        sop_class=row.sop_class,
        syntax=row.syntax,
        sha256=row.sha256,
        size=row.size,
        json=row.attributes,
        file=row.file,
        came=row.came,
    )


def _study(row: Row[Any]) -> SpooledStudy:
    return SpooledStudy(
        uid=row.uid,
        study=None if row.study is None else StudyId(row.study),
        version=row.version,
        newest=row.newest,
        published=row.published,
        safe=row.safe,
        instances=row.instances,
        bytes=row.bytes,
        beside=row.beside,
        callers=tuple(json.loads(row.callers)),
        refused=row.refused,
        number=row.number,
        spooled=row.spooled,
        began=row.began,
        latest=row.latest,
        cancelled=row.cancelled,
        mixed=row.mixed,
    )
