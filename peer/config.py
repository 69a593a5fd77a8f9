"""A peer's settings: ``peer.toml`` in its folder, and the names of the files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, model_serializer, model_validator

from p2pacs.dimse.association.remote import DimseRemote, MakeContext
from p2pacs.dimse.delivery.conversion import Converting
from p2pacs.errors import StateError
from p2pacs.files.private_files import write_private
from p2pacs.settings import (
    AeTitleField,
    DicomTlsSettings,
    EndpointField,
    LineSettings,
    LogSettings,
    MetricsSettings,
    NetworkField,
    OriginField,
    RoomField,
    Settings,
    StoreSettings,
    WebSettings,
    load_settings,
    render_settings,
)
from p2pacs.units import Endpoint

PEER_TOML: Final = "peer.toml"
BROKER_TOML: Final = "broker.toml"
"""A broker's, whose folder may be named by mistake."""
IDENTITY: Final = "identity"
STORE: Final = "store"
CATALOGUE_DB: Final = "catalogue.db"
PEER_DB: Final = "peer.db"
API_ACCESS: Final = "api.token"
WEB: Final = "web"
WEB_AUTHORITY: Final = "authority"
"""In the folder of the pages: what their certificates are of."""
LOCK: Final = "lock"
UPLINK_RATE: Final = "uplink.rate"
"""What the uplink was last found to carry (`p2pacs.line.kept_rate`)."""
SPOOL: Final = "spool"
"""What was sent here and is not in the central PACS yet (`peer.spool.spool`)."""
VIEWER: Final = "viewer"
"""Files of the viewer, where it is installed (`peer.viewer.installed`)."""

OWN: Final = (
    PEER_TOML,
    IDENTITY,
    STORE,
    CATALOGUE_DB,
    PEER_DB,
    API_ACCESS,
    WEB,
    LOCK,
    UPLINK_RATE,
    SPOOL,
    VIEWER,
)
"""All that a peer has in its folder (SQLite adds endings)."""


Transcode = Literal["never", "implicit only", "when needed"]
"""Which receivers get converted what they do not accept as it is stored (docs/dicom.md)."""


class DestinationSettings(Settings):
    """A workstation that a C-MOVE may name; an endpoint alone is its address."""

    address: EndpointField
    transcode: Transcode = "implicit only"
    tls: bool = False
    tls_name: str | None = None
    """The name in its certificate, where that is not its host."""

    @model_validator(mode="before")
    @classmethod
    def _from_address(cls, value: object) -> object:
        return {"address": value} if isinstance(value, str | Endpoint) else value

    @model_serializer
    def _to_toml(self) -> str | dict[str, str | bool]:
        address = str(self.address)
        said = {name: getattr(self, name) for name in sorted(self.model_fields_set - {"address"})}
        return {"address": address, **said} if said else address


