"""Odd pixels and headers that lie come back bit for bit, in both codings, by every road."""

from __future__ import annotations

import pytest

from p2pacs.study.coding import code
from p2pacs.study.images import HTJ2K, HTJ2K_NEXT, JXL, Coding
from p2pacs.study.split import Kind
from tests.conformance.odd import IMAGES, ODD
from tests.conformance.test_exactness import both, travel

IMAGE_CODECS = {Coding.SMALLEST: {JXL}, Coding.PROGRESSIVE: {HTJ2K, HTJ2K_NEXT}}


@both
@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_comes_back(name: str, coding: Coding) -> None:
    instance = ODD[name]
    assert travel([code(instance, coding)], 1024) == [instance]


@both
@pytest.mark.parametrize("name", IMAGES)
def test_images_are_coded_as_images(name: str, coding: Coding) -> None:
    """Else this suite would pass for want of hard cases."""
    coded = code(IMAGES[name], coding)
    frames = [blob for blob in coded.blobs if blob.kind is Kind.FRAME]
    assert {blob.codec for blob in frames} & IMAGE_CODECS[coding]
    assert sum(len(blob.coded) for blob in frames) < sum(blob.size for blob in frames)
    assert bool(coded.previews) <= (coding is Coding.SMALLEST)


@both
def test_all_of_them_in_one_study(coding: Coding) -> None:
    instances = list(ODD.values())
    assert travel([code(one, coding) for one in instances], 32 * 1024) == instances
