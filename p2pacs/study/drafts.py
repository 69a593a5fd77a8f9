"""Instances of the next version: what of them is not there yet is laid in open runs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Final

from attrs import define, evolve, field

from p2pacs.identity.keys import StudyKey
from p2pacs.limits import DICTIONARY_BYTES
from p2pacs.study.blobs import LEVELS, BlobTable, key_of
from p2pacs.study.codecs import RAW
from p2pacs.study.coding import CodedBlob, CodedInstance
from p2pacs.study.dictionary import HeaderCoder
from p2pacs.study.images import HTJ2K_NEXT, JXL
from p2pacs.study.runs import Closed, OpenRuns
from p2pacs.study.split import Kind
from p2pacs.study.study_index import InstanceEntry, Stretches

ENTRY_BYTES: Final = 512
"""An instance in the index, apart from its attributes: about so much."""

_NO_ENTRY: Final = InstanceEntry("", "", "", "", b"", 0, (), b"")
"""Of blobs that belong to no instance yet."""

_COARSE_FIRST: Final = range(LEVELS - 1, -1, -1)


@define(eq=False)
class _Draft:
    """An instance whose blobs have places, not numbers."""

    entry: InstanceEntry
    blobs: list[int] = field(factory=list)
    previews: dict[int, None] = field(factory=dict)
    """Each once, in order."""
    is_new: bool = False
    """Whether the last frame was laid for this instance."""

    def finished(self, closed: Closed) -> InstanceEntry:
        """The entry, now that the runs are closed."""
        return evolve(
            self.entry,
            ranges=_stretches(map(closed.number, self.blobs)),
            previews=_stretches(map(closed.number, self.previews)),
        )


class Drafts:
    """The instances since the last cut, and where every blob of the study is."""

    def __init__(self, key: StudyKey, plain_bytes: int, blobs: BlobTable) -> None:
        """None yet.

        Args:
            key: of the study.
            plain_bytes: plaintext of a full chunk.
            blobs: what the study has; if it has nothing, this is its beginning.
        """
        self._places = {key: number for number, key in enumerate(blobs.keys())}
        self._runs = OpenRuns(key, plain_bytes, begins=not len(blobs))
        self._headers = HeaderCoder()
        self._drafts: dict[str, _Draft] = {}
        self._entry_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._drafts) or self._runs.pending_bytes > 0

    @property
    def laid_bytes(self) -> int:
        """Bytes of the blobs, all in memory."""
        return self._runs.pending_bytes

    def chunks_with(self, blobs: int, coded_bytes: int) -> int:
        """How many chunks there are at most with so many blobs more."""
        return self._runs.chunks_with(blobs, coded_bytes)

    @property
    def entry_bytes(self) -> int:
        """About how many bytes the index part will have before it is coded."""
        return self._entry_bytes

    def instances(self) -> Iterable[str]:
        """Their SOP Instance UIDs."""
        return self._drafts.keys()

    def get(self, uid: str) -> InstanceEntry | None:
        """The entry of an instance, without its blobs."""
        draft = self._drafts.get(uid)
        return None if draft is None else draft.entry

    def add(self, coded: CodedInstance) -> None:
        """Lay what of an instance is not there yet; it replaces one of its UID."""
        entry = InstanceEntry(
            sop_class_uid=coded.sop_class_uid,
            sop_instance_uid=coded.sop_instance_uid,
            series_instance_uid=coded.series_instance_uid,
            transfer_syntax_uid=coded.transfer_syntax_uid,
            sha256=coded.sha256,
            size=coded.size,
            ranges=(),
            json=coded.attributes,
        )
        draft = _Draft(entry)
        self._place_all(draft, coded.series_instance_uid, (*coded.previews, *coded.blobs))
        self._drafts[coded.sop_instance_uid] = draft
        self._entry_bytes += ENTRY_BYTES + len(coded.attributes)

    def lay(self, series: str, blobs: Iterable[CodedBlob]) -> None:
        """Lay what is not there yet of blobs of an instance that is added later.

        Args:
            series: its Series Instance UID.
            blobs: whole frames with all their parts; previews may be among them.
        """
        self._place_all(_Draft(_NO_ENTRY), series, blobs)

    def _place_all(self, draft: _Draft, series: str, blobs: Iterable[CodedBlob]) -> None:
        blobs = tuple(blobs)
        previews = {blob.digest: blob for blob in blobs if blob.kind is Kind.PREVIEW}
        for blob in blobs:
            if blob.kind is Kind.FRAME:
                self._place_frame(draft, blob, previews.get(blob.digest))
            elif _is_plain_header(blob):
                draft.blobs.append(self._place_header(series, blob))
            elif blob.kind is not Kind.PREVIEW:
                draft.blobs.append(self._place(blob))

    def _place(self, blob: CodedBlob, base: int | None = None) -> int:
        """The place of this blob: an equal one's, or that of a new one."""
        place = self._places.get(blob.key)
        if place is None:
            place = self._places[blob.key] = self._runs.add(blob, base)
        return place

    def _place_header(self, series: str, blob: CodedBlob) -> int:
        place = self._places.get(blob.key)
        if place is not None:
            return place
        named = self._headers.code(series, blob)
        return self._place(named.blob, None if named.base is None else self._places[named.base])

    def _place_frame(self, draft: _Draft, blob: CodedBlob, preview: CodedBlob | None) -> None:
        """One part of a frame; those that follow the first come one by one.

        An equal frame may have been coded otherwise, with or without a preview: all of its
        parts are taken and none of this one's, and a preview if there is any.
        """
        if blob.codec == HTJ2K_NEXT:
            if draft.is_new:
                draft.blobs.append(self._place(blob))
            return
        draft.is_new = blob.key not in self._places
        draft.blobs.append(self._place(blob))
        if not draft.is_new and (further := self._further(blob.digest)):
            draft.blobs += further
            preview = None  # the frame's beginning is one
        known = self._places.get(key_of(blob.digest, Kind.PREVIEW, JXL, 0))
        if known is None and preview is not None:
            known = self._place(preview)
        if known is not None:
            draft.previews.setdefault(known)

    def _further(self, digest: bytes) -> list[int]:
        """Places of the further parts of a known frame, coarse ones first."""
        keys = (key_of(digest, Kind.FRAME, HTJ2K_NEXT, level) for level in _COARSE_FIRST)
        return [self._places[key] for key in keys if key in self._places]

    def close(
        self, first_blob: int, first_chunk: int, *, ends: bool = False
    ) -> tuple[Closed, tuple[InstanceEntry, ...]]:
        """Close the runs, and begin anew.

        Args:
            first_blob: number of the first new blob.
            first_chunk: number of the first new chunk.
            ends: whether the study ends with it, as far as that is known.

        Returns:
            What the study gets, and the instances.
        """
        closed = self._runs.close(first_blob, first_chunk, ends=ends)
        self._places.update(zip(closed.keys, count(first_blob)))
        entries = tuple(draft.finished(closed) for draft in self._drafts.values())
        self._drafts, self._entry_bytes = {}, 0
        return closed, entries


def _is_plain_header(blob: CodedBlob) -> bool:
    return blob.kind is Kind.HEADER and blob.codec == RAW and blob.size <= DICTIONARY_BYTES


def _stretches(numbers: Iterable[int]) -> Stretches:
    """Consecutive numbers as (first, count)."""
    stretches: list[tuple[int, int]] = []
    for number in numbers:
        if stretches and number == sum(stretches[-1]):
            stretches[-1] = (stretches[-1][0], stretches[-1][1] + 1)
        else:
            stretches.append((number, 1))
    return tuple(stretches)
