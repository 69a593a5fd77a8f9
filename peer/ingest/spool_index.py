"""The index of the spool: what is known of each instance that came, and of its study."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

from attrs import asdict
from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from p2pacs.errors import ForbiddenError
from p2pacs.ids import StudyId
from p2pacs.sql.portable import insert_missing
from p2pacs.sql.sqlite import SqliteFile
from peer.ingest.instance_progress import InstanceProgress, find_progress
from peer.ingest.recipient_index import RecipientIndex
from peer.ingest.spool_records import ArrivedInstance, SpooledInstance, SpooledStudy, SpoolOutcome
from peer.ingest.spool_tables import instances, prepare, studies

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
            ForbiddenError: the broker lets nothing of this study be published.
        """
        query = select(studies.c.refused).where(studies.c.uid == arrived.study_uid)
        with self._file.reading() as connection:
            if (outcome := _find_here(connection, _same(arrived))) is not None:
                return outcome
            why: str | None = connection.execute(query).scalar_one_or_none()
        if why is not None:
            raise ForbiddenError(why)
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
        query = select(instances.c.study_uid, instances.c.beside).where(*same)
        with self._file.reading() as connection:
            row = connection.execute(query.order_by(instances.c.beside).limit(1)).first()
        if row is None:
            return None
        return row.study_uid, SpoolOutcome.BESIDE if row.beside else SpoolOutcome.KNOWN

    def enter(self, arrived: Sequence[tuple[ArrivedInstance, str]]) -> list[SpoolOutcome]:
        """Enter instances whose files are on the disk, all or none.

        Args:
            arrived: each with the name of its file.

        Raises:
            LocalError: it cannot be written.
        """
        with self._file.writing() as connection:
            return [_enter(connection, one, file) for one, file in arrived]

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
            return sum(
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

        return self._file.transact(work)

    def find_progress(self, uids: Collection[str]) -> list[InstanceProgress]:
        """All that came under these SOP Instance UIDs; see `find_progress`."""
        with self._file.reading() as connection:
            return list(find_progress(connection, uids))

    def drop(self, spooled: SpooledInstance) -> None:
        """Forget an instance that cannot be read any more: it is taken when it is sent again."""
        self._file.transact(
            lambda c: c.execute(delete(instances).where(instances.c.number == spooled.number))
        )

    # ------------------------------------------------------------ studies

    def list_studies(self) -> list[SpooledStudy]:
        """All studies of which something came, in the order in which they began."""
        return self._list(None)

    def study(self, uid: str) -> SpooledStudy | None:
        """One study; None if nothing of it came."""
        return next(iter(self._list(uid)), None)

    def _list(self, uid: str | None) -> list[SpooledStudy]:
        counted = ~instances.c.beside
        columns = (
            instances.c.study_uid,
            func.min(instances.c.number).label("first"),
            func.coalesce(func.max(instances.c.number).filter(counted), 0).label("newest"),
            func.count().filter(counted).label("instances"),
            func.coalesce(func.sum(instances.c.size).filter(counted), 0).label("bytes"),
            func.count().filter(instances.c.beside).label("beside"),
        )
        query = select(*columns).group_by(instances.c.study_uid).order_by("first")
        callers = select(instances.c.study_uid, instances.c.caller).distinct()
        known = select(studies)
        if uid is not None:
            query = query.where(instances.c.study_uid == uid)
            callers = callers.where(instances.c.study_uid == uid)
            known = known.where(studies.c.uid == uid)
        with self._file.reading() as connection:
            rows = connection.execute(query).all()
            named: dict[str, list[str]] = {}
            for study_uid, caller in connection.execute(callers):
                named.setdefault(study_uid, []).append(caller)
            states = {row.uid: row for row in connection.execute(known)}
        return [_study(row, states.get(row.study_uid), named[row.study_uid]) for row in rows]

    def admitted(self, uid: str, study: StudyId) -> None:
        """The broker lets a study be published, under this id."""
        self._note(uid, study=study.raw, refused=None)

    def refuse(self, uid: str, why: str) -> None:
        """The broker does not let a study be published: nothing more of it is taken; what came
        stays."""
        self._note(uid, refused=why)

    def version_out(self, uid: str, version: int) -> None:
        """A version of a study was published."""
        self._note(uid, version=version)

    def all_out(self, uid: str, newest: int) -> None:
        """All instances of a study up to this number are in its newest version."""
        self._note(uid, published=newest)

    def safe(self, uid: str, newest: int) -> list[str]:
        """All instances of a study up to this number are elsewhere; the files that are not needed
        any more."""
        self._note(uid, safe=newest)
        which = (
            instances.c.study_uid == uid,
            instances.c.number <= newest,
            instances.c.beside.is_(False),
            instances.c.file.is_not(None),
        )

        def work(connection: Connection) -> list[str]:
            names = list(connection.execute(select(instances.c.file).where(*which)).scalars())
            connection.execute(update(instances).where(*which).values(file=None))
            return names

        return self._file.transact(work)

    def _note(self, uid: str, **values: object) -> None:
        def work(connection: Connection) -> None:
            row = {"uid": uid, "version": 0, "published": 0, "safe": 0}
            insert_missing(connection, studies, row)
            connection.execute(update(studies).where(studies.c.uid == uid).values(**values))

        self._file.transact(work)


def _same(arrived: ArrivedInstance) -> list[ColumnElement[bool]]:
    names = ("uid", "study_uid", "sop_class", "syntax", "sha256")
    return [instances.c[name] == getattr(arrived, name) for name in names]


def _find_here(connection: Connection, same: Iterable[ColumnElement[bool]]) -> SpoolOutcome | None:
    query = select(instances.c.beside).where(*same, instances.c.file.is_not(None))
    beside = connection.execute(query.order_by(instances.c.beside).limit(1)).scalar_one_or_none()
    if beside is None:
        return None
    return SpoolOutcome.BESIDE if beside else SpoolOutcome.KNOWN


def _enter(connection: Connection, arrived: ArrivedInstance, file: str) -> SpoolOutcome:
    if _find_here(connection, _same(arrived)) is not None:
        return SpoolOutcome.KNOWN
    # One that was safe elsewhere comes anew, under a new number: its sender wants it there, and
    # it may have been deleted since.
    connection.execute(delete(instances).where(*_same(arrived)))
    other = select(instances.c.number).where(
        instances.c.study_uid == arrived.study_uid, instances.c.uid == arrived.uid
    )
    beside = connection.execute(other.limit(1)).first() is not None
    row = {**asdict(arrived), "file": file, "beside": beside}
    connection.execute(insert(instances).values(row))
    return SpoolOutcome.BESIDE if beside else SpoolOutcome.KEPT


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


def _study(row: Row[Any], state: Row[Any] | None, callers: Iterable[str]) -> SpooledStudy:
    return SpooledStudy(
        uid=row.study_uid,
        study=None if state is None or state.study is None else StudyId(state.study),
        version=0 if state is None else state.version,
        newest=row.newest,
        published=0 if state is None else state.published,
        safe=0 if state is None else state.safe,
        instances=row.instances,
        bytes=row.bytes,
        beside=row.beside,
        callers=tuple(sorted(callers)),
        refused=None if state is None else state.refused,
    )
