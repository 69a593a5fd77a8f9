from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import AllTransferSyntaxes

from p2pacs.dimse.association import contexts
from tests.p2pacs.dimse.samples import CT, EXPLICIT, IMPLICIT, JPEG_2000, JPEG_LOSSLESS, MR

SR = "1.2.840.10008.5.1.4.1.1.88.11"
uids = st.integers(1, 200).map(lambda number: f"1.2.{number}")


def test_every_transfer_syntax_of_the_standard_is_proposed_for_images() -> None:
    plausible = contexts.plausible_syntaxes(CT)
    elsewhere = ("1.2.840.10008.1.2.4.20", "1.2.840.10008.1.2.7")  # JPIP and RTP: pixels apart
    missing = set(AllTransferSyntaxes) - set(plausible)
    assert all(syntax.startswith(elsewhere) for syntax in missing)
    assert len(plausible) == len(set(plausible)) < contexts.CONTEXTS


def test_reports_have_no_compressed_pixels() -> None:
    assert contexts.plausible_syntaxes(SR) == contexts.NATIVE


def test_known_syntaxes_get_a_context_each() -> None:
    (proposal,) = contexts.propose_storage({CT: [JPEG_2000, EXPLICIT], MR: [IMPLICIT]})
    assert sorted(proposal) == sorted([(CT, [JPEG_2000]), (MR, [IMPLICIT]), (CT, [EXPLICIT])])


@given(st.dictionaries(uids, st.lists(uids, max_size=60, unique=True), max_size=60))
def test_a_proposal_fits_leaves_no_choice_and_lacks_nothing(wanted: dict[str, list[str]]) -> None:
    proposals = contexts.propose_storage(wanted)
    assert all(0 < len(proposal) <= contexts.CONTEXTS - 1 for proposal in proposals)
    proposed = [pair for proposal in proposals for pair in proposal]
    assert all(len(syntaxes) == 1 for _, syntaxes in proposed)
    assert len({(name, syntaxes[0]) for name, syntaxes in proposed}) == len(proposed)
    for name, syntaxes in wanted.items():
        of_class = {syntaxes[0] for other, syntaxes in proposed if other == name}
        assert of_class == set(syntaxes or contexts.plausible_syntaxes(name))
    for name in wanted:  # or what is not proposed beside the rest of its class is transcoded
        assert sum(name in {other for other, _ in proposal} for proposal in proposals) == 1


@given(st.tuples(uids, uids), st.lists(st.tuples(uids, uids), max_size=300))
def test_what_is_to_be_sent_now_is_proposed(
    pair: tuple[str, str], known: list[tuple[str, str]]
) -> None:
    proposal = contexts.propose_sending(pair, known)
    assert proposal[0] == (pair[0], [pair[1]])
    assert len(proposal) <= contexts.CONTEXTS
    assert len({(name, syntaxes[0]) for name, syntaxes in proposal}) == len(proposal)


def test_what_can_be_converted_to_is_offered_beside_what_is_stored() -> None:
    jpeg, other = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90"
    offered = contexts.propose_sending((CT, jpeg), [(CT, other)], (EXPLICIT, IMPLICIT))
    assert offered == [(CT, [one]) for one in (jpeg, EXPLICIT, IMPLICIT, other)]
    many = [(f"1.2.{number}", jpeg) for number in range(200)]
    offered = contexts.propose_sending((CT, jpeg), many, (EXPLICIT, IMPLICIT))
    assert len(offered) == contexts.CONTEXTS
    assert offered[:3] == [(CT, [one]) for one in (jpeg, EXPLICIT, IMPLICIT)]


def test_storage_is_only_accepted_from_who_may_store_or_receives() -> None:
    proposed = [(CT, [IMPLICIT, EXPLICIT]), (contexts.VERIFICATION, [IMPLICIT])]
    refused = contexts.accept(proposed, (), stores=False)
    assert [one.sop_class for one in refused] == [contexts.VERIFICATION]
    stored = contexts.accept(proposed, (), stores=True)
    assert stored[0] == contexts.Acceptance(CT, (IMPLICIT,), None)
    got = contexts.accept(proposed, {CT}, stores=False)
    assert got[0].roles == (False, True)


