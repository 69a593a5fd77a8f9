"""The broker's settings: ``broker.toml`` in its folder, and the names of the files beside it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from broker.pacs.address import PacsAddress, parse_pacs
from p2pacs.errors import StateError, UsageError
from p2pacs.files.private_files import write_private
from p2pacs.settings import (
    AeTitleField,
    DicomTlsSettings,
    EndpointField,
    LineSettings,
    LogSettings,
    MetricsSettings,
    Settings,
    StoreSettings,
    WebSettings,
    load_settings,
    render_settings,
)
from p2pacs.study.images import Coding
from p2pacs.units import Endpoint

BROKER_TOML: Final = "broker.toml"
PEER_TOML: Final = "peer.toml"
DATABASE: Final = "broker.db"
AUTHORITY: Final = "authority"
IDENTITY: Final = "identity"
SIGNING_KEY: Final = "signing.key"
STUDY_SECRET: Final = "study.secret"  # noqa: S105 - the name of a file
CATALOGUE: Final = "catalogue.db"  # until version 0.1; taken over into DATABASE
STORE: Final = "store"
WEB: Final = "web"
DICOM_TLS: Final = "dicom-tls"
LOCK: Final = "lock"
UPLINK_RATE: Final = "uplink.rate"
"""What the uplink was last found to carry (`p2pacs.line.kept_rate`)."""

OWN: Final = (
    BROKER_TOML,
    DATABASE,
    AUTHORITY,
    IDENTITY,
    SIGNING_KEY,
    STUDY_SECRET,
    CATALOGUE,
    STORE,
    WEB,
    DICOM_TLS,
    LOCK,
    UPLINK_RATE,
)
"""All that a broker has in its folder (SQLite adds endings)."""

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


def _pacs(text: str) -> str:
    """Checked when it is loaded, so that a mistake is named with its line."""
    try:
        parse_pacs(text)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return text


def _once(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Each once, in the order in which they were named first."""
    return tuple(dict.fromkeys(endpoints))


class AdminWebSettings(WebSettings):
    """The administrator's pages."""

    listen: EndpointField = Field(
        description="Where the administrator's pages are served.", examples=["127.0.0.1:8443"]
    )


class EnrolmentSettings(Settings):
    """How members join."""

    token_days: int = Field(
        default=7, ge=1, le=90, description="Days until an unused token is good no longer."
    )
    certificate_days: int = Field(
        default=30,
        ge=1,
        le=365,
        description="Days that a member's certificate lasts; members renew it by themselves after "
        "two thirds of it.",
    )

    @property
    def token_milliseconds(self) -> int:
        """How long an unused token is good."""
        return self.token_days * DAY * 1000

    @property
    def certificate_lifetime(self) -> timedelta:
        """How long a member's certificate lasts."""
        return timedelta(days=self.certificate_days)


class SweepSettings(Settings):
    """How the catalogue follows the PACS."""

    every_seconds: int = Field(
        default=30,
        ge=5,
        description=(
            "Seconds between two looks for new and changed studies in the PACS. A look covers the "
            "last days, or all studies as long as that keeps the PACS busy for a twentieth of the "
            "time at most."
        ),
    )


class BrokerSettings(Settings):
    """All settings of a broker."""

    name: str = Field(
        default="broker",
        description="What the other members call the broker.",
        min_length=1,
        max_length=64,
    )
    pacs: Annotated[str, AfterValidator(_pacs)] = Field(
        description="The central PACS: dimse://AET@HOST:PORT (dimse+tls too, with the certificates "
        "of dicom_tls) or dicomweb+http://HOST:PORT/ROOT (dicomweb+https too).",
        examples=[
            "dimse://ORTHANC@192.168.1.10:4242",
            "dicomweb+http://192.168.1.10:8042/dicom-web",
        ],
    )
    aet: AeTitleField = Field(
        default="P2PACS",
        description="The broker's own AE title: the PACS must know it for dimse://.",
    )
    dicom: EndpointField | None = Field(
        default=None,
        description="Where the PACS sends to when it is asked by C-MOVE; register it in the PACS "
        "under the AE title above. Not set: C-GET is used.",
        examples=["192.168.1.4:11112"],
    )
    listen: Annotated[tuple[EndpointField, ...], AfterValidator(_once)] = Field(
        description="Where members connect to.", min_length=1, examples=[["0.0.0.0:4710"]]
    )
    advertise: Annotated[tuple[EndpointField, ...], AfterValidator(_once)] = Field(
        default=(),
        description="Endpoints told to the members (in tokens and in the directory); all are "
        "tried, the fastest answer wins. None: those in listen.",
        examples=[["192.168.1.4:4710", "broker.example:4710"]],
    )
    web: AdminWebSettings
    enrolment: EnrolmentSettings = EnrolmentSettings()
    coding: Coding = Field(
        default=Coding.SMALLEST,
        description="How images are coded, bit for bit. smallest: JPEG XL, with a small preview "
        "of each. progressive: HTJ2K, about a fifth larger, for sites that view while they "
        "fetch: the first part of each image is a smaller one. A change is for what is published "
        "from then on.",
    )
    sweep: SweepSettings = SweepSettings()
    dicom_tls: DicomTlsSettings = DicomTlsSettings()
    line: LineSettings = LineSettings()
    store: StoreSettings = StoreSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if any(endpoint.port == 0 for endpoint in self.endpoints):
            raise ValueError("listen: members must know the port, so it cannot be 0")
        unusable = [one.host for one in self.endpoints if one.is_unspecified]
        if unusable:
            raise ValueError(
                f"advertise: name the endpoints at which members reach {unusable[0]} (each of "
                "this machine's addresses that they may use)"
            )
        return self

    @property
    def central_pacs(self) -> PacsAddress:
        """The address of the central PACS."""
        return parse_pacs(self.pacs)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where members may reach the broker."""
        return self.advertise or self.listen


def load_broker_settings(folder: Path) -> BrokerSettings:
    """The settings of the broker in ``folder``.

    Raises:
        StateError: there is no broker.
        SettingsError: a wrong key or value, named with its line.
    """
    path = folder / BROKER_TOML
    if not path.is_file():
        if (folder / PEER_TOML).is_file():
            raise StateError(
                f"{folder} is a peer's folder, not a broker's: p2pacs status {folder} shows how it "
                "is"
            )
        raise StateError(f"no broker in {folder}: make one with p2pacs broker init {folder} …")
    return load_settings(path, BrokerSettings)


def save_broker_settings(folder: Path, settings: BrokerSettings) -> None:
    """Write ``broker.toml`` with comments on every key: whole or not at all."""
    text = render_settings(settings, "Settings of this p2pacs broker: restart it after a change.")
    write_private(folder / BROKER_TOML, text.encode())
