"""Which connections a DICOM server takes, by where they come from (no I/O but host names).

Nothing authenticates a DICOM caller before it has sent its request, so what one address may hold
is bounded, and room is kept for the hosts that the settings name: a stranger's flood then locks
no workstation out. Among strangers who is silent gives way to who comes: of the address that holds
most the connection without an association that is the oldest, or the association that is not used
for longest. So workstations that no setting names find a place beside a flood, too.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable

from attrs import define

from p2pacs.admission import source_of
from p2pacs.dimse.association.tuning import TUNING, DimseTuning


def _nothing() -> None:
    return


def _in_use() -> float:
    return 0.0


@define(eq=False)
class Admitted:
    """A connection that was let in."""

    source: str
    known: bool
    since: float = 0.0
    associated: bool = False
    end: Callable[[], None] = _nothing
    """Ends it, from any thread."""
    unused: Callable[[], float] = _in_use
    """Seconds since it was used; 0 while it is served."""


class AssociationLimits:
    """The connections of one server; its methods are called in several threads."""

    def __init__(
        self,
        known: Callable[[str], bool] = lambda _address: False,
        tuning: DimseTuning = TUNING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nobody is in.

        Args:
            known: whether the settings name a host of this source.
            tuning: the bounds.
            clock: in seconds.
        """
        self._known = known
        self._tuning = tuning
        self._lock = threading.Lock()
        self._clock = clock
        self._inside: set[Admitted] = set()
        self._leaving: set[Admitted] = set()
        """Those that gave way: their threads are still ending."""

    def __len__(self) -> int:
        return len(self._inside) + len(self._leaving)

    def enter(self, address: str) -> Admitted | None:
        """Let a connection in; None if there is no room for one from there."""
        source = source_of(address)
        one = Admitted(source, self._known(source), self._clock())
        bounds = self._tuning
        gives_way = None
        with self._lock:
            if len(self) >= bounds.connections + bounds.leaving_connections:
                return None
            strangers = [other for other in self._inside if not other.known]
            same = sum(other.source == one.source for other in strangers)
            if not one.known and same >= bounds.connections_per_address:
                return None
            full = len(self._inside) >= bounds.connections or (
                not one.known and len(strangers) >= bounds.connections - bounds.kept_connections
            )
            if full:
                silent = [other for other in strangers if not other.associated]
                gives_way = _crowded(silent, strangers, lambda other: -other.since)
                if gives_way is None:
                    return None
                self._make_leave(gives_way)
            self._inside.add(one)
        if gives_way is not None:
            gives_way.end()
        return one

    def associate(self, one: Admitted) -> bool:
        """Whether a connection may become an association; if so, it counts as one."""
        bounds = self._tuning
        gives_way = None
        with self._lock:
            if one not in self._inside:
                return False
            others = [other for other in self._inside if other.associated]
            strangers = [other for other in others if not other.known]
            full = len(others) >= bounds.associations or (
                not one.known and len(strangers) >= bounds.associations - bounds.kept_associations
            )
            if full:
                unused = [other for other in strangers if other.unused() >= bounds.unused]
                gives_way = _crowded(unused, strangers, lambda other: other.unused())
                if gives_way is not None:
                    self._make_leave(gives_way)
            one.associated = not full or gives_way is not None
        if gives_way is not None:
            gives_way.end()
        return one.associated

    def _make_leave(self, one: Admitted) -> None:
        self._inside.discard(one)
        self._leaving.add(one)

    def leave(self, one: Admitted) -> None:
        """The connection is closed."""
        with self._lock:
            self._inside.discard(one)
            self._leaving.discard(one)


def _crowded(
    some: Iterable[Admitted], all_of_them: Iterable[Admitted], rank: Callable[[Admitted], float]
) -> Admitted | None:
    """Of some the highest in rank of the source that holds most in all; None if there is none."""
    held = Counter(one.source for one in all_of_them)
    return max(some, key=lambda one: (held[one.source], rank(one)), default=None)


class NamedHosts:
    """The addresses of hosts that the settings name; names are looked up by `refresh`."""

    def __init__(self, hosts: Callable[[], Iterable[str]]) -> None:
        """Only hosts given as addresses are known before `refresh`.

        Args:
            hosts: addresses and names, as they are set now; from any thread.
        """
        self._hosts = hosts
        self._named: frozenset[str] = frozenset()

    def __call__(self, source: str) -> bool:
        """Whether one of the hosts is this source (`p2pacs.admission.source_of`)."""
        return source in self._named or source in {source_of(host) for host in self._hosts()}

    def refresh(self) -> None:
        """Look the names up; blocks as long as the resolver does."""
        named: set[str] = set()
        for host in tuple(self._hosts()):
            try:
                found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except OSError:
                continue  # not known at the moment: then it is served as a stranger
            named.update(source_of(str(entry[4][0])) for entry in found)
        self._named = frozenset(named)
