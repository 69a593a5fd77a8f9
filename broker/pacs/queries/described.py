"""One study as a PACS describes it: put together from the answers to several queries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog

from broker.pacs.adapter import Found, unlisted
from broker.pacs.queries.keys import PATIENT_KEYS, QueryKeys
from broker.pacs.queries.patients import are_several, merged, with_patient
from p2pacs.catalogue.records import SeriesRecord
from p2pacs.dataset.json_model import Json, text
from p2pacs.publish.source import Description

log = structlog.get_logger(__name__)


def study_among(answers: Sequence[Json], uid: str) -> tuple[Json, QueryKeys] | None:
    """What answers at study level tell of one study, and what else to ask of its series.

    PS3.4 C.4.1.2.2.1 knows no keys of the patient at series level: they are asked for only where
    the study is of several.

    Args:
        answers: some PACS answer with other studies, too.
        uid: its Study Instance UID.

    Returns:
        None if it is not among them.
    """
    found = [one for one in answers if text(one, "StudyInstanceUID") == uid]
    if not found:
        return None
    (attributes,) = merged(found)
    return attributes, PATIENT_KEYS if are_several(found) else ()


async def described(
    uid: str,
    study: Json,
    series: Found,
    more: QueryKeys,
    instances: Callable[[str], Awaitable[Found]] | None,
) -> Description:
    """The study with its series, and with their instances if somebody lists them.

    Args:
        uid: its Study Instance UID.
        study: its attributes, and ...
        more: ... what else was asked of its series, as `study_among` says.
        series: the answer to a query for its series.
        instances: lists those of one Series Instance UID; None: they are not asked for.
    """
    untold = series.untold + series.is_cut
    if not more and (count := unlisted(study, series)):
        log.warning("the PACS limits its answers: series are missed", count=count)
        untold += count
    records: list[SeriesRecord] = []
    for one in series.usable:
        name = text(one, "SeriesInstanceUID")
        listed = Found([]) if instances is None else await instances(name)
        untold += listed.untold + listed.is_cut
        records.append(SeriesRecord(name, with_patient(one, study), tuple(listed.usable)))
    return Description(uid, study, tuple(records), untold)
