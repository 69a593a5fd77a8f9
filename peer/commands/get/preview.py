"""``p2pacs get --preview``: a contact sheet of a study, long before all of it is here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Final, Protocol

import trio
from PIL.Image import Image

from p2pacs.concurrency.signals import Bell
from p2pacs.errors import (
    CodingError,
    CorruptStoreError,
    NotFoundError,
    StateError,
    WorkerError,
)
from p2pacs.output.json_object import JsonObject
from peer.api.client import PeerClient
from peer.commands.get.files import replace
from peer.commands.get.sheet import render, thumb
from peer.commands.get.sheet_layout import EARLY, Cell, Item, Layout, choose

UNSHOWN: Final = (NotFoundError, CodingError, CorruptStoreError, WorkerError)
"""What is wrong with one picture, not with the peer: its cell has a dash. An instance in which
something is wrong is refused where it is read."""


class PreviewWatcher(Protocol):
    """Who shows how far it is."""

    def previews(self, here: int, known: int, *, sheet: bool) -> None:
        """So many of the known instances can be shown; and whether the sheet with all is there."""


class PreviewSheet:
    """The sheet in one file: written with an eighth of its images, and again with all.

    Previews come in chunks of a dozen neighbours: to wait for just every eighth image would be to
    wait for nearly all.

    It outlives the connection to a peer that is started again: `follow` goes on.
    """

    def __init__(self, path: Path, watcher: PreviewWatcher) -> None:
        self._path = path
        self._watcher = watcher
        self._known = 0
        self._items: dict[int, Item] = {}
        self._here: set[int] = set()
        """Instances that can be shown at some level."""
        self._thumbs: dict[Cell, Image | None] = {}
        """What the peer gave; None where it has nothing to show."""
        self._layout: Layout | None = None
        """Of all instances known; None while it is to be made."""
        self._drawn: Layout | None = None
        """What is in the file, with all pictures."""
        self._begun = False
        """Whether there is a file."""
        self._all = self._ended = False
        """Whether the peer said that all can be shown, and that all is here."""
        self._bell = Bell()

    @property
    def shown(self) -> int:
        """Pictures on the sheet."""
        return sum(self._thumbs.get(cell) is not None for cell in self.layout.cells)

    def json(self) -> JsonObject:
        """What ``--json`` says of it."""
        return {"file": str(self._path), "shown": self.shown, "images": self.layout.images}

    @property
    def layout(self) -> Layout:
        """What comes on it, as far as the study is known."""
        if self._layout is None:
            self._layout = choose(list(self._items.values()))
        return self._layout

    async def follow(self, client: PeerClient, study: str) -> None:
        """Write the sheet as soon as it can be, and go on until the whole study is here.

        Raises:
            StateError: The peer stopped.
            P2PacsError: What the peer says, or DiskFullError.
        """
        self._all = self._ended = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, client, study)
            while not self._ended or self._due or self._next is not None:
                if self._due:
                    await self._write()
                elif (cell := self._next) is not None:
                    await self._take(client, study, cell)
                else:
                    await self._bell.wait()

    # ------------------------------------------------------------ what the peer says

    async def _listen(self, client: PeerClient, study: str) -> None:
        async with client.levels(study) as lines, aclosing(lines):
            async for line in lines:
                if "number" in line:
                    self._hear(line)
                elif "previews" in line:
                    self._all = True
                    if self._drawn is self.layout:  # before it was said that this is all
                        self._tell_drawn()
                elif "complete" in line:
                    self._ended = True
                self._bell.ring()
                if self._ended:
                    return
        raise StateError("the peer stopped before the study was whole: run the command again")

    def _hear(self, line: JsonObject) -> None:
        """An instance became known, changed, or can be shown at a finer level."""
        item = Item(line["number"], line["series"], line["place"], line["frames"])
        if self._items.get(item.number) != item or line["level"] is None:
            self._items[item.number] = item
            self._layout = None
            for cell in [cell for cell in self._thumbs if cell.number == item.number]:
                del self._thumbs[cell]
        if line["level"] is None:
            self._here.discard(item.number)
        else:
            self._here.add(item.number)
        self._known = line["known"]
        self._watcher.previews(len(self._here), self._known, sheet=False)

    # ------------------------------------------------------------ what is to be done

    @property
    def _listed(self) -> bool:
        """Whether every instance known to the peer was heard of."""
        return 0 < self._known <= len(self._items)

    @property
    def _lacking(self) -> Iterator[Cell]:
        """Cells without a picture, those that the first sheet waits for first."""
        for early in (True, False):
            for cell in self.layout.cells:
                if cell.early is early and cell.frame and cell not in self._thumbs:
                    yield cell

    @property
    def _next(self) -> Cell | None:
        """What to ask the peer for."""
        if not self._listed:
            return None
        return next((cell for cell in self._lacking if cell.number in self._here), None)

    @property
    def _due(self) -> bool:
        """Whether the sheet is to be written now."""
        if not self._listed:
            return False
        lacking = list(self._lacking)
        if self._all:
            return not lacking and self._drawn is not self.layout
        if lacking and all(cell.number in self._here for cell in lacking):
            return False  # nothing is waited for: soon there is a sheet with all
        return not self._begun and 0 < len(self.layout.cells) <= EARLY * self.shown

    # ------------------------------------------------------------ doing it

    async def _take(self, client: PeerClient, study: str, cell: Cell) -> None:
        try:
            png = await client.preview(study, cell.number, cell.frame)
        except UNSHOWN:
            self._thumbs[cell] = None
        else:
            self._thumbs[cell] = await trio.to_thread.run_sync(thumb, png)

    async def _write(self) -> None:
        layout, whole = self.layout, not any(True for _ in self._lacking)
        thumbs = {
            cell: image for cell in layout.cells if (image := self._thumbs.get(cell)) is not None
        }
        await trio.to_thread.run_sync(lambda: replace(self._path, render(layout, thumbs)))
        self._begun = True
        if whole:
            self._drawn = layout
        if whole and self._all:
            self._tell_drawn()

    def _tell_drawn(self) -> None:
        self._watcher.previews(len(self._here), self._known, sheet=True)
