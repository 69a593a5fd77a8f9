"""Who is linked with which broker, and when a member was last: functions on a transaction."""

from __future__ import annotations

from sqlalchemy import Connection, delete, update

from broker.database.db import now
from broker.database.schema import links, members
from p2pacs.ids import VirtualAddress
from p2pacs.sql.portable import insert_missing


def seen(
    connection: Connection, broker: VirtualAddress, address: VirtualAddress, *, linked: bool
) -> None:
    """Keep that a member's link with a broker was opened or closed just now."""
    last = update(members).where(members.c.address == address.raw).values(last_seen=now())
    connection.execute(last)
    link = {"broker": broker.raw, "member": address.raw}
    if linked:
        insert_missing(connection, links, link)
    else:
        connection.execute(
            delete(links).where(links.c.broker == broker.raw, links.c.member == address.raw)
        )


def none_linked(connection: Connection, broker: VirtualAddress) -> None:
    """No member is linked with this broker: it starts or has stopped."""
    connection.execute(delete(links).where(links.c.broker == broker.raw))
