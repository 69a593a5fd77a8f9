from hypothesis import given
from hypothesis import strategies as st

from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.scheduling.send_queue import PromisedChunk, SendQueue

A, B, C = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in (1, 2, 3))
CT, MR = StudyId(bytes(16)), StudyId(bytes(15) + b"\1")

promises = st.lists(
    st.tuples(
        st.sampled_from((A, B, C)),
        st.sampled_from((CT, MR)),
        st.lists(st.integers(0, 9), max_size=4),
        st.integers(0, 3),
    ),
    max_size=12,
)


def all_can(_member: VirtualAddress) -> bool:
    return True


def filled(
    drawn: list[tuple[VirtualAddress, StudyId, list[int], int]],
) -> SendQueue:
    chunks = SendQueue()
    for member, study, numbers, priority in drawn:
        chunks.add(member, study, numbers, priority)
    return chunks


def drained(chunks: SendQueue) -> list[PromisedChunk]:
    """All chunks in the order of sending."""
    order = []
    while chunk := chunks.next(all_can):
        order.append(chunk)
        chunks.remove(chunk)
    return order


@given(promises)
def test_nothing_is_promised_twice(
    drawn: list[tuple[VirtualAddress, StudyId, list[int], int]],
) -> None:
    chunks = filled(drawn)
    keys = [(one.member, one.study, one.number) for one in chunks]
    assert len(keys) == len(set(keys)) == len(chunks)
    assert set(keys) == {(m, s, n) for m, s, numbers, _ in drawn for n in numbers}


@given(promises)
def test_the_most_urgent_go_first_and_equals_as_promised(
    drawn: list[tuple[VirtualAddress, StudyId, list[int], int]],
) -> None:
    chunks = filled(drawn)
    promised = list(chunks)
    assert drained(chunks) == sorted(promised, key=lambda one: -one.priority)
    assert len(chunks) == 0


@given(promises, st.sets(st.sampled_from((A, B, C))), st.data())
def test_whoever_takes_nothing_holds_up_itself_alone(
    drawn: list[tuple[VirtualAddress, StudyId, list[int], int]],
    ready: set[VirtualAddress],
    data: st.DataObject,
) -> None:
    chunks = filled(drawn)
    possible = [one for one in chunks if one.member in ready]
    for begun in possible:
        begun.offset = data.draw(st.integers(0, 1))
    chosen = chunks.next(lambda chunk: chunk.member in ready)
    if not possible:
        assert chosen is None
        return
    assert chosen is not None
    assert chosen.member in ready
    assert chosen.priority == max(one.priority for one in possible)
    urgent = [one for one in possible if one.priority == chosen.priority]
    assert chosen is next((one for one in urgent if one.begun), urgent[0])


def test_what_is_begun_is_finished_first_unless_something_is_more_urgent() -> None:
    chunks = SendQueue()
    chunks.add(A, CT, [1, 2], 1)
    first, second = chunks
    second.offset = 100
    assert chunks.next(all_can) is second
    chunks.add(B, MR, [1], 3)
    urgent = chunks.next(all_can)
    assert urgent is not None
    assert urgent.member == B
    chunks.remove(urgent)
    chunks.remove(urgent)  # it was cancelled meanwhile: nothing happens
    assert chunks.next(all_can) is second
    chunks.remove(second)
    assert chunks.next(all_can) is first


@given(promises, st.sampled_from((A, B, C)))
def test_what_is_taken_out_is_out(
    drawn: list[tuple[VirtualAddress, StudyId, list[int], int]], member: VirtualAddress
) -> None:
    chunks = filled(drawn)
    before = list(chunks)
    out = chunks.take_out(lambda one: one.member == member)
    assert out == [one for one in before if one.member == member]
    assert list(chunks) == [one for one in before if one.member != member]
