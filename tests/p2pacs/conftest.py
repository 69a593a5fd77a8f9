"""A real Orthanc with pydicom's files in it, started once for the room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attrs import frozen
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from p2pacs.dataset.instance import EncodedInstance
from tests.components import Orthanc, free_port, orthanc
from tests.p2pacs.dimse.samples import pydicom_files

UNFIT = ("SC_rgb_jpeg.dcm", "rtdose_rle.dcm")
"""The one is not in the transfer syntax that it names; Orthanc 1.10 takes an inner sequence of
the other for its SOP Common Module."""


@frozen
class Filled:
    """An Orthanc, what it stores, and the destination that it knows."""

    orthanc: Orthanc
    stored: dict[str, EncodedInstance]
    """By SOP Instance UID."""
    studies: dict[str, list[str]]
    """Study Instance UID → SOP Instance UIDs."""
    receiver_aet: str
    receiver_port: int

    def classes(self, study: str) -> dict[str, list[str]]:
        """SOP Class → transfer syntaxes stored, of a study."""
        found: dict[str, list[str]] = {}
        for uid in self.studies[study]:
            one = self.stored[uid]
            syntaxes = found.setdefault(one.sop_class_uid, [])
            if one.transfer_syntax_uid not in syntaxes:
                syntaxes.append(one.transfer_syntax_uid)
        return found


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """An Orthanc that stores every file of pydicom whose header says what is in it."""
    port = free_port()
    folder = tmp_path_factory.mktemp("orthanc")
    with orthanc(folder, modalities={"RECEIVER": port}) as running:
        stored: dict[str, EncodedInstance] = {}
        studies: dict[str, list[str]] = {}
        for name, file in pydicom_files().items():
            if name in UNFIT:
                continue
            one = EncodedInstance.from_part10(file)
            dataset = dcmread(DicomBytesIO(file), stop_before_pixels=True)
            if dataset.SOPInstanceUID != one.sop_instance_uid:
                continue
            running.load([file])
            stored[one.sop_instance_uid] = one
            studies.setdefault(str(dataset.StudyInstanceUID), []).append(one.sop_instance_uid)
        yield Filled(running, stored, studies, "RECEIVER", port)
