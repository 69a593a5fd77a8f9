from collections.abc import Iterable

import trio
from trio.testing import wait_all_tasks_blocked

from p2pacs.concurrency.urgency import Haste
from p2pacs.swarm.scheduling.priority import Priority
from peer.ingest.slots import Slots


class Studies:
    """Each keeps its place until it is let go."""

    def __init__(self, slots: Slots, nursery: trio.Nursery) -> None:
        self.slots, self.nursery = slots, nursery
        self.running: list[str] = []
        self.scopes: dict[str, trio.CancelScope] = {}

    async def begin(self, names: Iterable[str], urgency: Haste) -> None:
        for name in names:
            self.nursery.start_soon(self._run, name, urgency)
            await wait_all_tasks_blocked()

    async def end(self, name: str) -> None:
        self.scopes[name].cancel()
        await wait_all_tasks_blocked()

    async def _run(self, name: str, urgency: Haste) -> None:
        with trio.CancelScope() as self.scopes[name]:
            async with self.slots.turn(urgency):
                self.running.append(name)
                try:
                    await trio.sleep_forever()
                finally:
                    self.running.remove(name)


async def test_stat_waits_for_no_scanner_that_sends_on_and_nobody_waits_for_it() -> None:
    async with trio.open_nursery() as nursery:
        made = Studies(Slots(2), nursery)
        routine, stat = Haste(Priority.INTERACTIVE), Haste(Priority.STAT)
        await made.begin("abc", routine)
        await made.begin("XYZ", stat)
        assert made.running == ["a", "b", "X", "Y"]
        await made.end("a")
        assert made.running == ["b", "X", "Y", "c"]
        await made.end("X")
        assert made.running == ["b", "Y", "c", "Z"]
        nursery.cancel_scope.cancel()


async def test_the_more_urgent_first_and_what_becomes_stat_at_once() -> None:
    async with trio.open_nursery() as nursery:
        slots = Slots(1)
        made = Studies(slots, nursery)
        raised = Haste(Priority.BACKGROUND)
        await made.begin("a", Haste(Priority.INTERACTIVE))
        await made.begin("bc", raised)
        await made.begin("d", Haste(Priority.INTERACTIVE))
        raised.level = Priority.STAT
        slots.look()
        await wait_all_tasks_blocked()
        assert made.running == ["a", "b"]
        await made.end("c")  # it did not have its turn
        await made.end("a")
        assert made.running == ["b", "d"]
        await made.end("d")
        await made.end("b")
        await made.begin("e", Haste(Priority.STAT))
        assert made.running == ["e"]
        nursery.cancel_scope.cancel()
