"""The index of the spool: what is known of each instance that came, and of its study."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select, update

from p2pacs.errors import ForbiddenError
from p2pacs.sql.sqlite import SqliteFile
from peer.ingest.instance_progress import InstanceProgress
from peer.ingest.spool_records import ArrivedInstance, SpooledInstance, SpoolOutcome
from peer.ingest.spool_tables import instances, prepare, studies

_REMEDY: Final = "move the whole folder away and keep it"


class SpoolIndex:
    """The rows of the spool; threads may use it at once. `close` when done."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it.

        Raises:
            LocalError: it cannot be made or read.
            StateError: it was written by a newer p2pacs.
        """
        with ExitStack() as opening:
            self._file = opening.enter_context(closing(SqliteFile(path, _REMEDY)))
            self._file.transact(prepare)
            opening.pop_all()

    def close(self) -> None:
        """Close it."""
        self._file.close()

    # ------------------------------------------------------------ instances

    def is_known(self, arrived: ArrivedInstance) -> bool:
        """Whether the same bytes are here already; if not, whether they may come.

        Raises:
            ForbiddenError: the broker lets nothing of this study be published.
        """
        query = select(studies.c.refused).where(studies.c.uid == arrived.study_uid)
        with self._file.reading() as connection:
            if _is_here(connection, arrived):
                return True
            why: str | None = connection.execute(query).scalar_one_or_none()
        if why is not None:
            raise ForbiddenError(why)
        return False

    def enter(self, arrived: Sequence[tuple[ArrivedInstance, str]]) -> list[SpoolOutcome]:
        """Enter instances whose files are on the disk, all or none.

        Args:
            arrived: each with the name of its file.

        Raises:
            LocalError: it cannot be written.
        """
        with self._file.writing() as connection:
            return [_enter(connection, one, file) for one, file in arrived]

    def list_files(self) -> set[str]:
        """Names of the files that belong to it."""
        query = select(instances.c.file).where(instances.c.file.is_not(None))
        with self._file.reading() as connection:
            return set(connection.execute(query).scalars())

    def list_instances(self, study_uid: str, above: int = 0) -> list[SpooledInstance]:
        """What came of a study, in this order, without what is kept beside.

        Args:
            study_uid: Study Instance UID.
            above: only those of a higher number.
        """
        query = select(instances).where(
            instances.c.study_uid == study_uid,
            instances.c.number > above,
            instances.c.beside.is_(False),
        )
        with self._file.reading() as connection:
            rows = connection.execute(query.order_by(instances.c.number)).all()
        return [_instance(row) for row in rows]

    def set_aside(self, study_uid: str, uids: Iterable[str]) -> int:
        """Publish these no more, and keep them: they are broken; how many there are.

        Args:
            study_uid: Study Instance UID.
            uids: SOP Instance UIDs; those that are not here are passed over.
        """

        def work(connection: Connection) -> int:
            return sum(
                connection.execute(
                    update(instances)
                    .where(
                        instances.c.study_uid == study_uid,
                        instances.c.uid == uid,
                        instances.c.beside.is_(False),
                        instances.c.file.is_not(None),
                    )
                    .values(beside=True)
                ).rowcount
                for uid in uids
            )

        return self._file.transact(work)

    def find_progress(self, uids: Collection[str]) -> list[InstanceProgress]:
        """All that came under these SOP Instance UIDs; see `find_progress`."""
