"""The series of a study as its page lists them, and its images in their order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from p2pacs.catalogue.records import SeriesRecord
from p2pacs.catalogue.views import series_view
from p2pacs.dataset.json_model import Json, number, text
from p2pacs.errors import ManifestError
from p2pacs.languages import _
from p2pacs.pages import words
from p2pacs.texts import clean
from peer.retrieval.instances.fetch_order import in_order
from peer.retrieval.instances.live_index import Known

PICTURES: Final = 6
"""Small pictures of a series."""

SERIES: Final = 200
"""Series on a page."""

IMAGES: Final = 20_000
"""Images in one stack."""


@frozen
class SmallPicture:
    """A small picture of an image."""

    number: int
    """Of the instance in the study."""
    place: int
    """Of the image in its stack, from 1."""
    level: str
    """How much can be shown (`peer.pages.live.study_levels`)."""


@frozen
class ShownSeries:
    """One series."""

    title: str
    words: str
    place: int = 0
    """In the study, from 1; 0 while its images are not known."""
    here: str = ""
    pictures: tuple[SmallPicture, ...] = ()


def shown_series(
    records: Iterable[SeriesRecord],
    known: Sequence[Known],
    levels: str,
    here: dict[str, str],
    *,
    pictures: int = PICTURES,
    settled: bool = False,
) -> list[ShownSeries]:
    """All series: those whose images are known, then what only the catalogue tells of.

    Args:
        records: of the catalogue.
        known: instances of the index.
        levels: a digit each, as `peer.pages.live.study_levels.StudyLevels` has them.
        here: place of a series → how many of its images are here.
        pictures: small pictures of each, at most.
        settled: whether no more instances will become known: then the catalogue, which may be
            older or newer than what is here, has nothing to add.
    """
    told = {record.uid: series_view(record) for record in records}
    found: list[ShownSeries] = []
    for series in in_order(one for one in known if not one.withdrawn):
        first = series[0]
        attributes = told.pop(first.entry.series_instance_uid, None) or _attributes(first)
        stack = images_of(series)
        found.append(
            ShownSeries(
                _title(attributes, first.series),
                _words(attributes, None),
                first.series,
                here.get(str(first.series), ""),
                _pictures(series, stack, levels, pictures),
            )
        )
    others = () if settled else told.values()
    found += [
        ShownSeries(_title(one, 0), _words(one, number(one, "NumberOfSeriesRelatedInstances")))
        for one in others
    ]
    return found[:SERIES]


def images_of(series: Iterable[Known]) -> list[str]:
    """The images of a series in their order, each as ``instance:frame``."""
    found = [
        f"{one.number}:{frame}"
        for one in series
        if not one.withdrawn
        for frame in range(1, frames_of(one) + 1)
    ]
    return found[:IMAGES]


def frames_of(known: Known) -> int:
    """Frames that can be drawn of an instance: also of one that has no previews."""
    if known.entry.frames:
        return known.entry.frames
    attributes = _attributes(known)
    if not number(attributes, "Rows"):
        return 0
    return max(1, min(number(attributes, "NumberOfFrames") or 1, IMAGES))


def _pictures(
    series: Sequence[Known], stack: Sequence[str], levels: str, most: int
) -> tuple[SmallPicture, ...]:
    """Evenly spread over the series, from images in their middles."""
    shown = [one for one in series if frames_of(one)]
    count = min(most, len(shown))
    chosen = [shown[(2 * n + 1) * len(shown) // (2 * count)] for n in range(count)]
    places = {name: place for place, name in enumerate(stack, 1)}
    return tuple(
        SmallPicture(
            one.number,
            places.get(f"{one.number}:{(frames_of(one) + 1) // 2}", 1),
            levels[one.number - 1] if one.number <= len(levels) else "0",
        )
        for one in chosen
    )


def _attributes(known: Known) -> Json:
    try:
        return known.entry.attributes
    except ManifestError:
        return {}


def _title(attributes: Json, place: int) -> str:
    named = text(attributes, "SeriesNumber") or (str(place) if place else "")
    parts = [
        _("Series %(number)s", number=named) if named else _("Series"),
        text(attributes, "SeriesDescription"),
    ]
    return clean(": ".join(part for part in parts if part))


def _words(attributes: Json, images: int | None) -> str:
    parts = [text(attributes, "Modality"), text(attributes, "BodyPartExamined").capitalize()]
    return clean(", ".join(part for part in [*parts, words.images(images)] if part))
