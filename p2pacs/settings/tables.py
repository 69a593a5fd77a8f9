"""The base of all tables of settings, and the tables that both programs have."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from p2pacs.phrases import Phrase
from p2pacs.settings.fields import (
    EndpointField,
    HoursField,
    NetworkField,
    RateField,
    SizeField,
    UplinkField,
)


class Settings(BaseModel):
    """Base of all settings models: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LineSettings(Settings):
    """The line to the other members."""

    uplink: UplinkField | None = Field(
        default=None,
        description='How much of the uplink p2pacs may use. "measured": as much as the line '
        "carries while others on it still get through at once. Not set: all that there is, "
        "without regard to others.",
        examples=["800kbit", "measured"],
    )
    hours: tuple[HoursField, ...] = Field(
        default=(),
        description="Hours (local time) in which another rate counts for the uplink; for a "
        "measured uplink it is the most. The first that fits counts; off: no images are sent.",
        examples=[["mon-fri 08:00-18:00 400kbit", "sat,sun 00:00-24:00 off"]],
    )
    downlink: RateField | None = Field(
        default=None,
        description="How much of the downlink p2pacs may use; not set: all that there is.",
        examples=["3mbit"],
    )
    lan: tuple[NetworkField, ...] = Field(
        default=(),
        description="Networks beside this machine: what goes there is not counted as the line's.",
        examples=[["192.168.1.0/24"]],
    )

    @model_validator(mode="after")
    def _hours_need_an_uplink(self) -> Self:
        if self.hours and self.uplink is None:
            raise ValueError(Phrase("hours need an uplink, which counts in all others"))
        return self


class StoreSettings(Settings):
    """The chunks on disk."""

    capacity: SizeField | None = Field(
        default=None,
        description="Bytes that the store may use. Studies not used for longest are dropped when "
        "it is reached, but never the last copy of one. Not set: until the disk is full.",
        examples=["50GB"],
    )


_MINUTE: Final = 60 * 1000
"""Milliseconds."""


class WebSettings(Settings):
    """Pages for browsers."""

    listen: EndpointField | None = Field(
        default=None,
        description="Where the pages are served. Not set: there are none.",
        examples=["127.0.0.1:8443"],
    )
    tls: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="auto: plain HTTP on a loopback address, else HTTPS with a certificate of an "
        "authority of our own (docs/operations.md). on: always HTTPS. off: always HTTP, for use "
        "behind a reverse proxy on another machine that does TLS itself.",
    )
    certificate: str | None = Field(
        default=None,
        description="PEM file of a certificate of your own for HTTPS, with those of intermediate "
        "authorities after it, from the program's folder on. A new one in its place is used within "
        "a minute. Not set: one of an authority of our own.",
        examples=["/etc/ssl/p2pacs.pem"],
    )
    key: str | None = Field(
        default=None,
        description="PEM file of its key. Not set: it is in the same file.",
        examples=["/etc/ssl/private/p2pacs.key"],
    )
    hosts: tuple[str, ...] = Field(
        default=(),
        description="What people type into the browser, besides the host in listen (for 0.0.0.0 "
        "besides this machine's name and addresses): the pages answer to no other names, and the "
        "certificate names no others.",
        examples=[["p2pacs.hospital.example", "192.168.1.4"]],
    )
    proxies: tuple[NetworkField, ...] = Field(
        default=(),
        description="Reverse proxies before the pages (at a peer before its viewer and DICOMweb, "
        "too): whom they name in X-Forwarded-For is believed to ask, and by what "
        "X-Forwarded-Proto says. Not set: all who come through a proxy count as one address.",
        examples=[["192.168.1.7/32"]],
    )
    idle_minutes: int = Field(
        default=15, ge=1, description="Who is signed in is signed out after this time unused."
    )
    session_hours: int = Field(
        default=8, ge=1, description="Who is signed in is signed out after this time in any case."
    )

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        if self.key is not None and self.certificate is None:
            raise ValueError("key needs the certificate that it is of")
        return self

    @property
    def idle_milliseconds(self) -> int:
        """How long a session lasts unused."""
        return self.idle_minutes * _MINUTE

    @property
    def session_milliseconds(self) -> int:
        """How long a session lasts at most."""
        return self.session_hours * 60 * _MINUTE

    @property
    def secure(self) -> bool:
        """Whether the pages are served by HTTPS here."""
        if self.tls == "auto":
            return self.listen is not None and not self.listen.is_loopback
        return self.tls == "on"

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers come by HTTPS: to here, or to the reverse proxy before."""
        return self.secure or self.tls == "off"


class MetricsSettings(Settings):
    """What Prometheus reads."""

    listen: EndpointField | None = Field(
        default=None,
        description="Where Prometheus finds the metrics, at http://HOST:PORT/metrics "
        "(docs/monitoring.md). It is not encrypted. Not set: there are none.",
        examples=["127.0.0.1:9470"],
    )
    token_file: str | None = Field(
        default=None,
        description="File with the bearer token that Prometheus must bring, from the program's "
        "folder on. Needed where listen is no loopback address.",
        examples=["metrics.token"],
    )

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.listen is not None and not self.listen.is_loopback and self.token_file is None:
            raise ValueError(
                "listen: others reach this address, so name a token_file, or listen on 127.0.0.1"
            )
        return self


class DicomTlsSettings(Settings):
    """Certificates of DICOM over TLS; files are named from the program's folder on."""

    certificate: str | None = Field(
        default=None,
        description="PEM file of the certificate that the other side sees, with those of "
        "intermediate authorities after it. Not set: one is made, dicom-tls/certificate.pem; the "
        "other side has to be told to trust it.",
        examples=["/etc/ssl/p2pacs.pem"],
    )
    key: str | None = Field(
        default=None,
        description="PEM file of its key. Not set: it is in the same file.",
        examples=["/etc/ssl/private/p2pacs.key"],
    )
    authorities: str | None = Field(
        default=None,
        description="PEM file of the authorities (or single certificates) that the other side's "
        "certificates are trusted by. Not set: those that the system trusts.",
        examples=["/etc/ssl/hospital-ca.pem"],
    )
    clients: Literal["none", "optional", "required"] = Field(
        default="none",
        description="Whether who calls must show a certificate of these authorities, too.",
    )

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.key is not None and self.certificate is None:
            raise ValueError("key needs the certificate that it is of")
        if self.clients != "none" and self.authorities is None:
            raise ValueError("clients: name the authorities of their certificates")
        return self


class LogSettings(Settings):
    """The log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error."
    )
    json_lines: bool = Field(default=False, description="One JSON object a line instead of text.")
