import math

import pytest
import trio
import trio.testing
from attrs import define, field

from p2pacs.line.drain import TUNING as DRAIN
from p2pacs.line.hop_echo import Route
from p2pacs.line.measured import MeasuredUplink
from p2pacs.line.meter import Look
from p2pacs.line.pacer import TUNING as PACER
from p2pacs.line.pacer import Pacer
from p2pacs.line.queue_control import TUNING as UPLINK

Clock = trio.testing.MockClock


@define(eq=False)
class Stream:
    """A stream whose estimates are off by so much at each look."""

    error: float = 0.0
    looks: int = 0
    rates: list[float] = field(factory=list)

    def look(self, now: float) -> Look:
        self.looks += 1
        return Look(self.error)

    def paced(self, rate: float) -> None:
        self.rates.append(rate)


async def test_a_pacer_holds_its_rate(autojump_clock: Clock) -> None:
    pacer = Pacer(800_000)
    start = trio.current_time()

    async def send() -> None:
        for _ in range(10):
            await pacer.ready()
            pacer.charge(10_000)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(send)
    await pacer.ready()
    assert 4.9 < trio.current_time() - start < 5.1


async def test_corrections_are_part_of_the_rate(autojump_clock: Clock) -> None:
    pacer = Pacer(800_000)
    stream = Stream(error=1000.0)
    pacer.add(stream)
    start = trio.current_time()
    for _ in range(20):
        await pacer.ready()
        pacer.charge(19_000)
        pacer.touched(stream)
    await pacer.ready()
    assert stream.looks == 21
    assert 3.9 < trio.current_time() - start < 4.1


async def test_given_back_is_not_saved_up(autojump_clock: Clock) -> None:
    pacer = Pacer(800_000)
    pacer.charge(-1_000_000)
    pacer.charge(10_000)
    start = trio.current_time()
    await pacer.ready()
    assert trio.current_time() - start > 0.05


async def test_idle_streams_are_not_looked_at(autojump_clock: Clock) -> None:
    pacer = Pacer(800_000)
    stream = Stream()
    pacer.add(stream)
    await trio.sleep(1)
    await pacer.ready()
    assert stream.looks == 1
    for _ in range(100):
        pacer.touched(stream)
    assert stream.looks == 2
    await trio.sleep(PACER.settle_seconds)
    pacer.touched(stream)
    assert stream.looks == 3
    pacer.remove(stream)
    await trio.sleep(PACER.settle_seconds)
    pacer.touched(stream)
    assert stream.looks == 3


async def test_a_new_rate_counts_for_those_who_wait(autojump_clock: Clock) -> None:
    pacer = Pacer(8_000)
    stream = Stream()
    pacer.add(stream)
    pacer.charge(100_000)
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pacer.ready)
        await trio.sleep(1)
        pacer.change(8_000_000)
    assert 1.05 < trio.current_time() - start < 1.15
    assert pacer.rate == 1_000_000
    assert stream.rates == [1000, 1_000_000]


async def test_a_closed_line_is_waited_for(autojump_clock: Clock) -> None:
    pacer = Pacer(0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pacer.ready)
        await trio.sleep(1000)
        assert nursery.child_tasks
        pacer.change(800_000)
    assert trio.current_time() < 1001


@define(eq=False)
class Modem:
    """A line of so many bytes a second, and the stream that uses it."""

    rate: float
    queued: float = 0.0
    delivered: float = 0.0
    at: float = field(factory=trio.current_time)

    def take(self, size: float) -> None:
        self._serve()
        self.queued += size

    def _serve(self) -> None:
        now = trio.current_time()
        served = min(self.queued, (now - self.at) * self.rate)
        self.at = now
        self.queued -= served
        self.delivered += served

    def look(self, now: float) -> Look:
        self._serve()
        delivered, self.delivered = self.delivered, 0.0
        return Look(0.0, delivered, self.queued / self.rate, busy=self.queued > 0)

    def paced(self, rate: float) -> None:
        pass


async def send_for(seconds: float, pacer: Pacer, modem: Modem) -> float:
    """Bytes a second that went out."""
    start, sent = trio.current_time(), 0
    while trio.current_time() - start < seconds:
        await pacer.ready()
        pacer.charge(1500)
        modem.take(1500)
        pacer.touched(modem)
        sent += 1500
    return sent / seconds


