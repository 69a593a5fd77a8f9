"""Words that are kept in databases, come from enumerations or from libraries, and stand on pages:
marked here, for `said`. What is not among them is shown as it is.
"""

from __future__ import annotations

from typing import Final

from p2pacs.languages.texts import N_

ROLES: Final = (
    N_("administrator"),
    N_("auditor"),
    N_("broker"),
    N_("hospital"),
    N_("operator"),
    N_("radiologist"),
    N_("replica"),
)

STATES: Final = (
    N_("linked"),
    N_("joined"),
    N_("registered"),
    N_("expired"),
    N_("revoked"),
)
"""Of members."""

TRAIL: Final = (
    N_("account added"),
    N_("account removed"),
    N_("Storage Commitment answered"),
    N_("Storage Commitment asked"),
    N_("Storage Commitment not answered"),
    N_("sending retried"),
    N_("sending cancelled"),
    N_("spool emptied"),
    N_("study addressed"),
    N_("by its owner"),
    N_("by the owner"),
    N_("password changed"),
    N_("password set"),
    N_("recovery codes made"),
    N_("role set"),
    N_("second factor added"),
    N_("second factor removed"),
    N_("session ended"),
    N_("sign-in"),
)
"""What was done, in the trails."""

PHRASES: Final = (
    N_("Bad Request"),
    N_("Unauthorized"),
    N_("Forbidden"),
    N_("Not Found"),
    N_("Method Not Allowed"),
    N_("Not Acceptable"),
    N_("Request Timeout"),
    N_("Conflict"),
    N_("Misdirected Request"),
    N_("Too Many Requests"),
    N_("Internal Server Error"),
    N_("Bad Gateway"),
    N_("Service Unavailable"),
    N_("Gateway Timeout"),
    N_("Insufficient Storage"),
)
"""What HTTP calls answers (RFC 9110, 15)."""
