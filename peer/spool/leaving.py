"""What need not lie in the spool any more: functions on a transaction."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, select, update

from p2pacs.sql.portable import insert_missing
from peer.spool.recipient_index import copies, recipients
from peer.spool.tables import NOTHING, cancellations, instances, recount, studies


def leave(connection: Connection, uid: str, newest: int) -> list[str]:
    """All instances of a study up to this number are elsewhere; the files that are not needed any
    more."""
    insert_missing(connection, studies, NOTHING | {"uid": uid})
    connection.execute(update(studies).where(studies.c.uid == uid).values(safe=newest))
    which = (
        instances.c.study_uid == uid,
        instances.c.number <= newest,
        instances.c.beside.is_(False),
        instances.c.file.is_not(None),
    )
    names = list(connection.execute(select(instances.c.file).where(*which)).scalars())
    connection.execute(update(instances).where(*which).values(file=None))
    recount(connection, uid)
    return names


def list_old(connection: Connection, before: int) -> list[str]:
    """Study Instance UIDs of the studies of which nothing is left to know here (`forget_old`)."""
    return list(connection.execute(select(studies.c.uid).where(*_is_old(before))).scalars())


def forget_old(connection: Connection, uid: str, before: int) -> bool:
    """Forget a study that has been in the PACS for long, unless it is wanted again; whether it was
    forgotten.

    Its rows say what a scanner may delete (Storage Commitment) and what was sent to whom. Neither
    is asked after weeks; what is sent again then comes like any other, and goes on from what is
    published.

    Args:
        connection: a transaction.
        uid: which.
        before: its last instance came before this: milliseconds since 1970.
    """
    which = delete(studies).where(studies.c.uid == uid, *_is_old(before))
    if not connection.execute(which).rowcount:
        return False
    connection.execute(delete(instances).where(instances.c.study_uid == uid))
    for table in (recipients, copies):
        connection.execute(delete(table).where(table.c.uid == uid))
    return True


def _is_old(before: int) -> list[ColumnElement[bool]]:
    """All of it is in the PACS, no file is here, and nobody waits for anything."""
    waited_for = select(recipients.c.uid).where(recipients.c.over.is_(False))
    return [
        studies.c.latest < before,
        studies.c.newest <= studies.c.published,
        studies.c.newest <= studies.c.safe,
        studies.c.spooled == 0,
        studies.c.beside == 0,
        studies.c.cancelled.is_(None),
        studies.c.refused.is_(None),
        studies.c.uid.not_in(waited_for),
        studies.c.uid.not_in(select(cancellations.c.uid)),
    ]
