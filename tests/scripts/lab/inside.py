"""What `test_lab.py` runs inside the lab's own world: who reaches whom, and how."""

from __future__ import annotations

import errno
import time
from ipaddress import ip_address
from pathlib import Path

import pytest
import trio

from p2pacs.line.beside import is_beside
from scripts.lab import space
from scripts.lab.lab import HOME, Lab, LabPlace, PlaceRequest, open_lab
from scripts.lab.line import MTU, LabLine
from scripts.program import ScriptError

FAST = LabLine(uplink=10**8, downlink=10**8, delay=0.005, queue=10**6)
WISHES = [
    PlaceRequest("broker", FAST, lan=True),
    PlaceRequest("hospital", FAST),
    PlaceRequest("other", FAST),
    PlaceRequest("beside", lan=True),
]
PORT = 4000


def made_in(place: LabPlace) -> trio.socket.SocketType:
    with place.space.inside():
        return trio.socket.socket()


async def reaches(lab: Lab, source: str, target: str) -> dict[str, str]:
    """What comes of connections from one place to all addresses of another."""
    said = {}
    for address in lab.place(target).hosts:
        with made_in(lab.place(target)) as listener, made_in(lab.place(source)) as sock:
            await listener.bind((address, PORT))
            listener.listen(1)
            try:
                with trio.fail_after(30):
                    await sock.connect((address, PORT))
                said[address] = "connected"
            except OSError as error:
                said[address] = errno.errorcode[error.errno or 0]
    return said


async def quiet(lab: Lab) -> float:
    """A time since which nothing goes over the lines: what ends a connection comes after it."""
    since = time.time()
    while True:
        now = time.time() + 0.3
        if not any((await lab.traced(now)).between("up", since, now).values()):
            return now
        since = now


async def test_lines_and_the_lan_are_all_there_is(tmp_path: Path) -> None:
    async with open_lab(tmp_path, WISHES) as lab:
        assert lab.lines == ["broker", "hospital", "other"]
        assert await reaches(lab, "hospital", "other") == {"10.2.0.3": "connected"}
        assert await reaches(lab, "hospital", "broker") == {
            "10.1.0.1": "ENETUNREACH",
            "10.2.0.1": "connected",
        }
        assert await reaches(lab, "beside", "broker") == {
            "10.1.0.1": "connected",
            "10.2.0.1": "ENETUNREACH",
        }
        assert await reaches(lab, "beside", "hospital") == {"10.2.0.2": "ENETUNREACH"}
        for place, address, beside in (
            ("hospital", "10.2.0.3", False),  # a line without a router that shows: point to point
            ("broker", "10.2.0.3", False),
            ("broker", "10.1.0.4", True),
            ("beside", "10.1.0.1", True),
        ):
            with lab.place(place).space.inside():
                assert is_beside(ip_address(address)) is beside


async def test_what_goes_over_a_line_is_counted_and_what_goes_over_the_lan_is_not(
    tmp_path: Path,
) -> None:
    async with open_lab(tmp_path, WISHES) as lab:
        assert await reaches(lab, "hospital", "broker")
        begin = await quiet(lab)
        line = (await lab.traced(begin)).between("up", 0.0, begin)
        assert line["hospital"] >= 60 + 52  # SYN and ACK with time stamps
        assert line["other"] == 0
        assert await reaches(lab, "beside", "broker")
        end = time.time() + 0.1
        assert set((await lab.traced(end)).between("up", begin, end).values()) == {0.0}


async def test_the_local_address_of_a_place_is_reached_from_outside(tmp_path: Path) -> None:
    async with open_lab(tmp_path, WISHES) as lab:
        place = lab.place("hospital")
        assert not place.answers(PORT)
        await place.reach(PORT)
        with trio.fail_after(30):  # the door is there, but nobody behind it
            async with await trio.open_tcp_stream(place.local, PORT) as stream:
                assert await stream.receive_some() == b""
        with made_in(place) as listener:
            await listener.bind((place.local, PORT))
            listener.listen(4)
            assert place.answers(PORT)
            (await listener.accept())[0].close()
            async with await trio.open_tcp_stream(place.local, PORT) as near:
                far, _ = await listener.accept()
                async with trio.SocketStream(far) as stream:
                    await near.send_all(b"question")
                    assert await stream.receive_some() == b"question"
                    await stream.send_all(b"answer")
                    assert await near.receive_some() == b"answer"


async def test_programs_of_a_place_see_its_networks_alone(tmp_path: Path) -> None:
    async with open_lab(tmp_path, WISHES) as lab:
        command = [*lab.place("hospital").prefix, "ip", "-o", "addr"]
        done = await trio.run_process([str(part) for part in command], capture_stdout=True)
        said = done.stdout.decode()
        assert "10.2.0.2/16" in said
        assert "fe80" not in said  # no IPv6: the router carries none
        assert HOME not in said
        command = [*lab.place("hospital").prefix, "ip", "link", "show", "line"]
        done = await trio.run_process([str(part) for part in command], capture_stdout=True)
        assert f"mtu {MTU}" in done.stdout.decode()


async def test_a_second_lab_in_the_same_world_starts_clean(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        async with open_lab(tmp_path / str(number), WISHES[:2]) as lab:
            assert len((await lab.traced(time.time())).times) >= 1


async def test_a_router_that_ended_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as raised:  # noqa: PT012
        async with open_lab(tmp_path, WISHES[:1]) as lab:
            lab.router.kill()
            await lab.traced(time.time() + 5, seconds=0.3)
    assert raised.group_contains(ScriptError, match="does not count")


def test_a_missing_tun_device_is_named(tmp_path: Path) -> None:
    made = space.Space.new()
    with pytest.raises(ScriptError, match="run as root"):
        made.tun("line", str(tmp_path / "tun"))
    made.close()