class GatewaySettings(Settings):
    """The PACS that workstations see."""

    allowed_callers: tuple[AeTitleField, ...] = Field(
        default=(),
        description="Calling AE titles that are served; none named: all are.",
        examples=[["VIEWER1", "VIEWER2"]],
    )
    destinations: dict[AeTitleField, DestinationSettings] = Field(
        default_factory=dict,
        description="Workstations that a C-MOVE may name, by their AE title. What one does not "
        "accept as the PACS stores it is decoded for it, without loss, by its transcode: "
        '"implicit only" (the default): if it takes Implicit VR Little Endian alone, as old ones '
        'do; "when needed": always; "never": it is refused. Where one listens for TLS: '
        "tls = true, with the certificates of dicom_tls, and tls_name where its certificate has "
        "another name than its address.",
        examples=[
            {
                "VIEWER1": "192.168.1.20:104",
                "OLD": {"address": "192.168.1.21:104", "transcode": "when needed"},
                "NEW": {"address": "192.168.1.22:2762", "tls": True},
            }
        ],
    )
    fuzzy_names: bool = Field(
        default=False,
        description="Whether every C-FIND finds names that sound alike, too (Meyer, Maier). "
        "Else only where the workstation asks for it by extended negotiation, or a viewer by "
        "fuzzymatching=true.",
    )
    tls: EndpointField | None = Field(
        default=None,
        description="Where workstations find the gateway by DICOM over TLS, with the certificates "
        "of dicom_tls; beside dicom, or instead of it. Not set: none.",
        examples=["192.168.1.5:2762"],
    )
    dicomweb: EndpointField | None = Field(
        default=None,
        description="Where viewers find the DICOMweb services, at http://HOST:PORT/dicom-web. It "
        "is not encrypted: keep it on loopback or the hospital's own network. Not set: none.",
        examples=["127.0.0.1:8042"],
    )
    dicomweb_clients: tuple[NetworkField, ...] = Field(
        default=(),
        description="Networks that may read by DICOMweb, besides this machine and the hosts of "
        "destinations.",
        examples=[["192.168.1.0/24"]],
    )
    dicomweb_names: tuple[str, ...] = Field(
        default=(),
        description="Host names of this machine that viewers use; addresses and localhost always "
        "work.",
        examples=[["pacs.hospital.example"]],
    )
    viewer: EndpointField | None = Field(
        default=None,
        description="Where browsers find the OHIF viewer, once it is installed (p2pacs viewer "
        "install DIR). Who may read there is said by dicomweb_clients and dicomweb_names. Not set: "
        "none.",
        examples=["127.0.0.1:8043"],
    )
    viewer_origin: OriginField | None = Field(
        default=None,
        description="Where browsers reach the viewer, if a reverse proxy (web.proxies) stands "
        "before it and does TLS. A name beside that of the pages, in the same domain. Not set: at "
        "the pages' name, and the port of viewer.",
        examples=["https://viewer.hospital.example"],
    )
    viewer_files: Path | None = Field(
        default=None,
        description="The folder where the viewer was installed, if several peers share it. Not "
        "set: this peer's own.",
        examples=["/var/lib/p2pacs/shared"],
    )
    transcode: Transcode = Field(
        default="implicit only",
        description="The same for C-GET clients.",
    )
    decoded: RoomField = Field(
        default=2 * 10**9,
        description="Bytes on the disk, besides those of the store, for images that were decoded "
        "lately, so that who reads a study again need not wait for that: sealed with a key that is "
        'in memory alone, gone when the peer ends, given up when the disk is nearly full; "off": '
        "none.",
    )

    decode_ahead: bool = Field(
        default=True,
        description="Whether the images of a study are decoded as soon as all of it is here, by "
        "processors that nobody needs, where workstations or viewers can read: so that who reads "
        "it need not wait for that.",
    )

    @model_validator(mode="after")
    def _origin_of_a_viewer(self) -> Self:
        if self.viewer_origin is not None and self.viewer is None:
            raise ValueError("viewer_origin: set viewer, too: where the proxy finds it")
        return self

    def remotes(self, tls: MakeContext) -> dict[str, DimseRemote]:
        """Where a C-MOVE to an AE title goes; with TLS where that is set."""
        return {
            aet: DimseRemote(
                aet,
                one.address.host,
                one.address.port,
                tls if one.tls else None,
                one.tls_name or "",
            )
            for aet, one in self.destinations.items()
        }

    @property
    def viewer_names(self) -> tuple[str, ...]:
        """Names by which browsers may ask the viewer, besides that of its address."""
        outside = self.viewer_origin
        return (*self.dicomweb_names, *(() if outside is None else (outside.host,)))

    @property
    def converting(self) -> dict[str, Converting]:
        """By AE title of a workstation, for what it gets instances converted."""
        return {aet: Converting(one.transcode) for aet, one in self.destinations.items()}


RecipientPriority = Literal["stat", "interactive", "prefetch", "background"]
"""How urgent something is (`p2pacs.swarm.scheduling.priority`)."""


class RecipientSettings(Settings):
    """Which studies are addressed to a member; nothing said: all."""

    callers: tuple[AeTitleField, ...] = ()
    """Those that came from one of these AE titles."""
    institutions: tuple[str, ...] = ()
    """Those of one of these institutions."""
    priority: RecipientPriority = "interactive"

    @model_serializer
    def _to_toml(self) -> dict[str, str | list[str]]:
        said = {name: getattr(self, name) for name in sorted(self.model_fields_set)}
        return {name: value if isinstance(value, str) else [*value] for name, value in said.items()}


