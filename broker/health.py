"""How the broker is: the list of checks that its pages, its metrics and its commands show.

What is read is gathered in one `BrokerVitals`; what it means is decided purely.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from attrs import field, frozen

from broker.config import DATABASE, IDENTITY, STORE, WEB, BrokerSettings
from broker.database.pacs_state import PacsIs, PacsState, pacs_words
from broker.members.registry import Member
from p2pacs.errors import P2PacsError
from p2pacs.identity.certificates import from_pem, load_certificate
from p2pacs.identity.node import CERTIFICATE
from p2pacs.pages.certificate import CERTIFICATE as WEB_CERTIFICATE
from p2pacs.process.health import Health, HealthCheck, disk_check, expiry_check
from p2pacs.publish import PublishProgress
from p2pacs.publish.progress import PublishStage
from p2pacs.units import format_bytes
from p2pacs.version import own_version

LATE: Final = 3
"""Looks at the PACS that may be missed, as one may take longer than the pause."""

LEAST: Final = 15 * 60 * 1000
"""Milliseconds after which the last look is late whatever the settings say."""

QUEUE: Final = 50
"""Publications that wait: more take longer than anybody waits."""


@frozen
class DiskUse:
    """The room on the disk of a folder."""

    free: int
    total: int


@frozen
class BrokerFilesNow:
    """What the broker's folder and its disks say. Made by `read_folder`."""

    database: int
    """Bytes of its database."""
    disks: Mapping[str, DiskUse]
    """By what lies there; folders on one disk are one."""
    certificates: Mapping[str, int]
    """By what they are for: when they end, milliseconds since 1970."""


@frozen
class BrokerVitals:
    """All that is looked at."""

    settings: BrokerSettings
    at: int
    """Now: milliseconds since 1970."""
    files: BrokerFilesNow
    authority_ends: int
    pacs: PacsState
    members: Sequence[Member]
    publications: Sequence[PublishProgress]
    workers: int | None = None
    """Processes that code images; None: not known, the broker does not run."""
    deaths: int = 0
    """Workers that died."""
    version: str = field(factory=own_version)


def broker_checks(vitals: BrokerVitals) -> list[HealthCheck]:
    """How the broker is."""
    return [
        _pacs(vitals),
        _catalogue(vitals),
        _publications(vitals.publications),
        *_workers(vitals),
        _linked(vitals),
        *(
            disk_check(f"Disk of {what}", disk.free, disk.total)
            for what, disk in vitals.files.disks.items()
        ),
        _database(vitals.files),
        *_certificates(vitals),
        _clock(vitals.at),
        HealthCheck("Version", Health.GOOD, f"This is p2pacs {vitals.version}."),
    ]


def _pacs(vitals: BrokerVitals) -> HealthCheck:
    state, settings = vitals.pacs, vitals.settings
    words = pacs_words(state, str(settings.central_pacs), settings.aet)
    if state.state is PacsIs.ANSWERS:
        return HealthCheck("PACS", Health.GOOD, f"{words} It answers since {_when(state.since)}.")
    if state.state is PacsIs.UNKNOWN:
        return HealthCheck("PACS", Health.LOOK, words, "Wait for the first look to end.")
    advice = "Check that the PACS runs, its address in broker.toml, and the network between."
    if state.state is PacsIs.FAILED:
        advice = "Make room on the broker's disk; the log says what failed."
    return HealthCheck("PACS", Health.BAD, words, advice)


def _catalogue(vitals: BrokerVitals) -> HealthCheck:
    name, every = "Catalogue", vitals.settings.sweep.every_seconds * 1000
    looked = vitals.pacs.looked
    if looked is None:
        advice = "It is filled when the broker has looked through the PACS once."
        return HealthCheck(name, Health.LOOK, "It was never compared with the PACS.", advice)
    what = f"Compared with the PACS at {_when(looked)}"
    if vitals.at - looked > max(LATE * every, LEAST):
        advice = "New studies are not found until the PACS answers again: see PACS above."
        return HealthCheck(name, Health.BAD, f"{what}: that is too long ago.", advice)
    return HealthCheck(name, Health.GOOD, f"{what}; next at about {_when(looked + every)}.")


