"""Instances that come as parts of a body."""

from pathlib import Path

import pytest

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.dicomweb.incoming_part import IncomingPart, RetrievedPart
from p2pacs.errors import BrokenInstanceError
from tests.conformance.instances import make

HEADERS = {"content-type": "application/dicom"}


def come(body: bytes, folder: Path | None) -> RetrievedPart:
    part = IncomingPart(HEADERS, folder)
    for at in range(0, len(body), 300_000):
        if part.take(body[at : at + 300_000]):
            part.write()
            assert part.size == 0
    return part.end()


def test_a_large_one_lies_on_the_disk(tmp_path: Path) -> None:
    sent = make("1.2.1", size=3072)
    kept = come(sent.part10(), tmp_path)
    assert isinstance(kept, LargeInstance)
    assert kept.sop_instance_uid == sent.sop_instance_uid
    assert kept.read(0, kept.size) == sent.data
    assert come(sent.part10(), None) == sent


def test_a_small_one_is_in_memory(tmp_path: Path) -> None:
    sent = make("1.2.1")
    assert come(sent.part10(), tmp_path) == sent
    assert isinstance(come(sent.part10(), tmp_path), EncodedInstance)


@pytest.mark.parametrize("size", [1000, 40 << 20])
def test_what_is_no_instance_is_said_when_it_ends(tmp_path: Path, size: int) -> None:
    assert isinstance(come(bytes(size), tmp_path), BrokenInstanceError)
