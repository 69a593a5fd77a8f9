"""One world in two processes: each runs half of the hosts, and they meet at windows of time.

What leaves a host is at another one a line's delay later at the earliest, so each half may go
that far without the other (conservative simulation: Chandy and Misra, 1979). Then they tell each
other what is under way. Virtual time, and what comes of it, depends on nothing but the seed.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

import trio

from p2pacs.ids import VirtualAddress
from tests.simulation.clock import EventClock
from tests.simulation.lines import LineStream, Pipe, buffers
from tests.simulation.nic import Nic

if TYPE_CHECKING:
    from tests.simulation.world import SimMember, World

HALVES: Final = 2

Name = tuple[int, int, bool]
"""Of a direction of a stream: the half that dialled, its number there, whether it leads back."""


class Half:
    """One of the two processes, and its line to the other one."""

    def __init__(self, number: int, connection: Connection, window: float) -> None:
        """Nothing happens before `join`.

        Args:
            number: 0 or 1.
            connection: To the other half.
            window: Seconds that each may go alone: the least delay between two hosts.
        """
        self.number = number
        self.done = False
        """Whether all is done that this half waits for; it goes on for the other's sake."""
        self.over = trio.Event()
        """Set when both are done, or the other is no more."""
        self.lost = False
        """The other half is no more."""
        self._connection = connection
        self._window = window
        self._clock: EventClock | None = None
        self._world: World | None = None
        self._out: list[tuple[float, str, tuple[Any, ...]]] = []
        self._pipes: dict[Name, _FarPipe] = {}
        self._dialled = itertools.count()
        self._heard: dict[str, Callable[..., bool]] = {
            "dial": self._dial,
            "piece": lambda name, *rest: self._pipes[name].piece(*rest),
            "acknowledged": lambda name, *rest: self._pipes[name].acknowledged(*rest),
            "closed": lambda name, broken: self._pipes[name].other_closed(broken=broken),
        }

    def join(self, world: World) -> None:
        """From now on this half runs the world's hosts whose turn it is."""
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, EventClock)
        self._world, self._clock = world, clock
        clock.meet_at(trio.current_time() + self._window, self._meet)

    def has(self, host: int) -> bool:
        """Whether the host with this number is here."""
        return host % HALVES == self.number

    def post(self, time: float, what: str, *details: Any) -> None:
        """Something happens in the other half at a time."""
        self._out.append((time, what, details))

    def dial(self, here: SimMember, there: SimMember) -> LineStream:
        """A stream to a host of the other half; what it says comes two delays later."""
        number = next(self._dialled)
        stream = self._stream(here.nic, there.nic, (self.number, number, False))
        at = trio.current_time() + here.nic.delay + there.nic.delay
        self.post(at, "dial", number, bytes(here.address), bytes(there.address))
        return stream

    def _stream(self, here: Nic, there: Nic, out: Name) -> LineStream:
        back = (*out[:2], not out[2])
        outgoing = self._pipes[out] = _FarPipe(self, out, here, there)
        incoming = self._pipes[back] = _FarPipe(self, back, there, here)
        return LineStream(here, outgoing, incoming)

    def _dial(self, number: int, caller: bytes, called: bytes) -> bool:
        assert self._world is not None
        here = self._world.members[VirtualAddress(called)]
        there = self._world.members[VirtualAddress(caller)]
        stream = self._stream(here.nic, there.nic, (1 - self.number, number, True))
        here.called(there, stream)
        return True

    def _meet(self) -> float:
        """Tell each other what happens next; until when each may go alone now."""
        assert self._clock is not None
        done = self.done
        try:
            theirs_done, events = self._exchange((done, self._out))
        except (EOFError, OSError):
            self.lost = True
            self.over.set()
            return float("inf")
        self._out = []
        for time, what, details in events:
            self._clock.at(time, partial(self._heard[what], *details))
        if done and theirs_done:
            self.over.set()
            return float("inf")
        return self._clock.current_time() + self._window

    def _exchange(self, ours: Any) -> Any:
        """Both ways, in an order in which neither waits for the other to read."""
        raw = pickle.dumps(ours, protocol=5)
        if self.number:
            theirs = self._connection.recv_bytes()
            self._connection.send_bytes(raw)
        else:
            self._connection.send_bytes(raw)
            theirs = self._connection.recv_bytes()
        return pickle.loads(theirs)  # noqa: S301 (our own process)

    def swap(self, ours: Any) -> Any:
        """When both are done: what each has found out."""
        return self._exchange(ours)


class _FarPipe(Pipe):
    """One direction of a stream, of which one end is here and the other in the other half."""

    def __init__(self, half: Half, name: Name, source: Nic, target: Nic) -> None:
        super().__init__(source, target, buffers(source))
        self._half = half
        self._name = name

    def other_closed(self, *, broken: bool) -> bool:
        """The other end writes, or reads, no more."""
        super().close(broken=broken)
        return True

    def close(self, *, broken: bool) -> None:
        super().close(broken=broken)
        now = trio.current_time()
        last = now if broken else max(now, self._source.up_free)  # behind all that was sent
        self._half.post(last + self._delay, "closed", self._name, broken)

    # ------------------------------------------------------------ the sender is here

    def _put(self, data: bytes) -> None:
        source = self._source
        wire = source.overhead.wire_bytes(len(data))
        start = source.push(wire, trio.current_time())
        source.set_turn()
        self._sent += len(data)
        last_in = source.up_free + self._delay
        self._half.post(start + self._delay, "piece", self._name, data, wire, last_in)

    def acknowledged(self, size: int, acks: int) -> bool:
        """The other end has so many bytes, and says so by so many on the line."""
        self._source.pull(acks, trio.current_time())
        self._sent -= size
        return self._sender.wake()

    # ------------------------------------------------------------ the receiver is here

    def piece(self, data: bytes, wire: int, last_in: float) -> bool:
        """Bytes are at the downlink."""
        return self._arriving(self._begin(data, wire, last_in))

    def _told(self, size: int, acks: int) -> None:
        at = trio.current_time() + self._delay
        self._half.post(at, "acknowledged", self._name, size, acks)
