"""Progress of a study on its way here: a bar for the whole, a line for each source (Rich)."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from p2pacs.output.json_object import JsonObject
from p2pacs.units import format_bytes
from peer.commands.output.wording import format_rate, when

SHOWN: Final = 12
"""Sources with a line of their own: so many fit on a terminal."""


class ShownBars:
    """Bars with an amount, a rate and a word each; on what is no terminal they show nothing."""

    def __init__(self, console: Console) -> None:
        """Nothing is shown before the block is entered."""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[amount]}", justify="right"),
            TextColumn("{task.fields[rate]}", justify="right"),
            TextColumn("{task.fields[said]}"),
            console=console,
            disable=not console.is_terminal,
        )

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

    def _add(self, title: str) -> TaskID:
        return self._progress.add_task(title, total=None, amount="", rate="", said="")


class Bars(ShownBars):
    """The bars of one transfer; on what is no terminal they show nothing."""

    def __init__(
        self, console: Console, title: str = "received", *, instances: bool = True
    ) -> None:
        """Nothing is shown before the block is entered.

        Args:
            console: where.
            title: of the bar for the whole.
            instances: whether there is a bar for the instances, too.
        """
        super().__init__(console)
        self._whole = self._add(title)
        self._instances = self._add("instances") if instances else None
        self._previews: TaskID | None = None
        self._sources: dict[str, TaskID] = {}

    def instance(self, done: int, known: int) -> None:
        """So many instances are written of so many known."""
        if self._instances is not None:
            amount = f"{done} of {known}"
            self._progress.update(self._instances, completed=done, total=known, amount=amount)

    def previews(self, here: int, known: int, *, sheet: bool) -> None:
        """So many of the known instances can be shown; and whether the sheet with all is there."""
        if self._previews is None:
            self._previews = self._add("previews")
        amount, said = f"{here} of {known}", "on the sheet" if sheet else ""
        self._progress.update(self._previews, completed=here, total=known, amount=amount, said=said)

    def away(self) -> None:
        """The peer stopped."""
        self._progress.update(self._whole, rate="", said="the peer stopped: waiting for it")

    def transfer(self, transfer: JsonObject) -> None:
        """How far the transfer is, and what each source gives (see `peer.api.status`)."""
        total = transfer["bytes_total"] or None
        held = transfer["bytes_held"]
        amount = (
            format_bytes(held)
            if total is None
            else f"{format_bytes(held)} of {format_bytes(total)}"
        )
        self._progress.update(
            self._whole,
            completed=held,
            total=total,
            amount=amount,
            rate=format_rate(transfer["rate"]),
            said=when(transfer),
        )
        sources = transfer["sources"]
        for name in sorted(sources, key=lambda name: -sources[name]["bytes"]):
            self._source(name, sources[name], total)
        for name in self._sources.keys() - sources.keys():  # of before the peer was restarted
            self._progress.update(self._sources[name], rate="", said="")

    def _source(self, name: str, source: JsonObject, total: int | None) -> None:
        if name not in self._sources:
            if len(self._sources) >= SHOWN:
                return
            self._sources[name] = self._add(f"  from {name}")
        self._progress.update(
            self._sources[name],
            completed=source["bytes"],
            total=total,
            amount=format_bytes(source["bytes"]),
            rate=format_rate(source["rate"]),
            said=_said(source),
        )


def _said(source: JsonObject) -> str:
    if not source["linked"]:
        return "away"
    return f"{format_bytes(source['in_flight'])} asked for" if source["in_flight"] else ""
