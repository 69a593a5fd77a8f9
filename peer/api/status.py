"""What a peer says of itself, as JSON: transfers, uploads, members."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from attrs import field, frozen

from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.directory import Role
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import VirtualAddress
from p2pacs.mesh.mesh import Mesh
from p2pacs.output.json_object import JsonObject
from p2pacs.swarm.download.transfer import SourceStats, Transfer, TransferState
from peer.api.progress import expected_seconds
from peer.api.reached import MemberLink, linked_how
from peer.config import PeerSettings


@frozen
class Rates:
    """Of one transfer, in bytes a second at this moment."""

    whole: float = 0.0
    """All links together."""
    sources: Mapping[VirtualAddress, float] = field(factory=dict)


def member_name(book: DirectoryBook, address: VirtualAddress) -> str:
    """What people call a member; its virtual address while the directory does not know it."""
    member = book.directory.get(address)
    return str(address) if member is None else member.name


def member_role(book: DirectoryBook, address: VirtualAddress) -> str | None:
    """``hospital``, ``replica`` or ``broker``; None while the directory does not know it."""
    member = book.directory.get(address)
    return None if member is None else str(member.role)


def broker_json(identity: NodeIdentity, book: DirectoryBook, mesh: Mesh) -> JsonObject:
    """Whether the broker is linked, and why it takes no link of this member, if it said so."""
    me = book.directory.get(identity.address)
    refused: str | None = None
    if me is not None and me.revoked:
        refused = f"{me.name} was revoked"
    elif not mesh.broker_linked:
        said = (mesh.refused.get(broker) for broker in sorted(mesh.brokers))
        refused = next((str(error) for error in said if error is not None), None)
    return {"linked": mesh.broker_linked, "refused": refused}


def gateway_json(settings: PeerSettings, role: Role) -> JsonObject:
    """Where workstations find a PACS; ``dicom`` and ``dicom_tls`` are null if there is none."""
    plain, secure = (
        None if where is None or role is Role.REPLICA else str(where)
        for where in (settings.dicom, settings.gateway.tls)
    )
    return {"aet": settings.aet, "dicom": plain, "dicom_tls": secure}


def link_json(
    member: VirtualAddress, book: DirectoryBook, link: MemberLink, *, sent: int
) -> JsonObject:
    """A link to a member, over which so many bytes were sent."""
    return {
        "name": member_name(book, member),
        "address": str(member),
        "role": member_role(book, member),
        "how": str(linked_how(link)),
        "bytes_sent": sent,
    }


def growing(transfer: Transfer) -> bool:
    """Whether the study's size is not yet known: its broker publishes it still."""
    return transfer.root is None or not transfer.root.complete


def end_of(transfer: Transfer, rate: float) -> float | None:
    """Seconds until a transfer ends; None while unknown, or when it failed."""
    if transfer.state is not TransferState.FETCHING:
        return 0.0 if transfer.state is TransferState.COMPLETE else None
    missing = None if growing(transfer) else transfer.bytes_total - transfer.bytes_held
    return expected_seconds(missing, rate)


def transfer_json(
    transfer: Transfer,
    book: DirectoryBook,
    *,
    now: float,
    rates: Rates,
    linked: Collection[VirtualAddress],
    sources: int | None = None,
) -> JsonObject:
    """One transfer: how far it is, when it ends and what comes from whom.

    Args:
        transfer: Which.
        book: Names the members.
        now: On the clock of the transfer's ``started``.
        rates: Bytes a second at this moment.
        linked: Members with a link.
        sources: So many sources at most, those that gave most; None for all.
    """
    stats = transfer.sources
    named = sorted(stats, key=lambda member: (-stats[member].bytes, member))[:sources]
    expected = end_of(transfer, rates.whole)
    return {
        "study": str(transfer.study),
        "state": str(transfer.state),
        "error": None if transfer.error is None else str(transfer.error),
        "priority": transfer.priority.name.lower(),
        "growing": growing(transfer),
        "bytes_received": transfer.bytes_received,
        "bytes_held": transfer.bytes_held,
        "bytes_total": transfer.bytes_total,
        "in_flight": sum(one.in_flight for one in stats.values()),
        "rate": round(rates.whole),
        "expected_seconds": None if expected is None else round(expected, 1),
        "seconds": round((now if transfer.ended is None else transfer.ended) - transfer.started, 3),
        "sources": {
            member_name(book, member): {
                **_source_json(stats[member], rates.sources.get(member, 0.0)),
                "role": member_role(book, member),
                "linked": member in linked,
            }
            for member in sorted(named)
        },
        "further_sources": len(stats) - len(named),
    }


def _source_json(stats: SourceStats, rate: float) -> JsonObject:
    return {"bytes": stats.bytes, "rate": round(rate), "in_flight": stats.in_flight}


def upload_json(
    member: VirtualAddress,
    book: DirectoryBook,
    *,
    sent: int,
    waiting: int,
    rate: float,
    linked: bool,
) -> JsonObject:
    """What one member is sent."""
    return {
        "name": member_name(book, member),
        "role": member_role(book, member),
        "bytes": sent,
        "waiting": waiting,
        "rate": round(rate),
        "linked": linked,
    }
