"""A study that a member made, as administrators read of it. Pure."""

from __future__ import annotations

from broker.ingest.sent import SentStudy
from p2pacs.languages import _, formats, ngettext


def origin_words(sent: SentStudy) -> str:
    """How far it is on its way to the PACS."""
    if sent.cancelled is not None:
        return _cancelled(sent)
    if not sent.sending:
        return _("in the PACS")
    if sent.adopted:
        return _("the broker finishes it without the member, as far as others have it")
    if not sent.version:
        return _("announced: nothing of it is in the network yet")
    if not sent.complete:
        return _("the member sends it now")
    return _("all of it is in the network, and on its way to the PACS")


def _cancelled(sent: SentStudy) -> str:
    if sent.came is None:
        return _("cancelled by the hospital")
    return ngettext(
        "cancelled by the hospital (%(came)s of %(num)s instance came)",
        "cancelled by the hospital (%(came)s of %(num)s instances came)",
        sent.instances,
        came=formats.whole(sent.came),
    )
