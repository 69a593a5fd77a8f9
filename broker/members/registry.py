"""The members as the administrator knows them: functions on a transaction.

A member is registered with a one-time token, of which only the hash is kept; joins with
it; is linked now and then; and may be revoked. Every change that other members must
know bumps the counter ``directory``, which a running broker watches.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Sequence
from typing import Any, Final

from attrs import field, frozen
from sqlalchemy import Connection, Row, delete, exists, func, insert, select, update

from broker.database.db import bump, now
from broker.database.schema import links, members
from p2pacs import limits
from p2pacs.errors import AuthenticationError, NotFoundError, RevokedError, UsageError
from p2pacs.identity.directory import Role
from p2pacs.identity.keys import Secret
from p2pacs.identity.token import Token
from p2pacs.ids import VirtualAddress
from p2pacs.phrases import Phrase

DIRECTORY: Final = "directory"
EPOCH: Final = "epoch"
RULES: Final = "rules"

REFUSED: Final = (
    "the broker does not know this token: it was used already, has expired, or was replaced by a"
    " newer one; ask the administrator for a new one"
)


def wrong_field(name: str, why: str) -> UsageError:
    """The error of one field of a registration; `broker.registration.fields` finds which.

    Args:
        name: of the field.
        why: what is wrong with it.
    """
    return UsageError(Phrase("%(field)s: %(why)s", field=name, why=why))


def plain_name(name: str) -> str:
    """The name as it is kept.

    Raises:
        UsageError: nobody can be called so.
    """
    name = unicodedata.normalize("NFC", name).strip()
    if not 0 < len(name) <= limits.NAME or not name.isprintable():
        raise wrong_field("name", Phrase("1 to %(most)s printable characters", most=limits.NAME))
    return name


@frozen
class Registration:
    """What the administrator says of a new member; checked.

    Raises:
        UsageError: a name, role, rate or rule that cannot be.
    """

    name: str = field(converter=plain_name)
    role: Role
    uplink: int | None
    downlink: int | None
    read: str
    send: str = field()
    """What it may send, as `broker.access.send_rules` writes it."""

    @send.default
    def _usual(self) -> str:
        return default_send(self.role)

    def __attrs_post_init__(self) -> None:
        if self.role is Role.BROKER:
            raise wrong_field("role", Phrase("a new member is a hospital or a replica"))
        if any(rate is not None and rate < 1 for rate in (self.uplink, self.downlink)):
            raise UsageError(Phrase("uplink and downlink are more than nothing"))
        _check_rule(self.role, self.read)
        if self.role is Role.REPLICA and self.send != "none":
            raise wrong_field("send", SENDS_NOTHING)


SENDS_NOTHING: Final = Phrase("a replica sends nothing: it holds no keys")


def default_read(role: Role) -> str:
    """What a member of this role may read if nobody says anything else."""
    return "none" if role is Role.REPLICA else "all"


def default_send(role: Role) -> str:
    """Which studies a member of this role may send if nobody says anything else."""
    return "none" if role is Role.REPLICA else "all"


@frozen
class Member:
    """A member, as the registry has it. Times are milliseconds since 1970 (UTC)."""

    address: VirtualAddress
    name: str
    role: Role
    uplink: int | None
    downlink: int | None
    read: str
    read_version: int
    """Grows when ``read`` changes: the member's catalogue then starts anew."""
    registered: int
    token_expires: int | None
    """None once the token was used."""
    joined: int | None
    key_hash: bytes | None
    box_key: bytes | None = field(repr=False)
    endpoints: tuple[str, ...]
    certificate_expires: int | None
    linked: bool
    last_seen: int | None
    revoked: int | None
    version: int = 0
    """Grows with every change that an administrator makes."""
    send: str = "none"
    """What it may send (`broker.access.send_rules`)."""

    def state(self, at: int) -> str:
        """One word: revoked, registered, expired, linked or joined.

        Expired is a member whose certificate has ended, or whose token has before it joined.
        """
        if self.revoked is not None:
            return "revoked"
        if self.joined is None:
            return "registered" if at < (self.token_expires or 0) else "expired"
        if self.linked:
            return "linked"
        return "joined" if at < (self.certificate_expires or 0) else "expired"


