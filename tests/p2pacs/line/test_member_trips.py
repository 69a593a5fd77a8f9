"""Where no router answers members do: the least of what they tell is one's own queue."""

from p2pacs.line.hop import TUNING
from p2pacs.line.hop_trips import MEMBER_TTL, HopTrips, QueueLook
from p2pacs.line.member_trips import MemberTrips

TRIP = 0.04
MEMBERS = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")


class World:
    """Members that answer once a second, and routers that never do."""

    def __init__(self) -> None:
        self.now = 0.0
        self.hops = HopTrips()
        self.hops.members.take(MEMBERS)
        self.asked: list[str] = []

    def run(self, seconds: float, own: float, theirs: dict[str, float] | None = None) -> None:
        """So many seconds packets wait here, and at members."""
        end = self.now + seconds
        while self.now < end:
            for probe in self.hops.probes(self.now):
                if probe.member is not None:
                    assert probe.ttl == MEMBER_TTL
                    self.asked.append(probe.member)
                    trip = TRIP + own + (theirs or {}).get(probe.member, 0.0)
                    self.hops.reached(probe.port, probe.member, self.now + trip)
            self.now += 0.1

    def look(self) -> QueueLook:
        look = self.hops.look(self.now)
        assert look is not None
        return look


def test_the_least_of_what_members_tell_is_the_queue() -> None:
    world = World()
    world.run(4, own=0.0)
    assert world.look().delay < 0.001
    busy = dict.fromkeys(MEMBERS[1:], 0.09)
    world.run(4, own=0.05, theirs=busy)
    assert 0.049 < world.look().delay < 0.051
    assert not world.look().sparing
    world.run(4, own=0.0, theirs=busy)
    assert world.look().delay < 0.001


def test_nobody_is_asked_more_than_once_a_second() -> None:
    world = World()
    world.run(20, own=0.0)
    assert all(world.asked.count(one) <= 20 for one in MEMBERS)
    assert all(world.asked.count(one) >= 12 for one in MEMBERS)


def test_few_members_tell_seldom() -> None:
    world = World()
    world.hops.members.take(MEMBERS[:2])
    world.run(4, own=0.0)
    assert world.look().sparing


def test_where_a_router_answers_members_are_not_asked() -> None:
    world = World()
    for probe in world.hops.probes(0.0):
        if probe.ttl == 2:
            world.hops.answered(probe.port, "192.0.2.250", 0.02)
    world.run(3, own=0.1)
    assert set(world.asked) <= {MEMBERS[0]}  # in the first moment it had not answered yet
    look = world.hops.look(world.now)
    assert look is None or look.sent == 0.0


def test_who_never_answers_is_not_asked_for_ever_and_another_line_begins_anew() -> None:
    hops = HopTrips()
    hops.members.take(["192.0.2.1"])
    asked, now = 0, 0.0
    while now < 30:
        asked += sum(probe.member is not None for probe in hops.probes(now))
        now += 0.2
    assert asked <= TUNING.silent + 2
    assert hops.look(now) is None
    hops.search()
    assert hops.members.next(now, 0.1) is None
    hops.members.take(["192.0.2.1"])
    assert hops.members.next(now, 0.1) is not None


def test_what_is_known_of_a_member_stays_while_it_is_linked() -> None:
    members = MemberTrips()
    members.take(["192.0.2.1"])
    asked = members.next(0.0, 0.1)
    assert asked is not None
    members.take(["192.0.2.2", "192.0.2.1"])
    again = members.next(5.0, 0.1)
    assert again is not None
    assert again[0] == "192.0.2.2"
    other = members.next(6.0, 0.1)
    assert other is not None
    assert other[1] is asked[1]
