from collections import Counter

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.identity.directory import Directory, MemberRecord, Role
from p2pacs.ids import VirtualAddress
from p2pacs.mesh.standby import REPLICAS, standby_replicas


def record(number: int, role: Role = Role.REPLICA) -> MemberRecord:
    address = VirtualAddress(b"\xfd" + bytes(13) + number.to_bytes(2, "big"))
    return MemberRecord(
        address=address,
        name=f"{role.value} {number}",
        role=role,
        endpoints=(f"10.0.0.{number % 256}:7500",),
        key_hash=bytes(32),
        box_key=bytes(32),
    )


def directory(*members: MemberRecord) -> Directory:
    return Directory(1, 1, members)


ME = record(1, Role.HOSPITAL)


@given(st.integers(0, 20))
def test_as_many_replicas_as_there_are_up_to_a_few(count: int) -> None:
    replicas = [record(100 + n) for n in range(count)]
    others = [record(50, Role.HOSPITAL), record(51, Role.BROKER)]
    found = standby_replicas(directory(ME, *others, *replicas), ME.address)
    assert found <= {one.address for one in replicas}
    assert len(found) == min(count, REPLICAS)


def test_replicas_that_cannot_be_dialled_or_are_revoked_are_left_out() -> None:
    hidden = evolve(record(100), endpoints=())
    revoked = evolve(record(101), revoked=True)
    assert standby_replicas(directory(ME, hidden, revoked, record(102)), ME.address) == {
        record(102).address
    }


def test_only_hospitals_hold_links() -> None:
    replicas = [record(100), record(101)]
    assert standby_replicas(directory(ME, *replicas), replicas[0].address) == frozenset()
    assert standby_replicas(directory(*replicas), ME.address) == frozenset(), "not a member (yet)"


def test_replicas_have_about_equally_many_and_keep_them() -> None:
    replicas = [record(1000 + n) for n in range(8)]
    hospitals = [record(n, Role.HOSPITAL) for n in range(1, 401)]
    held = {
        one.address: standby_replicas(directory(one, *replicas), one.address) for one in hospitals
    }
    load = Counter(member for members in held.values() for member in members)
    assert max(load.values()) < 1.3 * min(load.values())
    for one in hospitals:  # one more replica: nobody loses more than one link for it
        after = standby_replicas(directory(one, *replicas, record(2000)), one.address)
        assert len(held[one.address] - after) <= 1