async def test_a_rate_is_measured_while_it_is_used(autojump_clock: Clock) -> None:
    pacer = Pacer(math.inf, control=MeasuredUplink(trio.current_time()))
    modem = Modem(100_000)
    pacer.add(modem)
    assert pacer.rate == UPLINK.start
    await send_for(20, pacer, modem)
    assert await send_for(30, pacer, modem) > 0.96 * 100_000
    assert modem.queued < 8_000


async def test_what_is_measured_has_a_limit(autojump_clock: Clock) -> None:
    pacer = Pacer(math.inf, control=MeasuredUplink(trio.current_time()))
    modem = Modem(100_000)
    pacer.add(modem)
    pacer.change(400_000)
    await send_for(20, pacer, modem)
    assert pacer.rate == 50_000
    assert modem.queued < 3_000


@define(eq=False)
class Kernel:
    """A stream of which so much left the kernel since the last look."""

    gone: float = 0.0

    def look(self, now: float) -> Look:
        sent, self.gone = self.gone, 0.0
        return Look(sent=sent)

    def paced(self, rate: float) -> None:
        """The kernel's spacing stays."""


async def test_what_left_late_and_together_is_given_the_line(autojump_clock: Clock) -> None:
    pacer = Pacer(800_000)
    stream = Kernel()
    pacer.add(stream)

    async def wait(sent: float) -> float:
        """For how long the next block is kept back after so many bytes within 0.2 s."""
        await trio.sleep(2)
        pacer.touched(stream)
        await trio.sleep(2 * PACER.settle_seconds)
        stream.gone = sent
        pacer.touched(stream)
        start = trio.current_time()
        await pacer.ready()
        return trio.current_time() - start

    assert await wait(20_000) == 0.0, "in its time"
    assert await wait(20_000 + 100_000 * PACER.overtaken_seconds) == pytest.approx(0.0, abs=1e-6)
    assert await wait(36_000) == pytest.approx(0.1, abs=1e-6)


@define(eq=False)
class Queued:
    """A stream whose looks tell of this delay."""

    delay: float

    def look(self, now: float) -> Look:
        return Look(delay=self.delay)

    def paced(self, rate: float) -> None:
        """The kernel's spacing stays."""


async def test_a_queue_that_all_links_tell_of_is_drained(autojump_clock: Clock) -> None:
    pacer = Pacer(800_000)
    one, other = Queued(0.0), Queued(0.0)
    for stream in (one, other):
        pacer.add(stream)

    async def rate(*delays: float) -> float:
        one.delay, other.delay = delays
        for stream in (one, other):
            pacer.touched(stream)
        await trio.sleep(PACER.settle_seconds * 1.5)
        await pacer.ready()  # looks at both
        return pacer.rate

    pacer.touched(one)
    await pacer.ready()
    long, some = DRAIN.standing_seconds * 1.1, (DRAIN.standing_seconds + DRAIN.drained_seconds) / 2
    assert await rate(long, 0.0) == 100_000, "one receiver's own queue"
    assert await rate(long, long) == 100_000 * DRAIN.drain_share
    assert await rate(some, long) == 100_000 * DRAIN.drain_share, "until it has gone"
    assert await rate(0.0, long) == 100_000
    assert await rate(some, some) == 100_000, "what comes and goes by itself"


async def test_a_link_that_is_used_leads_somewhere(autojump_clock: Clock) -> None:
    pacer = Pacer(800_000)
    route = Route("192.0.2.1", "192.0.2.2")
    somewhere, nowhere = Stream(), Stream()
    pacer.add(somewhere, route)
    pacer.add(nowhere)
    assert pacer.route(1000.0) is None
    woken = []

    async def wait() -> None:
        await pacer.used()
        woken.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(1)
        pacer.touched(nowhere)
        await trio.sleep(1)
        assert woken == []
        pacer.touched(somewhere)
    assert len(woken) == 1
    assert pacer.route(2.0) == route
    await trio.sleep(3)
    assert pacer.route(2.0) is None


async def test_a_line_that_was_configured_is_not_asked_about() -> None:
    await Pacer(800_000).watch()


async def test_the_kernel_is_told_of_a_measured_rate_now_and_then(autojump_clock: Clock) -> None:
    control = MeasuredUplink(trio.current_time(), 100_000.0)
    pacer = Pacer(math.inf, control=control)
    stream = Stream()
    pacer.add(stream)
    for bits in (800_000, 780_000, 720_000, 400_000, 420_000, 440_000):
        pacer.change(bits)  # the limit of what is measured, as hours set it
    above = PACER.measured_above
    assert stream.rates == pytest.approx([100_000, 50_000 * above, 55_000 * above])
