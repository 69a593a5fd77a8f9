"""The catalogue in a database: studies to search in, numbered by their last change.

Synchronous; used in worker threads (several may read while one writes). At a
hospital it is a file of its own, which the broker's feed can fill again: one that
is broken, or of a version that is not known, is emptied. The broker's stands in its
database, with what else it must write in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

from attrs import frozen
from pydicom.dataset import Dataset
from sqlalchemy import Connection, Select, delete, func, insert, select
from sqlalchemy.sql.elements import ColumnElement

from p2pacs.catalogue import former, numbers, schema
from p2pacs.catalogue.conditions import conditions, dates_within, names_few
from p2pacs.catalogue.feed import FeedEntry, Tombstone, decode_entry, encode_entry
from p2pacs.catalogue.narrow import ASKED_TERMS, SEVERAL, terms_of
from p2pacs.catalogue.question import UNIQUE
from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.views import series_view, study_view
from p2pacs.dataset.elements import from_dataset
from p2pacs.dataset.json_model import Json
from p2pacs.errors import LocalError
from p2pacs.ids import StudyId
from p2pacs.limits import CATALOGUE_PAGE
from p2pacs.sql.portable import advance, insert_missing, upsert_numbered
from p2pacs.sql.sqlite import TUNING, SqliteFile, SqliteTuning

_BATCH: Final = 256
"""Records read or written at a time."""

_TERMS_RULE: Final = 2
"""By which terms are made; others are made anew, once."""

_KNOWN_RULE: Final = 1
"""By which `CatalogueIndex.known` is kept: before there was a number, headers of published studies
counted, too."""


@frozen
class FeedPage:
    """Changes after a sequence number, oldest first."""

    entries: tuple[FeedEntry, ...]
    until: int
    """Sequence number of the last one: ask again from here."""
    more: bool
    reset: bool
    """The asker's number is not of this index: it forgets what it had."""


class CatalogueDatabase(Protocol):
    """A database that has the index's tables among others."""

    def reading(self) -> AbstractContextManager[Connection]:
        """One state of it, whatever is written meanwhile."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction: committed at the end of the block, rolled back by an exception."""


