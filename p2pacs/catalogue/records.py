"""What the catalogue knows of a study: its attributes and those of its series and instances."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen

from p2pacs.dataset.json_model import Json, of_level, text
from p2pacs.dataset.vocabulary import INSTANCE_TAGS, PATIENT_TAGS, SERIES_TAGS, STUDY_LEVEL_TAGS
from p2pacs.ids import StudyId


@frozen
class SeriesRecord:
    """One series; ``instances`` is empty where the catalogue does not list them.

    Its attributes hold those of a patient, too, where that is another one than the study's first
    (wrong, and found in one of a hundred archives: PS3.3 A.1.2 has one patient a study).
    """

    uid: str = field(repr=False)
    attributes: Json = field(repr=False)
    instances: tuple[Json, ...] = field(default=(), repr=False)


@frozen
class StudyRecord:
    """One study: its id, what C-FIND may tell of it, and what is published of it."""

    study: StudyId
    uid: str = field(repr=False)
    attributes: Json = field(repr=False)
    series: tuple[SeriesRecord, ...] = field(default=(), repr=False)
    version: int = 0
    """Manifest version; 0 while nothing is published."""
    wrapped_key: bytes = field(default=b"", repr=False)
    """The study key, wrapped to the member that holds this record."""
    instance_keys: frozenset[str] | None = field(default=None, repr=False, kw_only=True)
    """Attributes that are known of its instances, where these are listed; None: all of the
    vocabulary. What is not known cannot be matched."""

    @property
    def patients(self) -> tuple[Json, ...]:
        """The attributes of its patients: one, but for studies that mix several."""
        found = {patient_of(self.attributes): of_level(self.attributes, PATIENT_TAGS)}
        for series in self.series:
            if "00100020" in series.attributes:
                other = of_level(series.attributes, PATIENT_TAGS)
                found.setdefault(patient_of(other), other)
        return tuple(found.values())


def patient_of(attributes: Json) -> tuple[str, str]:
    """What tells one patient from another: id and its issuer."""
    return text(attributes, "PatientID"), text(attributes, "IssuerOfPatientID")


def same_patient(one: Json, other: Json) -> bool:
    """Whether these are attributes of one patient: an issuer that one of them does not tell is no
    sign of another."""
    (first, issuer), (second, its) = patient_of(one), patient_of(other)
    return first == second and (issuer == its or not (issuer and its))


def other_patient(attributes: Json, study: Json) -> Json:
    """The patient's attributes if it is another patient than the study's, else none."""
    if same_patient(attributes, study):
        return {}
    return of_level(attributes, PATIENT_TAGS)


def series_of(instances: Iterable[Json]) -> tuple[SeriesRecord, ...]:
    """The series of these instances, whose attributes hold those of their series, too.

    The first instance of a series speaks for the series.
    """
    return _series_of(_by_series(instances), {})


def _by_series(instances: Iterable[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for attributes in instances:
        found.setdefault(text(attributes, "SeriesInstanceUID"), []).append(attributes)
    return found


def _series_of(
    by_series: dict[str, list[Json]], patients: dict[str, Json]
) -> tuple[SeriesRecord, ...]:
    return tuple(
        SeriesRecord(
            uid,
            patients.get(uid, {}) | of_level(members[0], SERIES_TAGS),
            tuple(of_level(member, INSTANCE_TAGS) for member in members),
        )
        for uid, members in by_series.items()
    )


def assemble(study: StudyId, instances: Iterable[Json], version: int = 0) -> StudyRecord:
    """A study out of its instances' attributes, which hold those of their series and study too.

    The first instance of a series speaks for the series, that of the study for the study.

    Raises:
        ValueError: no instance at all.
    """
    by_series = _by_series(instances)
    if not by_series:
        raise ValueError("a study has at least one instance")
    first = next(iter(by_series.values()))[0]
    others = {uid: other_patient(members[0], first) for uid, members in by_series.items()}
    uid = text(first, "StudyInstanceUID")
    attributes = of_level(first, STUDY_LEVEL_TAGS)
    return StudyRecord(study, uid, attributes, _series_of(by_series, others), version)
