"""The audit trail in plain words. Pure."""

from __future__ import annotations

from typing import Final

from broker.members.audit import DONE, FAILED, INTERRUPTED, REFUSED

WHATS: Final = {
    "study granted": "Was given the key of a study",
    "study read": "Read a study",
    "key entrusted with the catalogue": "Was given the key of a published study in advance",
    "study replicated blindly": "Was given a study to keep, without its key",
    "study published": "A study was published",
    "publication asked for": "Had a study published",
    "sign-in": "Signed in",
    "session ended": "Ended a session",
    "password changed": "Changed the own password",
    "second factor added": "Added a second factor",
    "second factor removed": "Removed a second factor",
    "recovery codes made": "Made recovery codes",
    "administrator added": "Added an account",
    "administrator removed": "Removed an account",
    "password set": "Set a password",
    "role set": "Set a role",
    "member registered": "Registered a member",
    "member joined": "Joined the network",
    "member corrected": "Corrected a member",
    "member deleted": "Deleted a member",
    "member revoked": "Revoked a member",
    "token issued": "Made a token",
    "read rule changed": "Changed what a member may read",
    "certificate renewed": "Renewed its certificate",
    "settings changed": "Changed the settings",
    "audit exported": "Exported the audit trail",
    "network founded": "Founded the network",
}
"""What the trail calls it → what people read."""

OUTCOMES: Final = {
    DONE: "done",
    REFUSED: "refused",
    FAILED: "failed",
    INTERRUPTED: "broken off",
}


def what_words(what: str) -> str:
    """What was done; what is not known here as it is written."""
    return WHATS.get(what, what)


def outcome_words(outcome: str) -> str:
    """How it ended."""
    return OUTCOMES.get(outcome, outcome)