class SendingSettings(Settings):
    """Studies that are made here and sent into the network."""

    enabled: bool = Field(
        default=False,
        description="Whether scanners may store here (C-STORE to aet at dicom or gateway.tls): "
        "what they send is kept in the folder spool, published, and brought into the central "
        "PACS. What was taken before goes on when it is switched off.",
    )
    callers: tuple[AeTitleField, ...] = Field(
        default=(),
        description="Calling AE titles that may store; none named: all. Where "
        "gateway.allowed_callers names some, name them there, too.",
        examples=[["CT1", "MR1"]],
    )
    dicomweb_clients: tuple[NetworkField, ...] = Field(
        default=(),
        description="Networks that may store by DICOMweb (STOW-RS), besides this machine, where "
        "gateway.dicomweb is set.",
        examples=[["192.168.1.0/24"]],
    )
    reserve: RoomField = Field(
        default=2 * 10**9,
        description="Bytes of the disk that stay free: before less is left, scanners are told "
        "that there is no room.",
    )
    commit_copies: int = Field(
        default=2,
        ge=0,
        le=100,
        description="A scanner that asks for Storage Commitment is told that instances are safe "
        "once the central PACS has them, or so many other members proved that they hold the whole "
        "study. 0: the PACS alone counts.",
    )
    commit_days: int = Field(
        default=7,
        ge=1,
        le=100,
        description="Days after which it is told that what is not safe by then has failed. "
        "Scanners are told at the address that gateway.destinations gives their AE title.",
    )
    to: dict[str, RecipientSettings] = Field(
        default_factory=dict,
        description="To which members studies that are sent from here are addressed, by their "
        "names: they may read them whatever their read rules say, and fetch them at once. callers: "
        "those that came from one of these AE titles; institutions: those with such an Institution "
        "Name or Requesting Service (wild cards * and ?); both: where both hold; neither: all. "
        'priority: "stat", "interactive" (not set), "prefetch" or "background". Who sends a study '
        "may say otherwise.",
        examples=[
            {
                "Children": {"callers": ["CT1"], "institutions": ["Village*"], "priority": "stat"},
                "Capital": {},
            }
        ],
    )


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
    map_port: bool = Field(
        default=True,
        description="Whether the router is asked (by PCP, NAT-PMP) to let the other members in, "
        "where this peer is behind one and advertises no endpoint. What they come to is listened "
        "at only while one of them is expected.",
    )
    aet: AeTitleField = Field(default="P2PACS", description="AE title of the gateway.")
    dicom: EndpointField | None = Field(
        default=None,
        description="Where workstations find the gateway (C-FIND, C-MOVE, C-GET). It is not "
        "encrypted there (gateway.tls is): keep it on loopback or the hospital's own network. Not "
        "set: none.",
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
    sending: SendingSettings = SendingSettings()
    web: WebSettings = WebSettings()
    dicom_tls: DicomTlsSettings = DicomTlsSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _api_stays_here(self) -> Self:
        if not self.api.is_loopback:
            raise ValueError("api: it is plain HTTP, so it must be a loopback address (127.0.0.1)")
        return self

    @property
    def decodes_ahead(self) -> bool:
        """Whether images are decoded before somebody reads them: where anybody can."""
        gateway = self.gateway
        doors = (self.dicom, gateway.tls, gateway.dicomweb, gateway.viewer)
        return gateway.decode_ahead and any(door is not None for door in doors)


def load_peer_settings(folder: Path) -> PeerSettings:
    """The settings of the peer in ``folder``.

    Raises:
        StateError: no peer has joined from this folder.
        SettingsError: a wrong key or value, named with its line.
    """
    path = folder / PEER_TOML
    if not path.is_file():
        if (folder / BROKER_TOML).is_file():
            raise StateError(
                f"{folder} is a broker's folder, not a peer's: p2pacs broker status {folder} shows "
                "how it is"
            )
        raise StateError(f"no peer in {folder}: make one with p2pacs peer join {folder} …")
    return load_settings(path, PeerSettings)


def save_peer_settings(folder: Path, settings: PeerSettings) -> None:
    """Write ``peer.toml`` with comments on every key: whole or not at all."""
    text = render_settings(settings, "Settings of this p2pacs peer: restart it after a change.")
    write_private(folder / PEER_TOML, text.encode())
