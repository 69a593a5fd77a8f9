"""The leave to publish a study: what a broker gave for it, and signing by it."""

from __future__ import annotations

from typing import Protocol

import trio
from attrs import frozen

from p2pacs.errors import AccessError
from p2pacs.identity.keys import SigningKey, StudyKey
from p2pacs.ids import StudyId
from p2pacs.study.delegation import Delegation
from p2pacs.study.manifest import Root, sign_delegated_root


class _Announced(Protocol):
    @property
    def version(self) -> int: ...


@frozen
class _Version:
    version: int


class GrantedKey:
    """`p2pacs.publish.source.StudyKeySource` of the one study that was granted."""

    def __init__(self, study: StudyId, key: StudyKey, version: int) -> None:
        self._study = study
        self._key = key
        self._version = version

    def id_of(self, study_instance_uid: str) -> StudyId:
        """The id that the broker gave."""
        del study_instance_uid
        return self._study

    async def ensure(self, study_instance_uid: str) -> StudyKey:
        """The key that the broker gave."""
        del study_instance_uid
        await trio.lowlevel.checkpoint()
        return self._key

    async def find(self, study: StudyId) -> _Announced | None:
        """The newest version that is out."""
        del study
        await trio.lowlevel.checkpoint()
        return _Version(self._version)

    async def unfinished(self) -> list[str]:
        """None: the spool knows what is not out yet."""
        await trio.lowlevel.checkpoint()
        return []

    async def published(self, study: StudyId, version: int, *, complete: bool) -> None:
        """A version is out."""
        del study, complete
        await trio.lowlevel.checkpoint()
        self._version = version


@frozen
class PublishLeave:
    """A study that may be published."""

    study: StudyId
    key: StudyKey
    wrapped_key: bytes
    delegation: Delegation
    raw: bytes
    at: float
    """When it came, by trio's clock: the broker's clock and this machine's may differ."""

    def sign(self, root: Root, key: SigningKey) -> bytes:
        """The root as it travels.

        Raises:
            AccessError: the leave has ended: it is asked for anew.
        """
        passed = int((trio.current_time() - self.at) * 1000)
        signed = self.delegation.begins + passed
        if signed > self.delegation.ends:
            raise AccessError(f"the leave to publish study {self.study.short} has ended")
        return sign_delegated_root(root, key, self.raw, signed)
