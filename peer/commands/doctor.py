"""What is wrong with a peer's set-up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import trio

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.doctor.certificates import OWN, RENEWED, certificate_checks
from p2pacs.doctor.examination import PlannedCheck, failed, good, look_at, runs
from p2pacs.doctor.machine import machine_checks
from p2pacs.errors import P2PacsError
from p2pacs.files.locks import is_locked
from p2pacs.identity import dicom_tls
from p2pacs.identity.book import FILE, DirectoryBook
from p2pacs.identity.dicom_tls import DicomTls
from p2pacs.identity.directory import MemberRecord, Role
from p2pacs.identity.node import CERTIFICATE, NodeIdentity
from p2pacs.line.kept_rate import read_rate
from p2pacs.output.json_object import JsonObject
from p2pacs.pages.certificate import CERTIFICATE as WEB_CERTIFICATE
from p2pacs.process.health import Health, HealthCheck, clock_check
from p2pacs.units import MEASURED, Endpoint, format_bytes, format_rate
from p2pacs.web.addresses import machine_names
from p2pacs.wire.channel import channel
from peer.api.client import PeerClient
from peer.config import (
    IDENTITY,
    LOCK,
    STORE,
    UPLINK_RATE,
    VIEWER,
    WEB,
    PeerSettings,
    load_peer_settings,
)
from peer.spool.recipient_rules import resolve
from peer.viewer.installed import read_installed

SILENCE = 10.0
"""Seconds without an answer of a workstation."""

LINE_TOLERANCE = 0.95
"""A line that carries less than this part of what is set is too slow for it: headers below IP, and
how right a measurement is, make up for the rest."""

LONG = 4 * 3600
"""Seconds after which a study that is sent should be in the PACS, whatever its line is."""


def plan_peer(folder: Path) -> tuple[list[HealthCheck], list[PlannedCheck]]:
    """What is known at once, and what is to be looked at."""
    try:
        settings = load_peer_settings(folder)
        running = is_locked(folder / LOCK)
    except P2PacsError as error:
        known = [failed("Settings", str(error), "Correct the file: the other checks wait for it.")]
        return known, machine_checks(folder, folder / STORE, [], running=False)
    known = [
        good("Settings", "peer.toml is valid."),
        runs(folder, "peer", running=running),
        line_check(settings.line.uplink, read_rate(folder / UPLINK_RATE)),
    ]
    planned = machine_checks(folder, folder / STORE, _ports(settings), running=running)
    certificates = {
        "Certificate of this member": (folder / IDENTITY / CERTIFICATE, RENEWED),
        "Certificate of the pages": (folder / WEB / WEB_CERTIFICATE, RENEWED),
        "Certificate of DICOM over TLS": _dicom_certificate(folder, settings),
    }
    planned += certificate_checks(certificates)
    try:
        identity = NodeIdentity.load(folder / IDENTITY)
        book = DirectoryBook(identity.folder / FILE, identity.broker_key)
    except P2PacsError as error:
        return [*known, failed("Membership", str(error))], planned
    known += [_membership(identity, book), _dialled(settings, identity, book)]
    known += _recipients(settings, identity, book)
    if running:
        planned.append(PlannedCheck("Seen by the broker", partial(seen_by_broker, folder)))
        planned.append(PlannedCheck("Studies sent from here", partial(ask_sent, folder)))
    role = _role(identity, book)
    planned += _brokers(identity, book)
    if role is not Role.REPLICA:
        planned += [*_workstations(folder, settings), *_viewer(folder, settings)]
    return known, planned


# ---------------------------------------------------------------- what the settings say


def _ports(settings: PeerSettings) -> list[tuple[str, Endpoint | None]]:
    gateway = settings.gateway
    return [
        *(("listen", one) for one in settings.listen),
        ("dicom", settings.dicom),
        ("gateway.tls", gateway.tls),
        ("gateway.dicomweb", gateway.dicomweb),
        ("gateway.viewer", gateway.viewer),
        ("web.listen", settings.web.listen),
        ("api", settings.api),
        ("metrics.listen", settings.metrics.listen),
    ]


def line_check(uplink: int | str | None, carries: int | None) -> HealthCheck:
    """What the settings say of the uplink, beside what it was found to carry.

    Args:
        uplink: As in the settings.
        carries: Bits a second that a peer in this folder last found; None: it never measured.
    """
    last = f"it last carried {format_rate(carries)}" if carries else ""
    if uplink is None:
        return look_at(
            "Line",
            "Nothing says how fast the line is: all of it is used, without regard to others"
            f"{f' ({last})' if last else ''}.",
            'Set uplink in [line] to "measured", or to a rate, unless nobody else needs this line.',
        )
    if uplink == MEASURED:
        found = last or "nothing was sent over it yet"
        return good("Line", f"What the uplink carries is found out while it is used: {found}.")
    if carries and carries < LINE_TOLERANCE * int(uplink):
        return look_at(
            "Line",
            f"The uplink is set to {format_rate(int(uplink))}, and carried "
            f"{format_rate(carries)} when it was last measured: what is too much waits in the "
            "router, and others with it.",
            'Set uplink in [line] to less, or to "measured".',
        )
    known = f"{format_rate(int(uplink))} of the uplink may be used"
    return good("Line", f"{known}{f'; {last}' if last else ''}.")


def _dicom_certificate(folder: Path, settings: PeerSettings) -> tuple[Path, str]:
    named = settings.dicom_tls.certificate
    made = f"{dicom_tls.FOLDER}/{dicom_tls.CERTIFICATE}"
    return folder / (named or made), OWN if named else RENEWED


# ---------------------------------------------------------------- the network


def _role(identity: NodeIdentity, book: DirectoryBook) -> Role | None:
    member = book.directory.get(identity.address)
    return None if member is None else member.role


def _membership(identity: NodeIdentity, book: DirectoryBook) -> HealthCheck:
    member = book.directory.get(identity.address)
    if member is None:
        return look_at(
            "Membership",
            "The directory that was last heard of does not name this member.",
            "Start the peer once, so that it hears of a newer one; else ask the administrator.",
        )
    if member.revoked:
        return HealthCheck(
            "Membership",
            Health.BAD,
            f"{member.name} was revoked.",
            "Ask the administrator for a new token, and join from a new folder.",
        )
    return good("Membership", f"{member.name} is a member, as {member.role}.")


def _dialled(settings: PeerSettings, identity: NodeIdentity, book: DirectoryBook) -> HealthCheck:
    """Whether others can dial this peer, as far as can be said from here."""
    name = "Reached by others"
    member = book.directory.get(identity.address)
    told = () if member is None else member.endpoints
    wanted = tuple(map(str, settings.advertise))
    if not wanted and not told:
        return good(name, "It dials out only (behind NAT): nobody has to reach it.")
    if member is not None and set(told) != set(wanted):
        return look_at(
            name,
            f"Others are told {', '.join(told) or 'no address'}, and advertise says "
            f"{', '.join(wanted) or 'none'}.",
            "Have the administrator correct it: addresses are told when a member joins.",
        )
    return good(
        name,
        f"Others are told {', '.join(wanted)}. Whether they get there, the broker tries for a peer "
        "that runs.",
    )


def _recipients(
    settings: PeerSettings, identity: NodeIdentity, book: DirectoryBook
) -> list[HealthCheck]:
    """Whether studies are addressed to members that there are."""
    names = tuple(settings.sending.to)
    if not names:
        return []
    unknown = resolve(names, book.directory, identity.address).unknown
    if not unknown:
        return [good("Recipients", "Studies are addressed to hospitals of this network.")]
    return [
        look_at(
            "Recipients",
            f"No other hospital of this network is called {', '.join(map(repr, unknown))}: studies "
            "are sent, and not addressed to it.",
            "Correct the name in sending.to: as the administrator registered the member.",
        )
    ]


def _brokers(identity: NodeIdentity, book: DirectoryBook) -> list[PlannedCheck]:
    brokers = [book.directory.get(one) for one in sorted(book.directory.brokers)]
    return [
        PlannedCheck("Broker", partial(broker_checks, identity, book, one))
        for one in brokers
        if one is not None
    ]


async def broker_checks(
    identity: NodeIdentity, book: DirectoryBook, broker: MemberRecord
) -> Sequence[HealthCheck]:
    """Whether a broker answers at each of its addresses, and is who it should be.

    One address that works is enough.
    """
    found: list[HealthCheck] = [good("Broker", "")] * len(broker.endpoints)

    async def dial(number: int, text: str) -> None:
        found[number] = await _dial(identity, book, broker, text)

    async with trio.open_nursery() as nursery:
        for number, text in enumerate(broker.endpoints):
            nursery.start_soon(dial, number, text)
    reached = any(one.state is Health.GOOD for one in found)
    if not reached:
        return found
    return [
        one
        if one.state is Health.GOOD
        else look_at(one.name, one.what, "Another address works; this one may be for others.")
        for one in found
    ]


async def _dial(
    identity: NodeIdentity, book: DirectoryBook, broker: MemberRecord, text: str
) -> HealthCheck:
    name = f"Broker at {text}"
    try:
        stream, remote = await channel.connect(Endpoint.parse(text), identity, broker.address)
    except P2PacsError as error:
        return failed(
            name,
            str(error),
            "Check that the broker runs, that its address and port are let through, that nothing "
            "between breaks TLS open, and that both clocks are right.",
        )
    await trio.aclose_forcefully(stream)
    book.directory.check(remote)
    return good(name, f"{broker.name} answers, with its own certificate.")


async def seen_by_broker(folder: Path) -> Sequence[HealthCheck]:
    """What the broker says of the clocks, and of the addresses that it dialled back: asked by the
    peer that runs, on its link."""
    async with PeerClient.connect(folder) as peer:
        said = await peer.reach()
    clock = clock_check("Clock against the broker's", said["clock"])
    reached, missed = ", ".join(said["reached"]), ", ".join(said["missed"])
    if not missed:
        what = f"The broker reached it at {reached}." if reached else "Others are told no address."
        return [clock, good("Dialled back by the broker", what)]
    advice = (
        "Let the port through, or have the router pass it on; or leave advertise out: dialling out "
        "alone is enough."
    )
    what = f"The broker did not reach it at {missed}{f', but at {reached}' if reached else ''}."
    return [clock, look_at("Dialled back by the broker", what, advice)]


async def ask_sent(folder: Path) -> Sequence[HealthCheck]:
    """Whether what is sent from here arrives, as the peer that runs says; nothing where none is."""
    async with PeerClient.connect(folder) as peer:
        sending = (await peer.status())["sending"]
    return [] if sending is None else [sent_check(sending, folder)]


def sent_check(sending: JsonObject, folder: Path) -> HealthCheck:
    """The same, out of what the peer says of it (`peer.api.outgoing_studies.sending_json`)."""
    name, advice = "Studies sent from here", f"p2pacs sent {folder} says why, and of which."
    kept = format_bytes(sending["spooled"])
    if refused := sending["refused"]:
        what = f"Refused: {refused}. They do not go on by themselves; {kept} are kept here."
        return look_at(name, what, advice)
    oldest = sending["oldest"] or 0
    if oldest > LONG:
        what = f"The oldest that is under way began {oldest // 3600} h ago; {kept} are kept here."
        return look_at(name, what, advice)
    return good(name, f"Under way: {sending['under_way']}; {kept} are kept here.")


# ---------------------------------------------------------------- the hospital


def _workstations(folder: Path, settings: PeerSettings) -> list[PlannedCheck]:
    tls = DicomTls(folder, settings.dicom_tls, settings.aet, machine_names)
    return [
        PlannedCheck(f"Workstation {aet}", partial(_echo, remote, settings.aet))
        for aet, remote in settings.gateway.remotes(tls.client).items()
    ]


async def _echo(remote: DimseRemote, aet: str) -> Sequence[HealthCheck]:
    name = f"Workstation {remote.aet}"
    try:
        await DimseClient(remote, aet, silence=SILENCE).echo()
    except P2PacsError as error:
        advice = (
            f"Is it switched on, at this address, and does it know the AE title {aet}? What is "
            "sent to it fails until then."
        )
        return [look_at(name, f"{error}.", advice)]
    return [good(name, "It answers a C-ECHO.")]


def _viewer(folder: Path, settings: PeerSettings) -> list[PlannedCheck]:
    if settings.gateway.viewer is None:
        return []
    home = settings.gateway.viewer_files or folder

    async def look() -> Sequence[HealthCheck]:
        there = await trio.to_thread.run_sync(read_installed, home / VIEWER)
        install = f"p2pacs viewer install {home}"
        if there is None:
            return [HealthCheck("Viewer", Health.BAD, "It is not installed.", install)]
        if not there.is_current:
            return [look_at("Viewer", f"{there.version} is an older one.", install)]
        return [good("Viewer", f"OHIF {there.version} is installed.")]

    return [PlannedCheck("Viewer", look)]
