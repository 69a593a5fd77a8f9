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
from broker.database.pacs_state import PacsIs, PacsState, pacs_phrase
from broker.members.member_reach import MemberReach
from broker.members.registry import Member
from p2pacs.errors import P2PacsError
from p2pacs.identity.certificates import from_pem, load_certificate
from p2pacs.identity.node import CERTIFICATE
from p2pacs.ids import VirtualAddress
from p2pacs.pages.certificate import CERTIFICATE as WEB_CERTIFICATE
from p2pacs.phrases import Moment, Phrase, both
from p2pacs.process.health import CLOCK_LOOK, Health, HealthCheck, disk_check, expiry_check
from p2pacs.publish import PublishProgress
from p2pacs.publish.progress import PublishStage
from p2pacs.units import ByteCount
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
    """By the name of the check; folders on one disk are one."""
    certificates: Mapping[str, int]
    """By the name of the check: when they end, milliseconds since 1970."""


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
    trials: Mapping[VirtualAddress, MemberReach] = field(factory=dict)
    """What members that asked for it were told of their clocks and addresses."""
    version: str = field(factory=own_version)


def broker_checks(vitals: BrokerVitals) -> list[HealthCheck]:
    """How the broker is."""
    return [
        _pacs(vitals),
        _catalogue(vitals),
        _publications(vitals.publications),
        *_workers(vitals),
        _linked(vitals),
        *_seen(vitals),
        *(disk_check(name, disk.free, disk.total) for name, disk in vitals.files.disks.items()),
        _database(vitals.files),
        *_certificates(vitals),
        _clock(vitals.at),
        HealthCheck(
            Phrase("Version"),
            Health.GOOD,
            Phrase("This is p2pacs %(version)s.", version=vitals.version),
        ),
    ]


def _pacs(vitals: BrokerVitals) -> HealthCheck:
    state, settings = vitals.pacs, vitals.settings
    name = Phrase("PACS")
    found = pacs_phrase(state, str(settings.central_pacs), settings.aet)
    if state.state is PacsIs.ANSWERS:
        since = Phrase("It answers since %(time)s.", time=Moment(state.since))
        return HealthCheck(name, Health.GOOD, both(found, since))
    if state.state is PacsIs.UNKNOWN:
        return HealthCheck(name, Health.LOOK, found, Phrase("Wait for the first look to end."))
    advice = Phrase(
        "Check that the PACS runs, its address in broker.toml, and the network between."
    )
    if state.state is PacsIs.FAILED:
        advice = Phrase("Make room on the broker's disk; the log says what failed.")
    return HealthCheck(name, Health.BAD, found, advice)


def _catalogue(vitals: BrokerVitals) -> HealthCheck:
    name, every = Phrase("Catalogue"), vitals.settings.sweep.every_seconds * 1000
    looked = vitals.pacs.looked
    if looked is None:
        return HealthCheck(
            name,
            Health.LOOK,
            Phrase("It was never compared with the PACS."),
            Phrase("It is filled when the broker has looked through the PACS once."),
        )
    if vitals.at - looked > max(LATE * every, LEAST):
        return HealthCheck(
            name,
            Health.BAD,
            Phrase(
                "Compared with the PACS at %(time)s: that is too long ago.", time=Moment(looked)
            ),
            Phrase("New studies are not found until the PACS answers again: see PACS above."),
        )
    what = Phrase(
        "Compared with the PACS at %(time)s; next at about %(next)s.",
        time=Moment(looked),
        next=Moment(looked + every),
    )
    return HealthCheck(name, Health.GOOD, what)


def _publications(publications: Iterable[PublishProgress]) -> HealthCheck:
    name, listed = Phrase("Publications"), list(publications)
    stages = Counter(one.stage for one in listed)
    failed, short = stages[PublishStage.FAILED], sum(one.left_out > 0 for one in listed)
    running = sum(not one.over for one in listed)
    waiting = stages[PublishStage.WAITING]
    if failed or short:
        what = Phrase(
            "%(running)s under way, %(waiting)s of them waiting; of the last ones %(failed)s"
            " failed, and %(short)s lack images.",
            running=running,
            waiting=waiting,
            failed=failed,
            short=short,
        )
        return HealthCheck(name, Health.LOOK, what, Phrase("Transfers shows which, and why."))
    what = Phrase(
        "%(running)s under way, %(waiting)s of them waiting; none of the last ones failed.",
        running=running,
        waiting=waiting,
    )
    if waiting > QUEUE:
        advice = Phrase("They wait for the PACS and the processor: see how busy both are.")
        return HealthCheck(name, Health.LOOK, what, advice)
    return HealthCheck(name, Health.GOOD, what)


