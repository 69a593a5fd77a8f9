"""Admits new members by their one-time token, and renews certificates of those there are."""

from __future__ import annotations

import msgpack
import structlog
import trio
from sqlalchemy import Connection

from broker.config import EnrolmentSettings
from broker.database.db import BrokerDatabase
from broker.members import registry
from broker.members.directory import DirectoryKeeper
from broker.trail import audit
from p2pacs import limits
from p2pacs.accounts.tally import EVERYBODY, Tally
from p2pacs.errors import AuthenticationError, MalformedMessageError, UsageError
from p2pacs.identity import certificates
from p2pacs.identity.authority import Authority
from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.keys import Secret, SigningKey, wrap
from p2pacs.ids import VirtualAddress
from p2pacs.units import Endpoint
from p2pacs.wire.messages.messages import Enrolled, EnrolQuery, Renewal, RenewQuery

log = structlog.get_logger(__name__)


class Enrolment:
    """The broker as certificate authority."""

    def __init__(
        self,
        database: BrokerDatabase,
        *,
        authority: Authority,
        key: SigningKey,
        book: DirectoryBook,
        keeper: DirectoryKeeper,
        settings: EnrolmentSettings,
    ) -> None:
        self._database = database
        self._authority = authority
        self._key = key
        self._book = book
        self._keeper = keeper
        self._lifetime = settings.certificate_lifetime
        self._tally = Tally()

    async def enrol(self, query: EnrolQuery) -> Enrolled:
        """Make the owner of a token a member.

        Token, certificate and registry change in one transaction: a failure uses nothing up.
        A good token is good however many wrong ones came: 128 random bits are not guessed, so
        wrong ones only leave a line in the trail now and then.

        Raises:
            AuthenticationError: the token is unknown, used, expired or replaced.
            MalformedMessageError: the request or the keys are not usable.
        """
        try:
            member, certificate = await self._database.run(lambda c: self._admit(c, query))
        except AuthenticationError as error:
            await self._refused()
            raise AuthenticationError(str(error)) from error
        await self._keeper.refresh()
        log.info("member joined", member=member.name, address=str(member.address))
        return Enrolled(
            id=query.id,
            certificate=certificate,
            authority=self._authority.certificate,
            broker_key=self._key.public.raw,
            directory=self._book.raw,
            settings=msgpack.packb(
                {
                    "name": member.name,
                    "role": member.role.value,
                    "uplink": member.uplink,
                    "downlink": member.downlink,
                }
            ),
        )

    async def _refused(self) -> None:
        told = self._tally.failed(EVERYBODY, trio.current_time())
        if told is None:
            return
        often = f" ({told.count} times of late)" if told.count > 1 else ""
        entry = audit.Entry(
            "member joined", "-", detail=f"wrong token{often}", outcome=audit.REFUSED
        )
        await self._database.run(lambda c: audit.record(c, entry))

    def _admit(self, connection: Connection, query: EnrolQuery) -> tuple[registry.Member, bytes]:
        member = registry.redeem(connection, Secret(query.secret))
        certificate = self._authority.issue(
            query.csr, member.address, member.name, lifetime=self._lifetime
        )
        registry.join(
            connection,
            member.address,
            key_hash=certificates.requested_key_hash(query.csr),
            box_key=_usable(query.box_key),
            endpoints=_endpoints(query.endpoints),
            certificate_expires=_ends(certificate),
        )
        entry = audit.Entry("member joined", member.name, member.address)
        audit.record(connection, entry)
        return member, certificate

    async def renew(self, address: VirtualAddress, query: RenewQuery) -> Renewal:
        """A new certificate for a member's same key and address.

        Raises:
            AuthenticationError: the request is for another key, or from no member.
            MalformedMessageError: not a certificate request.
        """
        key_hash = certificates.requested_key_hash(query.csr)

        def work(connection: Connection) -> bytes:
            member = registry.get_member(connection, address)
            if member.key_hash != key_hash or member.revoked is not None:
                raise AuthenticationError("a certificate is renewed for the same key only")
            certificate = self._authority.issue(
                query.csr, member.address, member.name, lifetime=self._lifetime
            )
            registry.renewed(connection, address, _ends(certificate))
            audit.record(connection, audit.Entry("certificate renewed", member.name, address))
            return certificate

        return Renewal(id=query.id, certificate=await self._database.run(work))


def _ends(certificate: bytes) -> int:
    ends = certificates.load_certificate(certificate).not_valid_after_utc
    return int(ends.timestamp() * 1000)


def _usable(box_key: bytes) -> bytes:
    try:
        wrap(box_key, Secret(b""), b"")
    except UsageError as error:
        raise MalformedMessageError(f"the member's box key: {error}") from error
    return box_key


def _endpoints(texts: list[str]) -> list[str]:
    if len(texts) > limits.ENDPOINTS:
        raise MalformedMessageError(f"a member has at most {limits.ENDPOINTS} endpoints")
    try:
        return [str(Endpoint.parse(text)) for text in texts]
    except UsageError as error:
        raise MalformedMessageError(f"the member's endpoints: {error}") from error
