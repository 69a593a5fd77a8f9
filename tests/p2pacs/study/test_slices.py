"""Large instances coded slice by slice: exact, and the same blobs as when coded as a whole."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.errors import BrokenInstanceError, WrongStudyError
from p2pacs.study.builder import StudyBuilder
from p2pacs.study.coding import code
from p2pacs.study.images import Coding
from p2pacs.study.manifest import sign_root
from p2pacs.study.slices import code_one, plan_slices, without_bytes
from tests.p2pacs.study.samples import (
    KEY,
    SIGNER,
    STUDY,
    STUDY_UID,
    Shelf,
    instance,
    noise,
    smooth,
)

FRAME = 64 * 64


def volume(frames: int) -> EncodedInstance:
    pixels = b"".join(noise(number % 5, FRAME) for number in range(frames))
    return instance(1, NumberOfFrames=frames, PixelData=pixels)


def large(whole: EncodedInstance) -> LargeInstance:
    return LargeInstance(
        whole.sop_class_uid,
        whole.sop_instance_uid,
        whole.transfer_syntax_uid,
        hashlib.sha256(whole.data).digest(),
        len(whole.data),
        lambda first, end: whole.data[first:end],
    )


@given(st.integers(1, 12), st.integers(1, 60_000))
def test_slices_are_the_data_set_end_to_end(frames: int, slice_bytes: int) -> None:
    whole = volume(frames)
    plan = plan_slices(large(whole), slice_bytes)
    at = 0
    for one in plan.slices:
        assert one.start == at
        assert len(one.pieces) == 1 or one.end - one.start <= slice_bytes
        assert one.pieces[0].start == 0
        assert one.pieces[-1].end == one.end - one.start
        at = one.end
    assert at == len(whole.data)


@settings(max_examples=10, deadline=None)
@given(
    st.sampled_from([volume(12), smooth(), instance(1, PixelData=b""), instance(2)]),
    st.sampled_from([None, *Coding]),
    st.integers(1, 60_000),
    st.booleans(),
)
def test_what_was_laid_in_slices_comes_out_exact(
    whole: EncodedInstance, coding: Coding | None, slice_bytes: int, cuts: bool
) -> None:
    shelf, sent = Shelf(), large(whole)
    plan = plan_slices(sent, slice_bytes)
    builder = StudyBuilder(STUDY, KEY, STUDY_UID)
    laid = []
    for one in plan.slices:
        data = whole.data[one.start : one.end]
        blobs = code_one(data, one.pieces, coding, plan.shape, plan.compressible)
        builder.lay(STUDY_UID, plan.series_instance_uid, blobs)
        laid += without_bytes(blobs)
        if cuts:
            shelf.take(builder.cut(), sign_root(builder.root(complete=False), SIGNER))
            assert builder.pending_bytes == 0
    coded = plan.coded(sent, tuple(laid))
    assert coded.coded_bytes == 0
    builder.append(coded)
    shelf.take(builder.cut(), sign_root(builder.root(complete=True), SIGNER))
    assert shelf.all() == [whole]
    if coding is not None:
        expected = code(whole, coding)
        assert [blob.key for blob in coded.blobs] == [blob.key for blob in expected.blobs]
        assert [blob.key for blob in coded.previews] == [blob.key for blob in expected.previews]
        assert (coded.attributes, coded.sha256) == (expected.attributes, expected.sha256)


def test_frames_that_are_there_are_not_laid_again() -> None:
    whole = volume(8)
    shelf = Shelf()
    shelf.publish([whole])
    other = instance(2, NumberOfFrames=8, PixelData=whole.data[-8 * 2 * FRAME :])
    builder = StudyBuilder(STUDY, KEY, STUDY_UID, shelf.previous)
    plan = plan_slices(large(other))
    (one,) = plan.slices
    blobs = code_one(other.data, one.pieces, Coding.SMALLEST, plan.shape, plan.compressible)
    builder.lay(STUDY_UID, plan.series_instance_uid, blobs)
    builder.append(plan.coded(large(other), without_bytes(blobs)))
    cut = builder.cut()
    assert sum(len(chunk.data) for chunk in cut.chunks) < 4096
    shelf.take(cut, sign_root(builder.root(complete=True), SIGNER))
    assert shelf.all() == [whole, other]


def test_an_instance_whose_blobs_were_not_laid_is_no_instance() -> None:
    whole = volume(2)
    coded = code(whole)
    builder = StudyBuilder(STUDY, KEY, STUDY_UID)
    plan = plan_slices(large(whole))
    with pytest.raises(ValueError, match="not laid"):
        builder.append(plan.coded(large(whole), without_bytes(coded.blobs)))


def test_blobs_of_another_study_are_refused() -> None:
    builder = StudyBuilder(STUDY, KEY, STUDY_UID)
    with pytest.raises(WrongStudyError):
        builder.lay("1.2.3", "1.2.3.4", code(volume(1)).blobs)
    assert builder.pending_bytes == 0


def test_one_without_uids_is_broken() -> None:
    with pytest.raises(BrokenInstanceError, match="lacks"):
        plan_slices(large(EncodedInstance("1.2", "1.2.3", "1.2.840.10008.1.2.1", bytes(1000))))
