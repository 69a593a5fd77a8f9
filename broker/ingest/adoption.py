"""What is here of a study whose sender is gone: whole instances, and how many are lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import trio
from attrs import frozen
from sqlalchemy import Connection

from broker.ingest.sent import SentStudy, forget_sent
from broker.trail import audit
from p2pacs.identity.keys import StudyKey, Verifier
from p2pacs.store import StudyStore
from p2pacs.study.manifest import ChunkList, load_root, load_segment
from p2pacs.study.reader import StudyReader
from p2pacs.study.study_index import InstanceEntry

ADOPTED: Final = "study adopted"
"""In the audit trail."""


@frozen
class WholeInstances:
    """The instances of which every chunk is here."""

    reader: StudyReader
    entries: Mapping[str, InstanceEntry]
    """By SOP Instance UID."""
    lost: int
    """Instances that the newest version is known to have and of which chunks are missing."""

    @property
    def is_whole(self) -> bool:
        """Whether that is all that its sender had."""
        return self.reader.root.complete and self.reader.whole and not self.lost


async def whole_instances(
    files: StudyStore, key: StudyKey, verifier: Verifier
) -> WholeInstances | None:
    """What can be read of the newest version; None if nothing of it can.

    Raises:
        LocalError: the store cannot be read.
        ManifestError, CodingError: it is not what its sender may have signed.
    """
    if files.root is None:
        return None
    root = load_root(files.root, verifier, files.study)
    segments = [await files.segment(name) for name in root.segments]
    if None in segments:
        return None

    def read() -> WholeInstances:
        chunks = ChunkList()
        for number, raw in enumerate(segments):
            if raw is not None:
                chunks.extend(load_segment(raw, root, number))
        reader = StudyReader(key, root, chunks)
        have = frozenset(files.have)
        reader.advance(have, files.load)
        known = reader.index.instances
        whole = {
            uid: entry for uid, entry in known.items() if have.issuperset(reader.chunks_of(entry))
        }
        return WholeInstances(reader, whole, len(known) - len(whole))

    return await trio.to_thread.run_sync(read)


def end_adoption(connection: Connection, study: SentStudy, found: WholeInstances | None) -> None:
    """A study is finished as far as it can be: it is one of the PACS now; written down. Where
    several brokers finish it, the first one does."""
    if not forget_sent(connection, study.study):
        return
    detail = f"{0 if found is None else len(found.entries)} instances are in the central PACS"
    outcome = audit.DONE
    if found is None or not found.is_whole:
        detail += "; what only its sender had is lost"
        outcome = audit.FAILED
    entry = audit.Entry(ADOPTED, "-", study.member, study.study, study.uid, detail, outcome=outcome)
    audit.record(connection, entry)
