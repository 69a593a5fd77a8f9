import pytest

from p2pacs.errors import AuthenticationError, BusyError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import MEETINGS_A_MINUTE
from p2pacs.punch.askers import SERIAL_SECONDS, Askers
from p2pacs.punch.nat import Nat
from p2pacs.punch.offers import MeetingOffer

ONE, OTHER = (VirtualAddress(bytes([0xFD, *bytes(14), n])) for n in (1, 2))


def offer(time: int) -> MeetingOffer:
    return MeetingOffer(ONE, OTHER, StudyId(bytes(16)), time, Nat.STEADY, ())


def test_an_offer_is_good_once() -> None:
    askers = Askers()
    askers.take(offer(5), 0.0)
    for time in (5, 4):
        with pytest.raises(AuthenticationError):
            askers.take(offer(time), 1.0)
    askers.take(offer(6), 1.0)
    askers.take(offer(2), 1.0 + SERIAL_SECONDS)


def test_so_often_within_a_minute() -> None:
    askers = Askers()
    for _ in range(MEETINGS_A_MINUTE):
        askers.count(ONE, 0.0)
    with pytest.raises(BusyError):
        askers.count(ONE, 0.0)
    askers.count(OTHER, 0.0)
