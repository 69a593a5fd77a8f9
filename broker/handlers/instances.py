"""Instances of a study as encoded data sets, for a member's query at image level."""

from __future__ import annotations

from typing import Final

from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from p2pacs.dataset.from_json import to_dataset
from p2pacs.dataset.json_model import Json, entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.limits import FIND_RESULTS, FRAME_BYTES, KIB
from p2pacs.publish.source import Description

_ROOM: Final = FRAME_BYTES - 8 * KIB
_OVERHEAD: Final = 5
"""Bytes that msgpack needs at most before a data set."""


def encode_instances(study: Description) -> tuple[list[bytes], bool]:
    """As many instances as fit in one message, each with the attributes of its series.

    Returns:
        Data sets in Explicit VR Little Endian; whether some were left out.
    """
    encoded: list[bytes] = []
    room = _ROOM
    for series in study.series:
        of_series = {**series.attributes, tag("SeriesInstanceUID"): entry("UI", series.uid)}
        for instance in series.instances:
            raw = _encode({**of_series, **instance})
            room -= len(raw) + _OVERHEAD
            if room < 0 or len(encoded) == FIND_RESULTS:
                return encoded, True
            encoded.append(raw)
    return encoded, False


def _encode(attributes: Json) -> bytes:
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, to_dataset(attributes))
    return bytes(out.getvalue())
