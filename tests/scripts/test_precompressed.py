from __future__ import annotations

import pytest
from attrs import evolve

from scripts import phantom
from scripts.precompressed import Compression, compressed, native_bytes
from scripts.program import ScriptError
from tests.p2pacs.study.samples import instance


@pytest.mark.dcmtk
@pytest.mark.parametrize("how", list(Compression))
def test_dcmtk_compresses(how: Compression) -> None:
    slices = list(phantom.slices(1))
    (made,) = compressed(slices, how)
    assert made.transfer_syntax_uid != slices[0].transfer_syntax_uid
    assert len(made.data) < len(slices[0].data)
    assert native_bytes(slices[0]) >= native_bytes(made) > 0  # baseline has 8 bits


@pytest.mark.dcmtk
def test_what_dcmtk_cannot() -> None:
    broken = evolve(instance(), data=instance().data[:-100])
    with pytest.raises(ScriptError, match="cannot compress"):
        compressed([broken], Compression.SV1)


def test_what_has_no_pixels() -> None:
    assert native_bytes(instance(rows=0)) == 0
