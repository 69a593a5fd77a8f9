"""How long each thing on a channel may take, in seconds. Nothing waits without one."""

from __future__ import annotations

from typing import Final

CONNECT: Final = 10.0
"""To open a TCP connection: a slow line answers within 0.5 s, and SYN is repeated at 1, 3, 7."""

HANDSHAKE: Final = 10.0
"""To finish a TLS handshake: two round trips and 5 KiB, on a saturated uplink a few seconds."""

HELLO: Final = 10.0
"""From the handshake to the other side's `Hello`."""

IDLE: Final = 30.0
"""Without a byte received, the other side is asked with a `Ping`."""

ANSWER: Final = 30.0
"""From that `Ping` to any byte; then the link is closed."""

SEND: Final = 120.0
"""For one batch to leave: 256 KiB on a fifteenth of an uplink of 800 kbit/s take 40 s."""

QUERY: Final = 300.0
"""For our own answer to a query: publishing a study from a slow PACS is the longest."""

FAREWELL: Final = 2.0
"""To tell the other side why, and to close."""

ENROL: Final = 30.0
"""For a whole enrolment's exchange, after the handshake."""
