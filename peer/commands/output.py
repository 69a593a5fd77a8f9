"""What the commands show: tables and closing lines (Rich); `peer.commands.bars` has what moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from p2pacs.units import format_bytes
from peer.commands.bars import format_rate, format_seconds, when
from peer.commands.get import GetOutcome

Json = dict[str, Any]

RECENT: Final = 12
"""Transfers that ended and are shown."""


def studies_table(studies: list[Json]) -> RenderableType:
    """The answer of ``find``."""
    table = Table(title=None if studies else "No study matches.")
    titles = ("Patient ID", "Name", "Date", "Modality", "Description", "Images")
    for title in titles:
        table.add_column(title)
    table.add_column("Study Instance UID", overflow="fold")
    for study in studies:
        cells = (
            study["patient_id"],
            study["patient_name"],
            study["study_date"],
            " ".join(study["modalities"]),
            study["description"],
            "" if study["instances"] is None else str(study["instances"]),
            study["study_instance_uid"],
        )
        # As Text: what the PACS says is never taken for markup.
        table.add_row(*(Text(cell) for cell in cells))
    return table


def outcome_line(outcome: GetOutcome, out: Path) -> str:
    """The last line of ``get``, and one about the contact sheet if there is one."""
    kept = f" ({outcome.kept} were there already)" if outcome.kept else ""
    said = outcome.json()
    received = f"{format_bytes(said['bytes_received'])} received"
    took = format_seconds(said["seconds"])
    line = f"{outcome.instances} instances in {out}{kept}; {received} in {took}."
    if (sheet := outcome.sheet) is None:
        return line
    shown = f"{sheet['shown']} of {sheet['images']} images in {sheet['file']}"
    return f"{line}\nContact sheet: {shown}, not for diagnosis."


def ready_line(said: Json) -> str:
    """The line that says that the peer runs."""
    dicom = f", DICOM {said['aet']} on {said['dicom']}" if said["dicom"] else ""
    listens = ", ".join(said["listen"])
    return f"{said['name']} is ready: members on {listens}{dicom}, commands on {said['api']}"


def status_view(said: Json) -> RenderableType:
    """The answer of ``status``."""
    parts = Table.grid(padding=(0, 2))
    for name, text in _facts(said):
        parts.add_row(name, text)
    return Group(
        parts,
        _links(said["links"], said["uploads"]),
        *_running(said["transfers"]),
        *_ended(said["transfers"]),
    )


def _facts(said: Json) -> list[tuple[str, str]]:
    store, catalogue = said["store"], said["catalogue"]
    capacity = "" if store["capacity"] is None else f" of {format_bytes(store['capacity'])}"
    age = catalogue["age"]
    current = "not current since the start" if age is None else f"current {age:.0f} s ago"
    return [
        ("Member", f"{said['name']} ({said['role']}) {said['address']}"),
        ("Broker", "linked" if said["broker"]["linked"] else "away: what is held can be read"),
        ("Store", f"{format_bytes(store['used'])}{capacity}, {store['studies']} studies"),
        ("Catalogue", f"{catalogue['studies']} studies, {current}"),
        ("Audit", f"{said['audit_waiting']} records wait for the broker"),
        ("Certificate", f"valid until {said['certificate_expires']}"),
    ]


def _links(links: list[Json], uploads: list[Json]) -> Table:
    table = Table(title="Links" if links else "No links")
    for title in ("Member", "Role", "Address"):
        table.add_column(title)
    for title in ("Sent", "Sending", "Waiting"):
        table.add_column(title, justify="right")
    sent = {one["name"]: one for one in uploads}
    for link in links:
        table.add_row(
            link["name"],
            link["role"],
            link["address"],
            format_bytes(link["bytes_sent"]),
            *_sending(sent.get(link["name"])),
        )
    return table


def _sending(upload: Json | None) -> tuple[str, str]:
    if upload is None:
        return "", ""
    return format_rate(upload["rate"]), format_bytes(upload["waiting"])


def _running(transfers: list[Json]) -> list[Table]:
    """A table for each transfer under way: the whole, and a row a source."""
    return [_transfer(one) for one in transfers if one["state"] == "fetching"]


def _transfer(one: Json) -> Table:
    table = Table(title=f"Study {one['study'][:8]}, {one['priority']}")
    table.add_column("From")
    table.add_column("Role")
    for title in ("Received", "Rate", "In flight", "End"):
        table.add_column(title, justify="right")
    table.add_row(
        "all",
        "",
        f"{format_bytes(one['bytes_held'])} of {format_bytes(one['bytes_total'])}",
        format_rate(one["rate"]),
        format_bytes(one["in_flight"]),
        when(one),
    )
    sources = one["sources"]
    for name in sorted(sources, key=lambda name: -sources[name]["bytes"]):
        source = sources[name]
        table.add_row(
            name,
            source["role"],
            format_bytes(source["bytes"]),
            format_rate(source["rate"]),
            format_bytes(source["in_flight"]),
            "" if source["linked"] else "away",
        )
    return table


def _ended(transfers: list[Json]) -> list[Table]:
    ended = [one for one in transfers if one["state"] != "fetching"][:RECENT]
    if not ended:
        return []
    table = Table(title="Ended transfers")
    for title in ("Study", "State", "Received", "From"):
        table.add_column(title)
    for one in ended:
        received = f"{format_bytes(one['bytes_received'])} of {format_bytes(one['bytes_total'])}"
        sources = ", ".join(
            f"{name} {format_bytes(source['bytes'])}" for name, source in one["sources"].items()
        )
        state = f"complete {when(one)}" if one["error"] is None else f"failed: {one['error']}"
        table.add_row(one["study"][:8], state, received, sources)
    return [table]
