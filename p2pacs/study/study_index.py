"""The sealed part of the manifest: which instances a study has, and of which blobs.

The index travels in parts (`p2pacs.study.parts`): each cut of the builder appends one with
the instances and blobs that are new. Later parts win, so an instance that changed has its
newest entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import define, evolve, field, frozen

from p2pacs.dataset.json_model import Json, load, load_some
from p2pacs.errors import ManifestError
from p2pacs.study.blobs import BlobRef, BlobTable, Columns
from p2pacs.study.images import HTJ2K, HTJ2K_NEXT, PICTURES
from p2pacs.study.split import Kind

Stretches = tuple[tuple[int, int], ...]
"""Blobs by their numbers: (first, how many), …"""


@frozen
class InstanceEntry:
    """One instance, as the index has it."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    sha256: bytes
    """Of the data set bytes."""
    size: int
    """Bytes of the data set."""
    ranges: Stretches
    """Its blobs in order."""
    json: bytes = field(repr=False)
    """DICOM JSON of what a C-FIND needs, in UTF-8."""
    previews: Stretches = ()
    """Previews of its frames, in order; frames may be without, and equal ones share theirs."""
    frames: int = field(default=0, eq=False)
    """How many frames it has to show; 0 if none can be shown. Filled in by `StudyIndex.add`."""

    @property
    def blobs(self) -> Iterator[int]:
        """The numbers of its blobs, in order: decoded end to end they are the data set."""
        return numbers(self.ranges)

    @property
    def attributes(self) -> Json:
        """DICOM JSON of what a C-FIND needs.

        Raises:
            ManifestError: not the DICOM JSON model.
        """
        try:
            return load(self.json)
        except ValueError as error:
            raise ManifestError("the attributes of an instance are not DICOM JSON") from error

    def some(self, *names: str) -> Json:
        """Those of its `attributes` that have these keywords, in a tenth of the time.

        Raises:
            ManifestError: not the DICOM JSON model.
        """
        try:
            return load_some(self.json, names)
        except ValueError as error:
            raise ManifestError("the attributes of an instance are not DICOM JSON") from error


def numbers(stretches: Stretches) -> Iterator[int]:
    """The numbers of these blobs, in order."""
    for first, count in stretches:
        yield from range(first, first + count)


@frozen
class LeftOut:
    """What the source of a study has, and this version of it has not."""

    uids: tuple[str, ...] = field(default=(), repr=False)
    """SOP Instance UIDs that the source lists."""
    unnamed: int = 0
    """How many more: by count only, or a second one under a SOP Instance UID."""
    why: str = ""
    """Reasons with their counts, for people; without patient data."""

    @property
    def count(self) -> int:
        """How many instances are missing in all."""
        return len(self.uids) + self.unnamed


@frozen
class IndexPart:
    """What one part adds: blobs from number ``first`` on, and instances new or changed."""

    first: int
    columns: Columns
    instances: tuple[InstanceEntry, ...]
    withdrawn: tuple[str, ...] = field(default=(), repr=False)
    """SOP Instance UIDs of earlier parts that the source has no longer."""
    left_out: LeftOut | None = None
    """What is missing from now on; None: as before."""


