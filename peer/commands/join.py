"""Become a member: a token in, an identity folder and ``peer.toml`` out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgpack
import structlog
from attrs import field, frozen
from pydantic import ValidationError

from p2pacs.errors import MalformedMessageError, StateError, UnavailableError, UsageError
from p2pacs.files.private_files import check_folder, mend_modes, new_folder, strangers
from p2pacs.identity.directory import Role
from p2pacs.identity.token import Token
from p2pacs.settings import complaints, merged
from p2pacs.units import MEASURED, Endpoint
from p2pacs.wire.enrolment.enrol import enrol
from peer.config import (
    IDENTITY,
    OWN,
    PEER_TOML,
    PeerSettings,
    save_peer_settings,
)

log = structlog.get_logger(__name__)

HOSPITAL: Final = str(Role.HOSPITAL)
"""What a member is that a broker says nothing else of."""

_UNREACHED: Final = (
    "The token says that the broker is at {}: see that it runs and that this machine reaches it "
    "(address, port, firewall), then join again with the same token"
)


@frozen
class JoinOptions:
    """What the operator says on the command line; None leaves the default."""

    listen: tuple[Endpoint, ...]
    advertise: tuple[Endpoint, ...] = ()
    aet: str | None = None
    dicom: Endpoint | None = None
    api: Endpoint | None = None
    web: Endpoint | None = None
    workstations: dict[str, Endpoint] | None = None
    more: Mapping[str, Any] = field(factory=dict)
    """Further settings, as they stand in ``peer.toml``; options come before them."""


@frozen
class AssignedSettings:
    """What the administrator set for this member (`Enrolled.settings`)."""

    name: str
    uplink: int | None
    downlink: int | None
    role: str = HOSPITAL
    """A replica needs no gateway."""

    @classmethod
    def decode(cls, raw: bytes) -> AssignedSettings:
        """Read the msgpack map; keys that this version does not know mean nothing to it.

        Raises:
            MalformedMessageError: not such a map.
        """
        try:
            said = msgpack.unpackb(raw, max_ext_len=0)
            name, rates = said["name"], [said.get("uplink"), said.get("downlink")]
            role = said.get("role", HOSPITAL)
        except (ValueError, TypeError, KeyError, AttributeError, msgpack.UnpackException) as error:
            raise MalformedMessageError(
                "the broker's settings for this member: not a map"
            ) from error
        rated = all(rate is None or (type(rate) is int and rate > 0) for rate in rates)
        if not isinstance(name, str) or not name or not isinstance(role, str) or not rated:
            raise MalformedMessageError(
                "the broker's settings for this member: no name, no role or no rate"
            )
        return cls(name, rates[0], rates[1], role)


def check_join(folder: Path, options: JoinOptions) -> None:
    """What can be known to be wrong before anybody is asked for a token.

    Raises:
        UsageError: options that cannot be.
        StateError: a peer has already joined from this folder.
        LocalError: the folder cannot be used.
    """
    if other := strangers(folder, OWN):
        raise StateError(f"{folder} holds other files ({other[0]}): choose a folder of its own")
    if (folder / PEER_TOML).exists():
        raise StateError(f"a peer has already joined from {folder}: choose another folder")
    settings_for(options, AssignedSettings("checked before the token is spent", None, None))
    check_folder(folder)


@frozen
class Joined:
    """A new member."""

    settings: PeerSettings
    role: str
    """What the administrator registered it as: ``hospital`` or ``replica``."""


async def join(folder: Path, token_text: str, options: JoinOptions) -> Joined:
    """Enrol with the broker that the token names, and write all that `peer run` needs.

    If it fails, nothing of it is left on the disk: keys without a certificate are of no use.

    Raises:
        UsageError: not a token, or options that cannot be; the token is not spent.
        StateError: a peer has already joined from this folder.
        AccessError: the broker does not take the token.
        UnavailableError: the broker cannot be reached.
    """
    check_join(folder, options)
    token = Token.decode(token_text)
    endpoints = [str(endpoint) for endpoint in options.advertise]
    with new_folder(folder / IDENTITY):
        mend_modes(folder, OWN)
        try:
            enrolled = await enrol(token, folder / IDENTITY, endpoints)
        except UnavailableError as error:
            raise type(error)(
                f"{error}. {_UNREACHED.format(', '.join(token.endpoints))}"
            ) from error
        registration = AssignedSettings.decode(enrolled.settings)
        settings = settings_for(options, registration)
        save_peer_settings(folder, settings)
    log.info("joined", name=settings.name)
    return Joined(settings, registration.role)


def settings_for(options: JoinOptions, registration: AssignedSettings) -> PeerSettings:
    """The settings to write: only what was said, so that defaults stay defaults.

    But for the uplink: where nobody said what it carries that is found out. (Files of earlier
    versions, in which nothing is said, keep their meaning: all that there is.)

    Raises:
        UsageError: a wish that cannot be.
    """
    rates = {"uplink": registration.uplink, "downlink": registration.downlink}
    line = {name: rate for name, rate in rates.items() if rate is not None}
    usual = {"line": {"uplink": MEASURED}}
    said: dict[str, Any] = {
        "name": registration.name,
        "listen": options.listen,
        "advertise": options.advertise or None,
        "aet": options.aet,
        "dicom": options.dicom,
        "api": options.api,
    }
    try:
        if line:
            said["line"] = line
        if options.workstations:
            said["gateway"] = {"destinations": options.workstations}
        if options.web:
            said["web"] = {"listen": options.web}
        given = {name: value for name, value in said.items() if value is not None}
        return PeerSettings.model_validate(merged(merged(usual, options.more), given))
    except ValidationError as error:
        raise UsageError(complaints(error)) from error
