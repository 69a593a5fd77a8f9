"""A publication as people read it. Pure."""

from __future__ import annotations

from typing import Final

from p2pacs.languages import N_, _, formats, ngettext, said
from p2pacs.output.json_object import JsonObject
from p2pacs.publish import PublishProgress
from p2pacs.publish.progress import PublishStage
from p2pacs.texts import clean

_WORDS: Final = {
    PublishStage.WAITING: N_("Waits for its turn"),
    PublishStage.ASKING: N_("The PACS is asked what there is"),
    PublishStage.RETRIEVING: N_("Comes from the PACS"),
    PublishStage.PUBLISHED: N_("Published"),
    PublishStage.FAILED: N_("Failed"),
}

_STATES: Final = {
    PublishStage.WAITING: "paused",
    PublishStage.ASKING: "fetching",
    PublishStage.RETRIEVING: "fetching",
    PublishStage.PUBLISHED: "complete",
    PublishStage.FAILED: "failed",
}
"""As the pages' script and style sheet name them."""


def publication_words(progress: PublishProgress) -> JsonObject:
    """How a publication stands: in words, and what of it changes on open pages."""
    wanted, done = progress.instances_wanted, progress.instances_done
    left_out = progress.left_out
    why = clean(progress.why) if left_out else ""
    if progress.stage is PublishStage.FAILED and progress.problem is not None:
        why = clean(str(progress.problem))
    counted = _("%(done)s of %(all)s images", done=done, all=wanted) if wanted else ""
    if left_out:
        without = ngettext("%(num)s image is left out", "%(num)s images are left out", left_out)
        counted = ", ".join(filter(None, (counted, without)))
    return {
        "study": str(progress.study),
        "state": _STATES[progress.stage],
        "words": said(_WORDS[progress.stage]),
        "amount": counted,
        "read": _read(progress.bytes_read),
        "version": progress.version,
        "percent": min(100, 100 * done // wanted) if wanted else None,
        "why": why,
        "left_out": left_out,
        "stat": False,
    }


def _read(count: int) -> str:
    return _("%(size)s from the PACS", size=formats.size(count)) if count else ""


def is_troubled(progress: PublishProgress) -> bool:
    """Whether somebody should look at it."""
    return progress.stage is PublishStage.FAILED or progress.left_out > 0
