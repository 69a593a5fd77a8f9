"""Who holds a study in whole: asked of other members before a copy is dropped here."""

from __future__ import annotations

from typing import Protocol

from p2pacs.bitfield import Bitfield
from p2pacs.identity.keys import VerifyKey
from p2pacs.ids import StudyId
from p2pacs.study.manifest import load_root
from p2pacs.wire.messages import Possession, PossessionQuery


class WholeStudy(Protocol):
    """What is asked of a study in the store."""

    @property
    def have(self) -> Bitfield:
        """Numbers of the chunks that can be read."""

    @property
    def root(self) -> bytes | None:
        """The newest signed root."""

    async def flush(self) -> None:
        """Until all that was put survives a power cut."""


class WholeStudies(Protocol):
    """What is asked of the store."""

    def holds(self, study: StudyId) -> bool:
        """Whether anything of this study is here."""

    async def study(self, study: StudyId) -> WholeStudy:
        """Open a study."""


async def answer_whole(
    store: WholeStudies, broker_key: VerifyKey, query: PossessionQuery
) -> Possession:
    """Whether this member holds every chunk of that version, or of a newer one.

    Raises:
        LocalError: the store cannot be read or written.
        ManifestError: the stored root is not the broker's.
    """
    study = StudyId(query.study)
    if not store.holds(study):
        return Possession(query.id, whole=False)
    held = await store.study(study)
    if held.root is None:
        return Possession(query.id, whole=False)
    root = load_root(held.root, broker_key, study)
    whole = root.complete and root.version >= query.version and len(held.have) >= root.chunks
    if whole:
        await held.flush()
    return Possession(query.id, whole=whole)
