"""The audit trail in plain words. Pure."""

from __future__ import annotations

from typing import Final

from broker.trail.audit import DONE, FAILED, INTERRUPTED, REFUSED, Entry
from p2pacs.languages import N_, said
from p2pacs.languages.kept_details import SIGN_IN, detail_words

WHATS: Final = {
    "study granted": N_("Asked for a study"),
    "study read": N_("Read a study"),
    "key entrusted with the catalogue": N_("Was given the key of a published study in advance"),
    "study replicated blindly": N_("Took a study to keep, without its key"),
    "study sent": N_("Sent a study"),
    "study adopted": N_("Finished a study without its sender"),
    "sending cancelled": N_("Cancelled the sending of a study"),
    "studies adopted": N_("Had the studies of a member finished without it"),
    "storage commitment": N_("Storage Commitment of the central PACS"),
    "study addressed": N_("Addressed a study to a member"),
    "address of a study ended": N_("Addresses a study to a member no longer"),
    "study published": N_("Publication of a study"),
    "publication asked for": N_("Had a study published"),
    "sign-in": N_("Sign-in"),
    "session ended": N_("Ended a session"),
    "password changed": N_("Changed the own password"),
    "second factor added": N_("Added a second factor"),
    "second factor removed": N_("Removed a second factor"),
    "recovery codes made": N_("Made recovery codes"),
    "administrator added": N_("Added an account"),
    "administrator removed": N_("Removed an account"),
    "password set": N_("Set a password"),
    "role set": N_("Set a role"),
    "member registered": N_("Registered a member"),
    "member joined": N_("Joining the network"),
    "member corrected": N_("Corrected a member"),
    "member deleted": N_("Deleted a member"),
    "member revoked": N_("Revoked a member"),
    "token issued": N_("Made a token"),
    "read rule changed": N_("Changed what a member may read"),
    "send rule changed": N_("Changed which studies a member may send"),
    "certificate renewed": N_("Renewed its certificate"),
    "settings changed": N_("Changed the settings"),
    "audit exported": N_("Exported the audit trail"),
    "network founded": N_("Founded the network"),
}
"""What the trail calls it → what people read."""

OUTCOMES: Final = {
    DONE: N_("done"),
    REFUSED: N_("refused"),
    FAILED: N_("failed"),
    INTERRUPTED: N_("broken off"),
}

_ROLE: Final = (N_("%(name)s: %(role)s"),)
_URGENCIES: Final = (
    N_("%(what)s, stat"),
    N_("%(what)s, prefetch"),
    N_("%(what)s, background"),
)
_PURPOSES: Final = (
    N_("looked at on the page"),
    N_("fetched on the page"),
    N_("downloaded on the page"),
    N_("by command"),
    *_URGENCIES,
)
_READ: Final = (
    N_("%(what)s (its clock said %(time)s, %(number)s)"),
    N_("%(what)s: %(sent)s of %(total)s instances"),
    N_("%(what)s by %(caller)s"),
    *_PURPOSES,
    N_("%(what)s to %(workstation)s"),
)

DETAILS: Final = {
    "sign-in": SIGN_IN,
    "study read": _READ,
    "study granted": _PURPOSES,
    "study addressed": (N_("to %(member)s"), *_URGENCIES),
    "address of a study ended": (N_("to %(member)s"),),
    "study published": (
        N_("%(count)s instances are missing; %(why)s"),
        N_("nothing is missing any more"),
    ),
    "storage commitment": (N_("%(count)s instances"),),
    "sending cancelled": (
        N_("%(count)s instances had come there"),
        N_("%(came)s of %(count)s instances are in the central PACS"),
        N_("is not sent by this member"),
        N_("is finished without this member"),
    ),
    "study adopted": (
        N_("%(count)s instances are in the central PACS"),
        N_("%(count)s instances are in the central PACS; what only its sender had is lost"),
    ),
    "administrator added": _ROLE,
    "role set": _ROLE,
    "password changed": (N_("by its owner"),),
    "session ended": (N_("by its owner"),),
    "second factor added": (N_("by its owner"),),
    "second factor removed": (N_("by its owner"),),
    "recovery codes made": (N_("by the owner"),),
    "member joined": (
        N_("wrong token"),
        N_("wrong token (%(count)s times of late)"),
    ),
    "member corrected": (
        N_("name: %(old)s → %(new)s"),
        N_("role: %(old)s → %(new)s"),
        N_("uplink: %(old)s → %(new)s"),
        N_("downlink: %(old)s → %(new)s"),
        N_("may read: %(old)s → %(new)s"),
    ),
    "audit exported": (N_("all of it"), N_("what a search found")),
}
"""The texts that details are made of, by what was done (`detail_words`)."""

_CORRECTIONS: Final = "; "


def entry_detail(entry: Entry) -> str:
    """The detail of an entry as people read it."""
    forms = DETAILS.get(entry.what, ())
    if entry.what != "member corrected":
        return detail_words(entry.detail, forms)
    name, colon, changes = entry.detail.partition(": ")
    shown = [detail_words(one, forms) for one in changes.split(_CORRECTIONS)]
    return name + colon + _CORRECTIONS.join(shown)


def what_words(what: str) -> str:
    """What was done; what is not known here as it is written."""
    return said(WHATS.get(what, what))


def outcome_words(outcome: str) -> str:
    """How it ended."""
    return said(OUTCOMES.get(outcome, outcome))
