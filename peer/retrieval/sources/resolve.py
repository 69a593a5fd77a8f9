"""Where a study is and what opens it: asked of the broker, or of all members when it is away."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import structlog
import trio
from attrs import evolve, field, frozen

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import (
    DeadlineError,
    ForbiddenError,
    KeyUnavailableError,
    LinkClosedError,
    P2PacsError,
    ProtocolError,
    RevokedError,
    StudyNotFoundError,
    UnavailableError,
)
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.directory import Role
from p2pacs.identity.keys import StudyKey
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.phrases import Phrase
from p2pacs.study.manifest import load_root
from p2pacs.swarm.host import Host
from p2pacs.wire.messages.messages import Manifest, ManifestQuery, StudyGrant, StudyQuery
from peer.retrieval.sources.grants import Grants

BROKER_TIMEOUT: Final = 30.0
"""Seconds for the broker to answer a StudyQuery: it may ask the PACS first."""

RETURN_TIMEOUT: Final = 15.0
"""Seconds to wait for a broker that was there when it was asked: it was restarted, most likely."""

DIAL_TIMEOUT: Final = 8.0
"""The same while there is no link to it: then it is most likely away, and somebody waits."""

MEMBER_TIMEOUT: Final = 5.0
"""Seconds for a member to say whether it holds a study."""

REVOKED: Final = "this member was revoked, it may not read: ask the administrator"

log = structlog.get_logger(__name__)


@frozen
class ResolvedStudy:
    """A study that this peer may fetch."""

    study: StudyId
    key: StudyKey | None = field(repr=False)
    """None on a blind replica."""
    root: bytes | None = field(repr=False)
    """The newest signed root known; None while nothing is published."""
    version: int
    """Of that root; 0 for none."""
    segment: bytes = field(default=b"", kw_only=True)
    """Its first segment, not yet verified; empty if nobody gave it."""
    holders: tuple[VirtualAddress, ...]
    broker: bool
    """Whether the broker answered."""


class Resolver:
    """Turns a study into what a fetch needs."""

    def __init__(
        self,
        identity: NodeIdentity,
        book: DirectoryBook,
        host: Host,
        catalogue: CatalogueIndex,
        grants: Grants,
    ) -> None:
        self._identity = identity
        self._book = book
        self._host = host
        self._catalogue = catalogue
        self._grants = grants

    def check_membership(self) -> None:
        """Whether this member may still read: also what it holds, and the names in its catalogue.

        Of any thread.

        Raises:
            RevokedError: the directory, or the broker that takes no link of it, says it may not.
        """
        me = self._book.directory.get(self._identity.address)
        mesh = self._host.mesh
        said = (mesh.refused.get(broker) for broker in mesh.brokers)
        if (me is not None and me.revoked) or any(isinstance(one, RevokedError) for one in said):
            raise RevokedError(REVOKED)

    async def record(self, study_instance_uid: str) -> StudyRecord:
        """The catalogue's record of a Study Instance UID.

        Raises:
            KeyUnavailableError: this member is a replica, which reads nothing.
            RevokedError: this member was revoked.
            StudyNotFoundError: the catalogue, as far as this member may read it, has none.
        """
        me = self._book.directory.get(self._identity.address)
        if me is not None and me.role is Role.REPLICA:
            raise blind()
        self.check_membership()
        record = await trio.to_thread.run_sync(self._catalogue.by_uid, study_instance_uid)
        if record is None:
            raise StudyNotFoundError(
                Phrase(
                    "not in the catalogue that this peer may read: check the Study Instance UID, or"
                    " ask the administrator for the right to read it"
                )
            )
        return record

    async def listed(self, study: StudyId) -> StudyRecord | None:
        """The catalogue's record of a study, if it has one.

        Raises:
            RevokedError: this member was revoked.
        """
        self.check_membership()
        return await trio.to_thread.run_sync(self._catalogue.get, study)

    async def find(self, study: StudyId, purpose: str) -> ResolvedStudy:
        """Ask the broker; when it is away, use what is held and ask the members.

        Raises:
            ManifestError: the broker's manifest does not verify.
            ForbiddenError: the access rule does not allow the study; a key held is forgotten.
            RevokedError: this member was revoked: it has no right to read, whatever it holds.
            StudyNotFoundError: neither the broker nor the PACS knows it.
            DeadlineError: the broker is linked and does not answer, and no key is held.
            KeyUnavailableError: the broker is away and no key is held.
        """
        self.check_membership()
        linked = self._host.mesh.broker_linked
        cut_off = False
        away: UnavailableError
        try:
            return await self._ask_broker(
                study, purpose, BROKER_TIMEOUT if linked else DIAL_TIMEOUT
            )
        except UnavailableError as error:
            away = error
            log.info("broker away, asking the members", study=study.short, error=str(error))
            cut_off = linked and isinstance(error, LinkClosedError)
        try:
            return await self._find_without_broker(study, blind=purpose == "replicate")
        except KeyUnavailableError:
            if linked and isinstance(away, DeadlineError):
                raise DeadlineError(
                    f"the broker is linked and does not answer, and no key of study {study.short} "
                    "is held here: try again, and look at the broker's log if it stays so"
                ) from away
            if not cut_off or not await self._broker_returned():
                raise
        return await self._ask_broker(study, purpose, BROKER_TIMEOUT)

    async def newer(self, found: ResolvedStudy) -> ResolvedStudy:
        """The same study with the newest root of those that hold it, if the broker's is older."""
        roots = await self._ask_members(found.study, found.holders)
        newest = max(roots.values(), key=lambda raw: self._version(raw, found.study), default=None)
        version = self._version(newest, found.study) if newest else 0
        return found if version <= found.version else evolve(found, root=newest, version=version)

    async def _broker_returned(self) -> bool:
        """Wait for the broker, which was there just now; whether it came back."""
        with trio.move_on_after(RETURN_TIMEOUT):
            await self._host.until_broker_linked()
            return True
        return False

    async def _ask_broker(self, study: StudyId, purpose: str, patience: float) -> ResolvedStudy:
        query = StudyQuery(id=0, study=study.raw, purpose=purpose)
        try:
            grant = await self._host.call_broker(query, timeout=patience)
        except ForbiddenError:
            await self._grants.forget(study)
            raise
        except RevokedError as error:
            raise RevokedError(REVOKED) from error
        if not isinstance(grant, StudyGrant):
            raise ProtocolError("the broker answered a StudyQuery with something else")
        return ResolvedStudy(
            study=study,
            key=await self._grants.keep(study, grant.wrapped_key) if grant.wrapped_key else None,
            root=grant.root or None,
            version=self._version(grant.root, study) if grant.root else 0,
            holders=tuple(VirtualAddress(raw) for raw in grant.holders),
            broker=True,
            segment=grant.segment,
        )

    async def _find_without_broker(self, study: StudyId, *, blind: bool) -> ResolvedStudy:
        key = None if blind else await self.held_key(study)
        members = self._book.directory.members
        roots = await self._ask_members(study, [one.address for one in members if not one.revoked])
        newest = max(roots.values(), key=lambda raw: self._version(raw, study), default=None)
        version = self._version(newest, study) if newest else 0
        return ResolvedStudy(study, key, newest, version, holders=tuple(roots), broker=False)

    async def held_key(self, study: StudyId) -> StudyKey:
        """The key of a study, as far as it is held here: granted, or with the catalogue.

        Raises:
            KeyUnavailableError: none is held.
        """
        try:
            return await self._grants.key(study)
        except KeyUnavailableError:
            record = await self.listed(study)
            if record is None or not record.wrapped_key:
                raise
            return self._grants.unwrap(study, record.wrapped_key)

    async def _ask_members(
        self, study: StudyId, members: Collection[VirtualAddress]
    ) -> dict[VirtualAddress, bytes]:
        """The roots that those of these which hold the study answer with; no broker is asked."""
        roots: dict[VirtualAddress, bytes] = {}
        left_out = {self._identity.address, *self._book.directory.brokers}
        async with trio.open_nursery() as nursery:
            for member in members:
                if member not in left_out:
                    nursery.start_soon(self._ask_member, member, study, roots)
        return roots

    async def _ask_member(
        self, member: VirtualAddress, study: StudyId, roots: dict[VirtualAddress, bytes]
    ) -> None:
        query = ManifestQuery(id=0, study=study.raw, newer_than=0)
        try:
            reply = await self._host.call(member, query, timeout=MEMBER_TIMEOUT)
            if isinstance(reply, Manifest) and reply.root:
                load_root(reply.root, self._book.keys, study)
                roots[member] = reply.root
        except P2PacsError as error:
            # One member that is away or lies must not keep the others from answering.
            log.debug("member has no manifest", member=str(member), error=str(error))

    def _version(self, raw: bytes, study: StudyId) -> int:
        return load_root(raw, self._book.keys, study).version


def blind() -> KeyUnavailableError:
    """Why a replica reads nothing."""
    return KeyUnavailableError(
        "a replica holds no keys to read with: fetch the study at a hospital's peer"
    )
