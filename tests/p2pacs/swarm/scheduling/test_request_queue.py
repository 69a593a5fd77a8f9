from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import REQUESTED_CHUNKS
from p2pacs.swarm.scheduling.request_queue import RequestQueue

A, B = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in (1, 2))
CT, MR = StudyId(bytes(16)), StudyId(bytes(15) + b"\1")


def test_chunks_go_in_the_order_asked() -> None:
    outbox = RequestQueue()
    assert outbox.ask(A, CT, [3, 1, 2]) == []
    assert outbox.ask(A, MR, [7]) == []
    assert outbox.take(A, 2) == (CT, [3, 1])
    assert outbox.take(A, 2) == (CT, [2])
    assert outbox.take(A, 2) == (MR, [7])
    assert outbox.take(A, 2) is None


def test_asking_twice_is_asking_once() -> None:
    outbox = RequestQueue()
    outbox.ask(A, CT, [1, 1])
    outbox.ask(A, CT, [1])
    assert len(outbox) == 1


def test_more_than_the_limit_is_refused() -> None:
    outbox = RequestQueue()
    assert outbox.ask(A, CT, range(REQUESTED_CHUNKS + 2)) == [
        REQUESTED_CHUNKS,
        REQUESTED_CHUNKS + 1,
    ]
    assert outbox.ask(B, CT, [1]) == []


def test_cancelled_chunks_are_not_sent() -> None:
    outbox = RequestQueue()
    outbox.ask(A, CT, [1, 2, 3])
    outbox.cancel(A, CT, [2, 9])
    outbox.cancel(B, CT, [1])
    assert outbox.take(A, 9) == (CT, [1, 3])
    assert outbox.next(A) is None


def test_a_member_that_is_gone_waits_for_nothing() -> None:
    outbox = RequestQueue()
    outbox.ask(A, CT, [1])
    outbox.drop(A)
    assert outbox.next(A) is None
    assert outbox.take(A, 9) is None
    assert len(outbox) == 0