class CatalogueIndex:
    """An index in a file of its own, or with other tables in a database; ``close`` when done."""

    def __init__(self, place: Path | CatalogueDatabase, tuning: SqliteTuning = TUNING) -> None:
        """Open it, or make it.

        Args:
            place: of its own file; or a database that has its tables, which stays its owner's.
            tuning: how long locks of its own file are waited for.

        Raises:
            LocalError: it cannot be made or read.
        """
        self._writing = Lock()
        self._own: SqliteFile | None = None
        if isinstance(place, Path):
            remedy = "remove it, it is filled again"
            place = self._own = SqliteFile(place, remedy, synchronous="NORMAL", tuning=tuning)
        self._database: CatalogueDatabase = place
        try:
            self._prepare()
        except LocalError:
            self.close()
            raise

    def _prepare(self) -> None:
        with self._database.writing() as connection:
            if self._own is not None:
                schema.prepare(connection)
            numbers.begin(connection)
            if self._own is not None and numbers.read(connection, "terms") != _TERMS_RULE:
                _make_terms(connection)  # nobody searches in another
            if numbers.read(connection, "known") != _KNOWN_RULE:
                _learn(connection)
            self._known = frozenset(connection.execute(select(schema.known.c.tag)).scalars())

    def close(self) -> None:
        """Close its own file."""
        if self._own is not None:
            self._own.close()

    # ------------------------------------------------------------ writing

    def upsert(self, records: Iterable[StudyRecord]) -> int:
        """Add or replace records, each with a new sequence number; the last number."""
        return self._write(records)

    def remove(self, studies: Iterable[StudyId]) -> int:
        """Leave a tombstone for each of these studies; the last sequence number."""
        return self._write(Tombstone(study) for study in studies)

    def apply(self, entries: Iterable[FeedEntry], until: int, *, reset: bool = False) -> None:
        """Take over a page of another index's feed, and where it leads to, at once."""
        self._write(entries, position=until, reset=reset)

    def _write(
        self, entries: Iterable[FeedEntry], *, position: int | None = None, reset: bool = False
    ) -> int:
        with self._writing, self._database.writing() as connection:
            if reset:
                connection.execute(delete(schema.terms))
                connection.execute(delete(schema.studies))
            learnt, changes = set[str](), list(entries)
            last = advance(connection, schema.state, "seq", len(changes))
            for seq, entry in enumerate(changes, start=last - len(changes) + 1):
                if position is None:
                    former.remember(connection, entry)
                _put(connection, entry, seq)
                if isinstance(entry, StudyRecord):
                    learnt |= tags_of(entry) - self._known
            _know(connection, learnt)
            if position is not None:
                numbers.write(connection, "position", position)
        self._known |= learnt  # only what is committed
        return last

    def set_vocabulary(self, version: int) -> None:
        """Remember with which vocabulary all studies were described."""
        with self._writing, self._database.writing() as connection:
            numbers.write(connection, "vocabulary", version)

    # ------------------------------------------------------------ reading

    @property
    def seq(self) -> int:
        """Sequence number of the last change here."""
        with self._database.reading() as connection:
            return numbers.read(connection, "seq")

    @property
    def position(self) -> int:
        """How far another index's feed was taken over; 0 if never."""
        with self._database.reading() as connection:
            return numbers.read(connection, "position")

    @property
    def vocabulary(self) -> int:
        """With which vocabulary all studies were described; 0 if they were not yet."""
        with self._database.reading() as connection:
            return numbers.read(connection, "vocabulary")

    @property
    def known(self) -> frozenset[str]:
        """Attributes that the PACS tells: it told a value of some study or series of which nothing
        was published. One that a record does not have is empty there (`find`)."""
        return self._known

    def __len__(self) -> int:
        query = select(func.count()).where(schema.studies.c.uid.is_not(None))
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def get(self, study: StudyId) -> StudyRecord | None:
        """The record of a study."""
        return self._one(schema.studies.c.study == bytes(study))

    def by_uid(self, uid: str) -> StudyRecord | None:
        """The record of a study by its Study Instance UID."""
        return self._one(schema.studies.c.uid == uid)

    def _one(self, condition: ColumnElement[bool]) -> StudyRecord | None:
        query = select(schema.studies.c.record).where(condition)
        with self._database.reading() as connection:
            raw = connection.execute(query).scalar_one_or_none()
        entry = None if raw is None else decode_entry(raw, own=True)
        return entry if isinstance(entry, StudyRecord) else None

    def uids(self) -> Iterator[tuple[str, StudyId]]:
        """Study Instance UID and id of every study."""
        columns = schema.studies.c.uid, schema.studies.c.study
        for uid, study in self._stream(select(*columns).where(columns[0].is_not(None))):
            yield uid, StudyId(study)

    def candidates(self, identifier: Dataset, *, fuzzy: bool = False) -> Iterator[StudyRecord]:
        """Studies that may match a C-FIND (or C-MOVE, C-GET) identifier.

        All that match are among them; indexed keys (UIDs, patient id and name, accession
        number, date, modalities) narrow what is read.

        Args:
            identifier: level and keys.
            fuzzy: whether names that sound alike match, too.
        """
        level = str(identifier.get("QueryRetrieveLevel") or "").strip()
        keys = from_dataset(identifier, [*ASKED_TERMS, *UNIQUE.values()])
        yield from self.narrowed(level, keys, fuzzy=fuzzy)

    def narrowed(self, level: str, keys: Json, *, fuzzy: bool = False) -> Iterator[StudyRecord]:
        """The same for keys in the JSON model."""
        tests = conditions(level, keys, fuzzy=fuzzy, known=self._known)
        yield from self._records(select(schema.studies.c.record).where(*tests))

    @property
    def one_each(self) -> bool:
        """Whether every study has one patient, and one date at most: each is one answer to a search
        for all, so that answers can be passed over unread (`newest`)."""
        several = select(schema.terms.c.study).where(schema.terms.c.kind == SEVERAL)
        with self._database.reading() as connection:
            return connection.execute(several.limit(1)).first() is None

    def newest(self, keys: Json, *, fuzzy: bool = False, skip: int = 0) -> Iterator[StudyRecord]:
        """The same at study level, in the order of Study Date, the latest first; those without one
        come last. Who takes the first ones alone has the others not read.

        Args:
            keys: of the search.
            fuzzy: whether names that sound alike match, too.
            skip: studies to be passed over unread; only where no key asks for anything.
        """
        tests = conditions("STUDY", keys, fuzzy=fuzzy, known=self._known)
        query = select(schema.studies.c.record).where(*tests)
        latest = schema.studies.c.seq.desc()
        dates = schema.terms.alias("dates")  # the conditions have terms of their own
        same = dates.c.study == schema.studies.c.id, dates.c.kind == "date"
        if names_few(keys):  # to be sorted; else the index of dates is gone through
            date = select(func.max(dates.c.value)).where(*same).scalar_subquery()
            yield from self._records(query.order_by(func.coalesce(date, "").desc(), latest))
            return
        within = dates_within(dates, keys)
        dated = query.join(dates, same[0]).where(same[1], *within)
        given = set[StudyId]()
        in_order = dated.order_by(dates.c.value.desc(), latest)
        for record in self._records(in_order.offset(skip) if skip else in_order):
            if record.study not in given:  # a study of several patients may have several dates
                given.add(record.study)
                yield record
        if not within:
            undated = query.where(~select(dates.c.study).where(*same).exists()).order_by(latest)
            beyond = max(0, skip - self._count_dated()) if skip else 0
            yield from self._records(undated.offset(beyond) if beyond else undated)

    def _count_dated(self) -> int:
        query = select(func.count()).where(schema.terms.c.kind == "date")
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def _records(self, query: Select[Any]) -> Iterator[StudyRecord]:
        """Of studies that there are still."""
        for (raw,) in self._stream(query.where(schema.studies.c.uid.is_not(None))):
            entry = decode_entry(raw, own=True)
            if isinstance(entry, StudyRecord):
                yield entry

    def former(self, study: StudyId) -> list[StudyRecord] | None:
        """What a study was before it changed, oldest first; None if it changed too often."""
        with self._database.reading() as connection:
            return former.records(connection, study)

    def since(self, seq: int, limit: int = CATALOGUE_PAGE) -> FeedPage:
        """The changes after a sequence number, each study once, tombstones included."""
        table = schema.studies.c
        with self._database.reading() as connection:
            last = numbers.read(connection, "seq")
            reset = not numbers.was_told(connection, seq)
            after = 0 if reset else seq
            query = select(table.seq, table.record).where(table.seq > after)
            if reset:
                query = query.where(table.uid.is_not(None))
            rows = connection.execute(query.order_by(table.seq).limit(limit + 1)).all()
        more = len(rows) > limit
        entries = tuple(decode_entry(raw, own=True) for _, raw in rows[:limit])
        return FeedPage(entries, rows[limit - 1][0] if more else last, more, reset)

    def _stream(self, query: Select[Any]) -> Iterator[Sequence[Any]]:
        with self._database.reading() as connection:
            result = connection.execution_options(yield_per=_BATCH).execute(query)
            yield from result


