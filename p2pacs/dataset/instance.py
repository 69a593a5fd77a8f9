"""One DICOM instance as it travels: its encoded data set, untouched."""

from __future__ import annotations

import io
import struct

from attrs import field, frozen
from pydicom import uid
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag

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


@frozen
class EncodedInstance:
    """The data set bytes as received, with what group 0002 would say of them (PS3.10 7.1).

    Group 0002 itself is apart: DIMSE has none, and every receiver writes its own.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data: bytes = field(repr=False)

    def part10(self) -> bytes:
        """The instance as a DICOM file: preamble, file meta information, data set."""
        meta = FileMetaDataset()
        meta.FileMetaInformationGroupLength = 0  # present, so that the writer fills it in
        meta.FileMetaInformationVersion = b"\x00\x01"
        meta.MediaStorageSOPClassUID = uid.UID(self.sop_class_uid)
        meta.MediaStorageSOPInstanceUID = uid.UID(self.sop_instance_uid)
        meta.TransferSyntaxUID = uid.UID(self.transfer_syntax_uid)
        meta.ImplementationClassUID = uid.PYDICOM_IMPLEMENTATION_UID
        out = DicomBytesIO()
        out.write(_PREAMBLE)
        write_file_meta_info(out, meta, enforce_standard=False)
        out.write(self.data)
        return bytes(out.getvalue())

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
