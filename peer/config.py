"""A peer's settings: ``peer.toml`` in its folder, and the names of the files beside it."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, model_validator

from p2pacs.errors import StateError
from p2pacs.identity.files import write_private
from p2pacs.settings import EndpointField, RateField, Settings, load_settings, render_settings
from p2pacs.units import Endpoint

PEER_TOML: Final = "peer.toml"
IDENTITY: Final = "identity"
DIRECTORY: Final = "directory"
STORE: Final = "store"
CATALOGUE_DB: Final = "catalogue.db"
PEER_DB: Final = "peer.db"
API_ACCESS: Final = "api.token"
LOCK: Final = "lock"

_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kMGT]?B)")
_SIZES: Final = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def _ae_title(text: str) -> str:
    if not _AE_TITLE.fullmatch(text) or not text.strip():
        raise ValueError("an AE title has 1 to 16 characters and no backslash (PS3.5 6.2)")
    return text.strip()


def parse_size(value: object) -> int:
    """Bytes in ``50GB`` (decimal units), or the number itself."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    size = round(float(match["number"]) * _SIZES[match["unit"]]) if match else 0
    if size < 1:
        raise ValueError("not a size (write it as 500MB, 50GB or 2TB)")
    return size


def _format_size(size: int) -> str:
    for unit in ("TB", "GB", "MB", "kB"):
        if size % _SIZES[unit] == 0:
            return f"{size // _SIZES[unit]}{unit}"
    return f"{size}B"


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False))


AeTitle = Annotated[str, AfterValidator(_ae_title)]
SizeField = Annotated[int, PlainValidator(parse_size), PlainSerializer(_format_size)]
NetworkField = Annotated[str, AfterValidator(_network)]


class LineSettings(Settings):
    """The line to the other hospitals."""

    uplink: RateField | None = Field(
        default=None,
        description="How much of the uplink p2pacs may use. The administrator's registration "
        "sets it; lower it here if you must.",
        examples=["800kbit"],
    )
    downlink: RateField | None = Field(
        default=None,
        description="How much of the downlink p2pacs may use.",
        examples=["3mbit"],
    )
    lan: tuple[NetworkField, ...] = Field(
        default=(),
        description="Networks beside this machine: what goes there is not counted as the line's.",
        examples=[["192.168.1.0/24"]],
    )


class StoreSettings(Settings):
    """The chunks on disk."""

    capacity: SizeField | None = Field(
        default=None,
        description="Bytes that the store may use. Studies not used for longest are dropped when "
        "it is reached, but never the last copy of one. Not set: until the disk is full.",
        examples=["50GB"],
    )


class GatewaySettings(Settings):
    """The PACS that workstations see."""

    allowed_callers: tuple[AeTitle, ...] = Field(
        default=(),
        description="Calling AE titles that are served; none named: all are.",
        examples=[["VIEWER1", "VIEWER2"]],
    )
    destinations: dict[AeTitle, EndpointField] = Field(
        default_factory=dict,
        description="Workstations that a C-MOVE may name, by their AE title.",
        examples=[{"VIEWER1": "192.168.1.20:104"}],
    )


class LogSettings(Settings):
    """The log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error."
    )
    json_lines: bool = Field(default=False, description="One JSON object a line instead of text.")


class PeerSettings(Settings):
    """All settings of a peer."""

    name: str = Field(description="What the administrator called this member.", min_length=1)
    listen: tuple[EndpointField, ...] = Field(
        description="Where other members may connect to. An address of one network card alone "
        "is also where this peer's own connections go out.",
        min_length=1,
        examples=[["0.0.0.0:4711"]],
    )
    advertise: tuple[EndpointField, ...] = Field(
        default=(),
        description="Endpoints told to the other members when joining; all are tried, the fastest "
        "answer wins. None: this peer only dials out (behind NAT).",
        examples=[["192.168.1.5:4711", "hospital.example:4711"]],
    )
    aet: AeTitle = Field(default="P2PACS", description="AE title of the gateway.")
    dicom: EndpointField | None = Field(
        default=None,
        description="Where workstations find the gateway (C-FIND, C-MOVE, C-GET). DICOM is not "
        "encrypted: keep it on loopback or the hospital's own network. Not set: no gateway.",
        examples=["127.0.0.1:11112"],
    )
    api: EndpointField = Field(
        default=Endpoint("127.0.0.1", 8711),
        description="Where this machine's commands (find, get, status) find the peer. Whoever "
        "reads the file api.token may use it: keep it on loopback.",
    )
    line: LineSettings = LineSettings()
    store: StoreSettings = StoreSettings()
    gateway: GatewaySettings = GatewaySettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _api_stays_here(self) -> Self:
        if not self.api.is_loopback:
            raise ValueError("api: it is plain HTTP, so it must be a loopback address (127.0.0.1)")
        return self


def load_peer_settings(folder: Path) -> PeerSettings:
    """The settings of the peer in ``folder``.

    Raises:
        StateError: no peer has joined from this folder.
        SettingsError: a wrong key or value, named with its line.
    """
    path = folder / PEER_TOML
    if not path.is_file():
        raise StateError(f"no peer in {folder}: make one with p2pacs peer join {folder} TOKEN …")
    return load_settings(path, PeerSettings)


def save_peer_settings(folder: Path, settings: PeerSettings) -> None:
    """Write ``peer.toml`` with comments on every key: whole or not at all."""
    text = render_settings(settings, "Settings of this p2pacs peer: restart it after a change.")
    write_private(folder / PEER_TOML, text.encode())
