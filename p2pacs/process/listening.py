"""That an endpoint cannot be listened on."""

from __future__ import annotations

import errno

from p2pacs.errors import StateError
from p2pacs.units import Endpoint


class ListenError(StateError):
    """Something cannot listen where it is told to."""

    def __init__(self, endpoint: Endpoint, cause: OSError, setting: str = "") -> None:
        """Say what to do about it.

        Args:
            endpoint: where.
            cause: what the system said.
            setting: in which the endpoint stands, where that is known.
        """
        said = f" (setting {setting})" if setting else ""
        advice = "; choose another port, or stop what uses it"
        super().__init__(
            f"cannot listen on {endpoint}{said}: {cause.strerror or cause}"
            f"{advice if cause.errno == errno.EADDRINUSE else ''}"
        )
        self.endpoint = endpoint
        self.cause = cause
