"""The audit trail in plain words. Pure."""

from __future__ import annotations

from typing import Final

from broker.members.audit import DONE, FAILED, INTERRUPTED, REFUSED
from p2pacs.languages import N_, said

WHATS: Final = {
    "study granted": N_("Asked for a study"),
    "study read": N_("Read a study"),
    "key entrusted with the catalogue": N_("Was given the key of a published study in advance"),
    "study replicated blindly": N_("Took a study to keep, without its key"),
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


def what_words(what: str) -> str:
    """What was done; what is not known here as it is written."""
    return said(WHATS.get(what, what))


def outcome_words(outcome: str) -> str:
    """How it ended."""
    return said(OUTCOMES.get(outcome, outcome))
