"""What an administrator does, by form or by command line: the same, and audited."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from attrs import frozen
from sqlalchemy import Connection

from broker.access.send_rules import parse_send_rule
from broker.config import BrokerSettings
from broker.ingest.sent import adopt_studies
from broker.members import registry
from broker.members.corrections import Correction, check_version, correct, remove, touch
from broker.members.registry import Member, Registration
from broker.trail import audit
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
            token_milliseconds=self.settings.enrolment.token_milliseconds,
            reserved=self.settings.name,
        )
        member = registry.get_member(connection, address)
        self._record(connection, "member registered", admin, member)
        return registry.get_member(connection, address), self._token(secret)

    def register_all(
        self, connection: Connection, registrations: Iterable[Registration], admin: str
    ) -> list[tuple[Member, str]]:
        """Register several members, all or none; each with its token.

        Raises:
            UsageError: a name is taken, or the network is full; the transaction must be given up.
        """
        return [self.register(connection, one, admin) for one in registrations]

    def taken_names(self, connection: Connection) -> set[str]:
        """Names that a new member cannot have, in lower case."""
        names = (member.name for member in registry.list_members(connection))
        return {name.lower() for name in (self.settings.name, *names)}

    def new_token(
        self,
        connection: Connection,
        address: VirtualAddress,
        admin: str,
        *,
        version: int | None = None,
    ) -> str:
        """A new token instead of the one before.

        Args:
            connection: a transaction.
            address: the member.
            admin: who does it.
            version: of the member that the administrator saw; None: it does not matter.

        Raises:
            NotFoundError: there is no such member.
            RevokedError: it was revoked.
            StateError: somebody else has changed it since.
        """
        member = self._as_seen(connection, address, version)
        lasts = self.settings.enrolment.token_milliseconds
        secret = registry.renew_token(connection, address, token_milliseconds=lasts)
        self._record(connection, "token issued", admin, member)
        return self._token(secret)

    def change_rule(
        self,
        connection: Connection,
        address: VirtualAddress,
        read: str,
        admin: str,
        *,
        version: int | None = None,
    ) -> None:
        """What a member may read from now on.

        Raises:
            UsageError: not a rule, or not one for its role.
            NotFoundError: there is no such member.
            RevokedError: it was revoked.
            StateError: somebody else has changed it since.
        """
        member = self._as_seen(connection, address, version)
        registry.change_rule(connection, address, read)
        self._record(connection, "read rule changed", admin, member, f": {read}")

    def change_send(
        self,
        connection: Connection,
        address: VirtualAddress,
        send: str,
        admin: str,
        *,
        version: int | None = None,
    ) -> str:
        """Which studies a member may send from now on; the rule as it is kept.

        Raises:
            UsageError: not a rule, or not one for its role.
            NotFoundError: there is no such member.
            RevokedError: it was revoked.
            StateError: somebody else has changed it since.
        """
        member = self._as_seen(connection, address, version)
        rule = parse_send_rule(send)
        registry.change_send(connection, address, str(rule))
        self._record(connection, "send rule changed", admin, member, f": {rule}")
        return str(rule)

    def correct(
        self,
        connection: Connection,
        address: VirtualAddress,
        wanted: Correction,
        admin: str,
        *,
        version: int | None = None,
    ) -> Member:
        """Change a member's name, and its role and lines as long as it has not joined.

        Raises:
            UsageError: what cannot be, or a name that is taken.
            NotFoundError: there is no such member.
            RevokedError: it was revoked.
            StateError: it has joined, or somebody else has changed it since.
        """
        member = self._as_seen(connection, address, version)
        changed = correct(connection, member, wanted, reserved=self.settings.name)
        if changed:
            self._record(connection, "member corrected", admin, member, f": {changed}")
        return registry.get_member(connection, address)

    def remove(
        self,
        connection: Connection,
        address: VirtualAddress,
        admin: str,
        *,
        version: int | None = None,
    ) -> None:
        """Delete a member that never joined.

        Raises:
            NotFoundError: there is no such member.
            StateError: it has joined, or somebody else has changed it since.
        """
        member = self._as_seen(connection, address, version)
        remove(connection, member)
        self._record(connection, "member deleted", admin, member)

    def revoke(self, connection: Connection, address: VirtualAddress, admin: str) -> bool:
        """End a membership; whether it had not ended before. What the member sends is adopted.

        Raises:
            NotFoundError: there is no such member.
        """
        changed = registry.revoke(connection, address)
        if changed:
            member = registry.get_member(connection, address)
            self._record(connection, "member revoked", admin, member)
            adopt_studies(connection, address)
        return changed

    def adopt(self, connection: Connection, address: VirtualAddress, admin: str) -> int:
        """Have the broker finish what a member sends, without it; how many studies that are.

        Raises:
            NotFoundError: there is no such member.
        """
        member = registry.get_member(connection, address)
        count = adopt_studies(connection, address)
        self._record(connection, "studies adopted", admin, member, f": {count}")
        return count

    def _as_seen(
        self, connection: Connection, address: VirtualAddress, version: int | None
    ) -> Member:
        member = registry.get_member(connection, address)
        check_version(member, version)
        return member

    def _record(
        self, connection: Connection, what: str, admin: str, member: Member, more: str = ""
    ) -> None:
        touch(connection, member.address)
        entry = audit.Entry(what, admin, about=member.address, detail=f"{member.name}{more}")
        audit.record(connection, entry)

    def _token(self, secret: Secret) -> str:
        return Token(
            broker=self.broker,
            endpoints=tuple(str(endpoint) for endpoint in self.settings.endpoints),
            authority_sha256=hashlib.sha256(self.authority.certificate).digest(),
            secret=secret,
        ).encode()
