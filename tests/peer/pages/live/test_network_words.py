from attrs import evolve, frozen

from p2pacs.errors import ProtocolError, RevokedError
from p2pacs.identity.directory import MemberRecord, Role
from p2pacs.ids import VirtualAddress
from p2pacs.output.json_object import JsonObject
from peer.pages.live.network_words import (
    MEMBERS,
    REVOKED,
    network_words,
    rates_by_source,
    trouble_words,
)


def member(number: int, name: str = "", role: Role = Role.HOSPITAL) -> MemberRecord:
    address = VirtualAddress(b"\xfd" + number.to_bytes(15, "big"))
    return MemberRecord(address, name or f"m{number:03}", role, ("h:1",), b"", b"")


@frozen
class FakeLink:
    dialled: bool = True
    lan: bool = False


NOTHING: JsonObject = {"transfers": [], "uploads": []}


def test_who_is_linked_comes_first_and_we_are_left_out() -> None:
    me, near, far, away = member(1), member(2, "near"), member(3, "far"), member(4, "away")
    links = {near.address: FakeLink(lan=True), far.address: FakeLink(dialled=False)}
    source = {"rate": 1000, "bytes": 5}
    event: JsonObject = {
        "transfers": [{"sources": {"near": source}}, {"sources": {"near": source}}],
        "uploads": [{"name": "far", "rate": 2000, "bytes": 10_000}],
    }
    told = network_words([away, me, near, far], me.address, links, {}, event)
    assert [one["name"] for one in told] == ["far", "near", "away"]
    assert [one["how"] for one in told] == [
        "over the line, dialled from there",
        "on the local network, dialled from here",
        "is dialled when a study needs it",
    ]
    assert (told[0]["out"], told[0]["sent"], told[0]["in"]) == ("16 kbit/s", "10.0 kB", "")
    assert told[1]["in"] == "16 kbit/s"
    assert rates_by_source(event) == {"near": 2000}


def test_why_somebody_is_not_linked_is_said() -> None:
    me = member(1)
    silent = evolve(member(2), endpoints=())
    revoked = evolve(member(3), revoked=True)
    refused = member(4)
    why = {refused.address: RevokedError("a was revoked")}
    told = network_words([silent, revoked, refused], me.address, {}, why, NOTHING)
    assert [one["how"] for one in told] == [
        "dials out only: it comes to us when it needs something",
        "expelled by the administrator",
        "a was revoked",
    ]
    assert [one["words"] for one in told] == ["Not linked", "Revoked", "Not linked"]


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
    assert len(network_words(many, member(1).address, {}, {}, NOTHING)) == MEMBERS
    (told,) = network_words([member(2, "\x1b[2J")], member(1).address, {}, {}, NOTHING)
    assert told["name"] == "\\x1b[2J"
