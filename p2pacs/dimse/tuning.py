"""Deadlines and bounds of DIMSE in one place, so that tests can hand in others."""

from __future__ import annotations

from attrs import frozen


@frozen
class Tuning:
    """What a server and its sub-operations go by; seconds, unless it says otherwise."""

    look: float = 0.1
    """How often a retrieval that waits looks for a cancel or an abort."""

    report: float = 0.05
    """Pending responses are not sent more often: 20 a second are enough to show progress."""

    keep_alive: float = 5.0
    """A pending response at least this often, so that a slow line is no reason to give up."""

    lost_associations: int = 3
    """Failures to reach the destination, one after the other, that end a C-MOVE."""

    busy: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Pauses before a destination that rejects associations for the moment is asked again: one
    that is full for longer is not worth the wait of who asked."""


TUNING = Tuning()
"""As measured, and as docs/dicom.md says."""
