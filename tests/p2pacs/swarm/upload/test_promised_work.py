"""What the line has to do: by member, by class, and only what moves."""

from typing import cast

import pytest
from attrs import define

from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.mesh.connection import Connection
from p2pacs.swarm.upload.promised_work import PromisedWork

CT = StudyId(bytes(16))
MR = StudyId(bytes(15) + b"\1")
ONE = VirtualAddress(b"\xfd" + bytes(14) + b"\1")
OTHER = VirtualAddress(b"\xfd" + bytes(14) + b"\2")


@define
class _Link:
    idle: bool = True


def _work(**links: _Link) -> PromisedWork:
    there = {{"one": ONE, "other": OTHER}[name]: link for name, link in links.items()}
    return PromisedWork(
        cast("dict[VirtualAddress, Connection]", there), typical_chunk=1000.0, averaged=4
    )


def test_a_chunk_that_is_not_read_counts_as_an_average_one() -> None:
    work = _work(one=_Link())
    first, second = work.queue.add(ONE, CT, [1, 2], 2)
    assert work.promised(ONE) == 2000
    work.read(first, bytes(2000))
    assert work.chunk_bytes == 1250  # a quarter of the way
    assert work.promised(ONE) == 2000 + 1250
    first.offset = 500
    assert work.promised(ONE) == 1500 + 1250
    work.read(second, None)  # it cannot be read: nothing comes of it
    assert work.promised(ONE) == 1500
    assert work.coming(CT) == [1]
    assert work.coming(MR) == []


def test_only_what_is_read_leaves_and_only_on_a_link_that_takes_it() -> None:
    link = _Link()
    work = _work(one=link)
    (chunk,) = work.queue.add(ONE, CT, [1], 2)
    assert not work.ready(chunk)
    work.read(chunk, bytes(100))
    assert work.ready(chunk)
    link.idle = False
    assert not work.ready(chunk)
    (gone,) = work.queue.add(OTHER, CT, [1], 2)
    work.read(gone, bytes(100))
    assert not work.ready(gone)


@pytest.mark.parametrize(("now", "soon"), [(0.5, 3000), (1.5, 1000)])
def test_what_waits_for_who_takes_nothing_is_no_work(now: float, soon: int) -> None:
    """While the line sends a block to a member, its link is busy and it takes what comes."""
    work = _work(one=_Link(), other=_Link(idle=False))
    work.queue.add(ONE, CT, [1], 2)
    work.queue.add(OTHER, CT, [1, 2], 2)
    work.busy_until[OTHER] = 1.0
    assert work.moves(ONE, now)
    assert work.moves(OTHER, now) is (now < 1.0)
    assert work.soon(now, 2) == soon


def test_less_urgent_work_comes_later() -> None:
    work = _work(one=_Link())
    work.queue.add(ONE, CT, [1], 0)
    work.queue.add(ONE, MR, [1], 3)
    assert [work.soon(0.0, priority) for priority in (0, 1, 3)] == [2000, 1000, 1000]
