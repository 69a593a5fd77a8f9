"""A larger study of real slices: as many bytes of image, none equal to another."""

import io

import numpy as np
import pydicom
import pytest

from scripts import phantom
from scripts.program import ScriptError
from scripts.turned import TURNS, study_uid, turned, turned_pixels
from tests.conformance.instances import make, real


def test_slices_are_turned_and_nothing_else_is_lost() -> None:
    originals = list(phantom.slices(2))
    made = list(turned(originals, 5))
    assert made == list(turned(originals, 5))
    read = [pydicom.dcmread(io.BytesIO(one.part10())) for one in made]
    assert {one.StudyInstanceUID for one in read} == {study_uid()}
    assert len({one.SeriesInstanceUID for one in read}) == 1
    assert len({one.SOPInstanceUID for one in read}) == 5
    assert [one.InstanceNumber for one in read] == [1, 2, 3, 4, 5]
    first = [pydicom.dcmread(io.BytesIO(one.part10())).pixel_array for one in originals]
    assert (read[0].pixel_array == first[0]).all()
    assert (read[3].pixel_array == np.rot90(first[1])).all()
    assert (read[4].pixel_array == np.rot90(first[0], 2)).all()


def test_all_turns_differ() -> None:
    pixels = np.arange(6).reshape(2, 3)
    found = {(one.shape, one.tobytes()) for one in (turned_pixels(pixels, t) for t in range(TURNS))}
    assert len(found) == TURNS


def test_too_few_are_an_error_and_what_is_no_single_image_is_left_out() -> None:
    assert len(list(turned([*real(), make("1.2.3")], 8))) == 8
    with pytest.raises(ScriptError, match="too few"):
        list(turned([make("1.2.3")], 9))
