import trio
import trio.testing
from trio.testing import MockClock

from p2pacs.accounts.rows import Rows


async def test_first_come_first_served_and_who_gives_up_is_forgotten(
    autojump_clock: MockClock,
) -> None:
    rows, served, began = Rows(), list[str](), trio.current_time()

    async def wait(name: str, who: str, patience: float) -> None:
        with trio.move_on_after(patience):
            async with rows.first(who):
                served.append(name)
                await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        for name, who, patience in (
            ("one", "a", 9.0),
            ("gives up", "a", 0.5),
            ("two", "a", 9.0),
            ("other", "b", 9.0),
        ):
            nursery.start_soon(wait, name, who, patience)
            await trio.testing.wait_all_tasks_blocked()
        assert served == ["one", "other"]
        assert len(rows) == 2
    assert served == ["one", "other", "two"]
    assert trio.current_time() - began == 2
    assert len(rows) == 0
