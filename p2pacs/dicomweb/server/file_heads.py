"""What stands before each data set in an answer of WADO-RS: the head of its part, and of its file.
Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from p2pacs.dataset.instance import part10_head
from p2pacs.dicomweb.multipart_writer import part_head
from p2pacs.dicomweb.server.backend import InstanceOutline

DICOM: Final = "application/dicom"


class FileHeads:
    """The heads of one answer. Of most instances nothing differs but UID and size, and what is the
    same is made once: each anew was a twentieth of the time to give out what lies ready."""

    def __init__(self, boundary: str) -> None:
        """Of an answer with this boundary."""
        self._boundary = boundary
        self._before = dict[str, bytes]()
        """Of each transfer syntax, up to the size."""

    def of(self, outline: InstanceOutline) -> bytes:
        """What stands before the data set of an instance."""
        syntax = outline.transfer_syntax_uid
        before = self._before.get(syntax)
        if before is None:
            without_size = part_head(self._boundary, content_type(syntax))
            before = self._before[syntax] = without_size[:-2] + b"Content-Length: "
        file = meta(outline)
        return b"%b%d\r\n\r\n%b" % (before, len(file) + outline.size, file)

    def parts_bytes(self, outline: Iterable[InstanceOutline]) -> int:
        """Bytes of the parts of these instances; of many in little time."""
        heads, total = dict[tuple[str, str, int, int], int](), 0
        for one in outline:
            digits = len(one.sop_instance_uid), len(str(one.size))
            key = one.sop_class_uid, one.transfer_syntax_uid, *digits
            head = heads.get(key)
            if head is None:
                head = heads[key] = len(self.of(one))
            total += head + one.size
        return total


def content_type(transfer_syntax_uid: str) -> str:
    """Of an instance as a file."""
    return f"{DICOM}; transfer-syntax={transfer_syntax_uid}"


def meta(of: InstanceOutline) -> bytes:
    """What stands before the data set in the file of an instance."""
    return part10_head(of.sop_class_uid, of.sop_instance_uid, of.transfer_syntax_uid)
