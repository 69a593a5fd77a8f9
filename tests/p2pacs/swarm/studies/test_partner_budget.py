import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2pacs.errors import ProtocolError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import JOINED_STUDIES, KIB, PARTNER_BYTES, STUDY_CHUNKS
from p2pacs.swarm.studies.partner_budget import STUDY_BYTES, PartnerBudget

A, B = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in (1, 2))


def study(number: int) -> StudyId:
    return StudyId(number.to_bytes(16, "big"))


def test_a_thousand_usual_studies_and_a_few_of_the_largest_have_room() -> None:
    budget = PartnerBudget()
    for number in range(JOINED_STUDIES):
        budget.keep(A, study(number), 2 * KIB)  # 16,384 chunks: 512 MiB to 1 GiB
    budget = PartnerBudget()
    for number in range(31):
        budget.keep(A, study(number), STUDY_CHUNKS // 8)
    with pytest.raises(ProtocolError):
        budget.keep(A, study(31), STUDY_CHUNKS // 8)
    budget.keep(B, study(31), STUDY_CHUNKS // 8)
    assert budget.held(A) <= PARTNER_BYTES


class BudgetMachine(RuleBasedStateMachine):
    """Holds what the sum over what is kept says, and never more than it may."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = PartnerBudget(most=4 * STUDY_BYTES)
        self.kept: dict[tuple[VirtualAddress, int], int] = {}

    def total(self, member: VirtualAddress) -> int:
        return sum(size + STUDY_BYTES for (who, _), size in self.kept.items() if who == member)

    @rule(member=st.sampled_from((A, B)), number=st.integers(0, 4), size=st.integers(0, 4096))
    def keep(self, member: VirtualAddress, number: int, size: int) -> None:
        before = dict(self.kept)
        self.kept[member, number] = size
        if self.total(member) > 4 * STUDY_BYTES:
            self.kept = before
            with pytest.raises(ProtocolError):
                self.budget.keep(member, study(number), size)
        else:
            self.budget.keep(member, study(number), size)

    @rule(member=st.sampled_from((A, B)), number=st.integers(0, 4))
    def give_back(self, member: VirtualAddress, number: int) -> None:
        self.kept.pop((member, number), None)
        self.budget.give_back(member, study(number))

    @invariant()
    def the_sum_is_right(self) -> None:
        for member in (A, B):
            assert self.budget.held(member) == self.total(member)


TestBudget = BudgetMachine.TestCase
