from pathlib import Path

import pytest
from attrs import evolve, frozen

from p2pacs.errors import P2PacsError, RevokedError
from p2pacs.identity.directory import MemberRecord, Role
from p2pacs.ids import VirtualAddress
from p2pacs.phrases import Phrase
from p2pacs.punch.nat import Nat
from p2pacs.punch.pairs import why_not
from p2pacs.punch.position_words import DIALLED, HELP, HOW
from peer.api.reached import HowReached, how_member
from tests.peer.world import open_world
from tests.waiting import eventually

ONE = MemberRecord(VirtualAddress(b"\xfd" + bytes(15)), "one", Role.HOSPITAL, ("h:1",), b"", b"")
STRANGER = VirtualAddress(b"\xfd" + bytes(14) + b"\x01")
WHY = why_not(Nat.STEADY, Nat.STEADY)


@frozen
class FakeLink:
    dialled: bool = True
    met: bool = False
    lan: bool = False


@pytest.mark.parametrize(
    ("link", "how"),
    [
        (FakeLink(), "over the line, dialled from here"),
        (FakeLink(dialled=False), "over the line, dialled from there"),
        (FakeLink(lan=True), "on the local network, dialled from here"),
        (FakeLink(dialled=False, lan=True), "on the local network, dialled from there"),
        (FakeLink(met=True), "over the line, both dialled at once"),
        (FakeLink(dialled=False, met=True, lan=True), "on the local network, both dialled at once"),
    ],
)
def test_how_a_link_came_about(link: FakeLink, how: str) -> None:
    assert how_member(ONE, link, RevokedError("before"), WHY) == how


@pytest.mark.parametrize(
    ("one", "refused", "apart", "how"),
    [
        (ONE, None, None, "is dialled when a study needs it"),
        (
            evolve(ONE, endpoints=()),
            None,
            None,
            "dials out only: both dial at once when a study needs it",
        ),
        (evolve(ONE, endpoints=()), None, WHY, f"cannot be reached: {WHY}"),
        (ONE, RevokedError("a was revoked"), WHY, "a was revoked"),
        (evolve(ONE, revoked=True), RevokedError("x"), WHY, "expelled by the administrator"),
    ],
)
def test_why_there_is_no_link(
    one: MemberRecord, refused: P2PacsError | None, apart: Phrase | None, how: str
) -> None:
    assert how_member(one, None, refused, apart) == how


async def test_a_member_that_misses_another_one_says_so_and_what_would_help(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer, other = await world.add("north"), await world.add("south")
        address = other.identity.address
        await eventually(lambda: peer.book.directory.get(address))
        dialled = HowReached(peer.host, peer.book, lambda: peer.identity.address)
        silent = HowReached(peer.host, peer.book, lambda: STRANGER)  # without an endpoint
        assert peer.host.puncher is not None
        nowhere = {"how": str(HOW[Nat.UNKNOWN]), "help": None, "apart": {}}
        assert silent.json() == nowhere
        peer.host.puncher.pairs.failed(address, WHY, 0.0)
        record = peer.book.directory.get(address)
        assert record is not None
        assert dialled.member(record) == f"cannot be reached: {WHY}"
        said = {"how": str(DIALLED), "help": None, "apart": {"south": str(WHY)}}
        assert (await peer.overview.status())["reached"] == dialled.json() == said
        assert silent.json() == nowhere | {"help": str(HELP), "apart": {"south": str(WHY)}}
        peer.host.puncher = None
        assert dialled.json() == {"how": None, "help": None, "apart": {}}
