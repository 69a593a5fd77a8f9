"""What `scripts/bench coding` compares with: zstd -9, HTJ2K and JPEG-LS on the same files.

One core each. The image codecs get every frame as well prepared as ours: what is smallest in it
subtracted over all allocated bits, 8 bits a sample where that is enough. What surrounds
the frames stays as it is, as in a DICOM file of that transfer syntax; a frame that does not
come back identical, or is not smaller, stays as it is, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import imagecodecs
import numpy as np
import numpy.typing as npt
import zstandard
from attrs import define, frozen

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.study.images import Shape
from p2pacs.study.images.shape import shape_of
from p2pacs.study.split import Kind, split

Pixels = npt.NDArray[Any]
MEGABYTE: Final = 1e6
RESOLUTIONS: Final = 5


@frozen
class Rival:
    """A codec for frames."""

    encode: Callable[[Pixels], bytes]
    decode: Callable[[bytes], Pixels]


RIVALS: Final = {
    "htj2k": Rival(
        lambda pixels: bytes(
            imagecodecs.htj2k_encode(
                pixels, resolutions=_resolutions(pixels), reversible=True, rgb=pixels.ndim == 3
            )
        ),
        imagecodecs.htj2k_decode,
    ),
    # As much room as it may need: on noise the codec writes beyond its own estimate.
    "jpegls": Rival(
        lambda pixels: bytes(imagecodecs.jpegls_encode(pixels, out=2 * pixels.nbytes + 1024)),
        imagecodecs.jpegls_decode,
    ),
}

_FAILURES: Final = (
    ValueError,
    RuntimeError,  # imagecodecs' own errors
)


@define
class CodecTally:
    """What one codec did with instances."""

    size: int = 0
    """Bytes of all data sets."""
    plain: int = 0
    """Bytes of what it was given of them: the frames, or all."""
    coded: int = 0
    kept: int = 0
    """Frames that stayed as they are: not identical, or not smaller."""
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0

    def add(self, other: CodecTally) -> None:
        """Counts what it did with other instances, too."""
        for name in ("size", "plain", "coded", "kept", "encode_seconds", "decode_seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def figures(self) -> dict[str, Any]:
        """As printed; what it was not given stays as it is."""
        if not self.plain:
            return {"skipped": "no frames that it takes"}
        return {
            "ratio": round(self.size / (self.size - self.plain + self.coded), 3),
            "pixel_ratio": round(self.plain / self.coded, 3),
            "frames_kept_plain": self.kept,
            "encode_mb_s": mb_s(self.plain, self.encode_seconds),
            "decode_mb_s": mb_s(self.plain, self.decode_seconds),
        }


def compare(instances: Iterable[EncodedInstance]) -> dict[str, CodecTally]:
    """What each opponent makes of a series."""
    tallies = {name: CodecTally() for name in ("zstd9", *RIVALS)}
    for instance in instances:
        for tally in tallies.values():
            tally.size += len(instance.data)
        _try_zstd(instance.data, tallies["zstd9"])
        for plain, shape in frames(instance):
            pixels = prepared(plain, shape)
            for name, rival in RIVALS.items():
                try_frame(rival, pixels, len(plain), tallies[name])
    return tallies


def frames(instance: EncodedInstance) -> Iterator[tuple[bytes, Shape]]:
    """The native frames of an instance that are images."""
    parts = split(instance.data, instance.transfer_syntax_uid)
    for piece in parts.pieces:
        if piece.kind is Kind.FRAME and parts.header is not None:
            shape = shape_of(parts.header, piece.end - piece.start)
            if shape is not None:
                yield instance.data[piece.start : piece.end], shape


def prepared(plain: bytes, shape: Shape) -> Pixels:
    """A frame as unsigned samples from 0 up, (rows, columns) or (rows, columns, samples)."""
    order = ">" if shape.big_endian else "<"
    stored = np.frombuffer(plain, f"{order}{'i' if shape.signed else 'u'}{shape.bits // 8}")
    low = stored.min()
    samples = (stored - low).astype(f"u{shape.bits // 8}")  # wraps as it must
    if shape.bits > 8 and samples.max() < 256:
        samples = samples.astype("u1")
    pixels: Pixels
    if shape.samples == 1:
        pixels = samples.reshape(shape.rows, shape.columns)
    elif shape.planar:
        planes = samples.reshape(shape.samples, shape.rows, shape.columns)
        pixels = np.ascontiguousarray(planes.transpose(1, 2, 0))
    else:
        pixels = samples.reshape(shape.rows, shape.columns, shape.samples)
    return pixels


def try_frame(rival: Rival, pixels: Pixels, size: int, tally: CodecTally) -> None:
    """Codes a frame, decodes it, and counts; ``size`` are its bytes in the data set."""
    coded, decoded = b"", None
    begin = time.perf_counter()
    try:
        coded = rival.encode(pixels)
        tally.encode_seconds += time.perf_counter() - begin
        begin = time.perf_counter()
        decoded = rival.decode(coded)
        tally.decode_seconds += time.perf_counter() - begin
    except _FAILURES:
        tally.encode_seconds += time.perf_counter() - begin
    exact = decoded is not None and np.array_equal(decoded, pixels) and len(coded) < size
    tally.plain += size
    tally.coded += len(coded) if exact else size
    tally.kept += not exact


def _try_zstd(data: bytes, tally: CodecTally) -> None:
    """A whole file, as `zstd -9` takes it."""
    begin = time.perf_counter()
    coded = zstandard.ZstdCompressor(level=9).compress(data)
    tally.encode_seconds += time.perf_counter() - begin
    begin = time.perf_counter()
    zstandard.ZstdDecompressor().decompress(coded)
    tally.decode_seconds += time.perf_counter() - begin
    tally.plain += len(data)
    tally.coded += len(coded)


def _resolutions(pixels: Pixels) -> int:
    """Halvings, as far as the image is large enough for them."""
    shortest: int = min(pixels.shape[:2])
    return min(RESOLUTIONS, shortest.bit_length() - 1)


def mb_s(size: int, seconds: float) -> float:
    """Millions of bytes a second."""
    return round(size / MEGABYTE / max(seconds, 1e-9), 1)
