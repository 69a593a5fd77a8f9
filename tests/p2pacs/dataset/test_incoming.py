"""Instances that are gathered, large ones on the disk."""

import hashlib
from pathlib import Path

import pytest

from p2pacs.dataset.incoming import IncomingOnDisk, InstanceUids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from tests.conformance.instances import make


def on_disk(folder: Path, sent: EncodedInstance, piece: int) -> EncodedInstance | LargeInstance:
    incoming = IncomingOnDisk(InstanceUids.of(sent), folder)
    for at in range(0, len(sent.data), piece):
        incoming.write(sent.data[at : at + piece])
    kept = incoming.keep()
    incoming.close()
    return kept


@pytest.mark.parametrize("piece", [10_000, 3_000_000, 1 << 30])
def test_a_large_one_lies_on_the_disk_without_a_name(tmp_path: Path, piece: int) -> None:
    sent = make("1.2.1", size=3072)
    kept = on_disk(tmp_path, sent, piece)
    assert isinstance(kept, LargeInstance)
    assert kept.sha256 == hashlib.sha256(sent.data).digest()
    assert kept.read(0, kept.size) == sent.data
    assert not list(tmp_path.iterdir())


def test_a_small_one_is_in_memory(tmp_path: Path) -> None:
    sent = make("1.2.1")
    assert on_disk(tmp_path / "is not used", sent, 1000) == sent
