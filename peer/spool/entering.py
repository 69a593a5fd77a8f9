"""Entering an instance in the spool's index: what becomes of it, and what it says of its study."""

from __future__ import annotations

import structlog
from attrs import asdict
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from p2pacs.dataset.json_model import Json, load, text
from p2pacs.ids import StudyId
from peer.spool.records import ArrivedInstance, SpoolOutcome
from peer.spool.tables import count_in, instances, studies

log = structlog.get_logger(__name__)


def _same(arrived: ArrivedInstance) -> list[ColumnElement[bool]]:
    names = ("uid", "study_uid", "sop_class", "syntax", "sha256")
    return [instances.c[name] == getattr(arrived, name) for name in names]


def find_here(connection: Connection, arrived: ArrivedInstance) -> tuple[SpoolOutcome, int] | None:
    """What became of the same bytes, and their number, if they are here already."""
    columns = (instances.c.beside, instances.c.number)
    query = select(*columns).where(*_same(arrived), instances.c.file.is_not(None))
    row = connection.execute(query.order_by(instances.c.beside).limit(1)).one_or_none()
    if row is None:
        return None
    return SpoolOutcome.BESIDE if row.beside else SpoolOutcome.KNOWN, row.number


def is_out(connection: Connection, study_uid: str, number: int) -> bool:
    """Whether an instance is published: the PACS may have had it, and somebody deleted it there,
    since a broker was asked last."""
    return number <= published_of(connection, study_uid)


def published_of(connection: Connection, study_uid: str) -> int:
    """Instances of a study up to this number are published."""
    query = select(studies.c.published).where(studies.c.uid == study_uid)
    return connection.execute(query).scalar() or 0


def look_again(connection: Connection, study_uid: str, number: int) -> None:
    """An instance that is here was sent again: its sender wants it in the PACS. What it was
    published for is over, so the broker sees anew whether the PACS has it."""
    published = studies.c.published
    which = (studies.c.uid == study_uid, published >= number)
    connection.execute(update(studies).where(*which).values(published=number - 1))


def enter_instance(connection: Connection, arrived: ArrivedInstance, file: str) -> SpoolOutcome:
    """Enter an instance whose file is on the disk, unless the same bytes are here."""
    if find_here(connection, arrived) is not None:
        return SpoolOutcome.KNOWN
    # One that was safe elsewhere comes anew, under a new number: its sender wants it there, and
    # it may have been deleted since.
    again = connection.execute(delete(instances).where(*_same(arrived))).rowcount > 0
    # What lies beside keeps none back: a broken one that is sent again in order is published.
    other = select(instances.c.number).where(
        instances.c.study_uid == arrived.study_uid,
        instances.c.uid == arrived.uid,
        instances.c.beside.is_(False),
    )
    beside = connection.execute(other.limit(1)).first() is not None
    row = {**asdict(arrived), "file": file, "beside": beside}
    made = connection.execute(insert(instances).values(row)).inserted_primary_key
    number = int(made[0]) if made else 0
    count_in(
        connection,
        arrived.study_uid,
        number,
        size=arrived.size,
        caller=arrived.caller,
        came=arrived.came,
        beside=beside,
        again=again,
    )
    if not beside:
        _note_patients(connection, arrived)
    return SpoolOutcome.BESIDE if beside else SpoolOutcome.KEPT


def _note_patients(connection: Connection, arrived: ArrivedInstance) -> None:
    """Note, and say once, that a study has instances of different patients."""
    of_study = instances.c.study_uid == arrived.study_uid
    query = select(instances.c.attributes).where(of_study, instances.c.beside.is_(False))
    first = connection.execute(query.order_by(instances.c.number).limit(1)).scalar_one()
    if not names_another_patient(load(first), load(arrived.attributes)):
        return
    unsaid = (studies.c.uid == arrived.study_uid, studies.c.mixed.is_(False))
    if connection.execute(update(studies).where(*unsaid).values(mixed=True)).rowcount:
        query = select(studies.c.study).where(studies.c.uid == arrived.study_uid)
        raw = connection.execute(query).scalar_one()
        log.warning(
            "instances of one study name different patients: all are kept and sent",
            study=None if raw is None else StudyId(raw).short,
            caller=arrived.caller,
        )


def names_another_patient(one: Json, other: Json) -> bool:
    """Whether two instances are of different patients, as far as both say."""
    return any(
        text(one, keyword) and text(other, keyword) and text(one, keyword) != text(other, keyword)
        for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
    )
