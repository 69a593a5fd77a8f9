from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import AllTransferSyntaxes

from p2pacs.dimse import contexts
from tests.p2pacs.dimse.samples import CT, EXPLICIT, IMPLICIT, JPEG_2000, JPEG_LOSSLESS, MR

SR = "1.2.840.10008.5.1.4.1.1.88.11"
uids = st.integers(1, 200).map(lambda number: f"1.2.{number}")


def nothing(_sop_class: str) -> Sequence[str]:
    return ()


def test_every_transfer_syntax_of_the_standard_is_proposed_for_images() -> None:
    plausible = contexts.plausible_syntaxes(CT)
    elsewhere = ("1.2.840.10008.1.2.4.20", "1.2.840.10008.1.2.7")  # JPIP and RTP: pixels apart
    missing = set(AllTransferSyntaxes) - set(plausible)
    assert all(syntax.startswith(elsewhere) for syntax in missing)
    assert len(plausible) == len(set(plausible)) < contexts.CONTEXTS


def test_reports_have_no_compressed_pixels() -> None:
    assert contexts.plausible_syntaxes(SR) == contexts.NATIVE


def test_known_syntaxes_get_a_context_each() -> None:
    proposal = contexts.propose_storage({CT: [JPEG_2000, EXPLICIT], MR: [IMPLICIT]})
    assert sorted(proposal) == sorted([(CT, [JPEG_2000]), (MR, [IMPLICIT]), (CT, [EXPLICIT])])


@given(st.dictionaries(uids, st.lists(uids, max_size=60, unique=True), max_size=60))
def test_a_proposal_fits_and_leaves_no_choice(wanted: dict[str, list[str]]) -> None:
    proposal = contexts.propose_storage(wanted)
    assert len(proposal) <= contexts.CONTEXTS - 1
    assert all(len(syntaxes) == 1 for _, syntaxes in proposal)
    assert {sop_class for sop_class, _ in proposal} == set(wanted)  # every class its first choice


@given(st.tuples(uids, uids), st.lists(st.tuples(uids, uids), max_size=300))
def test_what_is_to_be_sent_now_is_proposed(
    pair: tuple[str, str], known: list[tuple[str, str]]
) -> None:
    proposal = contexts.propose_sending(pair, known)
    assert proposal[0] == (pair[0], [pair[1]])
    assert len(proposal) <= contexts.CONTEXTS
    assert len({(name, syntaxes[0]) for name, syntaxes in proposal}) == len(proposal)


def test_storage_is_only_accepted_from_who_may_store_or_receives() -> None:
    proposed = [(CT, [IMPLICIT, EXPLICIT]), (contexts.VERIFICATION, [IMPLICIT])]
    refused = contexts.accept(proposed, (), stores=False, stored_syntaxes=nothing)
    assert [one.sop_class for one in refused] == [contexts.VERIFICATION]
    stored = contexts.accept(proposed, (), stores=True, stored_syntaxes=nothing)
    assert stored[0] == contexts.Acceptance(CT, (IMPLICIT, EXPLICIT), None)
    got = contexts.accept(proposed, {CT}, stores=False, stored_syntaxes=nothing)
    assert got[0].roles == (False, True)


def test_where_the_client_leaves_the_choice_it_gets_what_is_held() -> None:
    proposed = [(CT, [EXPLICIT, JPEG_LOSSLESS]), (CT, [JPEG_2000])]

    def held(_sop_class: str) -> Sequence[str]:
        return (JPEG_2000, JPEG_LOSSLESS, "1.2.3")

    accepted = contexts.accept(proposed, {CT}, stores=False, stored_syntaxes=held)
    assert accepted[0].syntaxes == (JPEG_2000, JPEG_LOSSLESS, EXPLICIT)
