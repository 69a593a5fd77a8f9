from attrs import evolve

from p2pacs.errors import ProtocolError, RevokedError
from p2pacs.identity.directory import MemberRecord, Role
from p2pacs.ids import VirtualAddress
from p2pacs.languages import speaking
from p2pacs.output.json_object import JsonObject
from p2pacs.phrases import Phrase
from p2pacs.punch.nat import Nat
from p2pacs.punch.pairs import why_not
from p2pacs.punch.position_words import HELP, HOW
from peer.pages.live.network_words import (
    MEMBERS,
    REVOKED,
    network_words,
    own_words,
    rates_by_source,
    trouble_words,
)


def member(number: int, name: str = "", role: Role = Role.HOSPITAL) -> MemberRecord:
    address = VirtualAddress(b"\xfd" + number.to_bytes(15, "big"))
    return MemberRecord(address, name or f"m{number:03}", role, ("h:1",), b"", b"")


def name_of(one: MemberRecord) -> str:
    return one.name


NOTHING: JsonObject = {"transfers": [], "uploads": []}


def test_who_is_linked_comes_first_and_we_are_left_out() -> None:
    me, near, far, away = member(1), member(2, "near"), member(3, "far"), member(4, "away")
    links = {near.address, far.address}
    source = {"rate": 1000, "bytes": 5}
    event: JsonObject = {
        "transfers": [{"sources": {"near": source}}, {"sources": {"near": source}}],
        "uploads": [{"name": "far", "rate": 2000, "bytes": 10_000}],
    }
    everybody = [away, me, near, far]
    told = network_words(everybody, me.address, links, lambda one: f"as {one.name}", event)
    assert [one["name"] for one in told] == ["far", "near", "away"]
    assert [one["how"] for one in told] == ["as far", "as near", "as away"]
    assert (told[0]["out"], told[0]["sent"], told[0]["in"]) == ("16 kbit/s", "10.0 kB", "")
    assert told[1]["in"] == "16 kbit/s"
    assert rates_by_source(event) == {"near": 2000}


def test_how_somebody_is_reached_is_said_as_the_reader_speaks() -> None:
    revoked = evolve(member(3), revoked=True)
    why = Phrase("cannot be reached: %(why)s", why=why_not(Nat.SYMMETRIC, Nat.SYMMETRIC))
    with speaking("de"):
        told = network_words([member(2), revoked], member(1).address, {}, lambda _: why, NOTHING)
    assert told[0]["how"].startswith("nicht zu erreichen: beide Router ")
    assert [one["words"] for one in told] == ["Nicht verbunden", "Widerrufen"]


def test_how_others_reach_this_member_and_what_would_help() -> None:
    assert own_words(None, None) == {"reached": "", "helps": ""}
    told = own_words(HOW[Nat.SYMMETRIC], HELP)
    assert told["reached"].startswith("Is behind a router that gives every connection another")
    assert told["helps"].startswith("What would help: open a port in the router")
    with speaking("de"):
        told = own_words(HOW[Nat.MAPPED], HELP)
    assert told["reached"].startswith("Steht hinter einem Router")
    assert told["helps"].startswith("Was helfen würde: ")


def test_what_keeps_the_peer_from_working_is_said() -> None:
    fine = trouble_words(revoked=False, linked=True, refused=[])
    assert fine == {"words": "", "revoked": ""}
    away = trouble_words(revoked=False, linked=False, refused=[])
    assert away["words"].startswith("The broker is not linked")
    assert away["revoked"] == ""
    why = trouble_words(revoked=False, linked=False, refused=[ProtocolError("too old")])
    assert why["words"].endswith("It says: too old.")
    refused = trouble_words(revoked=False, linked=False, refused=[RevokedError("a was revoked")])
    assert refused == trouble_words(revoked=True, linked=True, refused=[])
    assert refused == {"words": REVOKED, "revoked": REVOKED}


def test_names_are_cleaned_and_the_page_is_bounded() -> None:
    many = [member(number + 2) for number in range(MEMBERS + 50)]
    assert len(network_words(many, member(1).address, {}, name_of, NOTHING)) == MEMBERS
    (told,) = network_words([member(2, "\x1b[2J")], member(1).address, {}, name_of, NOTHING)
    assert told["name"] == told["how"] == "\\x1b[2J"