def _member(row: Row[Any]) -> Member:
    values = dict(row._mapping)
    del values["token_hash"]
    return Member(
        **{
            **values,
            "address": VirtualAddress(row.address),
            "role": Role(row.role),
            "endpoints": tuple(row.endpoints.split()),
        }
    )


# ---------------------------------------------------------------- reading

_SELECT: Final = select(
    members, exists().where(links.c.member == members.c.address).label("linked")
)


def list_members(connection: Connection) -> list[Member]:
    """All members, by name."""
    query = _SELECT.order_by(func.lower(members.c.name))
    return [_member(row) for row in connection.execute(query)]


def get_member(connection: Connection, address: VirtualAddress) -> Member:
    """The member with this address.

    Raises:
        NotFoundError: there is none.
    """
    query = _SELECT.where(members.c.address == address.raw)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(_no_member(address))
    return _member(row)


def find_member(connection: Connection, name_or_address: str) -> Member:
    """The member with this name or virtual address.

    Raises:
        NotFoundError: there is none.
    """
    query = _SELECT.where(members.c.name == name_or_address.strip())
    row = connection.execute(query).one_or_none()
    if row is not None:
        return _member(row)
    try:
        return get_member(connection, VirtualAddress.parse(name_or_address))
    except (UsageError, NotFoundError) as error:
        raise NotFoundError(_no_member(repr(name_or_address))) from error


def _no_member(name: object) -> Phrase:
    return Phrase("there is no member %(name)s; see p2pacs broker members", name=name)


# ---------------------------------------------------------------- the administrator's changes


def register(
    connection: Connection,
    address: VirtualAddress,
    registration: Registration,
    *,
    token_milliseconds: int,
    reserved: str = "",
) -> Secret:
    """Add a member; the secret of its one-time token, which nobody can read again.

    Args:
        connection: a transaction.
        address: its virtual address, from the authority.
        registration: what it is.
        token_milliseconds: until the token is good no longer.
        reserved: a name that is taken besides those of the members: the broker's.

    Raises:
        UsageError: the name is taken, or the network is full.
    """
    name = registration.name
    check_name(connection, name, reserved)
    count = connection.execute(select(func.count()).select_from(members)).scalar_one()
    if count >= limits.MEMBERS - 1:
        raise UsageError(Phrase("a network has at most %(most)s members", most=limits.MEMBERS))
    secret, at = Token.new_secret(), now()
    connection.execute(
        insert(members).values(
            address=address.raw,
            name=name,
            role=registration.role.value,
            uplink=registration.uplink,
            downlink=registration.downlink,
            read=registration.read,
            read_version=0,
            registered=at,
            send=registration.send,
            token_hash=hash_secret(secret),
            token_expires=at + token_milliseconds,
            endpoints="",
        )
    )
    return secret


def _check_rule(role: Role, read: str) -> None:
    """Whether a member of this role may have this rule.

    Raises:
        UsageError: it may not, or it is none.
    """
    from broker.access.rules import check_rule  # noqa: PLC0415 - pydicom: half of a start-up

    check_rule(role, read)


def check_name(connection: Connection, name: str, reserved: str = "") -> None:
    """Whether a member may be called so.

    Raises:
        UsageError: the name is taken.
    """
    same = select(members.c.name).where(func.lower(members.c.name) == name.lower())
    if name.lower() == reserved.lower() or connection.execute(same).first():
        taken = Phrase("there is a member %(name)s already; choose another name", name=repr(name))
        raise wrong_field("name", taken)


def renew_token(
    connection: Connection, address: VirtualAddress, *, token_milliseconds: int
) -> Secret:
    """A new token instead of the one before; a member that has joined may join anew with it.

    Raises:
        NotFoundError: there is no such member.
        RevokedError: it was revoked.
    """
    member = get_member(connection, address)
    if member.revoked is not None:
        raise RevokedError(
            Phrase("%(name)s was revoked: register it under another name", name=member.name)
        )
    secret = Token.new_secret()
    _set(
        connection,
        address,
        token_hash=hash_secret(secret),
        token_expires=now() + token_milliseconds,
    )
    return secret


