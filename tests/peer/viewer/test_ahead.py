import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from p2pacs.errors import StudyNotFoundError
from peer.viewer.ahead import AT_ONCE, SECONDS, StudiesAhead


async def test_studies_begin_each_in_a_task_of_its_own(autojump_clock: MockClock) -> None:
    begun = []

    async def begin(study: str, caller: str) -> None:
        begun.append((study, caller))
        if study == "1.1":
            raise StudyNotFoundError("no such study")
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        ahead = StudiesAhead(nursery, begin)
        ahead("1.1", "rita")
        await wait_all_tasks_blocked()
        for number in range(2 * AT_ONCE):
            ahead(f"1.2.{number}", "rita")
        await wait_all_tasks_blocked()
        assert set(begun) == {("1.1", "rita"), *((f"1.2.{n}", "rita") for n in range(AT_ONCE))}
        await trio.sleep(SECONDS + 1)
        ahead("1.3", "rita")
        await wait_all_tasks_blocked()
        assert begun[-1] == ("1.3", "rita")
        nursery.cancel_scope.cancel()
