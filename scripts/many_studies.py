"""Many made-up studies, in a catalogue and in a real Orthanc, and what viewers search for."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlencode

from attrs import evolve
from pydicom.uid import ExplicitVRLittleEndian

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.from_json import to_dataset
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import text
from scripts.phantom import encode
from scripts.search_rate import record
from tests.components import Orthanc

_BATCH: Final = 500
_SENDERS: Final = 4
ASKED: Final = 40
"""Searches of each kind, each for something else, where there are so many studies."""

_SHOWN: Final = "00081030,00080060,00080090,00100030"
"""What OHIF has told besides."""


def study(number: int) -> StudyRecord:
    """A study of one series; the same for the same number."""
    whole = record(number)
    return evolve(whole, series=whole.series[:1])


def fill_index(index: CatalogueIndex, count: int) -> None:
    """Put so many studies into a catalogue."""
    for first in range(0, count, _BATCH):
        index.upsert(map(study, range(first, min(first + _BATCH, count))))


def fill_orthanc(archive: Orthanc, count: int) -> None:
    """Store the same studies, each with one instance without pixels."""

    def store(first: int) -> None:
        files = io.BytesIO()
        with zipfile.ZipFile(files, "w") as packed:
            for number in range(first, min(first + _BATCH, count)):
                packed.writestr(f"{number}.dcm", file(study(number)))
        archive.request("POST", "/instances", files.getvalue())

    with ThreadPoolExecutor(_SENDERS) as pool:
        list(pool.map(store, range(0, count, _BATCH)))


def file(of: StudyRecord) -> bytes:
    """One instance of a study, without pixels, as a DICOM file."""
    series = of.series[0]
    dataset = to_dataset({**of.attributes, **series.attributes})
    del dataset.ModalitiesInStudy, dataset.NumberOfSeriesRelatedInstances
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"{series.uid}.1"
    dataset.InstanceNumber = "1"
    uids = dataset.SOPClassUID, dataset.SOPInstanceUID
    return EncodedInstance(*uids, ExplicitVRLittleEndian, encode(dataset)).part10()


def searches(count: int) -> dict[str, list[str]]:
    """Paths of searches as OHIF makes them, by what they search for, over so many studies."""
    asked = min(ASKED, count)
    chosen = [study(count * place // asked) for place in range(asked)]
    names = [_name(one) for one in chosen]
    dates = [text(one.attributes, "StudyDate") for one in chosen]
    return {
        "list": [_studies({}, offset=offset * 101) for offset in range(asked)],
        "newest": [_studies({})] * asked,
        "name": [_studies({"PatientName": f"{name}*"}) for name in names],
        "part_of_a_name": [_studies({"PatientName": f"*{name[1:]}*"}) for name in names],
        "date": [_studies({"StudyDate": f"{date[:6]}01-{date}"}) for date in dates],
        "date_and_modality": [
            _studies({"StudyDate": f"{date}-{date}", "ModalitiesInStudy": "CT"}) for date in dates
        ],
        "birth_date": [
            _studies({"PatientBirthDate": text(one.attributes, "PatientBirthDate")})
            for one in chosen
        ],
        "description": [
            _studies({"StudyDescription": f"*{text(one.attributes, 'StudyDescription')[3:]}*"})
            for one in chosen
        ],
        "referring_physician": [
            _studies({"ReferringPhysicianName": f"{_name(one, '00080090')}*"}) for one in chosen
        ],
        "modality": [
            _studies({"ModalitiesInStudy": text(one.series[0].attributes, "Modality")})
            for one in chosen
        ],
        "accession_number": [
            _studies({"AccessionNumber": text(one.attributes, "AccessionNumber")}) for one in chosen
        ],
        "id": [_studies({"00100020": text(one.attributes, "PatientID")}) for one in chosen],
        "study": [_studies({"StudyInstanceUID": one.uid}) for one in chosen],
        "series": [f"/studies/{one.uid}/series?includefield=0008103E" for one in chosen],
    }


def _name(of: StudyRecord, key: str = "00100010") -> str:
    name: str = of.attributes[key]["Value"][0]["Alphabetic"]
    return name.partition("^")[0]


def _studies(keys: Mapping[str, str], offset: int = 0) -> str:
    paging = {"limit": "101", "offset": str(offset), "fuzzymatching": "false"}
    return "/studies?" + urlencode({**paging, "includefield": _SHOWN, **keys}, safe="*,")
