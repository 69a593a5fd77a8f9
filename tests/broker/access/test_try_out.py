from broker.access.rules import Ground, parse_rule
from broker.access.try_out import SHOWN, decide_member, reach_of
from p2pacs.identity.directory import Role
from tests.broker.access.test_rules import CT, OLD


def test_a_member_is_decided_by_role_rule_and_membership() -> None:
    assert decide_member(Role.HOSPITAL, "all", CT, revoked=False).allowed
    for role, read, revoked, ground in (
        (Role.HOSPITAL, "Modality=MR", False, Ground.NO_ALTERNATIVE_HOLDS),
        (Role.REPLICA, "none", False, Ground.REPLICA),
        (Role.HOSPITAL, "all", True, Ground.REVOKED),
    ):
        assert decide_member(role, read, CT, revoked=revoked).ground is ground


def test_what_is_addressed_to_a_member_may_be_read_whatever_its_rule_is() -> None:
    def decided(role: Role, read: str, *, revoked: bool = False) -> Ground:
        return decide_member(role, read, CT, revoked=revoked, addressed_by="North").ground

    assert decided(Role.HOSPITAL, "none") is Ground.ADDRESSED
    assert decided(Role.HOSPITAL, "Modality=MR") is Ground.ADDRESSED
    assert decided(Role.HOSPITAL, "Modality=CT") is Ground.ALTERNATIVE_HOLDS
    assert decided(Role.REPLICA, "none") is Ground.REPLICA
    assert decided(Role.HOSPITAL, "all", revoked=True) is Ground.REVOKED


def test_how_far_a_rule_reaches() -> None:
    reach = reach_of(parse_rule("Modality=CT"), [CT, OLD, CT])
    assert (reach.allowed, reach.looked, reach.first, reach.more) == (2, 3, [CT, CT], False)
    reach = reach_of(parse_rule("all"), [CT] * (SHOWN + 5), most=SHOWN + 1)
    assert (reach.allowed, reach.looked, reach.more) == (SHOWN + 1, SHOWN + 1, True)
    assert len(reach.first) == SHOWN
    assert reach_of(parse_rule("none"), []).looked == 0
