"""Which requests bring a set of instances: the fewest and highest ones (pure)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from attrs import field, frozen

from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.json_model import text
from p2pacs.publish.source import Description

BATCH: Final = 100
"""SOP Instance UIDs in one request: 6 KiB of identifier, which every PACS takes."""


@frozen
class RetrieveRequest:
    """One request: a study, a series of it, or some instances of a series."""

    series: str | None = field(default=None, repr=False)
    instances: tuple[str, ...] = field(default=(), repr=False)


def uids_of(series: SeriesRecord) -> list[str]:
    """SOP Instance UIDs of a series that was described with its instances."""
    return [text(instance, "SOPInstanceUID") for instance in series.instances]


def plan(study: Description, wanted: Collection[str] | None) -> Iterator[RetrieveRequest]:
    """The requests that bring these SOP Instance UIDs (None: all), and no other instance.

    A study of several patients is asked for by series: Orthanc knows no such study (404).
    """
    is_whole = wanted is None or (wanted and set(study.instances) <= set(wanted))
    if is_whole and not study.has_several_patients:
        yield RetrieveRequest()
        return
    for series in study.series:
        if wanted is None:
            yield RetrieveRequest(series.uid)
            continue
        held = uids_of(series)
        some = [uid for uid in held if uid in wanted]
        if some and len(some) == len(held):
            yield RetrieveRequest(series.uid)
            continue
        for at in range(0, len(some), BATCH):
            yield RetrieveRequest(series.uid, tuple(some[at : at + BATCH]))
