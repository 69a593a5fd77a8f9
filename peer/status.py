"""What a peer says of itself, as JSON: links, transfers, store, catalogue, broker."""

from __future__ import annotations

from typing import Any

from p2pacs.identity.book import DirectoryBook
from p2pacs.ids import VirtualAddress
from p2pacs.swarm.node import Node
from p2pacs.swarm.transfer import Transfer

Json = dict[str, Any]


def member_name(book: DirectoryBook, address: VirtualAddress) -> str:
    """What people call a member; its virtual address while the directory does not know it."""
    member = book.directory.get(address)
    return str(address) if member is None else member.name


def transfer_json(transfer: Transfer, book: DirectoryBook) -> Json:
    """One transfer: how far it is and what came from whom.

    Rates are in bytes a second.
    """
    return {
        "study": str(transfer.study),
        "state": str(transfer.state),
        "error": None if transfer.error is None else str(transfer.error),
        "bytes_received": transfer.bytes_received,
        "bytes_total": transfer.bytes_total,
        "sources": {
            member_name(book, address): {
                "bytes": stats.bytes,
                "rate": round(stats.rate),
                "in_flight": stats.in_flight,
            }
            for address, stats in sorted(transfer.sources.items())
        },
    }


def transfers_json(node: Node, book: DirectoryBook) -> list[Json]:
    """All transfers since the start, newest first."""
    newest = sorted(node.transfers.values(), key=lambda one: one.started, reverse=True)
    return [transfer_json(transfer, book) for transfer in newest]