def _publications(publications: Iterable[PublishProgress]) -> HealthCheck:
    name, listed = "Publications", list(publications)
    stages = Counter(one.stage for one in listed)
    failed, short = stages[PublishStage.FAILED], sum(one.left_out > 0 for one in listed)
    running = sum(not one.over for one in listed)
    what = f"{running} under way, {stages[PublishStage.WAITING]} of them waiting"
    if failed or short:
        what += f"; of the last ones {failed} failed, and {short} lack images."
        return HealthCheck(name, Health.LOOK, what, "Transfers shows which, and why.")
    if stages[PublishStage.WAITING] > QUEUE:
        advice = "They wait for the PACS and the processor: see how busy both are."
        return HealthCheck(name, Health.LOOK, f"{what}.", advice)
    return HealthCheck(name, Health.GOOD, f"{what}; none of the last ones failed.")


def _workers(vitals: BrokerVitals) -> Iterator[HealthCheck]:
    if vitals.workers is None:
        return
    what = f"{vitals.workers} processes code images"
    if vitals.deaths:
        died = f"{what}; {vitals.deaths} died over an image since the start, and were replaced."
        advice = "The log names the study: an image that its codec cannot take is left out."
        yield HealthCheck("Workers", Health.LOOK, died, advice)
    else:
        yield HealthCheck("Workers", Health.GOOD, f"{what}; none has died.")


def _linked(vitals: BrokerVitals) -> HealthCheck:
    name = "Members"
    states = Counter(one.state(vitals.at) for one in vitals.members)
    joined = states["linked"] + states["joined"]
    what = f"{states['linked']} of {joined} are linked"
    if states["expired"]:
        what += f"; of {states['expired']} the certificate or token has ended."
        return HealthCheck(
            name, Health.LOOK, what, "Members shows which; make new tokens for them."
        )
    if joined and not states["linked"]:
        advice = "Check that they run, and that they reach the broker at its port."
        return HealthCheck(name, Health.BAD, f"{what}.", advice)
    return HealthCheck(name, Health.GOOD, f"{what}.")


def _database(files: BrokerFilesNow) -> HealthCheck:
    what = (
        f"It has {format_bytes(files.database)}. Backups are made outside of the broker, which"
        " does not know when the last one was."
    )
    return HealthCheck("Database", Health.GOOD, what)


def _certificates(vitals: BrokerVitals) -> Iterator[HealthCheck]:
    restart = "It renews itself while the broker runs; if it has not, the log says why."
    anew = "Without it nobody can join or renew: plan the move to a new network in good time."
    ends = vitals.authority_ends
    yield expiry_check("Certificate of the authority", ends, vitals.at, anew, days=365)
    for what, moment in vitals.files.certificates.items():
        yield expiry_check(f"Certificate of {what}", moment, vitals.at, restart, days=7)


def _clock(at: int) -> HealthCheck:
    moment = datetime.fromtimestamp(at / 1000, UTC)
    said = f"It is {moment:%Y-%m-%d %H:%M} UTC by the broker's clock."
    if moment.year < _RELEASED:
        return HealthCheck("Clock", Health.BAD, said, "Let the machine follow a time server (NTP).")
    return HealthCheck("Clock", Health.GOOD, said)


_RELEASED: Final = 2024
"""A clock before this year lost its battery."""


def _when(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d %H:%M} UTC"


# ---------------------------------------------------------------- reading


def read_folder(folder: Path, certificate: str | None = None) -> BrokerFilesNow:
    """What the broker's folder and its disks say; in a thread, as it reads files.

    Args:
        folder: of the broker.
        certificate: file of the pages' own certificate, as the settings name it.
    """
    size = sum(_size(folder / f"{DATABASE}{suffix}") for suffix in ("", "-wal"))
    disks: dict[str, DiskUse] = {}
    devices: set[int] = set()
    for what, place in (("the database", folder), ("the store", folder / STORE)):
        with suppress(OSError):
            if (device := place.stat().st_dev) not in devices:
                devices.add(device)
                use = shutil.disk_usage(place)
                disks[what] = DiskUse(use.free, use.total)
    if len(disks) == 1:
        disks = {"database and store": next(iter(disks.values()))}
    found = {
        "the broker": folder / IDENTITY / CERTIFICATE,
        "the pages": folder / (certificate or f"{WEB}/{WEB_CERTIFICATE}"),
    }
    certificates: dict[str, int] = {}
    for what, path in found.items():
        with suppress(OSError, P2PacsError):
            certificates[what] = ends_at(from_pem(path.read_bytes(), what))
    return BrokerFilesNow(size, disks, certificates)


def ends_at(certificate: bytes) -> int:
    """When a certificate (DER) ends: milliseconds since 1970."""
    return round(load_certificate(certificate).not_valid_after_utc.timestamp() * 1000)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
