"""Who is a member: the signed directory, who keeps it up to date, and who admits new ones."""

from __future__ import annotations

from attrs import frozen

from broker.config import BrokerSettings
from broker.database.db import BrokerDatabase
from broker.members.directory import DirectoryKeeper, broker_record
from broker.members.enrolment import Enrolment
from p2pacs.identity.authority import Authority
from p2pacs.identity.book import FILE, DirectoryBook
from p2pacs.identity.keys import SigningKey
from p2pacs.identity.node import NodeIdentity


@frozen
class Membership:
    """The broker's directory, and what changes it."""

    book: DirectoryBook
    keeper: DirectoryKeeper
    enrolment: Enrolment


def open_membership(
    database: BrokerDatabase,
    identity: NodeIdentity,
    authority: Authority,
    signing: SigningKey,
    settings: BrokerSettings,
) -> Membership:
    """The directory as the broker last signed it; `DirectoryKeeper.refresh` brings it up to date.

    Args:
        database: has the registry.
        identity: the broker's own, in whose folder the directory lies.
        authority: issues certificates.
        signing: signs the directory.
        settings: name and endpoints of the broker, and how long certificates are good.
    """
    book = DirectoryBook(identity.folder / FILE, identity.broker_key)
    me = broker_record(identity, settings.name, settings.endpoints)
    keeper = DirectoryKeeper(database, book, signing, me)
    enrolment = Enrolment(
        database,
        authority=authority,
        key=signing,
        book=book,
        keeper=keeper,
        settings=settings.enrolment,
    )
    return Membership(book, keeper, enrolment)
