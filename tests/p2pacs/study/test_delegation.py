from contextlib import suppress

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import BadSignatureError, ManifestError, StaleVersionError, UsageError
from p2pacs.identity.keys import SIGNATURE_BYTES, SigningKey
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import DELEGATION_BYTES
from p2pacs.study.delegation import (
    PURPOSE,
    Delegation,
    load_delegation,
    sign_delegation,
)
from p2pacs.study.manifest import (
    DELEGATED_PURPOSE,
    Root,
    check_successor,
    load_root,
    sign_delegated_root,
    sign_root,
)
from tests.p2pacs.study.samples import SIGNER, STUDY
from tests.p2pacs.study.test_manifest import ROOT, list_of, root_of

MEMBER = SigningKey.generate()
ADDRESS = VirtualAddress(b"\xfd" + bytes(15))
OTHER = VirtualAddress(b"\xfd" + bytes(14) + b"\x01")
GIVEN = Delegation(STUDY, ADDRESS, MEMBER.public, 0, 1000, 2000)


def load(raw: bytes, study: StudyId = STUDY) -> Root:
    return load_root(raw, SIGNER.public, study)


def signed(
    root: Root = ROOT,
    given: Delegation = GIVEN,
    *,
    broker: SigningKey = SIGNER,
    member: SigningKey = MEMBER,
    at: int = 1500,
) -> bytes:
    return sign_delegated_root(root, member, sign_delegation(given, broker), at)


delegations = st.builds(
    Delegation,
    study=st.binary(min_size=16, max_size=16).map(StudyId),
    member=st.binary(min_size=15, max_size=15).map(lambda rest: VirtualAddress(b"\xfd" + rest)),
    key=st.just(MEMBER.public),
    above=st.integers(0, 2**32 - 1),
    begins=st.integers(0, 2**63),
    ends=st.integers(2**63, 2**64 - 1),
)


@given(delegations)
def test_a_delegation_comes_back(made: Delegation) -> None:
    raw = sign_delegation(made, SIGNER)
    assert len(raw) == DELEGATION_BYTES
    assert load_delegation(raw, SIGNER.public, made.study) == made


@given(st.binary(max_size=2 * DELEGATION_BYTES))
def test_what_is_no_delegation_raises_a_manifest_error(raw: bytes) -> None:
    with pytest.raises(ManifestError):
        load_delegation(raw, SIGNER.public, STUDY)


@given(st.binary(min_size=DELEGATION_BYTES - 64, max_size=DELEGATION_BYTES - 64))
def test_whatever_a_broker_signs_is_a_delegation_or_refused(body: bytes) -> None:
    raw = SIGNER.sign(body, PURPOSE) + body
    with suppress(ManifestError):
        load_delegation(raw, SIGNER.public, StudyId(body[1:17]))


def test_a_delegation_that_ends_before_it_begins_is_refused() -> None:
    raw = sign_delegation(evolve(GIVEN, begins=2001), SIGNER)
    with pytest.raises(ManifestError, match="before it begins"):
        load_delegation(raw, SIGNER.public, STUDY)


def test_a_delegation_must_name_a_member() -> None:
    body = bytearray(sign_delegation(GIVEN, SIGNER)[SIGNATURE_BYTES:])
    body[17] = 0xFE
    raw = SIGNER.sign(bytes(body), PURPOSE) + bytes(body)
    with pytest.raises(ManifestError, match="names no member"):
        load_delegation(raw, SIGNER.public, STUDY)
    with pytest.raises(UsageError):
        VirtualAddress(bytes(body[17:33]))


def test_a_root_that_a_member_may_sign_is_the_same_as_the_brokers() -> None:
    found = load(signed())
    assert found == ROOT
    assert found == load(sign_root(ROOT, SIGNER))
    assert found.delegation == GIVEN


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_is_found(at: int, change: int) -> None:
    raw = bytearray(signed())
    raw[at % len(raw)] ^= change
    with pytest.raises(ManifestError):
        load(bytes(raw))


@given(st.integers(0, 600))
def test_a_cut_off_one_is_refused(length: int) -> None:
    raw = signed()
    with pytest.raises(ManifestError):
        load(raw[: min(length, len(raw) - 1)])


def test_a_forged_delegation_is_refused() -> None:
    with pytest.raises(BadSignatureError, match="no broker"):
        load(signed(broker=SigningKey.generate()))
    with pytest.raises(BadSignatureError, match="no broker"):
        load(signed(broker=MEMBER))


def test_a_root_signed_by_whom_nobody_let_is_refused() -> None:
    with pytest.raises(BadSignatureError, match="not signed by the member"):
        load(signed(member=SigningKey.generate()))


def test_a_delegation_for_another_study_is_refused() -> None:
    other = evolve(GIVEN, study=StudyId(bytes(16)))
    with pytest.raises(ManifestError, match="a delegation of study"):
        load(signed(given=other))
    with pytest.raises(ManifestError, match="the manifest of study"):
        load(signed(evolve(ROOT, study=StudyId(bytes(16)))))


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 5000))
def test_a_root_is_good_if_it_was_signed_while_the_delegation_lasted(
    begins: int, ends: int, at: int
) -> None:
    made = evolve(GIVEN, begins=min(begins, ends), ends=max(begins, ends))
    raw = signed(given=made, at=at)
    if made.begins <= at <= made.ends:
        assert load(raw) == ROOT
    else:
        with pytest.raises(ManifestError, match="out of its time"):
            load(raw)


@given(st.integers(0, 8), st.integers(1, 8))
def test_a_member_signs_no_version_that_was_out_before(above: int, version: int) -> None:
    raw = signed(evolve(ROOT, version=version), evolve(GIVEN, above=above))
    if version > above:
        assert load(raw).version == version
    else:
        with pytest.raises(ManifestError, match="may only sign"):
            load(raw)


def test_a_signature_of_one_kind_is_none_of_the_other() -> None:
    raw = signed()
    payload = raw[SIGNATURE_BYTES:]
    with pytest.raises(ManifestError):
        load(SIGNER.sign(payload, DELEGATED_PURPOSE) + payload)
    plain = sign_root(ROOT, SIGNER)[SIGNATURE_BYTES:]
    with pytest.raises(BadSignatureError):
        load(MEMBER.sign(plain, DELEGATED_PURPOSE) + plain)


def test_what_a_broker_signed_ends_the_delegations_before_it() -> None:
    old = load(sign_root(root_of(list_of(60), 3), SIGNER))
    longer = root_of(list_of(70), 4)
    with pytest.raises(StaleVersionError, match="ended with version 3"):
        check_successor(old, load(signed(longer)))
    check_successor(old, load(signed(longer, evolve(GIVEN, above=3))))


def test_a_member_goes_on_with_its_own_versions_and_not_with_those_of_others() -> None:
    old = load(signed(root_of(list_of(60), 3)))
    longer = root_of(list_of(70), 4)
    check_successor(old, load(signed(longer)))
    check_successor(old, load(sign_root(longer, SIGNER)))
    with pytest.raises(StaleVersionError, match="ended with version 3"):
        check_successor(old, load(signed(longer, evolve(GIVEN, member=OTHER))))
