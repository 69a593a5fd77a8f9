"""What the commands show: tables and closing lines; `peer.commands.output.bars` has what moves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from p2pacs.output.json_object import JsonObject
from p2pacs.output.listings import PrintedList
from p2pacs.output.tables import Column, Facts, Table
from p2pacs.units import format_bytes
from peer.commands.output.wording import format_rate, format_seconds, when
from peer.config import PEER_TOML

if TYPE_CHECKING:
    from peer.commands.get.outcome import GetOutcome

REPLICA: Final = "replica"
"""A role: such a member holds neither keys nor a catalogue."""

RECENT: Final = 12
"""Transfers that ended and are shown."""


STUDY_COLUMNS: Final = (
    "study_instance_uid",
    "patient_id",
    "patient_name",
    "study_date",
    "description",
    "modalities",
    "instances",
    "sent_by",
    "sent_at",
    "stat",
    "read",
)
"""What the peer tells of a study."""


def studies_listing(studies: Sequence[JsonObject]) -> PrintedList:
    """The answer of ``find``."""
    return PrintedList("studies", STUDY_COLUMNS, studies, partial(studies_table, studies))


def studies_table(studies: Sequence[JsonObject]) -> Table:
    """The answer of ``find``; who sent studies to this hospital, if anybody did."""
    was_sent = any(study["sent_by"] for study in studies)
    return Table(
        [
            Column("Patient ID"),
            Column("Name", wraps=True),
            Column("Date"),
            Column("Modality"),
            Column("Description", wraps=True),
            Column("Images", right=True),
            *([Column("Sent by", wraps=True)] if was_sent else []),
            Column("Study UID"),
        ],
        [
            (
                study["patient_id"],
                study["patient_name"],
                study["study_date"],
                " ".join(study["modalities"]),
                study["description"],
                "" if study["instances"] is None else str(study["instances"]),
                *([_sender(study)] if was_sent else []),
                study["study_instance_uid"],
            )
            for study in studies
        ],
    )


def _sender(study: JsonObject) -> str:
    """Who sent a study to this hospital, when, and what makes it stand out."""
    if not study.get("sent_by"):  # a peer of an older version does not say it of transfers
        return ""
    marks = ["STAT"] * study["stat"] + ["not read yet"] * (not study["read"])
    return ", ".join([f"{study['sent_by']} {_minute(study['sent_at'])}", *marks])


def nothing_found(role: str) -> str:
    """What ``find`` says where no study matches."""
    if role == REPLICA:
        return "A replica holds no catalogue: search at a hospital's peer."
    return "No study matches."


def outcome_line(outcome: GetOutcome, out: Path) -> str:
    """The last line of ``get``, and one about the contact sheet if there is one."""
    kept = f" ({outcome.kept} were there already)" if outcome.kept else ""
    said = outcome.json()
    line = f"{outcome.instances} instances in {out}{kept}; {_received(said)}."
    if (sheet := outcome.sheet) is None:
        return line
    shown = f"{sheet['shown']} of {sheet['images']} images in {sheet['file']}"
    return f"{line}\nContact sheet: {shown}, not for diagnosis."


def _received(said: JsonObject) -> str:
    """What came in this run."""
    if not said["bytes_received"]:
        return "nothing had to come: all was here"
    return f"{format_bytes(said['bytes_received'])} received in {format_seconds(said['seconds'])}"


def joined(folder: Path, name: str, role: str, *, gateway: bool) -> str:
    """What ``peer join`` says."""
    line = f"Joined as {name} ({role}). Start it with: p2pacs peer run {folder}"
    if role == REPLICA:
        unused = f"\nA replica serves no workstations: dicom in {folder / PEER_TOML} has no effect."
        return line + unused if gateway else line
    if gateway:
        return line
    return (
        f"{line}\nIt has no gateway. A hospital's workstations need one: set dicom and aet in "
        f"{folder / PEER_TOML} before you start it."
    )


def ready_line(said: JsonObject) -> str:
    """The line that says that the peer runs."""
    listens = ", ".join(said["listen"])
    line = f"{said['name']} is ready: members on {listens}, commands on {said['api']}"
    pages = f"; pages: {said['web']}" if said.get("web") else ""
    web = f"; DICOMweb: http://{said['dicomweb']}/dicom-web" if said.get("dicomweb") else ""
    sends = "; takes studies to send" if said.get("sends") else ""
    return f"{line}; gateway: {_gateway(said, said['role'])}{web}{pages}{sends}"


def status_view(said: JsonObject) -> list[Table | Facts]:
    """The answer of ``status``."""
    return [
        Facts(_facts(said)),
        *_links(said["links"], said["uploads"]),
        *(_transfer(one) for one in said["transfers"] if one["state"] == "fetching"),
        *_ended(said["transfers"]),
    ]


def _facts(said: JsonObject) -> list[tuple[str, str]]:
    store, broker = said["store"], said["broker"]
    waiting = _count(said["audit_waiting"], "record waits", "records wait")
    capacity = "" if store["capacity"] is None else f" of {format_bytes(store['capacity'])}"
    return [
        ("Member", f"{said['name']} ({said['role']}) {said['address']}"),
        ("Broker", _broker(broker)),
        *_reached(said["reached"]),
        ("Gateway", _gateway(said["gateway"], said["role"])),
        ("Store", f"{format_bytes(store['used'])}{capacity}, {_studies(store)}"),
        ("Catalogue", _catalogue(said["catalogue"], said["role"])),
        *_sending(said["sending"]),
        ("Audit", f"{waiting} for the broker"),
        ("Certificate", f"valid until {_minute(said['certificate_expires'])}"),
    ]


def _sending(sending: JsonObject | None) -> list[tuple[str, str]]:
    """Studies that are sent from here, where any can be."""
    if sending is None:
        return []
    under_way = f"{_count(sending['under_way'], 'study', 'studies')} under way"
    said = [under_way, *(
        f"{sending[state]} {state}"
        for state in ("failing", "refused", "cancelled")
        if sending[state]
    ), f"{format_bytes(sending['spooled'])} kept here"]  # fmt: skip
    if sending["oldest"] is not None:
        said.append(f"the oldest for {format_seconds(sending['oldest'])}")
    return [("Sent", f"{', '.join(said)}: p2pacs sent DIR")]


def _catalogue(catalogue: JsonObject, role: str) -> str:
    if role == REPLICA:
        return "none: a replica is not told what it holds"
    age = catalogue["age"]
    current = "not current since the start" if age is None else f"current {age:.0f} s ago"
    return f"{_studies(catalogue)}, {current}"


def _minute(time: str) -> str:
    """A time of UTC in ISO 8601, as people read it."""
    return f"{time[:16].replace('T', ' ')} UTC"


def _studies(there: JsonObject) -> str:
    return _count(there["studies"], "study", "studies")


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _broker(broker: JsonObject) -> str:
    if broker["linked"]:
        return "linked"
    if broker["refused"] is not None:
        return f"takes no link of this member: {broker['refused']}"
    return "away: what is held can be read"


def _reached(reached: JsonObject) -> list[tuple[str, str]]:
    """How others get to this member, what would help, and whom it could not meet."""
    facts = (("Reached", reached["how"]), ("What would help", reached["help"]))
    missed = [f"{name}: {why}" for name, why in reached["apart"].items()]
    return [one for one in facts if one[1]] + [("Cannot be reached", one) for one in missed]


def _gateway(gateway: JsonObject, role: str) -> str:
    plain, secure = gateway["dicom"], gateway.get("dicom_tls")
    places = [where for where in (plain, secure and f"{secure} (TLS)") if where]
    if places:
        return f"{gateway['aet']} at {' and '.join(places)}"
    if role == REPLICA:
        return "none: a replica holds no keys to read with"
    return "none: workstations find nothing here; set dicom (and aet) in peer.toml, start again"


def _links(links: list[JsonObject], uploads: list[JsonObject]) -> list[Table]:
    if not links:
        return []
    sent = {one["name"]: one for one in uploads}
    columns = [Column("Linked to"), Column("Role"), Column("How it is reached", wraps=True)]
    columns += [Column(title, right=True) for title in ("Sent", "Sending", "Waiting")]
    rows = [
        (
            link["name"],
            link["role"],
            link["how"],
            format_bytes(link["bytes_sent"]),
            *_upload(sent.get(link["name"])),
        )
        for link in links
    ]
    return [Table(columns, rows)]


def _upload(upload: JsonObject | None) -> tuple[str, str]:
    if upload is None:
        return "", ""
    return format_rate(upload["rate"]), format_bytes(upload["waiting"])


def _transfer(one: JsonObject) -> Table:
    """A transfer under way: the whole, and a row a source."""
    columns = [Column("From"), Column("Role")]
    columns += [Column(title, right=True) for title in ("Received", "Rate", "In flight", "End")]
    whole = (
        "all",
        "",
        f"{format_bytes(one['bytes_held'])} of {format_bytes(one['bytes_total'])}",
        format_rate(one["rate"]),
        format_bytes(one["in_flight"]),
        when(one),
    )
    sources = one["sources"]
    rows = [
        (
            name,
            sources[name]["role"] or "",
            format_bytes(sources[name]["bytes"]),
            format_rate(sources[name]["rate"]),
            format_bytes(sources[name]["in_flight"]),
            "" if sources[name]["linked"] else "away",
        )
        for name in sorted(sources, key=lambda name: -sources[name]["bytes"])
    ]
    sender = f", sent by {_sender(one)}" if _sender(one) else ""
    return Table(columns, [whole, *rows], f"Study {one['study'][:8]}, {one['priority']}{sender}")


def _ended(transfers: list[JsonObject]) -> list[Table]:
    ended = [one for one in transfers if one["state"] != "fetching"][:RECENT]
    if not ended:
        return []
    was_sent = any(map(_sender, ended))
    columns = [
        Column("Study"),
        Column("State", wraps=True),
        Column("Received", right=True),
        Column("From", wraps=True),
        *([Column("Sent by", wraps=True)] if was_sent else []),
    ]
    rows = [
        (
            one["study"][:8],
            _end(one),
            f"{format_bytes(one['bytes_received'])} of {format_bytes(one['bytes_total'])}",
            ", ".join(
                f"{name} {format_bytes(source['bytes'])}" for name, source in one["sources"].items()
            ),
            *([_sender(one)] if was_sent else []),
        )
        for one in ended
    ]
    return [Table(columns, rows, "Ended transfers")]


def _end(one: JsonObject) -> str:
    """How a transfer ended."""
    if one["error"] is not None:
        return f"failed: {one['error']}"
    return f"complete {when(one)}" if one["bytes_received"] else when(one)
