"""What was asked and answered of Storage Commitment, study by study, for people to see.

Of each study the last request of each AE title is known, waiting or answered: functions on a
transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from peer.commitment.requests import WaitingRequest
from peer.commitment.verdict import Verdict
from peer.db import commitment_states
from peer.spool.instance_progress import InstanceProgress
from peer.spool.records import StudyCommitment

MOST: Final = 10_000
"""Studies and AE titles of which this is known, the last that asked."""

_ASKED: Final = 500
"""Studies in one statement: SQLite takes 999 variables in its older versions."""


def states_of(
    request: WaitingRequest, verdict: Verdict, kept: Iterable[InstanceProgress]
) -> dict[str, StudyCommitment]:
    """How a request stands, by Study Instance UID; instances that never came are of no study.

    Args:
        request: what is asked for.
        verdict: what is known of it.
        kept: all that came under these SOP Instance UIDs.
    """
    study_of = {one.uid: one.study_uid for one in kept}
    failed = [one for one, _reason in verdict.failed]
    counts = {
        name: Counter(study_of[one.uid] for one in some if one.uid in study_of)
        for name, some in (
            ("safe", verdict.committed),
            ("failed", failed),
            ("waiting", verdict.waiting),
        )
    }
    return {
        study: StudyCommitment(
            request.key.caller,
            request.asked,
            None,
            counts["safe"][study],
            counts["failed"][study],
            counts["waiting"][study],
        )
        for study in sorted(set(study_of.values()))
    }


def note_states(connection: Connection, states: Mapping[str, StudyCommitment]) -> None:
    """Remember how a request stands; the oldest beyond `MOST` go."""
    for study, one in states.items():
        row = {
            "asked": one.asked,
            "answered": one.answered,
            "safe": one.safe,
            "failed": one.failed,
            "waiting": one.waiting,
        }
        note = insert(commitment_states).values(study=study, caller=one.caller, **row)
        connection.execute(
            note.on_conflict_do_update(
                index_elements=["study", "caller"],
                set_=row,
                where=commitment_states.c.asked <= one.asked,  # the last request counts
            )
        )
    count = connection.execute(select(func.count()).select_from(commitment_states)).scalar_one()
    if count > MOST:
        order = select(commitment_states.c.asked).order_by(commitment_states.c.asked.desc())
        last = order.offset(MOST - 1).limit(1).scalar_subquery()
        connection.execute(delete(commitment_states).where(commitment_states.c.asked < last))


def list_states(
    connection: Connection, studies: Collection[str]
) -> dict[str, list[StudyCommitment]]:
    """What was asked of these studies (Study Instance UIDs), the last request first."""
    found: dict[str, list[StudyCommitment]] = {}
    uids = list(studies)
    for first in range(0, len(uids), _ASKED):
        which = commitment_states.c.study.in_(uids[first : first + _ASKED])
        query = select(commitment_states).where(which).order_by(commitment_states.c.asked.desc())
        for row in connection.execute(query):
            found.setdefault(row.study, []).append(
                StudyCommitment(
                    row.caller, row.asked, row.answered, row.safe, row.failed, row.waiting
                )
            )
    return found
