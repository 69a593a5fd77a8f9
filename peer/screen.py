"""What the commands show: tables, progress bars and closing lines (Rich)."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from p2pacs.units import format_bytes, format_rate
from peer.get import Outcome

Json = dict[str, Any]


class Bars:
    """Progress of one ``get``: a bar for the study, a line for each uploader."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[said]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._instances = self._progress.add_task("instances", total=None, said="")
        self._bytes = self._progress.add_task("received", total=None, said="")
        self._sources: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def instance(self, done: int, known: int) -> None:
        """So many instances are here of so many known."""
        said = f"{done} of {known}"
        self._progress.update(self._instances, completed=done, total=known, said=said)

    def transfer(self, transfer: Json) -> None:
        """How far the transfer is, and what each uploader gives."""
        total = transfer["bytes_total"] or None
        received = transfer["bytes_received"]
        rate = sum(source["rate"] for source in transfer["sources"].values())
        self._line(self._bytes, received, total, rate)
        for name, source in transfer["sources"].items():
            if name not in self._sources:
                self._sources[name] = self._progress.add_task(f"  from {name}", said="")
            self._line(self._sources[name], source["bytes"], total, source["rate"])

    def _line(self, task: TaskID, received: int, total: int | None, rate: float) -> None:
        said = f"{format_bytes(received)}  {format_rate(rate * 8)}/s"
        self._progress.update(task, completed=received, total=total, said=said)


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


def outcome_line(outcome: Outcome, out: Path) -> str:
    """The last line of ``get``."""
    kept = f" ({outcome.kept} were there already)" if outcome.kept else ""
    received = format_bytes(outcome.json()["bytes_received"])
    return f"{outcome.instances} instances in {out}{kept}; {received} received."


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
    return Group(parts, _links(said["links"]), _transfers(said["transfers"]))


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


def _links(links: list[Json]) -> Table:
    table = Table(title="Links" if links else "No links")
    for title in ("Member", "Address", "Sent"):
        table.add_column(title)
    for link in links:
        table.add_row(link["name"], link["address"], format_bytes(link["bytes_sent"]))
    return table


def _transfers(transfers: list[Json]) -> Table:
    table = Table(title="Transfers" if transfers else "No transfers")
    for title in ("Study", "State", "Received", "From"):
        table.add_column(title)
    for one in transfers:
        received = f"{format_bytes(one['bytes_received'])} of {format_bytes(one['bytes_total'])}"
        sources = ", ".join(
            f"{name} {format_bytes(source['bytes'])}" for name, source in one["sources"].items()
        )
        state = one["state"] if one["error"] is None else f"{one['state']}: {one['error']}"
        table.add_row(one["study"][:8], state, received, sources)
    return table
