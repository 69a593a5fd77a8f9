"""Which of a few sockets have bytes to read, for threads.

poll(2) takes descriptors of any number, and costs one call. Windows has none: its select takes
sockets of any number, too, if they are no more than 512.
"""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Sequence

if sys.platform == "win32":

    def readable(sockets: Sequence[socket.socket], seconds: float) -> list[socket.socket]:
        """Those that can be read, or are at their end; waits so long for one.

        Raises:
            OSError: one was closed.
            ValueError: the same.
        """
        return select.select(sockets, [], [], seconds)[0]

else:

    def readable(sockets: Sequence[socket.socket], seconds: float) -> list[socket.socket]:
        """Those that can be read, or are at their end; waits so long for one.

        Raises:
            OSError: one was closed.
            ValueError: the same.
        """
        poll = select.poll()
        for one in sockets:
            poll.register(one, select.POLLIN)
        found = {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
        return [one for one in sockets if one.fileno() in found]