def _put(connection: Connection, entry: FeedEntry, seq: int) -> None:
    record = entry if isinstance(entry, StudyRecord) else None
    uid = record.uid if record else None
    row = {"study": bytes(entry.study), "uid": uid, "seq": seq, "record": encode_entry(entry)}
    key = upsert_numbered(connection, schema.studies, ["study"], row)
    connection.execute(delete(schema.terms).where(schema.terms.c.study == key))
    _put_terms(connection, key, terms_of(record) if record else ())


def tags_of(record: StudyRecord) -> set[str]:
    """The attributes of which the PACS told a value; none of a published study, of which the
    headers may have told it."""
    if record.version:
        return set()
    views = (study_view(record), *(series_view(series) for series in record.series))
    return {key for view in views for key, held in view.items() if held.get("Value")}


def _know(connection: Connection, learnt: Iterable[str]) -> None:
    for key in sorted(learnt):
        insert_missing(connection, schema.known, {"tag": key})


def _learn(connection: Connection) -> None:
    """What the PACS tells, out of the records of an index that did not keep that, once."""
    found = set[str]()
    query = select(schema.studies.c.record).where(schema.studies.c.uid.is_not(None))
    for raw in connection.execute(query).scalars():
        entry = decode_entry(raw, own=True)
        if isinstance(entry, StudyRecord):
            found |= tags_of(entry)
    connection.execute(delete(schema.known))
    _know(connection, found)
    numbers.write(connection, "known", _KNOWN_RULE)


def _make_terms(connection: Connection) -> None:
    """The terms of all studies, of an index that was filled by another rule."""
    connection.execute(delete(schema.terms))
    query = select(schema.studies.c.id, schema.studies.c.record)
    for key, raw in connection.execute(query.where(schema.studies.c.uid.is_not(None))):
        entry = decode_entry(raw, own=True)
        if isinstance(entry, StudyRecord):
            _put_terms(connection, key, terms_of(entry))
    numbers.write(connection, "terms", _TERMS_RULE)


def _put_terms(connection: Connection, key: int, terms: Iterable[tuple[str, str]]) -> None:
    rows = [{"kind": kind, "value": value, "study": key} for kind, value in terms]
    if rows:
        connection.execute(insert(schema.terms), rows)