def _workers(vitals: BrokerVitals) -> Iterator[HealthCheck]:
    if vitals.workers is None:
        return
    name = Phrase("Workers")
    if vitals.deaths:
        died = Phrase(
            "Processes that code images: %(count)s. Died over an image since the start, and"
            " replaced: %(died)s.",
            count=vitals.workers,
            died=vitals.deaths,
        )
        advice = Phrase("The log names the study: an image that its codec cannot take is left out.")
        yield HealthCheck(name, Health.LOOK, died, advice)
    else:
        fine = Phrase("Processes that code images: %(count)s. None has died.", count=vitals.workers)
        yield HealthCheck(name, Health.GOOD, fine)


def _linked(vitals: BrokerVitals) -> HealthCheck:
    name = Phrase("Members")
    states = Counter(one.state(vitals.at) for one in vitals.members)
    joined = states["linked"] + states["joined"]
    what = Phrase("%(linked)s of %(joined)s are linked.", linked=states["linked"], joined=joined)
    if states["expired"]:
        ended = Phrase(
            "Members whose certificate or token has ended: %(count)s.", count=states["expired"]
        )
        advice = Phrase("Members shows which; make new tokens for them.")
        return HealthCheck(name, Health.LOOK, both(what, ended), advice)
    if joined and not states["linked"]:
        advice = Phrase("Check that they run, and that they reach the broker at its port.")
        return HealthCheck(name, Health.BAD, what, advice)
    return HealthCheck(name, Health.GOOD, what)


def _seen(vitals: BrokerVitals) -> Iterator[HealthCheck]:
    """Members whose own doctor asked the broker."""
    trials = [
        (one, vitals.trials[one.address]) for one in vitals.members if one.address in vitals.trials
    ]
    if not trials:
        return
    name = Phrase("Clocks and addresses of members")
    wrong = sorted(one.name for one, found in trials if abs(found.clock) >= CLOCK_LOOK)
    missed = sorted(one.name for one, found in trials if found.missed)
    if wrong:
        what = Phrase("Their clocks differ from the broker's: %(names)s.", names=_named(wrong))
        advice = Phrase("Let their machines follow a time server (NTP).")
        yield HealthCheck(name, Health.LOOK, what, advice)
    elif missed:
        what = Phrase(
            "Not reached at every address that they tell others: %(names)s.", names=_named(missed)
        )
        advice = Phrase("p2pacs doctor there says which; behind NAT none need be told.")
        yield HealthCheck(name, Health.LOOK, what, advice)
    else:
        fine = Phrase("Those that asked are right and were reached: %(count)s.", count=len(trials))
        yield HealthCheck(name, Health.GOOD, fine)


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")


_NAMED: Final = 8
"""Members that a sentence names."""


def _database(files: BrokerFilesNow) -> HealthCheck:
    what = Phrase(
        "It has %(size)s. Backups are made outside of the broker, which does not know when the"
        " last one was.",
        size=ByteCount(files.database),
    )
    return HealthCheck(Phrase("Database"), Health.GOOD, what)


def _certificates(vitals: BrokerVitals) -> Iterator[HealthCheck]:
    restart = Phrase("It renews itself while the broker runs; if it has not, the log says why.")
    anew = Phrase(
        "Without it nobody can join or renew: plan the move to a new network in good time."
    )
    ends = vitals.authority_ends
    yield expiry_check(Phrase("Certificate of the authority"), ends, vitals.at, anew, days=365)
    for name, moment in vitals.files.certificates.items():
        yield expiry_check(name, moment, vitals.at, restart, days=7)


def _clock(at: int) -> HealthCheck:
    name = Phrase("Clock")
    what = Phrase("It is %(time)s by the broker's clock.", time=Moment(at))
    if datetime.fromtimestamp(at / 1000, UTC).year < _RELEASED:
        advice = Phrase("Let the machine follow a time server (NTP).")
        return HealthCheck(name, Health.BAD, what, advice)
    return HealthCheck(name, Health.GOOD, what)


_RELEASED: Final = 2024
"""A clock before this year lost its battery."""


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
    names = (
        (Phrase("Disk of the database"), folder),
        (Phrase("Disk of the store"), folder / STORE),
    )
    for name, place in names:
        with suppress(OSError):
            if (device := place.stat().st_dev) not in devices:
                devices.add(device)
                use = shutil.disk_usage(place)
                disks[name] = DiskUse(use.free, use.total)
    if len(disks) == 1:
        disks = {Phrase("Disk of database and store"): next(iter(disks.values()))}
    found = {
        Phrase("Certificate of the broker"): folder / IDENTITY / CERTIFICATE,
        Phrase("Certificate of the pages"): folder / (certificate or f"{WEB}/{WEB_CERTIFICATE}"),
    }
    certificates: dict[str, int] = {}
    for name, path in found.items():
        with suppress(OSError, P2PacsError):
            certificates[name] = ends_at(from_pem(path.read_bytes(), name))
    return BrokerFilesNow(size, disks, certificates)


def ends_at(certificate: bytes) -> int:
    """When a certificate (DER) ends: milliseconds since 1970."""
    return round(load_certificate(certificate).not_valid_after_utc.timestamp() * 1000)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
