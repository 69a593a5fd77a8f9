"""The folder that ``p2pacs get`` writes a study into: a folder a series, names in image order.

    FOLDER/series-0003-01/00016-00064.dcm

are the Series Number and the series' place in the study, the Instance Number and the instance's
number in the study. All four are the instance's own, whatever comes first: a later run gives the
same name. The places tell apart what has one number twice, or none (0). Nothing of the patient is
in a name.

A folder that version 0.1 began (``00064.dcm``, without folders) goes on as it is.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from attrs import frozen

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import BrokenInstanceError, local_error
from p2pacs.files.private_files import make_private_folder
from p2pacs.limits import MIB
from p2pacs.output.json_object import JsonObject
from peer.commands.get.files import replacing

_BLOCK: Final = MIB
"""Bytes of a file in memory at once."""

MOST: Final = 2**31 - 1
"""The largest number that an IS may have (PS3.5 6.2)."""

_SERIES: Final = re.compile(r"series-\d{4,}-\d{2,}")
_FILE: Final = re.compile(r"\d{5,}-(\d{5,})\.dcm")
_OF_0_1: Final = re.compile(r"(\d{5,})\.dcm")


@frozen
class FileOrder:
    """Where an instance comes in its study."""

    number: int
    """In the study, from 1."""
    series: int = 1
    """The place of its series in the study, from 1."""
    series_number: int = 0
    place: int = 0
    """Its Instance Number; both 0 where there is none."""

    @classmethod
    def of(cls, line: JsonObject) -> FileOrder:
        """As ``GET /studies/…/instances`` tells."""
        series_number, place = line.get("series_number", 0), line.get("place", 0)
        return cls(line["number"], line["series"], series_number, place)

    @property
    def name(self) -> str:
        """The file's, below the study's folder."""
        series, place = (n if 0 < n <= MOST else 0 for n in (self.series_number, self.place))
        return f"series-{series:04d}-{self.series:02d}/{place:05d}-{self.number:05d}.dcm"


class StudyFolder:
    """One folder, as it was found and as it is filled. Its methods block: use threads."""

    def __init__(self, folder: Path) -> None:
        """Look at what is there.

        Raises:
            LocalError: it cannot be read.
        """
        self._folder = folder
        self._making = threading.Lock()
        self._made: set[Path] = set()
        self._found: dict[int, list[Path]] = {}
        self._flat = False
        """Whether version 0.1 began it."""
        try:
            for number, path in _files(folder):
                self._found.setdefault(number, []).append(path)
                self._flat = self._flat or path.parent == folder
        except OSError as error:
            raise local_error(error, f"cannot read the folder {folder}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for folder in self._made:
            with suppress(OSError):  # not empty, as it should be
                folder.rmdir()

    def holds(self, order: FileOrder, sha256: str) -> bool:
        """Whether a file of this instance, whatever its name, has just this data set."""
        return any(_is_whole(path, sha256) for path in self._found.get(order.number, ()))

    def write(self, order: FileOrder, file: bytes) -> None:
        """Write an instance; what an earlier version of it left under another name goes.

        Raises:
            DiskFullError: no room.
            LocalError: it cannot be written.
        """
        with self.writing(order) as written:
            written.write(file)

    @contextmanager
    def writing(self, order: FileOrder) -> Iterator[IO[bytes]]:
        """As `write`, of what comes in pieces: it is there at the end of the block, unless that is
        left by an error."""
        name = f"{order.number:05d}.dcm" if self._flat else order.name
        path = self._folder / name
        if path.parent != self._folder:
            with self._making:
                self._made.update(make_private_folder(path.parent))
        with replacing(path) as file:
            yield file
        before, self._found[order.number] = self._found.get(order.number, []), [path]
        uid = _uid(path)
        for other in before:
            if other != path and _uid(other) == uid:
                other.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[tuple[int, Path]]:
    """What a run before has written, by the instance's number in the study."""
    for path in folder.iterdir():
        if found := _OF_0_1.fullmatch(path.name):
            yield int(found[1]), path
        elif _SERIES.fullmatch(path.name) and path.is_dir():
            for one in path.iterdir():
                if found := _FILE.fullmatch(one.name):
                    yield int(found[1]), one


def _begun(file: IO[bytes]) -> EncodedInstance | None:
    """The beginning of the instance in a file; None if there is none, or a broken one."""
    try:
        return EncodedInstance.from_part10(file.read(_BLOCK))
    except BrokenInstanceError:
        return None


def _uid(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            found = _begun(file)
    except FileNotFoundError:
        return None
    return None if found is None else found.sop_instance_uid


def _is_whole(path: Path, sha256: str) -> bool:
    """Whether the file holds just the data set with this hash."""
    try:
        with path.open("rb") as file:
            if (found := _begun(file)) is None:
                return False
            digest = hashlib.sha256(found.data)
            while block := file.read(_BLOCK):
                digest.update(block)
    except FileNotFoundError:
        return False
    return digest.hexdigest() == sha256
