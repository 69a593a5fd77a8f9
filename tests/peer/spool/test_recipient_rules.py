import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dataset.json_model import Json, entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.ids import VirtualAddress
from p2pacs.swarm.scheduling.priority import Priority
from peer.spool.recipient_rules import (
    RecipientRule,
    Recipients,
    recipients_of,
    resolve,
    why_nobody,
)
from tests.peer.ingest.bench import ADDRESS, DIRECTORY, EAST, GONE, NORTH, REPLICA, SOUTH

ASKED = {tag("RequestingService"): entry("LO", "Village Clinic")}
STUDY: Json = {
    tag("InstitutionName"): entry("LO", "North, General"),
    tag("RequestAttributesSequence"): {"vr": "SQ", "Value": [{}, ASKED]},
}


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        (RecipientRule("A"), True),
        (RecipientRule("A", callers=("CT1", "CT9")), True),
        (RecipientRule("A", callers=("CT9",)), False),
        (RecipientRule("A", institutions=("North*",)), True),
        (RecipientRule("A", institutions=("South*", "Village Clini?")), True),
        (RecipientRule("A", institutions=("Village",)), False),
        (RecipientRule("A", callers=("CT9",), institutions=("North*",)), False),
        (RecipientRule("A", callers=("CT1",), institutions=("North*",)), True),
        (RecipientRule("A", institutions=("*",)), True),
    ],
)
def test_whom_a_rule_addresses_a_study_to(rule: RecipientRule, *, holds: bool) -> None:
    assert recipients_of([rule], {"CT1", "CT2"}, STUDY).names == (("A",) if holds else ())


def test_all_rules_that_hold_count_and_the_most_urgent_one() -> None:
    rules = [
        RecipientRule("A", priority=Priority.PREFETCH),
        RecipientRule("B", callers=("CT1",), priority=Priority.STAT),
        RecipientRule("C", callers=("CT2",)),
    ]
    assert recipients_of(rules, ["CT1"], {}) == Recipients(("A", "B"), Priority.STAT)
    assert recipients_of(rules[:1], ["CT1"], {}) == Recipients(("A",), Priority.PREFETCH)
    assert recipients_of([], ["CT1"], STUDY).names == ()


def test_what_names_mean() -> None:
    found = resolve(["East", str(SOUTH.address), "R1", "Gone", "North", "x"], DIRECTORY, ADDRESS)
    assert found.members == (EAST, SOUTH)
    assert found.addresses == (SOUTH.address, EAST.address)
    assert found.unknown == ("R1", "Gone", "North", "x")
    assert REPLICA.address not in found.addresses
    assert resolve(["East", str(EAST.address)], DIRECTORY, ADDRESS).members == (EAST,)


def test_upper_and_lower_case_count_where_names_differ_in_nothing_else() -> None:
    assert resolve(["SOUTH", "south"], DIRECTORY, ADDRESS).members == (SOUTH,)
    other = evolve(EAST, name="EAST")
    twice = evolve(DIRECTORY, members=(*DIRECTORY.members, evolve(other, address=GONE.address)))
    assert resolve(["East"], twice, ADDRESS).members == (EAST,)
    assert resolve(["east"], twice, ADDRESS).unknown == ("east",)


def test_why_nobody_has_a_name_and_who_there_is() -> None:
    assert why_nobody("x", DIRECTORY, ADDRESS).endswith("is called x; there are: East, South")
    for mine in ("north", str(ADDRESS)):
        assert why_nobody(mine, DIRECTORY, ADDRESS) == f"{mine} is this hospital: name another one"
    alone = evolve(DIRECTORY, members=(NORTH,))
    assert why_nobody("x", alone, ADDRESS).endswith("is called x")
    many = [
        evolve(EAST, name=f"{n:02d}", address=VirtualAddress(b"\xfd" + bytes([n]) * 15))
        for n in range(20)
    ]
    crowd = evolve(DIRECTORY, members=tuple(many))
    assert why_nobody("x", crowd, ADDRESS).endswith(" 11, 12, …")


names = st.lists(st.text(max_size=4), max_size=4)
some = st.builds(
    Recipients, names.map(lambda one: tuple(dict.fromkeys(one))), st.sampled_from(Priority)
)


@given(some, some)
def test_nobody_is_lost_when_more_are_added(one: Recipients, other: Recipients) -> None:
    both = one.with_more(other)
    assert set(both.names) == {*one.names, *other.names}
    assert len(set(both.names)) == len(both.names)
    assert both.priority == max(one.priority, other.priority)