def change_rule(connection: Connection, address: VirtualAddress, read: str) -> None:
    """What the member may read from now on.

    Raises:
        UsageError: not a rule, or not one for its role.
        NotFoundError: there is no such member.
        RevokedError: it was revoked.
    """
    member = get_member(connection, address)
    if member.revoked is not None:
        raise RevokedError(
            Phrase("%(name)s was revoked: it reads nothing any more", name=member.name)
        )
    _check_rule(member.role, read)
    if read != member.read:
        _set(connection, address, read=read, read_version=member.read_version + 1)
        bump(connection, RULES)


def tell_anew(connection: Connection, address: VirtualAddress) -> None:
    """What the member may read is other than before, though its rule is the same: its catalogue
    starts anew."""
    member = get_member(connection, address)
    _set(connection, address, read_version=member.read_version + 1)
    bump(connection, RULES)


def change_send(connection: Connection, address: VirtualAddress, send: str) -> None:
    """Which studies the member may send from now on.

    Args:
        connection: a transaction.
        address: the member's.
        send: a rule that `broker.access.send_rules` has checked.

    Raises:
        UsageError: a replica sends nothing.
        NotFoundError: there is no such member.
        RevokedError: it was revoked.
    """
    member = get_member(connection, address)
    if member.revoked is not None:
        raise RevokedError(
            Phrase("%(member)s was revoked: it sends nothing any more", member=member.name)
        )
    if member.role is Role.REPLICA and send != "none":
        raise UsageError(SENDS_NOTHING)
    _set(connection, address, send=send)


def revoke(connection: Connection, address: VirtualAddress) -> bool:
    """End a membership for good; whether it had not ended before.

    Raises:
        NotFoundError: there is no such member.
    """
    if get_member(connection, address).revoked is not None:
        return False
    _set(connection, address, revoked=now(), token_hash=None, token_expires=None)
    connection.execute(delete(links).where(links.c.member == address.raw))
    bump(connection, EPOCH)
    bump(connection, DIRECTORY)
    return True


# ---------------------------------------------------------------- the member's own doings


def redeem(connection: Connection, secret: Secret) -> Member:
    """The member whose token this is the secret of; the token is used up with it.

    Raises:
        AuthenticationError: unknown, used, expired or replaced.
    """
    wanted = hash_secret(secret)
    row = connection.execute(_SELECT.where(members.c.token_hash == wanted)).one_or_none()
    # The index lookup tells nothing that could be used: it compares hashes of 128 random bits.
    known = hmac.compare_digest(wanted, row.token_hash if row is not None else bytes(len(wanted)))
    if row is None or not known or row.revoked is not None or now() >= row.token_expires:
        raise AuthenticationError(REFUSED)
    member = _member(row)
    _set(connection, member.address, token_hash=None, token_expires=None)
    return member


def join(
    connection: Connection,
    address: VirtualAddress,
    *,
    key_hash: bytes,
    box_key: bytes,
    endpoints: Sequence[str],
    certificate_expires: int,
) -> None:
    """Keep what a member came with when it enrolled."""
    _set(
        connection,
        address,
        joined=now(),
        key_hash=key_hash,
        box_key=box_key,
        endpoints=" ".join(endpoints),
        certificate_expires=certificate_expires,
    )
    bump(connection, DIRECTORY)


def renewed(connection: Connection, address: VirtualAddress, certificate_expires: int) -> None:
    """Keep when the member's new certificate ends."""
    _set(connection, address, certificate_expires=certificate_expires)


def _set(connection: Connection, address: VirtualAddress, **values: object) -> None:
    connection.execute(update(members).where(members.c.address == address.raw).values(**values))


def hash_secret(secret: Secret) -> bytes:
    """What is kept of a token's secret: 128 random bits need no slow hash."""
    return hashlib.sha256(b"p2pacs token\0" + secret.reveal()).digest()
