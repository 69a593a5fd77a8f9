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

CHECKS: Final = (
    N_("PACS"),
    N_("Catalogue"),
    N_("Publications"),
    N_("Workers"),
    N_("Members"),
    N_("Disk of the database"),
    N_("Disk of the store"),
    N_("Disk of database and store"),
    N_("Database"),
    N_("Certificate of the authority"),
    N_("Certificate of the broker"),
    N_("Certificate of the pages"),
    N_("Clock"),
    N_("Version"),
    N_("Wait for the first look to end."),
    N_("Check that the PACS runs, its address in broker.toml, and the network between."),
    N_("Make room on the broker's disk; the log says what failed."),
    N_("It is filled when the broker has looked through the PACS once."),
    N_("It was never compared with the PACS."),
    N_("New studies are not found until the PACS answers again: see PACS above."),
    N_("Transfers shows which, and why."),
    N_("They wait for the PACS and the processor: see how busy both are."),
    N_("The log names the study: an image that its codec cannot take is left out."),
    N_("Members shows which; make new tokens for them."),
    N_("Check that they run, and that they reach the broker at its port."),
    N_("It renews itself while the broker runs; if it has not, the log says why."),
    N_("Without it nobody can join or renew: plan the move to a new network in good time."),
    N_("Let the machine follow a time server (NTP)."),
)
"""What is looked at for the page of health, and what to do about it."""

ERRORS: Final = (
    N_("no such workstation among the gateway's destinations"),
    N_("the peer is stopping: try again later"),
    N_("too many studies are being sent: wait until one is there"),
    N_("this was sent long ago, or never"),
)
"""What rooms that know no pages refuse."""
