"""What an administrator does, by form or by command line: the same, and audited."""

from __future__ import annotations

import hashlib

from attrs import frozen
from sqlalchemy import Connection

from broker.config import BrokerSettings
from broker.members import audit, registry
from broker.members.registry import Member, Registration
from p2pacs.identity.authority import Authority
from p2pacs.identity.keys import Secret
from p2pacs.identity.token import Token
from p2pacs.ids import VirtualAddress


@frozen
class AdminActions:
    """The administrator's changes, each in the transaction that it is given."""

    authority: Authority
    broker: VirtualAddress
    settings: BrokerSettings

    def register(
        self, connection: Connection, registration: Registration, admin: str
    ) -> tuple[Member, str]:
        """Register a member; the token that is shown once.

        Raises:
            UsageError: the name is taken, or the network is full.
        """
        address = self.authority.new_address()
        secret = registry.register(
            connection,
            address,
            registration,
            token_days=self.settings.enrolment.token_days,
            reserved=self.settings.name,
        )
        self._record(connection, "member registered", admin, registration.name)
        return registry.get_member(connection, address), self._token(secret)

    def new_token(self, connection: Connection, address: VirtualAddress, admin: str) -> str:
        """A new token instead of the one before.

        Raises:
            NotFoundError: there is no such member.
            RevokedError: it was revoked.
        """
        days = self.settings.enrolment.token_days
        secret = registry.renew_token(connection, address, token_days=days)
        name = registry.get_member(connection, address).name
        self._record(connection, "token issued", admin, name)
        return self._token(secret)

    def change_rule(
        self, connection: Connection, address: VirtualAddress, read: str, admin: str
    ) -> None:
        """What a member may read from now on.

        Raises:
            UsageError: not a rule.
            NotFoundError: there is no such member.
        """
        registry.change_rule(connection, address, read)
        name = registry.get_member(connection, address).name
        self._record(connection, "read rule changed", admin, f"{name}: {read}")

    def revoke(self, connection: Connection, address: VirtualAddress, admin: str) -> bool:
        """End a membership; whether it had not ended before.

        Raises:
            NotFoundError: there is no such member.
        """
        changed = registry.revoke(connection, address)
        if changed:
            name = registry.get_member(connection, address).name
            self._record(connection, "member revoked", admin, name)
        return changed

    def _record(self, connection: Connection, what: str, admin: str, detail: str) -> None:
        audit.record(connection, audit.Entry(what, admin, detail=detail))

    def _token(self, secret: Secret) -> str:
        return Token(
            broker=self.broker,
            endpoints=tuple(str(endpoint) for endpoint in self.settings.endpoints),
            authority_sha256=hashlib.sha256(self.authority.certificate).digest(),
            secret=secret,
        ).encode()
