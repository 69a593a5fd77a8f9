"""The studies of this network: their ids, their keys, and what is published of them."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen
from sqlalchemy import Connection, select, update

from broker.database.db import BrokerDatabase, now
from broker.database.schema import studies
from p2pacs.identity.keys import BoxKey, Secret, StudyKey, wrap
from p2pacs.ids import StudyId
from p2pacs.sql.portable import insert_missing
from p2pacs.wire.messages.messages import GRANT_INFO

UNFINISHED: Final = 24 * 3600 * 1000
"""Milliseconds after which nobody waits any more for what was broken off."""


@frozen
class Study:
    """A study that has a key."""

    study: StudyId
    uid: str = field(repr=False)
    version: int
    """Newest published manifest version; 0 while there is none."""
    complete: bool


class StudyKeys:
    """Ids and keys. A key is wrapped on disk, to the broker's own box key."""

    def __init__(self, database: BrokerDatabase, secret: Secret, box_key: BoxKey) -> None:
        self._database = database
        self._secret = secret
        self._box_key = box_key

    def id_of(self, study_instance_uid: str) -> StudyId:
        """The id of a study in this network."""
        return StudyId.derive(self._secret.reveal(), study_instance_uid)

    async def ensure(self, study_instance_uid: str) -> StudyKey:
        """The key of a study, made when it is first asked for."""
        study = self.id_of(study_instance_uid)
        row = {
            "study": study.raw,
            "uid": study_instance_uid,
            "wrapped_key": wrap(self._box_key.public, StudyKey.generate(), GRANT_INFO + study.raw),
            "version": 0,
            "complete": False,
        }

        def work(connection: Connection) -> bytes:
            insert_missing(connection, studies, row)
            query = select(studies.c.wrapped_key).where(studies.c.study == study.raw)
            return bytes(connection.execute(query).scalar_one())

        return self._unwrap(study, await self._database.run(work))

    def wrapped(self, connection: Connection, study: StudyId, box_key: bytes) -> bytes:
        """The key of a study, wrapped to a member's box key; empty if it never had a key."""
        query = select(studies.c.wrapped_key).where(studies.c.study == study.raw)
        own = connection.execute(query).scalar_one_or_none()
        if own is None:
            return b""
        return wrap(box_key, self._unwrap(study, bytes(own)), GRANT_INFO + study.raw)

    async def find(self, study: StudyId) -> Study | None:
        """What is known of a study; None if it never had a key."""
        query = select(studies).where(studies.c.study == study.raw)
        row = await self._database.run(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else Study(study, row.uid, row.version, row.complete)

    async def unfinished(self) -> list[str]:
        """Study Instance UIDs of studies whose publication was broken off lately."""
        query = select(studies.c.uid).where(
            studies.c.version > 0,
            studies.c.complete.is_(False),
            studies.c.published > now() - UNFINISHED,
        )
        return await self._database.persist(
            lambda connection: list(connection.execute(query).scalars())
        )

    async def newest(self, count: int) -> list[Study]:
        """The studies of which a version came out last."""
        query = (
            select(studies)
            .where(studies.c.version > 0)
            .order_by(studies.c.published.desc())
            .limit(count)
        )
        rows = await self._database.persist(lambda connection: connection.execute(query).all())
        return [
            Study(StudyId(bytes(row.study)), row.uid, row.version, row.complete) for row in rows
        ]

    async def published(self, study: StudyId, version: int, *, complete: bool) -> None:
        """Remember that a version was published."""
        statement = (
            update(studies)
            .where(studies.c.study == study.raw)
            .values(version=version, complete=complete, published=now())
        )
        await self._database.run(lambda connection: connection.execute(statement))

    def _unwrap(self, study: StudyId, wrapped: bytes) -> StudyKey:
        return StudyKey(self._box_key.open(wrapped, GRANT_INFO + study.raw).reveal())
