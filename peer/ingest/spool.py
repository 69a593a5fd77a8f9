"""The spool: instances as they came, on the disk, until they are safe elsewhere.

Order of writing: the file and its bytes (fsync), its name in the folder (fsync), then its row in
the index (committed, `synchronous=FULL`). An instance with a row is kept; who sent it hears so only
then. The last two steps are shared: whoever comes to them while another one is at it waits, and
then does them for all who wait. At a start files without a row are removed: nobody was told of
them.

Names of files are random: nothing of a patient is in them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final

import structlog
from attrs import define, field, frozen
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, dump, load, text
from p2pacs.errors import (
    BrokenInstanceError,
    CorruptStoreError,
    DiskFullError,
    ForbiddenError,
    LocalError,
    local_error,
)
from p2pacs.files.private_files import make_private_folder
from p2pacs.ids import StudyId
from p2pacs.sql.portable import insert_missing
from p2pacs.sql.sqlite import SqliteFile
from p2pacs.store.positioned import PLAIN, sync_folder
from peer.ingest.spool_tables import instances, prepare, studies

log = structlog.get_logger(__name__)

_INDEX: Final = "index.sqlite"
_FILES: Final = "instances"
_ENDING: Final = ".dcm"


class SpoolOutcome(Enum):
    """What became of an instance that came."""

    KEPT = auto()
    """It is on the disk, and will be published."""
    KNOWN = auto()
    """The same bytes were there before."""
    BESIDE = auto()
    """Other bytes came before under its UIDs: it is on the disk, and not published."""


@frozen
class SpooledInstance:
    """An instance in the spool."""

    number: int
    """In the order in which they came."""
    uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_class: str
    syntax: str
    sha256: bytes
    """Of the data set."""
    size: int
    """Bytes of the data set."""
    json: bytes = field(repr=False)
    file: str | None
    """None if it is not here any more, as it is safe elsewhere."""
    came: int
    """Milliseconds since 1970."""

    @property
    def attributes(self) -> Json:
        """What a C-FIND may tell of it."""
        return load(self.json)


@frozen
class SpooledStudy:
    """How far a study is."""

    uid: str = field(repr=False)
    study: StudyId | None
    """None while no broker has given an id."""
    version: int
    """Newest that was published here; 0 if none was."""
    newest: int
    """Number of its last instance; those that are kept beside do not count."""
    published: int
    """All instances up to this number are in that version."""
    safe: int
    """All instances up to this number are elsewhere, too."""
    instances: int
    bytes: int
    beside: int
    """How many came under the UID of another one."""
    callers: tuple[str, ...]
    """AE titles that it came from."""
    refused: str | None
    """Why nothing of it may be published."""


@define(eq=False)
class _Arrival:
    """An instance whose bytes are on the disk, and not its name yet."""

    values: dict[str, Any]
    taken: SpoolOutcome | None = None
    error: LocalError | None = None


def _nobody(_study_uid: str) -> None:
    return


class Spool:
    """The instances in one folder; threads may use it at once. `close` when done."""

    def __init__(self, folder: Path, *, reserve: int) -> None:
        """Open it, or make it.

        Args:
            folder: its own.
            reserve: bytes of the disk that stay free: what does not leave them is refused.

        Raises:
            LocalError: it cannot be made or read.
            StateError: it was written by a newer p2pacs.
        """
        self._folder = folder / _FILES
        self._reserve = reserve
        self._coming = 0
        self._counting = threading.Lock()
        self._arrivals: list[_Arrival] = []
        self._committing = threading.Lock()
        self.came: Callable[[str], None] = _nobody
        """Told the Study Instance UID of each instance that is kept, in the thread that put it."""
        try:
            make_private_folder(self._folder)
        except OSError as error:
            raise local_error(error, f"cannot make {self._folder}") from error
        self._index = SqliteFile(folder / _INDEX, "move the whole folder away and keep it")
        try:
            self._index.transact(prepare)
            self._remove_unknown()
        except LocalError:
            self._index.close()
            raise

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    # ------------------------------------------------------------ taking

    def put(self, instance: EncodedInstance, attributes: Json, caller: str) -> SpoolOutcome:
        """Keep an instance; returns when it survives a power cut.

        Args:
            instance: with its own UIDs.
            attributes: of its header; with Study and Series Instance UID.
            caller: AE title, or whoever else sent it.

        Raises:
            DiskFullError: it would not leave room enough.
            ForbiddenError: the broker lets nothing of this study be published.
            LocalError: it cannot be written.
        """
        values: dict[str, Any] = {
            "study_uid": text(attributes, "StudyInstanceUID"),
            "series_uid": text(attributes, "SeriesInstanceUID"),
            "uid": instance.sop_instance_uid,
            "sop_class": instance.sop_class_uid,
            "syntax": instance.transfer_syntax_uid,
            "sha256": hashlib.sha256(instance.data).digest(),
            "size": len(instance.data),
            "attributes": dump(attributes),
            "caller": caller,
            "came": time.time_ns() // 1_000_000,
        }
        with self._index.reading() as connection:
            if _find_same(connection, values):
                return SpoolOutcome.KNOWN
            if (why := _refusal(connection, values["study_uid"])) is not None:
                raise ForbiddenError(why)
        self._reserve_room(len(instance.data))
        try:
            arrival = _Arrival({**values, "file": self._write(instance)})
            self._confirm(arrival)
        finally:
            with self._counting:
                self._coming -= len(instance.data)
        if arrival.taken is not SpoolOutcome.KEPT:
            log.warning("an instance came that is another under its UID", taken=arrival.taken)
        else:
            self.came(values["study_uid"])
        return arrival.taken or SpoolOutcome.KEPT

    def _reserve_room(self, size: int) -> None:
        with self._counting:
            free = shutil.disk_usage(self._folder).free
            if free - self._coming - size < self._reserve:
                raise DiskFullError(
                    "no room for what is sent here: free space on the disk, or look why what came "
                    "before is not delivered (p2pacs status DIR)"
                )
            self._coming += size

    def _write(self, instance: EncodedInstance) -> str:
        name = secrets.token_hex(16) + _ENDING
        path = self._folder / name
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(instance.part10_head())
                file.write(instance.data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)
            raise local_error(error, "cannot keep what was sent here") from error
        return name

    def _confirm(self, arrival: _Arrival) -> None:
        """Make the name of a file durable, and enter it: for all who wait."""
        with self._counting:
            self._arrivals.append(arrival)
        with self._committing:
            if arrival.taken is None and arrival.error is None:
                with self._counting:
                    together, self._arrivals = self._arrivals, []
                self._commit(together)
        if arrival.error is not None:
            raise arrival.error

    def _commit(self, together: list[_Arrival]) -> None:
        try:
            sync_folder(self._folder)
            with self._index.writing() as connection:
                taken = [_enter(connection, one.values) for one in together]
        except OSError as error:
            failed: LocalError | None = local_error(error, "cannot keep what was sent here")
        except LocalError as error:
            failed = error
        else:
            failed = None
        if failed is not None:  # files without a row go at the next start
            for one in together:
                one.error = failed
            return
        for one, how in zip(together, taken, strict=True):
            one.taken = how
            if how is SpoolOutcome.KNOWN:
                self._remove(one.values["file"])

    def _remove(self, name: str) -> None:
        with suppress(OSError):  # the next start does it
            (self._folder / name).unlink()

    def _remove_unknown(self) -> None:
        with self._index.reading() as connection:
            query = select(instances.c.file).where(instances.c.file.is_not(None))
            known = set(connection.execute(query).scalars())
        found = {path.name for path in self._folder.iterdir()}
        for name in found - known:
            self._remove(name)
        if known - found:
            log.error("files of the spool are gone", count=len(known - found))

    # ------------------------------------------------------------ giving out

    def list_instances(self, study_uid: str, above: int = 0) -> list[SpooledInstance]:
        """What came of a study, in this order, without what is kept beside.

        Args:
            study_uid: Study Instance UID.
            above: only those of a higher number.
        """
        query = select(instances).where(
            instances.c.study_uid == study_uid,
            instances.c.number > above,
            instances.c.beside.is_(False),
        )
        with self._index.reading() as connection:
            rows = connection.execute(query.order_by(instances.c.number)).all()
        return [_instance(row) for row in rows]

    def read(self, spooled: SpooledInstance) -> EncodedInstance:
        """An instance as it came.

        Raises:
            CorruptStoreError: its file is gone, or has other bytes.
        """
        if spooled.file is None:
            raise CorruptStoreError("an instance is not in the spool any more")
        try:
            instance = EncodedInstance.from_part10((self._folder / spooled.file).read_bytes())
        except (OSError, BrokenInstanceError) as error:
            raise CorruptStoreError(
                f"cannot read {spooled.file} in the spool: send it again"
            ) from error
        if hashlib.sha256(instance.data).digest() != spooled.sha256:
            raise CorruptStoreError(f"{spooled.file} in the spool has rotted: send it again")
        return instance

    def drop(self, spooled: SpooledInstance) -> None:
        """Forget an instance that cannot be read any more: it is taken when it is sent again."""
        self._index.transact(
            lambda c: c.execute(delete(instances).where(instances.c.number == spooled.number))
        )

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
        with self._index.reading() as connection:
            rows = connection.execute(query).all()
            named: dict[str, list[str]] = {}
            for study_uid, caller in connection.execute(callers):
                named.setdefault(study_uid, []).append(caller)
            states = {row.uid: row for row in connection.execute(known)}
        return [_study(row, states.get(row.study_uid), named[row.study_uid]) for row in rows]

    # ------------------------------------------------------------ what becomes of them

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

    def safe(self, uid: str, newest: int) -> None:
        """All instances of a study up to this number are elsewhere: their files go."""
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

        for name in self._index.transact(work):
            self._remove(name)

    def _note(self, uid: str, **values: object) -> None:
        def work(connection: Connection) -> None:
            row = {"uid": uid, "version": 0, "published": 0, "safe": 0}
            insert_missing(connection, studies, row)
            connection.execute(update(studies).where(studies.c.uid == uid).values(**values))

        self._index.transact(work)


def _find_same(connection: Connection, values: dict[str, Any]) -> bool:
    same = select(instances.c.number).where(
        *(
            instances.c[name] == values[name]
            for name in ("uid", "study_uid", "sop_class", "syntax", "sha256")
        )
    )
    return connection.execute(same.limit(1)).first() is not None


def _refusal(connection: Connection, uid: str) -> str | None:
    query = select(studies.c.refused).where(studies.c.uid == uid)
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def _enter(connection: Connection, values: dict[str, Any]) -> SpoolOutcome:
    if _find_same(connection, values):
        return SpoolOutcome.KNOWN
    other = select(instances.c.number).where(
        instances.c.study_uid == values["study_uid"], instances.c.uid == values["uid"]
    )
    beside = connection.execute(other.limit(1)).first() is not None
    connection.execute(insert(instances).values(**values, beside=beside))
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
