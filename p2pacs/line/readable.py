"""Which of many sockets have bytes to read, asked for all at once: Linux's epoll(7).

Elsewhere there is none (`READS_TOGETHER` is False): then each link of a paced line is read by
itself, as the links of other lines are, which costs a wake-up for each segment and nothing else.
"""

from __future__ import annotations

import sys
from typing import Final

READS_TOGETHER: Final = sys.platform == "linux"
"""Whether sockets can be read together here."""

if sys.platform == "linux":
    import select

    class ReadableSockets:
        """Sockets, by their descriptors."""

        def __init__(self) -> None:
            self._epoll = select.epoll()

        def fileno(self) -> int:
            """A descriptor that can be read while a socket can."""
            return self._epoll.fileno()

        def add(self, descriptor: int) -> None:
            """Watch one more."""
            self._epoll.register(descriptor, select.EPOLLIN)

        def remove(self, descriptor: int) -> None:
            """Watch it no longer."""
            self._epoll.unregister(descriptor)

        def now(self, most: int) -> list[int]:
            """Those that can be read now, at most so many."""
            return [descriptor for descriptor, _ in self._epoll.poll(0, most)]

        def close(self) -> None:
            """Watch nothing any more."""
            self._epoll.close()

else:

    class ReadableSockets:
        """There is none here: nobody makes one."""

        def __init__(self) -> None:
            raise NotImplementedError("sockets are read together on Linux alone")

        def fileno(self) -> int:
            """See Linux's."""
            raise NotImplementedError

        def add(self, descriptor: int) -> None:
            """See Linux's."""

        def remove(self, descriptor: int) -> None:
            """See Linux's."""

        def now(self, most: int) -> list[int]:
            """See Linux's."""
            raise NotImplementedError

        def close(self) -> None:
            """See Linux's."""
