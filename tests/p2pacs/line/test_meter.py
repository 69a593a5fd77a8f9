from collections.abc import Sequence

import pytest
from attrs import define, frozen
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.line.meter import ACK_HELD_BACK, IPV6_HEADER, Incoming, Outgoing
from p2pacs.line.pacing import TLS_OVER_TCP
from p2pacs.line.tcpinfo import TcpInfo

MSS = 1448


@define
class Kernel:
    """A connection as the kernel counts it: segments go out full, but for the last."""

    taken: int = 3000  # the handshake's
    sent: int = 3000
    again: int = 0
    segments: int = 6
    segments_in: int = 5
    received: int = 0
    timestamps: bool = True
    acked: int = 0
    rtt: float = 0.0

    def send(self, size: int) -> None:
        size = min(size, self.taken - self.sent)
        self.sent += size
        self.segments += -(-size // MSS)

    def info(self) -> TcpInfo:
        return TcpInfo(
            timestamps=self.timestamps,
            segment=MSS,
            rtt=self.rtt,
            bytes_acked=self.acked,
            bytes_received=self.received,
            segs_out=self.segments,
            segs_in=self.segments_in,
            notsent=self.taken - self.sent,
            min_rtt=0.0,
            data_segs_out=self.segments,
            delivery_rate=0,
            bytes_sent=self.sent + self.again,
            bytes_retrans=self.again,
        )

    @property
    def wire(self) -> int:
        """What went over the line."""
        return self.sent + self.again + 52 * self.segments


@frozen
class Step:
    """One thing that happens: a block or a message is written, part of it goes out, ..."""

    kind: str
    size: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(["block", "message", "taken", "sent", "ack", "again", "look"]),
        st.integers(1, 40_000),
    ),
    max_size=60,
)


class Run:
    """A meter beside a kernel."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.meter = Outgoing(TLS_OVER_TCP)
        self.charged = self.meter.look(self.kernel.info(), 0.0).correction
        self.in_user = 0

    def step(self, step: Step) -> None:
        size, kernel, meter = step.size, self.kernel, self.meter
        match step.kind:
            case "block" | "message" if self.in_user == 0:
                if step.kind == "block":
                    self.charged += meter.prepay(size)
                    self.look()
                self.charged += meter.write(size)
                self.in_user = TLS_OVER_TCP.sealed(size)
                self.take(size // 2)
            case "taken":
                self.take(size)
            case "sent":
                kernel.send(size)
            case "ack":
                self.charged += meter.received(size)
                kernel.segments += 1 + size // (2 * MSS)
            case "again":
                kernel.again += min(size, MSS)
                kernel.segments += 1
            case "look":
                self.look()

    def take(self, size: int) -> None:
        """The kernel has room for some of what is being written."""
        if self.in_user:
            size = min(size, self.in_user)
            self.kernel.taken += size
            self.in_user -= size
            if not self.in_user:
                self.meter.written()

    def look(self) -> None:
        self.charged += self.meter.look(self.kernel.info(), 0.0).correction

    def finish(self) -> None:
        self.take(self.in_user)
        self.kernel.send(self.kernel.taken)
        self.charged += self.meter.close(self.kernel.info())


@given(STEPS)
def test_in_the_end_what_went_out_was_charged_once(steps: Sequence[Step]) -> None:
    run = Run()
    for step in steps:
        run.step(step)
    run.finish()
    assert run.charged == pytest.approx(run.kernel.wire)


@given(STEPS)
def test_what_is_committed_is_never_given_back_by_a_look(steps: Sequence[Step]) -> None:
    run = Run()
    for step in steps:
        run.step(step)
        run.look()
        ahead = run.kernel.taken - run.kernel.sent + run.in_user
        assert run.charged >= run.kernel.wire + ahead
        assert run.charged <= run.kernel.wire + ahead * 1.04 + 52


def test_a_reserved_block_is_not_given_back_before_it_is_written() -> None:
    run = Run()
    before = run.charged
    reserved = run.meter.prepay(16_000)
    assert run.meter.look(run.kernel.info(), 0.0).correction == -reserved + reserved
    assert reserved == TLS_OVER_TCP.wire_bytes(16_000)
    assert run.charged == before


def test_a_block_that_is_never_sent_is_given_back_at_the_end() -> None:
    run = Run()
    reserved = run.meter.prepay(16_000)
    assert run.meter.close(run.kernel.info()) == -reserved
    other = Outgoing(TLS_OVER_TCP)
    assert other.prepay(100) == -other.close(None)


def test_control_is_charged_beside_what_was_prepaid() -> None:
    meter = Outgoing(TLS_OVER_TCP)
    assert meter.prepay(8000) == TLS_OVER_TCP.wire_bytes(8000)
    assert meter.write(8100) == TLS_OVER_TCP.wire_bytes(8100) - TLS_OVER_TCP.wire_bytes(8000)


def test_headers_are_those_of_the_connection() -> None:
    kernel = Kernel(timestamps=False)
    meter = Outgoing(TLS_OVER_TCP, IPV6_HEADER)
    assert meter.look(kernel.info(), 0.0).correction == 3000 + 60 * kernel.segments


def test_what_comes_in_is_corrected_too() -> None:
    kernel = Kernel(received=3000)
    meter = Incoming(TLS_OVER_TCP)
    assert meter.look(kernel.info()).correction == 3000 + 52 * 5
    charged = meter.received(14_000) + meter.write(3000)
    kernel.received += 14_022
    kernel.segments_in += 12
    assert charged + meter.look(kernel.info()).correction == 14_022 + 52 * 12


def test_what_has_arrived_is_told() -> None:
    kernel = Kernel()
    meter = Outgoing(TLS_OVER_TCP)
    meter.look(kernel.info(), 0.0)
    kernel.taken += 100 * MSS
    kernel.send(100 * MSS)
    look = meter.look(kernel.info(), 1.0)
    assert (look.delivered, look.delay, look.busy) == (0, None, True)
    kernel.acked = kernel.sent
    kernel.rtt = 0.05
    kernel.segments_in += 50
    look = meter.look(kernel.info(), 2.0)
    assert look.delivered == pytest.approx(kernel.sent * 1500 / 1448)
    assert (look.delay, look.busy) == (0.0, False)


def test_that_slow_segments_are_acknowledged_later_is_no_queue() -> None:
    kernel, meter = Kernel(rtt=0.05), Outgoing(TLS_OVER_TCP)
    meter.paced(1e9)
    for step in range(20):
        kernel.segments_in += 4
        meter.look(kernel.info(), step / 10)
    meter.paced(10_000)
    kernel.rtt += ACK_HELD_BACK
    for step in range(20, 40):
        kernel.segments_in += 4
        delay = meter.look(kernel.info(), step / 10).delay
        assert delay is not None
        assert abs(delay) < 0.001
