"""Requests for Storage Commitment that wait, in the peer's database: functions on a transaction."""

from __future__ import annotations

import json
from typing import Final

from attrs import field, frozen
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from p2pacs.dimse.commitment import CommitmentRequest, Reference
from p2pacs.errors import BusyError, UsageError
from p2pacs.limits import COMMITMENTS, COMMITMENTS_OF_ONE
from peer.db import commitments

MILLISECONDS: Final = 1000
"""Of a second."""


@frozen
class RequestKey:
    """Which request: Transaction UIDs are unique for one caller, who may lie about it."""

    caller: str
    """AE title."""
    transaction: str = field(repr=False)


@frozen
class WaitingRequest:
    """A request that was not answered yet."""

    key: RequestKey
    asked: int
    """Milliseconds since 1970."""
    references: tuple[Reference, ...] = field(repr=False)


def keep_request(connection: Connection, request: CommitmentRequest, caller: str, now: int) -> bool:
    """Keep a request until it is answered; the same one again changes nothing. Whether it is new.

    Raises:
        UsageError: its Transaction UID is that of another one, which waits.
        BusyError: too many wait.
    """
    key = RequestKey(caller, request.transaction)
    if (known := find_request(connection, key)) is not None:
        if known.references != request.references:
            raise UsageError("this Transaction UID is in use for other instances")
        return False
    everybody = connection.execute(select(func.count()).select_from(commitments)).scalar_one()
    same = select(func.count()).where(commitments.c.caller == caller)
    if everybody >= COMMITMENTS or connection.execute(same).scalar_one() >= COMMITMENTS_OF_ONE:
        raise BusyError("too many requests for Storage Commitment wait")
    pairs = [(one.sop_class, one.uid) for one in request.references]
    row = {
        "caller": caller,
        "uid": request.transaction,
        "asked": now,
        "instances": json.dumps(pairs, separators=(",", ":")).encode(),
    }
    connection.execute(insert(commitments).values(row))
    return True


def list_requests(connection: Connection) -> list[RequestKey]:
    """All that wait, in the order in which they came."""
    query = select(commitments.c.caller, commitments.c.uid).order_by(commitments.c.asked)
    return [RequestKey(row.caller, row.uid) for row in connection.execute(query)]


def find_request(connection: Connection, key: RequestKey) -> WaitingRequest | None:
    """One that waits; None if it does not."""
    row = connection.execute(select(commitments).where(*_which(key))).one_or_none()
    if row is None:
        return None
    references = tuple(Reference(*pair) for pair in json.loads(row.instances))
    return WaitingRequest(key, row.asked, references)


def drop_request(connection: Connection, key: RequestKey) -> None:
    """It waits no more."""
    connection.execute(delete(commitments).where(*_which(key)))


def _which(key: RequestKey) -> tuple[ColumnElement[bool], ...]:
    return commitments.c.caller == key.caller, commitments.c.uid == key.transaction
