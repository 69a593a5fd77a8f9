"""What sources tell of small studies, and what is published of them."""

from collections.abc import Mapping

from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.json_model import Json, dump, entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.publish.source import Description
from p2pacs.study.study_index import InstanceEntry

SERIES = "1.1"


def told(**values: str | None) -> Json:
    """Attributes by keyword, all as text; None: told as empty."""
    return {tag(name): entry("LO", value) for name, value in values.items()}


def described(
    *uids: str,
    study: Json | None = None,
    count: int | None = None,
    untold: int = 0,
    instances: Mapping[str, Json] | None = None,
    series: Mapping[str, str] | None = None,
    patients: Mapping[str, str] | None = None,
) -> Description:
    """A study as its source lists it.

    Args:
        uids: SOP Instance UIDs of its instances.
        study: attributes at study level.
        count: how many instances the source says that there are, if all are of one series.
        untold: see `Description`.
        instances: SOP Instance UID → what else is told of it.
        series: SOP Instance UID → its series, if that is not `SERIES`.
        patients: Series Instance UID → the patient of this series, if it has one of its own.
    """
    found: dict[str, list[Json]] = {}
    for uid in uids:
        attributes: Json = {tag("SOPInstanceUID"): entry("UI", uid)}
        attributes |= (instances or {}).get(uid, {})
        found.setdefault((series or {}).get(uid, SERIES), []).append(attributes)
    counted: Json = {}
    if count is not None:
        counted = {tag("NumberOfSeriesRelatedInstances"): entry("IS", str(count))}
    records = [
        SeriesRecord(
            one,
            counted | (told(PatientID=patients[one]) if patients and one in patients else {}),
            tuple(listed),
        )
        for one, listed in (found or {SERIES: []}).items()
    ]
    return Description("1", study or {}, tuple(records), untold)


def published(uid: str, values: Json | None = None, *, series: str = SERIES) -> InstanceEntry:
    """An instance that is out, with what its header says."""
    return InstanceEntry("1", uid, series, "1.2", b"", 1, (), dump(values or {}))
