"""How urgent the studies are that are being sent: what waits for its turn goes by it."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakValueDictionary

from p2pacs.concurrency.urgency import Haste
from p2pacs.swarm.scheduling.priority import Priority


class Urgencies:
    """One `Haste` a study, for as long as somebody works at it."""

    def __init__(self) -> None:
        self._known = WeakValueDictionary[str, Haste]()
        self.changed: Callable[[], None] = lambda: None
        """Called when one became another."""

    def of(self, uid: str) -> Haste:
        """How urgent a study is: the same object at each question, which changes with it."""
        found = self._known.get(uid)
        if found is None:
            self._known[uid] = found = Haste(Priority.INTERACTIVE)
        return found

    def put(self, uid: str, priority: Priority) -> None:
        """Somebody said how urgent a study is."""
        found = self._known.get(uid)
        if found is not None and found.level != priority:
            found.level = priority
            self.changed()
