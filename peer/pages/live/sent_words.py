"""A study that is sent from here as people read it: how far it is, and whether somebody has to do
something. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from p2pacs.languages import N_, _, formats, ngettext, said
from p2pacs.languages.kept_details import FROM_A_PACS, detail_words, refusal_words
from p2pacs.output.json_object import JsonObject
from p2pacs.pages import words
from p2pacs.pages.times import utc
from p2pacs.texts import clean
from peer.ingest.outgoing_state import (
    BROKER,
    PACS,
    OutgoingState,
    OutgoingStudy,
    RecipientState,
    StudyAddress,
)
from peer.spool.records import StudyCommitment

BESIDE: Final = "beside"
"""The state on a page of what is in the PACS, but for instances that are kept here."""

_STATES: Final = {
    OutgoingState.WAITING: N_("Waits for the broker"),
    OutgoingState.COMING: N_("Being received"),
    OutgoingState.PUBLISHING: N_("Going into the network"),
    OutgoingState.PUBLISHED: N_("On its way to the PACS"),
    OutgoingState.STORED: N_("In the PACS"),
    OutgoingState.FAILING: N_("Not sent yet"),
    OutgoingState.REFUSED: N_("Refused"),
    OutgoingState.CANCELLED: N_("Cancelled"),
}

_ADVICE: Final = {
    OutgoingState.WAITING: N_(
        "It is safe here, and goes on by itself once the broker is linked: nothing has to be done."
    ),
    OutgoingState.COMING: N_("What came is sent on meanwhile."),
    OutgoingState.PUBLISHING: N_("It goes on by itself: nothing has to be done."),
    OutgoingState.PUBLISHED: N_(
        "All of it is in the network. It goes on by itself: nothing has to be done."
    ),
    OutgoingState.STORED: "",
    OutgoingState.FAILING: N_("It is safe here, and tried again by itself."),
    OutgoingState.REFUSED: N_(
        "Nothing more of it is taken. What was refused is kept here; the study may be in the PACS "
        "already: look there first. Then have the cause put right and send it again; or remove it "
        "here."
    ),
    OutgoingState.CANCELLED: N_(
        "Nothing more of it is taken or sent. What is in the PACS already stays there. The broker "
        "is told as soon as it is linked, and whom it was addressed to stops fetching it."
    ),
}

_DELAYED: Final = N_(
    "All of it is in the network. The broker tries again by itself to bring it into the PACS: if "
    "this lasts, tell the network's administrator."
)


def sent_words(one: OutgoingStudy, now: float) -> JsonObject:
    """How a study is.

    Args:
        one: which.
        now: seconds since 1970.
    """
    state = said(_STATES[one.state])
    return {
        "state": BESIDE if one.is_stored and one.can_remove else str(one.state),
        "done": _is_done(one),
        "words": state,
        "badge": state,
        "why": _why(one),
        "advice": _advice(one, now),
        "percent": 100 * one.published // one.instances if one.instances else None,
        "amount": _amount(one),
        "copies": _copies(one),
        "recipients": [_recipient(recipient) for recipient in one.address.recipients],
        "to": _to(one.address),
        "times": _times(one),
        "commitment": " ".join(map(_commitment, one.commitments)),
    }


def attention_words(shown: Collection[OutgoingStudy]) -> str:
    """What to say above all studies; empty if nobody has to do anything."""
    count = sum(one.needs_somebody for one in shown)
    if not count:
        return ""
    return ngettext(
        "%(num)s study does not go on by itself: it is the first one below.",
        "%(num)s studies do not go on by themselves: they are the first ones below.",
        count,
    )


def _is_done(one: OutgoingStudy) -> bool:
    """Whether nothing more becomes of it: the PACS and all whom it is addressed to have it."""
    recipients = one.address.recipients
    return one.is_stored and not one.can_remove and all(to.has_all for to in recipients)


def _why(one: OutgoingStudy) -> str:
    if not one.why:
        return ""
    if one.is_delayed:
        why = clean(detail_words(one.why, FROM_A_PACS))
        return _("The PACS does not have it yet: %(why)s.", why=why.rstrip(".!?"))
    why = clean(refusal_words(one.why))
    return words.capitalize_first(why) + ("" if why.endswith((".", "!", "?")) else ".")


def _advice(one: OutgoingStudy, now: float) -> str:
    if one.is_stored and one.beside:
        return ngettext(
            "%(num)s image came with the number of another one, and other contents: it is kept "
            "here, and was not sent.",
            "%(num)s images came with the numbers of others, and other contents: they are kept "
            "here, and were not sent.",
            one.beside,
        )
    if one.state is OutgoingState.FAILING and one.again is not None and one.again > now + 1:
        return _(
            "It is safe here, and tried again by itself in %(seconds)s s.",
            seconds=round(one.again - now),
        )
    return said(_DELAYED) if one.is_delayed else said(_ADVICE[one.state])


def _amount(one: OutgoingStudy) -> str:
    size = formats.size(one.bytes)
    if one.published >= one.instances or not one.is_told:
        return f"{words.images(one.instances)}, {size}"
    return _(
        "%(done)s of %(all)s images in the network, %(size)s",
        done=formats.whole(one.published),
        all=formats.whole(one.instances),
        size=size,
    )


def _copies(one: OutgoingStudy) -> str:
    if PACS in one.copies:
        where = _("here, at the broker and in the PACS")
    elif BROKER in one.copies:
        where = _("here and at the broker")
    elif one.was_delivered:
        where = _("here; what was sent of it before went into the PACS")
    elif one.needs_somebody:
        where = _("here; it may be in the PACS already")
    else:
        where = _("here alone")
    if not one.address.replicas:
        return where
    return ngettext(
        "%(where)s; also at %(num)s replica",
        "%(where)s; also at %(num)s replicas",
        one.address.replicas,
        where=where,
    )


def _to(address: StudyAddress) -> str:
    if not address.recipients:
        return _("nobody in particular: whoever may read it finds it")
    return _("STAT: before all others") if address.is_stat else _("routine")


def _recipient(one: RecipientState) -> JsonObject:
    return {"name": clean(one.name), "how": _how_far(one)}


def _how_far(one: RecipientState) -> str:
    if not one.is_known:
        return _("no hospital of the network is called so now")
    if one.has_all:
        return _("has all of it")
    if not one.share:
        return _("has nothing of it yet")
    return _("has %(share)s of it", share=formats.percent(one.share // 10))


def _commitment(asked: StudyCommitment) -> str:
    """What who stored it here asked of Storage Commitment, and was told."""
    if asked.answered is None:
        return _(
            "%(caller)s asked for Storage Commitment on %(time)s: %(safe)s images are safe, "
            "%(waiting)s are waited for.",
            caller=clean(asked.caller),
            time=utc(asked.asked),
            safe=formats.whole(asked.safe),
            waiting=formats.whole(asked.waiting),
        )
    return _(
        "%(caller)s asked for Storage Commitment on %(time)s, and was told on %(answered)s: "
        "%(safe)s images are safe, %(failed)s are not.",
        caller=clean(asked.caller),
        time=utc(asked.asked),
        answered=utc(asked.answered),
        safe=formats.whole(asked.safe),
        failed=formats.whole(asked.failed + asked.waiting),
    )


def _times(one: OutgoingStudy) -> str:
    if one.latest - one.began < 60_000:
        return utc(one.began)
    return _("%(first)s, last image %(last)s", first=utc(one.began), last=utc(one.latest))
