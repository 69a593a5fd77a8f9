"""A new broker: its folder with authority, identity, keys, database and settings."""

from __future__ import annotations

import secrets
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from broker.config import (
    AUTHORITY,
    BROKER_TOML,
    DATABASE,
    IDENTITY,
    OWN,
    SIGNING_KEY,
    STUDY_SECRET,
    AdminWebSettings,
    BrokerSettings,
    save_broker_settings,
)
from broker.database.db import connect, migrate
from broker.trail import audit
from p2pacs.accounts.passwords import check_account
from p2pacs.accounts.people import add_account
from p2pacs.accounts.rights import ADMINISTRATOR
from p2pacs.errors import StateError
from p2pacs.files.private_files import check_folder, mend_modes, new_folder, strangers
from p2pacs.identity.authority import Authority
from p2pacs.identity.files import read_secret, write_secret
from p2pacs.identity.keys import Secret, SigningKey
from p2pacs.identity.node import NodeIdentity, make_request
from p2pacs.units import Endpoint
from p2pacs.web.addresses import machine_addresses

LIFETIME: Final = timedelta(days=398)
"""Of the broker's own certificate; it renews it itself."""


@frozen
class BrokerSecrets:
    """What the broker keeps secret, loaded."""

    authority: Authority
    identity: NodeIdentity
    signing: SigningKey
    study_secret: Secret


def found(
    folder: Path, settings: BrokerSettings, *, network: str, admin: str, password: str
) -> BrokerSecrets:
    """Make a broker.

    ``broker.toml`` is written last: it marks the folder whole. If it fails, nothing is left.

    Args:
        folder: must not exist, or be empty.
        settings: its settings.
        network: the network's name, as browsers and members see it.
        admin: the first administrator.
        password: of the administrator.

    Raises:
        StateError: the folder holds something already.
        LocalError: the folder cannot be made or written in.
        UsageError: a name or password that cannot be.
    """
    check_account(admin, password)
    check_place(folder)
    with new_folder(folder):
        mend_modes(folder, OWN)
        _fill(folder, settings, network=network, admin=admin, password=password)
    return load_keys(folder)


def check_place(folder: Path) -> None:
    """Whether a broker can be made there; known before anybody is asked for a password.

    Raises:
        StateError: the folder holds something already.
        LocalError: it cannot be made or written in.
    """
    present = strangers(folder, ())
    if BROKER_TOML in present:
        raise StateError(f"there is a broker in {folder} already: choose another folder")
    if present:
        raise StateError(f"{folder} is not empty: choose another folder, or empty it")
    check_folder(folder)


def _fill(
    folder: Path, settings: BrokerSettings, *, network: str, admin: str, password: str
) -> None:
    authority = Authority.create(folder / AUTHORITY, network)
    signing = SigningKey.generate()
    write_secret(folder / SIGNING_KEY, signing.secret)
    write_secret(folder / STUDY_SECRET, Secret(secrets.token_bytes(32)))
    address = authority.new_address()
    NodeIdentity.create(
        folder / IDENTITY,
        name=settings.name,
        certificate=authority.issue(
            make_request(folder / IDENTITY), address, settings.name, lifetime=LIFETIME
        ),
        authority=authority.certificate,
        broker=address,
        broker_key=signing.public,
    )
    migrate(folder / DATABASE)
    founded = audit.Entry("network founded", admin, detail=network)
    with closing(connect(folder / DATABASE)) as database:
        database.transact(lambda c: add_account(c, admin, password, ADMINISTRATOR))
        database.transact(lambda c: audit.record(c, founded))
    save_broker_settings(folder, settings)


def load_keys(folder: Path) -> BrokerSecrets:
    """The keys of the broker in this folder.

    Raises:
        StateError: some are missing or damaged.
    """
    return BrokerSecrets(
        authority=Authority.load(folder / AUTHORITY),
        identity=NodeIdentity.load(folder / IDENTITY),
        signing=SigningKey(read_secret(folder / SIGNING_KEY, "the broker's signing key")),
        study_secret=read_secret(folder / STUDY_SECRET, "the secret of the studies' ids"),
    )


def renew_own(keys: BrokerSecrets) -> NodeIdentity:
    """A new certificate for the broker itself; channels made from now on use it."""
    identity = keys.identity
    csr = make_request(identity.folder)
    certificate = keys.authority.issue(csr, identity.address, identity.name, lifetime=LIFETIME)
    return identity.renewed(certificate)


def describe(keys: BrokerSecrets, settings: BrokerSettings) -> dict[str, Any]:
    """What ``broker init --json`` prints."""
    return {
        "network": keys.authority.name,
        "prefix": str(keys.authority.network),
        "address": str(keys.identity.address),
        "endpoints": [str(endpoint) for endpoint in settings.endpoints],
        "web": web_address(settings),
    }


def web_address(settings: BrokerSettings) -> str:
    """Where a browser finds the administrator's pages."""
    return f"{'https' if settings.web.secure else 'http'}://{_opens(settings.web)}"


def _opens(web: AdminWebSettings) -> Endpoint:
    """What a browser can be pointed to: where pages listen everywhere, one place of those."""
    if not web.listen.is_unspecified:
        return web.listen
    here = [one for one in machine_addresses() if not Endpoint(one, 0).is_loopback]
    return Endpoint([*web.hosts, *here, "localhost"][0], web.listen.port)
