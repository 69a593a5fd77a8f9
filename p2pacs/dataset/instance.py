"""One DICOM instance as it travels: its encoded data set, untouched."""

from __future__ import annotations

import io
import struct
from functools import lru_cache

from attrs import field, frozen
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID

from p2pacs.dataset.uids import is_uid
from p2pacs.dataset.unreadable import UNREADABLE
from p2pacs.errors import BrokenInstanceError

_PREAMBLE = bytes(128) + b"DICM"
_ELEMENT = struct.Struct("<HH2sH")
"""Group, element, VR and length of a short element in Explicit VR Little Endian (PS3.5 7.1.2)."""
_LENGTH = struct.Struct("<I")
_SHORT = (b"UI", b"UL", b"SH", b"AE")
_UIDS = (0x0002, 0x0003, 0x0010)
"""Elements of group 0002: SOP Class, SOP Instance, Transfer Syntax UID (PS3.10 7.1)."""

_GROUP_LENGTH = struct.Struct("<HH2sHI")
_VERSION = _ELEMENT.pack(2, 1, b"OB", 0) + _LENGTH.pack(2) + b"\x00\x01"


def _uid_element(element: int, uid: str) -> bytes:
    value = uid.encode("latin-1")
    value += bytes(len(value) % 2)
    return _ELEMENT.pack(2, element, b"UI", len(value)) + value


_IMPLEMENTATION = _uid_element(0x0012, PYDICOM_IMPLEMENTATION_UID)


@lru_cache(maxsize=64)
def _around(sop_class_uid: str, transfer_syntax_uid: str, length: int) -> tuple[bytes, bytes]:
    """What stands before and behind a SOP Instance UID of so many characters: the same of most
    instances of a study, and a tenth of the time in which those that lie ready are given out."""
    of_class, of_instance, of_syntax = _UIDS
    padding = bytes(length % 2)
    before = (
        _VERSION
        + _uid_element(of_class, sop_class_uid)
        + _ELEMENT.pack(2, of_instance, b"UI", length + len(padding))
    )
    behind = padding + _uid_element(of_syntax, transfer_syntax_uid) + _IMPLEMENTATION
    size = _GROUP_LENGTH.pack(2, 0, b"UL", 4, len(before) + length + len(behind))
    return _PREAMBLE + size + before, behind


def part10_head(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """What stands before a data set in a DICOM file: preamble and file meta information, always in
    Explicit VR Little Endian (PS3.10 7.1)."""
    before, behind = _around(sop_class_uid, transfer_syntax_uid, len(sop_instance_uid))
    return b"".join((before, sop_instance_uid.encode("latin-1"), behind))


@frozen
class EncodedInstance:
    """The data set bytes as received, with what group 0002 would say of them (PS3.10 7.1).

    Group 0002 itself is apart: DIMSE has none, and every receiver writes its own.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data: bytes = field(repr=False)

    def part10_head(self) -> bytes:
        """See `part10_head`."""
        return part10_head(self.sop_class_uid, self.sop_instance_uid, self.transfer_syntax_uid)

    def part10(self) -> bytes:
        """The instance as a DICOM file: preamble, file meta information, data set."""
        return self.part10_head() + self.data

    @classmethod
    def from_part10(cls, file: bytes) -> EncodedInstance:
        """The instance in a DICOM file, its data set bytes untouched.

        Raises:
            BrokenInstanceError: not a DICOM file, or without the three UIDs of group 0002.
        """
        if file[128:132] != b"DICM":
            raise BrokenInstanceError("not a DICOM file: no prefix DICM at byte 128 (PS3.10 7.1)")
        if (usual := _usual_meta(file)) is not None:
            return cls(*usual)
        stream = io.BytesIO(file)
        stream.seek(132)
        try:
            meta = FileMetaDataset(read_dataset(stream, False, True, stop_when=_not_group_2))
            return cls(
                sop_class_uid=str(meta.MediaStorageSOPClassUID),
                sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
                transfer_syntax_uid=str(meta.TransferSyntaxUID),
                data=file[stream.tell() :],
            )
        except UNREADABLE as error:
            raise BrokenInstanceError("a DICOM file lacks one of the UIDs of group 0002") from error


def _usual_meta(file: bytes) -> tuple[str, str, str, bytes] | None:
    """The three UIDs and the data set of a file whose group 0002 is as the standard has it.

    None leaves it to pydicom, which makes sense of more and takes twenty times as long.
    """
    at, found = 132, dict[int, bytes]()
    while at + _ELEMENT.size <= len(file):
        group, element, vr, length = _ELEMENT.unpack_from(file, at)
        if group != 2:
            break
        at += _ELEMENT.size
        if vr == b"OB" and at + _LENGTH.size <= len(file):
            (length,) = _LENGTH.unpack_from(file, at)
            at += _LENGTH.size
        elif vr not in _SHORT:
            return None
        found[element] = file[at : at + length]
        at += length
    else:
        return None  # no data set, or too little of one
    sop_class, instance, syntax = (
        found.get(element, b"").removesuffix(b"\0").decode("latin-1") for element in _UIDS
    )
    if not (is_uid(sop_class) and is_uid(instance) and is_uid(syntax)):
        return None
    return sop_class, instance, syntax, file[at:]


def _not_group_2(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 2
