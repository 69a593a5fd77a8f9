"""Identifiers of queries and retrievals, decoded completely: pydicom does it on access."""

from __future__ import annotations

from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.dsutils import decode

from p2pacs.dataset.unreadable import UNREADABLE
from p2pacs.errors import UsageError


def decode_identifier(stream: BytesIO | None, syntax: UID) -> Dataset:
    """The identifier in a request.

    Raises:
        UsageError: there is none, or it is no data set (status 0xA900).
    """
    if stream is None:
        raise UsageError("the request has no identifier")
    try:
        dataset = decode(stream, syntax.is_implicit_VR, syntax.is_little_endian)
        for _ in dataset.iterall():
            pass
    except UNREADABLE as error:
        raise UsageError("the identifier is not a DICOM data set") from error
    return dataset
