"""A publication as people read it. Pure."""

from __future__ import annotations

from typing import Final

from p2pacs.json_object import JsonObject
from p2pacs.publish import PublishProgress
from p2pacs.publish.progress import PublishStage
from p2pacs.texts import clean
from p2pacs.units import format_bytes

_WORDS: Final = {
    PublishStage.WAITING: "Waits for its turn",
    PublishStage.ASKING: "The PACS is asked what there is",
    PublishStage.RETRIEVING: "Comes from the PACS",
    PublishStage.PUBLISHED: "Published",
    PublishStage.FAILED: "Failed",
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
    counted = f"{done} of {wanted} images" if wanted else ""
    if left_out:
        are = "image is" if left_out == 1 else "images are"
        counted = ", ".join(filter(None, (counted, f"{left_out} {are} left out")))
    return {
        "study": str(progress.study),
        "state": _STATES[progress.stage],
        "words": _WORDS[progress.stage],
        "amount": counted,
        "read": f"{format_bytes(progress.bytes_read)} from the PACS" if progress.bytes_read else "",
        "version": progress.version,
        "percent": min(100, 100 * done // wanted) if wanted else None,
        "why": why,
        "left_out": left_out,
    }


def is_troubled(progress: PublishProgress) -> bool:
    """Whether somebody should look at it."""
    return progress.stage is PublishStage.FAILED or progress.left_out > 0
