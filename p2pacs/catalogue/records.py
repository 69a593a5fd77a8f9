"""What the catalogue knows of a study: its attributes and those of its series and instances."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen

from p2pacs.dataset.json_model import Json, of_level, text
from p2pacs.dataset.vocabulary import INSTANCE_TAGS, SERIES_TAGS, STUDY_LEVEL_TAGS
from p2pacs.ids import StudyId


@frozen
class SeriesRecord:
    """One series; ``instances`` is empty where the catalogue does not list them."""

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


def assemble(study: StudyId, instances: Iterable[Json], version: int = 0) -> StudyRecord:
    """A study out of its instances' attributes, which hold those of their series and study too.

    The first instance of a series speaks for the series, that of the study for the study.

    Raises:
        ValueError: no instance at all.
    """
    by_series: dict[str, list[Json]] = {}
    for attributes in instances:
        by_series.setdefault(text(attributes, "SeriesInstanceUID"), []).append(attributes)
    if not by_series:
        raise ValueError("a study has at least one instance")
    series = tuple(
        SeriesRecord(
            uid,
            of_level(members[0], SERIES_TAGS),
            tuple(of_level(member, INSTANCE_TAGS) for member in members),
        )
        for uid, members in by_series.items()
    )
    first = next(iter(by_series.values()))[0]
    uid = text(first, "StudyInstanceUID")
    return StudyRecord(study, uid, of_level(first, STUDY_LEVEL_TAGS), series, version)
