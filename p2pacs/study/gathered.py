"""What an instance is decoded from: opened chunks' content, ready for another process."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable

from attrs import field, frozen

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import CodingError
from p2pacs.study.codecs import IMAGES, decode
from p2pacs.study.compressed import COMPRESSED
from p2pacs.study.compressed.image_bytes import image_bytes


@frozen
class GatheredBlob:
    """A coded blob; all parts of a frame that is in parts."""

    codec: int
    size: int
    """Bytes when decoded."""
    coded: bytes = field(repr=False)
    dictionary: bytes | None = field(default=None, repr=False)
    """Content of the header that it was coded with, if it was."""


@frozen
class Gathered:
    """The coded blobs of an instance in order, and what must come out."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    sha256: bytes
    """Of the data set bytes."""
    size: int
    """Bytes of the data set."""
    study: str
    """What the study is called in errors (`StudyId.short`)."""
    blobs: tuple[GatheredBlob, ...]

    @property
    def heavy(self) -> bool:
        """Whether image codecs are needed: slow, and better in a process of their own."""
        return any(blob.codec in IMAGES for blob in self.blobs)


def native_bytes(blobs: Iterable[GatheredBlob]) -> int:
    """Bytes of the largest image that these decode by, where the frame itself is compressed."""
    compressed = (blob for blob in blobs if blob.codec in COMPRESSED)
    return max((image_bytes(blob.codec, blob.coded) for blob in compressed), default=0)


def decode_gathered(gathered: Gathered) -> EncodedInstance:
    """The instance, bit for bit as the PACS sent it. Takes no more memory than was declared.

    Raises:
        CodingError: a blob does not decode, or the result is not what was published.
    """
    if sum(blob.size for blob in gathered.blobs) != gathered.size:
        raise CodingError("the blobs of an instance do not add up to its size")
    data = decode_blobs(gathered.blobs)
    if hashlib.sha256(data).digest() != gathered.sha256:
        raise CodingError(f"an instance of study {gathered.study} did not come out exact")
    return EncodedInstance(
        gathered.sop_class_uid,
        gathered.sop_instance_uid,
        gathered.transfer_syntax_uid,
        data,
    )


def decode_blobs(blobs: Iterable[GatheredBlob]) -> bytes:
    """The bytes that these are of, end to end.

    Raises:
        CodingError: one does not decode.
    """
    data = io.BytesIO()
    for blob in blobs:
        data.write(decode(blob.codec, blob.coded, blob.size, blob.dictionary))
    return data.getvalue()  # shared with the buffer, not copied
