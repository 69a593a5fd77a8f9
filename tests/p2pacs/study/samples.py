"""Small instances, and the whole road of a study in memory."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from attrs import define, field
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.identity.keys import Secret, SigningKey, StudyKey
from p2pacs.ids import StudyId
from p2pacs.study.builder import Cut, Published, StudyBuilder
from p2pacs.study.coding import code
from p2pacs.study.images import Coding
from p2pacs.study.manifest import ChunkList, Root, load_root, load_segment, sign_root
from p2pacs.study.reader import StudyReader
from p2pacs.study.study_index import StudyIndex

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
CT = "1.2.840.10008.5.1.4.1.1.2"

STUDY_UID = "1.2.826.0.1.1"
STUDY = StudyId(bytes(range(16)))
KEY = StudyKey(bytes(range(32)))
SIGNER = SigningKey(Secret(bytes(reversed(range(32)))))


def encode(dataset: Dataset, *, implicit: bool = False, little: bool = True) -> bytes:
    out = DicomBytesIO()
    out.is_implicit_VR = implicit
    out.is_little_endian = little
    write_dataset(out, dataset)
    return bytes(out.getvalue())


def dataset(number: int = 1, *, rows: int = 64, columns: int = 64, **extra: Any) -> Dataset:
    """A CT slice of noise that compresses by half."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID = CT
    made.SOPInstanceUID = f"{STUDY_UID}.1.{number}"
    made.StudyInstanceUID = STUDY_UID
    made.SeriesInstanceUID = f"{STUDY_UID}.1"
    made.Modality = "CT"
    made.PatientName = "Grün^Zoë"
    made.InstanceNumber = number
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.Rows = rows
    made.Columns = columns
    made.BitsAllocated = 16
    made.BitsStored = 12
    made.HighBit = 11
    made.PixelRepresentation = 0
    made.PixelData = noise(number, rows * columns)
    made["PixelData"].VR = "OW"
    for name, value in extra.items():
        setattr(made, name, value)
    return made


def noise(seed: int, samples: int) -> bytes:
    """Samples of 16 bits whose high byte is 0."""
    random_bytes = hashlib.shake_128(str(seed).encode()).digest(samples)
    out = bytearray(2 * samples)
    out[::2] = random_bytes
    return bytes(out)


def instance(
    number: int = 1, *, syntax: str = EXPLICIT, uid: str | None = None, **extra: Any
) -> EncodedInstance:
    made = dataset(number, **extra)
    return EncodedInstance(
        CT,
        uid or str(made.SOPInstanceUID),
        syntax,
        encode(made, implicit=syntax == IMPLICIT, little=syntax != BIG_ENDIAN),
    )


def smooth(number: int = 1, side: int = 256, **extra: Any) -> EncodedInstance:
    """A slice that image codecs make much smaller, and that is worth a preview."""
    samples = array("H", [(x * y + number) // 16 % 4096 for y in range(side) for x in range(side)])
    extra = {"PixelData": samples.tobytes(), **extra}
    return instance(number, rows=side, columns=side, **extra)


@define
class Shelf:
    """What a store and a swarm do, in a dictionary: chunks, segments, the newest root."""

    chunks: dict[int, bytes] = field(factory=dict)
    list: ChunkList = field(factory=ChunkList)
    root: Root | None = None
    previous: Published | None = None

    @property
    def index(self) -> StudyIndex:
        """Of the newest version."""
        assert self.previous is not None
        return self.previous.index

    def publish(
        self, instances: Iterable[EncodedInstance], *, complete: bool = True, **options: Any
    ) -> Cut:
        """Append to what is there, sign, verify, keep; what the cut gave."""
        study_uid = options.pop("study_uid", STUDY_UID)
        coder = options.pop("coder", partial(code, coding=options.pop("coding", Coding.SMALLEST)))
        builder = StudyBuilder(STUDY, KEY, study_uid, self.previous, **options)
        for each in instances:
            builder.append(coder(each))
        batch = builder.cut()
        self.take(batch, sign_root(builder.root(complete=complete), SIGNER))
        self.previous = builder.published()
        return batch

    def take(self, batch: Cut, raw_root: bytes) -> None:
        self.chunks.update((chunk.number, chunk.data) for chunk in batch.chunks)
        segments = dict(batch.segments)
        root = load_root(raw_root, SIGNER.public, STUDY)
        for number in self.list.missing(root):
            self.list.extend(load_segment(segments[root.segments[number]], root, number))
        self.root = root

    def reader(self) -> StudyReader:
        assert self.root is not None
        return StudyReader(KEY, self.root, self.list)

    def all(self) -> Sequence[EncodedInstance]:
        """Every instance, joined."""
        reader = self.reader()
        reader.advance(self.chunks, self.chunks.__getitem__)
        assert reader.whole
        return [
            reader.join(entry, self.chunks.__getitem__) for entry in reader.index.instances.values()
        ]
