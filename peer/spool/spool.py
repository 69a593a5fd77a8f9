"""The spool: instances as they came, on the disk, until they are safe elsewhere.

Order of writing: the file and its bytes (fsync), its name in the folder (fsync), then its row in
the index (committed, `synchronous=FULL`). An instance with a row is kept; who sent it hears so only
then. The last two steps are shared: whoever comes to them while another one is at it waits, and
then does them for all who wait. At a start files without a row are removed: nobody was told of
them.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import structlog
from attrs import define

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import WHOLE_BYTES, LargeInstance
from p2pacs.errors import (
    BrokenInstanceError,
    CorruptStoreError,
    LocalError,
    local_error,
)
from p2pacs.limits import MIB
from peer.spool.files import FileSpan, SpoolFiles
from peer.spool.index import SpoolIndex
from peer.spool.records import ArrivedInstance, SpooledInstance, SpoolOutcome

log = structlog.get_logger(__name__)

_INDEX: Final = "index.sqlite"
_FILES: Final = "instances"

_NOT_NEW: Final = {
    SpoolOutcome.KNOWN: "an instance came that is here already",
    SpoolOutcome.BESIDE: "an instance came that is another under its UID: kept beside, not sent",
}


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
        self.files = SpoolFiles(folder / _FILES, reserve=reserve)
        """The instances."""
        self._counting = threading.Lock()
        self._arrivals: list[_Arrival] = []
        self._committing = threading.Lock()
        self.came: Callable[[str], None] = _nobody
        """Told the Study Instance UID of each instance that is kept, in the thread that put it."""
        with ExitStack() as opening:
            self.index = opening.enter_context(closing(SpoolIndex(folder / _INDEX)))
            """What is here, and how far the studies are."""
            self.files.remove_others(self.index.list_files())
            opening.pop_all()

    def close(self) -> None:
        """Close the index."""
        self.index.close()

    # ------------------------------------------------------------ taking

    def enter(self, arrived: ArrivedInstance, file: str) -> SpoolOutcome:
        """Keep an instance whose file is on the disk; returns when it survives a power cut.

        Args:
            arrived: what is known of it.
            file: the name of its file, which goes unless it is kept.

        Raises:
            LocalError: it cannot be entered.
        """
        taken = self._confirm(_Arrival(arrived, file))
        if taken is not SpoolOutcome.KEPT:
            log.warning(_NOT_NEW[taken])
        else:
            self.came(arrived.study_uid)
        return taken

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
            self.files.sync()
            taken = self.index.enter([(one.instance, one.file) for one in together])
        except LocalError as error:  # files without a row go at the next start
            for one in together:
                one.error = error
            return
        for one, how in zip(together, taken, strict=True):
            one.taken = how
            if how is SpoolOutcome.KNOWN:
                self.files.remove(one.file)

    # ------------------------------------------------------------ giving out

    def read(self, spooled: SpooledInstance) -> EncodedInstance | LargeInstance:
        """An instance as it came, compared with its hash; of a large one a way to its data set.

        Raises:
            CorruptStoreError: its file is gone, or has other bytes.
            LocalError: it cannot be read now.
        """
        if spooled.file is None:
            raise CorruptStoreError("an instance is not in the spool any more")
        path = self.files.path(spooled.file)
        if spooled.size > WHOLE_BYTES:
            return _large(spooled, path)
        try:
            instance = EncodedInstance.from_part10(path.read_bytes())
        except (FileNotFoundError, BrokenInstanceError) as error:
            raise CorruptStoreError(
                f"{spooled.file} in the spool is lost: send it again"
            ) from error
        except OSError as error:
            raise local_error(error, f"cannot read {spooled.file} in the spool") from error
        _check(hashlib.sha256(instance.data).digest(), spooled)
        return instance

    def safe(self, uid: str, newest: int) -> None:
        """All instances of a study up to this number are elsewhere: their files go."""
        for name in self.index.safe(uid, newest):
            self.files.remove(name)

    def home(self, uid: str, newest: int) -> None:
        """The same in the PACS, but for those that were sent again meanwhile."""
        for name in self.index.home(uid, newest):
            self.files.remove(name)

    def remove(self, uid: str) -> None:
        """Forget a study, and all that lies here of it."""
        for name in self.index.remove(uid):
            self.files.remove(name)


def _large(spooled: SpooledInstance, path: Path) -> LargeInstance:
    """The data set is what ends the file: whatever wrote it wrote the head."""
    try:
        start = path.stat().st_size - spooled.size
    except FileNotFoundError as error:
        raise CorruptStoreError(f"{path.name} in the spool is lost: send it again") from error
    except OSError as error:
        raise local_error(error, f"cannot read {path.name} in the spool") from error
    span, digest = FileSpan(path, max(0, start)), hashlib.sha256()
    for at in range(0, spooled.size, MIB):
        digest.update(span.read(at, min(at + MIB, spooled.size)))
    _check(digest.digest(), spooled)
    return LargeInstance(
        spooled.sop_class,
        spooled.uid,
        spooled.syntax,
        spooled.sha256,
        spooled.size,
        span.read,
    )


def _check(digest: bytes, spooled: SpooledInstance) -> None:
    if digest != spooled.sha256:
        raise CorruptStoreError(f"{spooled.file} in the spool has rotted: send it again")
