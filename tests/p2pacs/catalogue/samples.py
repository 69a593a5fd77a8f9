"""Catalogue records for tests."""

from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.json_model import Json, entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.ids import StudyId


def attributes(**values: tuple[str, str]) -> Json:
    """``PatientID=("LO", "1")``; person names as ``a=i=p``."""
    built = {}
    for keyword, (vr, value) in values.items():
        items: list[object] = list(value.split("\\")) if value else []
        if vr == "PN" and value:
            names = ("Alphabetic", "Ideographic", "Phonetic")
            items = [{n: g for n, g in zip(names, value.split("="), strict=False) if g}]
        built[tag(keyword)] = entry(vr, *items)
    return built


def series(
    uid: str, modality: str = "CT", instances: int = 2, *, listed: bool = True
) -> SeriesRecord:
    """A series of instances with UIDs ``uid.1``, ``uid.2``, …"""
    held = attributes(SeriesInstanceUID=("UI", uid), Modality=("CS", modality))
    if not listed:
        held |= attributes(NumberOfSeriesRelatedInstances=("IS", str(instances)))
        return SeriesRecord(uid, held)
    listing = tuple(
        attributes(SOPInstanceUID=("UI", f"{uid}.{n}"), InstanceNumber=("IS", str(n)))
        for n in range(1, instances + 1)
    )
    return SeriesRecord(uid, held, listing)


def study(
    number: int = 1,
    *parts: SeriesRecord,
    name: str = "Doe^John",
    patient: str = "P1",
    date: str = "20240131",
    **more: tuple[str, str],
) -> StudyRecord:
    """A study with UID ``1.2.<number>``."""
    uid = f"1.2.{number}"
    held = attributes(
        PatientName=("PN", name), PatientID=("LO", patient), StudyDate=("DA", date), **more
    )
    return StudyRecord(StudyId(number.to_bytes(16, "big")), uid, held, parts)


def query(level: str = "STUDY", **keys: str) -> Dataset:
    """A C-FIND identifier, whatever its values: keys with wildcards are none that a VR can have."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    with disable_value_validation():
        for keyword, value in keys.items():
            setattr(identifier, keyword, value)
    return identifier
