"""What `test_homes.py` runs inside the lab's own world: each kind of NAT is what it says."""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from scripts.lab import homes
from scripts.lab.lab import Lab, LabPlace, PlaceRequest, open_lab
from scripts.lab.line import LabLine
from scripts.lab.nat import BLOCK, KINDS
from scripts.lab.ping import Pings
from scripts.program import ScriptError

FAST = LabLine(uplink=10**8, downlink=10**8, delay=0.01, queue=10**6)
PORT = 4000
OTHER_PORT = 4001
LISTENING = 4002
SECONDS = 30

CONNECTED, REFUSED, DROPPED = "connected", "refused", "dropped"


def wishes(*kinds: str) -> list[PlaceRequest]:
    """Two that everybody reaches, and one behind each kind."""
    public = [PlaceRequest(name, FAST) for name in ("first", "second")]
    return public + [
        PlaceRequest(f"hospital-{number}", FAST, nat=kind) for number, kind in enumerate(kinds, 1)
    ]


def made_in(place: LabPlace, port: int) -> trio.socket.SocketType:
    """A socket that shares this port with others of the same place."""
    with place.space.inside():
        made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((place.hosts[-1], port))
    return trio.socket.from_stdlib_socket(made)


@asynccontextmanager
async def observed(
    place: LabPlace, *observers: LabPlace, port: int = PORT
) -> AsyncIterator[list[tuple[str, int]]]:
    """As whom observers see a place that dials them from a port; all connections are open."""
    seen = []
    socks: list[trio.socket.SocketType] = []
    try:
        for observer in observers:
            listener, dialling = made_in(observer, PORT), made_in(place, port)
            socks += [listener, dialling]
            listener.listen(1)
            with trio.fail_after(SECONDS):
                await dialling.connect((observer.address, PORT))
                accepted, peer = await listener.accept()
            socks.append(accepted)
            listener.close()
            seen.append(peer)
        yield seen
    finally:
        for sock in socks:
            sock.close()


async def tried(source: LabPlace, target: tuple[str, int], port: int = OTHER_PORT) -> str:
    """What comes of a SYN: dropped, if a ping that was sent later is answered and it is not."""
    said = DROPPED
    pings = Pings()
    with made_in(source, port) as sock, trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:

            async def connect() -> None:
                nonlocal said
                try:
                    await sock.connect(target)
                    said = CONNECTED
                except OSError as error:
                    said = {errno.ECONNREFUSED: REFUSED}[error.errno or 0]
                nursery.cancel_scope.cancel()

            nursery.start_soon(connect)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(pings.run, source, target[0])
            while len(pings.trips) < 2:
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    return said


async def ports_of(lab: Lab, name: str) -> list[int]:
    """Outer ports to two observers."""
    place = lab.place(name)
    async with observed(place, lab.place("first"), lab.place("second")) as seen:
        assert {host for host, _ in seen} == {place.address}
        return [port for _, port in seen]


@pytest.mark.parametrize("kind", KINDS)
async def test_outer_ports_and_who_comes_in(tmp_path: Path, kind: str) -> None:
    async with open_lab(tmp_path, wishes(kind)) as lab:
        place, first, second = (lab.place(name) for name in ("hospital-1", "first", "second"))
        one, other = await ports_of(lab, "hospital-1")
        low, high = map(int, BLOCK.split("-"))
        if kind == "symmetric":
            assert one != other
        elif kind == "carrier":
            assert one == other
            assert low <= one <= high
        else:
            assert one == other == PORT
        with made_in(place, LISTENING) as listener:
            listener.listen(4)
            async with observed(place, first, port=LISTENING) as (outer,):
                said = [await tried(source, outer) for source in (first, second)]
        assert said == {
            "cone": [CONNECTED, CONNECTED],
            "address": [CONNECTED, DROPPED],
            "refusing": [REFUSED, REFUSED],
        }.get(kind, [DROPPED, DROPPED])


async def open_together(lab: Lab, names: Sequence[str], to: Sequence[tuple[str, int]]) -> list[str]:
    """What comes of two that dial each other at the same moment, both from `PORT`."""
    said = [""] * 2

    async def dial(number: int) -> None:
        said[number] = await tried(lab.place(names[number]), to[number], PORT)

    async with trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(dial, number)
    return said


@pytest.mark.parametrize(
    ("kinds", "come"),
    [
        (("preserving", "preserving"), CONNECTED),
        (("preserving", "double"), CONNECTED),
        (("symmetric", "preserving"), DROPPED),
    ],
)
async def test_two_that_dial_at_once(tmp_path: Path, kinds: Sequence[str], come: str) -> None:
    async with open_lab(tmp_path, wishes(*kinds)) as lab:
        places = [lab.place(name) for name in ("hospital-1", "hospital-2")]
        names = [place.name for place in places]
        async with (
            observed(places[0], lab.place("first")) as (one,),
            observed(places[1], lab.place("first")) as (other,),
        ):
            assert await open_together(lab, names, [other, one]) == [come, come]


@pytest.mark.parametrize("hairpin", [False, True])
async def test_two_behind_one_router(tmp_path: Path, *, hairpin: bool) -> None:
    kind = "preserving+hairpin" if hairpin else "preserving"
    mate = PlaceRequest("mate", behind="hospital-1")
    async with open_lab(tmp_path, [*wishes(kind), mate]) as lab:
        place, other = lab.place("hospital-1"), lab.place("mate")
        assert place.address == other.address
        assert (place.hosts, other.hosts) == (("192.168.1.2",), ("192.168.1.3",))
        assert place.told == other.told == ()
        assert lab.lines == ["first", "second", "hospital-1"]
        with made_in(place, PORT) as listener:
            listener.listen(4)
            async with observed(place, lab.place("first")) as (outer,):
                assert await tried(other, (place.hosts[0], PORT)) == CONNECTED  # over the LAN
                expected = CONNECTED if hairpin else REFUSED
                assert await tried(other, outer, OTHER_PORT + 1) == expected


async def test_the_same_inner_port_of_two_behind_one_cone(tmp_path: Path) -> None:
    mate = PlaceRequest("mate", behind="hospital-1")
    async with open_lab(tmp_path, [*wishes("cone"), mate]) as lab:
        places = [lab.place("hospital-1"), lab.place("mate")]
        first, second = lab.place("first"), lab.place("second")
        with made_in(places[1], PORT) as listener:
            listener.listen(4)
            async with observed(places[0], first) as (one,), observed(places[1], first) as (other,):
                assert one != other
                assert await tried(second, other) == CONNECTED
                assert await tried(second, one, OTHER_PORT + 1) == REFUSED  # nobody listens


async def test_kinds_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as raised:
        async with open_lab(tmp_path, wishes("conical")):
            pass
    assert raised.group_contains(ValueError, match="no kind of NAT")


def test_a_missing_nft_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homes, "nft_program", lambda: None)
    with pytest.raises(ScriptError, match="apt-get install nftables"):
        homes.Home.open("cone", "10.2.0.1")
