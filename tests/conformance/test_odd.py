"""Odd pixels and headers that lie come back bit for bit, in both codings, by every road."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread

from p2pacs.study.coding import code
from p2pacs.study.images import HTJ2K, HTJ2K_NEXT, JXL, Coding
from p2pacs.study.images.picture import picture
from p2pacs.study.split import Kind
from tests.conformance.odd import IMAGES, ODD, STUDY
from tests.conformance.test_exactness import both, travel
from tests.p2pacs.study.samples import Shelf

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
@pytest.mark.parametrize("name", IMAGES)
def test_what_is_shown_is_the_image_and_smaller(name: str, coding: Coding) -> None:
    shelf = Shelf()
    shelf.publish([IMAGES[name]], study_uid=STUDY, coding=coding)
    reader, read = shelf.reader(), shelf.chunks.__getitem__
    reader.advance(shelf.chunks, read)
    (entry,) = reader.index.instances.values()
    size = dcmread(BytesIO(IMAGES[name].part10()), stop_before_pixels=True)
    levels = [level for level, _ in reader.levels(entry)]
    assert levels == sorted(set(levels), reverse=True)
    assert levels[-1] == 0
    for level in levels[:-1]:
        seen = [reader.preview(entry, frame, level, read) for frame in range(entry.frames)]
        for codec, coded in filter(None, seen):
            shown = picture(codec, coded)
            assert any(
                (shown.rows, shown.columns) == (-(-size.Rows >> at), -(-size.Columns >> at))
                for at in levels
                if at >= level
            )


@both
def test_all_of_them_in_one_study(coding: Coding) -> None:
    instances = list(ODD.values())
    assert travel([code(one, coding) for one in instances], 32 * 1024) == instances
