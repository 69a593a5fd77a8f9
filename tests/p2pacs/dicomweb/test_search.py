"""Pages of a server that fails at some of its entries, or caps its answers."""

import pytest
import trio

from p2pacs.dicomweb.search import Entity, Page, Search, SearchTuning
from p2pacs.errors import PacsRefusedError


class Server:
    """Has entries 0, 1, 2, …; fails at a page that has a bad one in it."""

    name = "server"

    def __init__(
        self, total: int, *, bad: set[int] = frozenset(), cap: int = 1000, page: int = 200
    ) -> None:
        self.tuning = SearchTuning(page=page)
        self.total = total
        self.bad = bad
        self.cap = cap
        self.asked = 0
        self.down = False

    async def page(self, path: str) -> Page:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        query = dict(pair.split("=") for pair in path.partition("?")[2].split("&"))
        offset = int(query["offset"])
        end = min(self.total, offset + min(int(query["limit"]), self.cap))
        if self.down or not self.bad.isdisjoint(range(offset, end)):
            return Page([], failed=True)
        found: list[Entity] = [{"n": {"Value": [n]}} for n in range(offset, end)]
        return Page(found, more=self.cap < 1000 and end < self.total)

    async def probe(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.down:
            raise PacsRefusedError("down")


async def found(server: Server) -> tuple[list[int], Search]:
    search = Search(server, "/studies", {}, [])
    return [one["n"]["Value"][0] async for one in search], search


@pytest.mark.parametrize("bad", [{0}, {199}, {200}, {7, 8, 320}, {129}])
async def test_one_bad_entry_hides_no_other(bad: set[int]) -> None:
    server = Server(330, bad=bad)
    numbers, search = await found(server)
    assert numbers == [n for n in range(330) if n not in bad]
    assert search.untold == len(bad)
    assert server.asked < 60


@pytest.mark.parametrize("total", [0, 1, 99, 100, 101, 350])
async def test_a_server_that_caps_its_pages_and_says_so_gives_all(total: int) -> None:
    numbers, search = await found(Server(total, cap=100))
    assert numbers == list(range(total))
    assert not search.is_cut


async def test_a_server_that_is_down_is_no_bad_entry() -> None:
    server = Server(10)
    server.down = True
    with pytest.raises(PacsRefusedError, match="down"):
        await found(server)
    assert server.asked == 1


async def test_a_server_that_fails_at_all_of_its_entries_is_not_asked_for_ever() -> None:
    server = Server(1000, bad=set(range(1000)))
    with pytest.raises(PacsRefusedError, match="too many"):
        await found(server)
    assert server.asked < 70
