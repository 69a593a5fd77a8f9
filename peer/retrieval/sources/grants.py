"""The study keys granted to this peer: wrapped on disk, unwrapped only for use."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from p2pacs.errors import KeyUnavailableError
from p2pacs.identity.keys import BoxKey, StudyKey
from p2pacs.ids import StudyId
from p2pacs.wire.messages.messages import GRANT_INFO
from peer.db import PeerDatabase, grants

_KEPT: Final = 16
"""Studies that are read by turns."""


class Grants:
    """Wrapped study keys in the peer's database.

    Each is wrapped to this peer's box key (HPKE), so the file alone reads nothing.
    """

    def __init__(self, database: PeerDatabase, box_key: BoxKey) -> None:
        self._database = database
        self._box_key = box_key
        self._kept: OrderedDict[StudyId, StudyKey] = OrderedDict()
        """Of those on disk: who reads a study again need not wait until its key is written again,
        which the broker wraps anew each time."""

    async def keep(self, study: StudyId, wrapped: bytes) -> StudyKey:
        """Unwrap a key that the broker granted, and keep it wrapped, unless it is kept.

        Raises:
            AccessError: it was not wrapped for this peer and this study; nothing is kept.
        """
        key = self.unwrap(study, wrapped)
        if self._kept.get(study) == key:
            self._kept.move_to_end(study)
            return key
        values = {"study": study.raw, "wrapped_key": wrapped}
        statement = insert(grants).values(values).on_conflict_do_update(["study"], set_=values)
        await self._database.run(lambda connection: connection.execute(statement))
        return self._remember(study, key)

    def _remember(self, study: StudyId, key: StudyKey) -> StudyKey:
        self._kept[study] = key
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return key

    async def forget(self, study: StudyId) -> None:
        """Forget a key, because the broker allows the study no longer."""
        self._kept.pop(study, None)
        statement = delete(grants).where(grants.c.study == study.raw)
        await self._database.run(lambda connection: connection.execute(statement))
        self._kept.pop(study, None)  # it may have been kept meanwhile

    async def key(self, study: StudyId) -> StudyKey:
        """The key of a study.

        Raises:
            KeyUnavailableError: none is held.
        """
        statement = select(grants.c.wrapped_key).where(grants.c.study == study.raw)
        wrapped = await self._database.run(
            lambda connection: connection.execute(statement).scalar_one_or_none()
        )
        if wrapped is None:
            raise KeyUnavailableError(
                "this peer holds no key of it, and the broker is away: try again when it is linked "
                "(p2pacs status DIR)"
            )
        return self._remember(study, self.unwrap(study, wrapped))

    def unwrap(self, study: StudyId, wrapped: bytes) -> StudyKey:
        """The key in its wrapping.

        Raises:
            AccessError: it was not wrapped for this peer and this study.
        """
        return StudyKey(self._box_key.open(wrapped, GRANT_INFO + study.raw).reveal())
