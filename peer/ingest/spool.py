"""The spool: instances as they came, on the disk, until they are safe elsewhere.

Order of writing: the file and its bytes (fsync), its name in the folder (fsync), then its row in
the index (committed, `synchronous=FULL`). An instance with a row is kept; who sent it hears so only
then. The last two steps are shared: whoever comes to them while another one is at it waits, and
then does them for all who wait. At a start files without a row are removed: nobody was told of
them.

Names of files are random: nothing of a patient is in them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Final

import structlog
from attrs import define

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import Json, dump, text
from p2pacs.errors import (
    BrokenInstanceError,
    CorruptStoreError,
    DiskFullError,
    LocalError,
    local_error,
)
from p2pacs.files.private_files import make_private_folder
from p2pacs.store.positioned import PLAIN, sync_folder
from peer.ingest.spool_index import SpoolIndex
from peer.ingest.spool_records import ArrivedInstance, SpooledInstance, SpoolOutcome

log = structlog.get_logger(__name__)

_INDEX: Final = "index.sqlite"
_FILES: Final = "instances"
_ENDING: Final = ".dcm"


@define(eq=False)
class _Arrival:
    """An instance whose bytes are on the disk, and not its name yet."""

    instance: ArrivedInstance
    file: str
    taken: SpoolOutcome | None = None
    error: LocalError | None = None


def _nobody(_study_uid: str) -> None:
    return


class Spool:
    """The instances in one folder; threads may use it at once. `close` when done."""

    def __init__(self, folder: Path, *, reserve: int) -> None:
        """Open it, or make it.

        Args:
            folder: its own.
            reserve: bytes of the disk that stay free: what does not leave them is refused.

        Raises:
            LocalError: it cannot be made or read.
            StateError: it was written by a newer p2pacs.
        """
        self._folder = folder / _FILES
        self._reserve = reserve
        self._coming = 0
        self._counting = threading.Lock()
        self._arrivals: list[_Arrival] = []
        self._committing = threading.Lock()
        self.came: Callable[[str], None] = _nobody
        """Told the Study Instance UID of each instance that is kept, in the thread that put it."""
        try:
            make_private_folder(self._folder)
        except OSError as error:
            raise local_error(error, f"cannot make {self._folder}") from error
        with ExitStack() as opening:
            self.index = opening.enter_context(closing(SpoolIndex(folder / _INDEX)))
            """What is here, and how far the studies are."""
            self._remove_unknown()
            opening.pop_all()

    def close(self) -> None:
        """Close the index."""
        self.index.close()

    # ------------------------------------------------------------ taking

    def put(self, instance: EncodedInstance, attributes: Json, caller: str) -> SpoolOutcome:
        """Keep an instance; returns when it survives a power cut.

        Args:
            instance: with its own UIDs.
            attributes: of its header; with Study and Series Instance UID.
            caller: AE title, or whoever else sent it.

        Raises:
            DiskFullError: it would not leave room enough.
            ForbiddenError: the broker lets nothing of this study be published.
            LocalError: it cannot be written.
        """
        arrived = ArrivedInstance(
            study_uid=text(attributes, "StudyInstanceUID"),
            series_uid=text(attributes, "SeriesInstanceUID"),
            uid=instance.sop_instance_uid,
            sop_class=instance.sop_class_uid,
            syntax=instance.transfer_syntax_uid,
            sha256=hashlib.sha256(instance.data).digest(),
            size=len(instance.data),
            attributes=dump(attributes),
            caller=caller,
            came=time.time_ns() // 1_000_000,
        )
        if self.index.is_known(arrived):
            return SpoolOutcome.KNOWN
        self._reserve_room(arrived.size)
        try:
            taken = self._confirm(_Arrival(arrived, self._write(instance)))
        finally:
            with self._counting:
                self._coming -= arrived.size
        if taken is not SpoolOutcome.KEPT:
            log.warning("an instance came that is another under its UID", taken=taken)
        else:
            self.came(arrived.study_uid)
        return taken

    def _reserve_room(self, size: int) -> None:
        with self._counting:
            free = shutil.disk_usage(self._folder).free
            if free - self._coming - size < self._reserve:
                raise DiskFullError(
                    "no room for what is sent here: free space on the disk, or look why what came "
                    "before is not delivered (p2pacs status DIR)"
                )
            self._coming += size

    def _write(self, instance: EncodedInstance) -> str:
        name = secrets.token_hex(16) + _ENDING
        path = self._folder / name
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(instance.part10_head())
                file.write(instance.data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)
            raise local_error(error, "cannot keep what was sent here") from error
        return name

    def _confirm(self, arrival: _Arrival) -> SpoolOutcome:
        """Make the name of a file durable, and enter it: for all who wait."""
        with self._counting:
            self._arrivals.append(arrival)
        with self._committing:
            if arrival.taken is None and arrival.error is None:
                with self._counting:
                    together, self._arrivals = self._arrivals, []
                self._commit(together)
        if arrival.taken is None:  # nor has it an error if who did it for this one broke off
            raise arrival.error or LocalError("cannot keep what was sent here")
        return arrival.taken

    def _commit(self, together: list[_Arrival]) -> None:
        try:
            sync_folder(self._folder)
            taken = self.index.enter([(one.instance, one.file) for one in together])
        except OSError as error:
            failed: LocalError | None = local_error(error, "cannot keep what was sent here")
        except LocalError as error:
            failed = error
        else:
            failed = None
        if failed is not None:  # files without a row go at the next start
            for one in together:
                one.error = failed
            return
        for one, how in zip(together, taken, strict=True):
            one.taken = how
            if how is SpoolOutcome.KNOWN:
                self._remove(one.file)

    def _remove(self, name: str) -> None:
        with suppress(OSError):  # the next start does it
            (self._folder / name).unlink()

    def _remove_unknown(self) -> None:
        known = self.index.list_files()
        found = {path.name for path in self._folder.iterdir()}
        for name in found - known:
            self._remove(name)
        if known - found:
            log.error("files of the spool are gone", count=len(known - found))

    # ------------------------------------------------------------ giving out

    def read(self, spooled: SpooledInstance) -> EncodedInstance:
        """An instance as it came.

        Raises:
            CorruptStoreError: its file is gone, or has other bytes.
        """
        if spooled.file is None:
            raise CorruptStoreError("an instance is not in the spool any more")
        try:
            instance = EncodedInstance.from_part10((self._folder / spooled.file).read_bytes())
        except (OSError, BrokenInstanceError) as error:
            raise CorruptStoreError(
                f"cannot read {spooled.file} in the spool: send it again"
            ) from error
        if hashlib.sha256(instance.data).digest() != spooled.sha256:
            raise CorruptStoreError(f"{spooled.file} in the spool has rotted: send it again")
        return instance

    def safe(self, uid: str, newest: int) -> None:
        """All instances of a study up to this number are elsewhere: their files go."""
        for name in self.index.safe(uid, newest):
            self._remove(name)