def test_storage_commitment_is_only_accepted_by_who_does_it_and_in_its_role() -> None:
    proposed = [(contexts.COMMITMENT, [IMPLICIT, EXPLICIT])]
    for stores in (False, True):  # it is no storage class
        assert not contexts.accept(proposed, {contexts.COMMITMENT}, stores=stores)
    (asked,) = contexts.accept(proposed, (), stores=True, commitment="SCP")
    assert asked == contexts.Acceptance(contexts.COMMITMENT, (EXPLICIT,), None)
    reporting = {contexts.COMMITMENT}
    (reported,) = contexts.accept(proposed, reporting, stores=True, commitment="SCU")
    assert reported.roles == (False, True)
    (silent,) = contexts.accept(proposed, (), stores=True, commitment="SCU")
    assert silent.roles is None


def test_where_the_client_leaves_the_choice_it_gets_what_it_offers_first() -> None:
    assert contexts.choose_syntaxes([(CT, [JPEG_LOSSLESS, EXPLICIT, IMPLICIT])]) == [JPEG_LOSSLESS]


def test_contexts_of_one_class_get_different_syntaxes() -> None:
    proposed = [(CT, [EXPLICIT, JPEG_LOSSLESS]), (CT, [EXPLICIT]), (MR, [EXPLICIT, JPEG_2000])]
    assert contexts.choose_syntaxes(proposed) == [JPEG_LOSSLESS, EXPLICIT, EXPLICIT]


def test_queries_come_explicit_whatever_the_order() -> None:
    proposed = [
        (contexts.FIND["STUDY"], [IMPLICIT, EXPLICIT]),
        (contexts.VERIFICATION, [JPEG_2000]),
    ]
    assert contexts.choose_syntaxes(proposed) == [EXPLICIT, None]
    accepted = contexts.accept(proposed, (), stores=False)
    assert [one.sop_class for one in accepted] == [contexts.FIND["STUDY"]]


proposals = st.lists(st.tuples(uids, st.lists(uids, max_size=5, unique=True)), max_size=30)


@given(proposals)
def test_a_choice_is_one_of_those_offered_and_none_is_wasted(
    proposed: list[tuple[str, list[str]]],
) -> None:
    chosen = contexts.choose_syntaxes(proposed)
    for (sop_class, offered), syntax in zip(proposed, chosen, strict=True):
        assert syntax in offered if offered else syntax is None
        same = [one for (name, _), one in zip(proposed, chosen, strict=True) if name == sop_class]
        if syntax is not None and same.count(syntax) > 1:  # then whoever has it twice had no other
            twice = [
                choices
                for (name, choices), one in zip(proposed, chosen, strict=True)
                if name == sop_class and one == syntax
            ]
            assert sum(set(choices) <= set(same) for choices in twice) >= len(twice) - 1


@given(proposals, st.sets(uids), st.booleans())
def test_what_is_chosen_is_accepted_and_nothing_else(
    proposed: list[tuple[str, list[str]]], scp_proposed: set[str], stores: bool
) -> None:
    accepted = contexts.accept(proposed, scp_proposed, stores=stores)
    chosen = contexts.choose_syntaxes(proposed)
    for one in accepted:
        assert stores or one.sop_class in scp_proposed
        pairs = zip(proposed, chosen, strict=True)
        of_class = {syntax for (name, _), syntax in pairs if name == one.sop_class} - {None}
        assert set(one.syntaxes) == of_class


def test_a_refusal_names_class_and_syntax_in_the_space_of_a_comment() -> None:
    assert contexts.refusal((CT, JPEG_LOSSLESS)) == "JPEGLosslessSV1 not accepted: CTImageStorage"
    assert contexts.refusal(("1.2.3", "1.2.4")) == "1.2.4 not accepted: 1.2.3"


def test_what_a_client_offers_but_not_first_is_told_from_what_it_does_not_offer() -> None:
    offered = [(MR, [JPEG_2000]), (CT, [EXPLICIT, IMPLICIT])]
    said = contexts.refusal_to_receiver((CT, IMPLICIT), offered)
    assert said == "stored as ImplicitVRLittleEndian: offer it first, or use C-MOVE"
    assert contexts.refusal_to_receiver((CT, JPEG_2000), offered) == contexts.refusal(
        (CT, JPEG_2000)
    )
