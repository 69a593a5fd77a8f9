"""The phantom: valid, the same every time, and as hard to code as a real CT."""

from pathlib import Path

import numpy as np
import pydicom
import zstandard

from p2pacs.dataset.instance import EncodedInstance
from scripts import phantom


def test_the_same_seed_gives_the_same_bytes_whatever_the_count() -> None:
    assert list(phantom.slices(1)) == list(phantom.slices(2))[:1]
    assert next(phantom.slices(1, seed=2)) != next(phantom.slices(1, seed=1))


def test_files_are_valid_ct_images(tmp_path: Path) -> None:
    phantom.write(tmp_path / "study", phantom.slices(2))
    first, second = (pydicom.dcmread(path) for path in sorted((tmp_path / "study").iterdir()))
    assert first.StudyInstanceUID == second.StudyInstanceUID == phantom.study_uid()
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID
    assert (first.Rows, first.Columns, first.BitsAllocated, first.BitsStored) == (512, 512, 16, 12)
    hounsfield = first.pixel_array.astype(int) + int(first.RescaleIntercept)
    assert first.pixel_array.max() < 4096
    assert abs(np.median(hounsfield[230:280, 240:270]) - 45) < 30  # soft tissue
    assert hounsfield[256, 120] < -700  # lung


def test_it_codes_like_a_real_ct() -> None:
    data = next(phantom.slices(1)).data
    assert 2.0 < len(data) / len(zstandard.compress(data, 3)) < 2.8


def test_noise_cannot_be_compressed() -> None:
    first, second = phantom.incompressible(2)
    assert isinstance(first, EncodedInstance)
    assert first.sop_instance_uid != second.sop_instance_uid
    assert len(zstandard.compress(first.data, 3)) > 0.99 * len(first.data)