@define
class StudyIndex:
    """All instances of a study by SOP Instance UID, and all its blobs."""

    blobs: BlobTable = field(factory=BlobTable)
    instances: dict[str, InstanceEntry] = field(factory=dict)
    withdrawn: set[str] = field(factory=set, repr=False)
    """SOP Instance UIDs that were in it: who goes by parts must not give them any more."""
    left_out: LeftOut = LeftOut()
    """What the source has, and this version has not: a retrieval counts it as failed."""

    def add(self, part: IndexPart) -> list[InstanceEntry]:
        """Take in the next part.

        Returns:
            Its instances, with what follows from the blobs filled in.

        Raises:
            ManifestError: it is not the next one, or contradicts itself; nothing is added.
        """
        if part.first != len(self.blobs):
            raise ManifestError(f"an index part begins at blob {part.first}, not the next one")
        end = part.first + len(part.columns)
        for entry in part.instances:
            stretches = (*entry.ranges, *entry.previews)
            if any(first + count > end or not count for first, count in stretches):
                raise ManifestError("the index names a blob that it does not have")
        self.blobs.extend(part.columns)
        try:
            entries = [evolve(each, frames=_frames(each, self.blobs)) for each in part.instances]
        except ManifestError:
            self.blobs.cut_back(part.first)
            raise
        for uid in part.withdrawn:
            if self.instances.pop(uid, None) is not None:
                self.withdrawn.add(uid)
        for entry in entries:
            self.instances[entry.sop_instance_uid] = entry
            self.withdrawn.discard(entry.sop_instance_uid)
        if part.left_out is not None:
            self.left_out = part.left_out
        return entries

    def refs(self, entry: InstanceEntry) -> Iterator[BlobRef]:
        """Where the blobs of an instance lie, in order."""
        return map(self.blobs.__getitem__, entry.blobs)

    def shown(self, entry: InstanceEntry, frame: int, level: int) -> list[int]:
        """The blobs that show a frame at a level, or at the next coarser one that there is.

        Args:
            entry: of this index.
            frame: from 0.
            level: the frame 2**level times smaller.

        Returns:
            Numbers of a preview, or of the first parts of the frame; empty if nothing shows it.
        """
        parts = self._parts_of(entry, frame)
        if not parts:
            return []
        blobs, digest = self.blobs, self.blobs.digest(parts[0])
        beginning = [number for number in parts if blobs.level(number) >= level]
        choices = [beginning] if beginning and blobs.codec[parts[0]] in PICTURES else []
        choices += (
            [number]
            for number in numbers(entry.previews)
            if blobs.digest(number) == digest
            and blobs.level(number) >= level
            and blobs.codec[number] in PICTURES
        )
        return min(choices, key=lambda choice: blobs.level(choice[-1]), default=[])

    def _parts_of(self, entry: InstanceEntry, frame: int) -> list[int]:
        """The blobs of a frame; stretches without it are passed over quickly."""
        kind, codec = self.blobs.kind, self.blobs.codec
        before, parts = 0, list[int]()
        for first, count in entry.ranges:
            end = first + count
            begun = kind.count(_FRAME, first, end) - codec.count(HTJ2K_NEXT, first, end)
            if before + begun <= frame:
                before += begun
                continue
            for number in range(first, end):
                if kind[number] == _FRAME:
                    before += codec[number] != HTJ2K_NEXT
                    if before > frame + 1:
                        return parts
                    if before == frame + 1:
                        parts.append(number)
        return parts

    def copy(self) -> StudyIndex:
        """A copy that grows apart."""
        return StudyIndex(
            self.blobs.copy(), dict(self.instances), set(self.withdrawn), self.left_out
        )


_FRAME: Final = int(Kind.FRAME)
_PREVIEW: Final = int(Kind.PREVIEW)


def _frames(entry: InstanceEntry, blobs: BlobTable) -> int:
    """How many frames an instance has to show.

    Raises:
        ManifestError: its blobs cannot be those of an instance.
    """
    kinds, codecs = (
        b"".join(column[first : first + count] for first, count in entry.ranges)
        for column in (blobs.kind, blobs.codec)
    )
    if _PREVIEW in kinds:
        raise ManifestError("the index has a preview for a part of a data set")
    if HTJ2K_NEXT in codecs:
        _check_parts(entry, blobs)
    frames = kinds.count(_FRAME) - codecs.count(HTJ2K_NEXT)
    count = sum(count for _, count in entry.previews)
    if count > frames:
        raise ManifestError("an instance has more previews than frames")
    if any(blobs.kind[number] != _PREVIEW for number in numbers(entry.previews)):
        raise ManifestError("the index has part of a data set for a preview")
    return frames if count or not PICTURES.isdisjoint(codecs) else 0


def _check_parts(entry: InstanceEntry, blobs: BlobTable) -> None:
    """Whether every further part goes on with the frame before it, in finer levels."""
    before = None
    for number in entry.blobs:
        if blobs.codec[number] == HTJ2K_NEXT and (
            before is None
            or blobs.codec[before] not in (HTJ2K, HTJ2K_NEXT)
            or blobs.digest(before) != blobs.digest(number)
            or blobs.level(before) <= blobs.level(number)
        ):
            raise ManifestError("the index has a further part of a frame that is not before it")
        before = number
