"""What the PACS gives back of the studies that are forwarded, compared with what it was given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import trio

from broker.pacs.adapter import PacsAdapter
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import PacsDataError
from p2pacs.ids import StudyId
from p2pacs.publish.source import Detail, FailedInstance
from p2pacs.study.study_index import InstanceEntry


class ReadBack:
    """Compares, and remembers what was compared since the start."""

    def __init__(self, pacs: PacsAdapter, remembered: int) -> None:
        """Nothing is compared yet.

        Args:
            pacs: what it has is read.
            remembered: studies of which it is known: instances that come late are compared alone.
        """
        self._pacs = pacs
        self._remembered = remembered
        self._compared: dict[StudyId, dict[str, bool]] = {}
        """SOP Instance UID → whether the PACS gave back what it was given."""

    def forget(self, study: StudyId, uids: Iterable[str]) -> None:
        """These are given to the PACS again."""
        compared = self._compared.get(study, {})
        for uid in uids:
            compared.pop(uid, None)

    async def compare(self, study: StudyId, uid: str, entries: Mapping[str, InstanceEntry]) -> int:
        """Compare all of a study but for what was compared before; how many instances the PACS
        changed.

        Args:
            study: its id.
            uid: its Study Instance UID.
            entries: what the PACS was given.

        Raises:
            PacsDataError: it does not have, or does not give, all of them.
        """
        pacs, compared = self._pacs, self._compared.setdefault(study, {})
        while len(self._compared) > self._remembered:
            del self._compared[next(iter(self._compared))]
        described = await pacs.describe(uid, Detail.INSTANCES)
        missing = set(entries) - set(described.instances)
        wanted = set(entries) - compared.keys()
        if wanted and not missing:
            async with pacs.retrieve(described, wanted) as stream:
                async for one in stream:
                    if isinstance(one, FailedInstance) or one.sop_instance_uid not in wanted:
                        continue
                    if isinstance(one, EncodedInstance):
                        digest = await trio.to_thread.run_sync(_sha256, one.data)
                    else:
                        digest = one.sha256
                    is_same = digest == entries[one.sop_instance_uid].sha256
                    compared[one.sop_instance_uid] = is_same
            missing = wanted - compared.keys()
        if missing:
            raise PacsDataError(f"{pacs.name} took {len(missing)} instances and has them not")
        return sum(not compared[one] for one in entries)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
