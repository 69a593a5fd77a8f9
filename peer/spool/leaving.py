"""What need not lie in the spool any more: functions on a transaction."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from p2pacs.sql.portable import insert_missing
from peer.spool.tables import NOTHING, instances, recount, studies


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
