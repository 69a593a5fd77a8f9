"""What a data set says of itself, where what came with it says nothing, or something else.

Orthanc keeps and gives out a file as it came: without preamble and group 0002 (a bare data set),
or with a group 0002 that lacks UIDs. What the data set itself says is enough for all but one
thing: which compressed transfer syntax its pixel data are in. And where both name a SOP Instance,
the data set is right: it is what C-FIND tells of (PS3.7 9.1.1.1, PS3.10 7.1).
"""

from __future__ import annotations

from typing import Final

from attrs import evolve
from pydicom.valuerep import VR

from p2pacs.dataset.elements import attributes_of
from p2pacs.dataset.header import EXPLICIT, UNDEFINED_LENGTH, read_header
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import text
from p2pacs.dataset.uids import is_uid
from p2pacs.errors import BrokenInstanceError

_BEGINNING: Final = 2048
"""Bytes of a data set in which its UIDs are: group 0008 is the first, and they are early in it."""

_SOP_CLASS_UID, _SOP_INSTANCE_UID = b"\x08\x00\x16\x00", b"\x08\x00\x18\x00"

_PREAMBLE: Final = bytes(128) + b"DICM"
_GROUP_2: Final = b"\x02\x00"

_IMPLICIT: Final = "1.2.840.10008.1.2"
_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
_NATIVE: Final = frozenset({_IMPLICIT, EXPLICIT, _BIG_ENDIAN})
_VRS: Final = frozenset(vr.value.encode() for vr in VR if len(vr.value) == 2)


def read_instance(file: bytes, told: str = "") -> EncodedInstance:
    """The instance in a DICOM file, or in what is left of one; its data set bytes untouched.

    Args:
        file: a file (PS3.10 7), or a data set without preamble or group 0002.
        told: its transfer syntax UID if somebody told, for instance beside it in HTTP.

    Raises:
        BrokenInstanceError: no data set, without UIDs, or in a transfer syntax that is not known.
    """
    if file[:2] == _GROUP_2 and file[128:132] != b"DICM":
        file = _PREAMBLE + file
    try:
        return with_own_uids(EncodedInstance.from_part10(file))
    except BrokenInstanceError:
        if file.startswith(_GROUP_2, 132):
            raise  # it has a header that says too little: what follows it is not certain
    return _of_data_set(file[132:] if file[128:132] == b"DICM" else file, told)


def with_own_uids(instance: EncodedInstance) -> EncodedInstance:
    """The instance under the SOP Class and SOP Instance UID that its data set names.

    What came with it may be another's (files that were copied and edited), or cut off (DCMTK,
    and so Orthanc, cuts UIDs at 64 characters in a DIMSE message).
    """
    said = (instance.sop_class_uid, instance.sop_instance_uid)
    begin, is_implicit = instance.data[:_BEGINNING], instance.transfer_syntax_uid == _IMPLICIT
    elements = zip((_SOP_CLASS_UID, _SOP_INSTANCE_UID), said, strict=True)
    if all(_element(tag, uid, is_implicit) in begin for tag, uid in elements):
        return instance  # nearly always: the header need not be read
    header = read_header(instance.data, instance.transfer_syntax_uid)
    own = {} if header is None else attributes_of(header)
    sop_class, uid = text(own, "SOPClassUID"), text(own, "SOPInstanceUID")
    if not is_uid(sop_class) or not is_uid(uid) or (sop_class, uid) == said:
        return instance
    return evolve(instance, sop_class_uid=sop_class, sop_instance_uid=uid)


def _element(tag: bytes, uid: str, is_implicit: bool) -> bytes:
    """A UID as little endian data sets have it (PS3.5 7.1)."""
    value = uid.encode("utf-8", "replace")
    value += bytes(len(value) % 2)
    length = len(value).to_bytes(4 if is_implicit else 2, "little")
    return tag + (b"" if is_implicit else b"UI") + length + value


def _of_data_set(data: bytes, told: str) -> EncodedInstance:
    syntax = told if told and told not in _NATIVE else _native(data)
    header = read_header(data, syntax)
    attributes = {} if header is None else attributes_of(header)
    sop_class, uid = text(attributes, "SOPClassUID"), text(attributes, "SOPInstanceUID")
    if header is None or not sop_class or not uid:
        raise BrokenInstanceError("not a DICOM file, and no data set with its UIDs either")
    if header.pixels_length == UNDEFINED_LENGTH and syntax in _NATIVE:
        raise BrokenInstanceError("compressed images without header: their syntax is not known")
    return EncodedInstance(sop_class, uid, syntax, data)


def _native(data: bytes) -> str:
    """The transfer syntax that the first element is written in (PS3.5 7.1)."""
    if data[:1] == b"\0" and data[1:2] != b"\0":  # its group number, the high byte first
        return _BIG_ENDIAN
    return EXPLICIT if data[4:6] in _VRS else _IMPLICIT
