"""Which connections a DICOM server takes, by where they come from (no I/O but host names).

Nothing authenticates a DICOM caller before it has sent its request, so what one address may hold
is bounded, and room is kept for the hosts that the settings name: a stranger's flood then locks
no workstation out.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable

from attrs import define

from p2pacs.admission import source_of
from p2pacs.dimse.tuning import TUNING, DimseTuning


@define(eq=False)
class Admitted:
    """A connection that was let in."""

    source: str
    known: bool
    associated: bool = False


class AssociationLimits:
    """The connections of one server; its methods are called in several threads."""

    def __init__(
        self, known: Callable[[str], bool] = lambda _address: False, tuning: DimseTuning = TUNING
    ) -> None:
        """Nobody is in.

        Args:
            known: whether the settings name a host of this source.
            tuning: the bounds.
        """
        self._known = known
        self._tuning = tuning
        self._lock = threading.Lock()
        self._inside: set[Admitted] = set()

    def __len__(self) -> int:
        return len(self._inside)

    def enter(self, address: str) -> Admitted | None:
        """Let a connection in; None if there is no room for one from there."""
        source = source_of(address)
        one = Admitted(source, self._known(source))
        bounds = self._tuning
        with self._lock:
            if len(self._inside) >= bounds.connections:
                return None
            if not one.known:
                strangers = [other for other in self._inside if not other.known]
                same = sum(other.source == one.source for other in strangers)
                if same >= bounds.connections_per_address:
                    return None
                if len(strangers) >= bounds.connections - bounds.kept_connections:
                    return None
            self._inside.add(one)
        return one

    def associate(self, one: Admitted) -> bool:
        """Whether a connection may become an association; if so, it counts as one."""
        bounds = self._tuning
        with self._lock:
            others = [other for other in self._inside if other.associated]
            strangers = sum(not other.known for other in others)
            full = len(others) >= bounds.associations or (
                not one.known and strangers >= bounds.associations - bounds.kept_associations
            )
            one.associated = not full
        return one.associated

    def leave(self, one: Admitted) -> None:
        """The connection is closed."""
        with self._lock:
            self._inside.discard(one)


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
