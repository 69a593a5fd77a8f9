"""Instances that are gathered in memory, for whoever keeps them as a whole."""

import hashlib
from pathlib import Path

import pytest

from p2pacs.dataset.incoming import IncomingInMemory, IncomingOnDisk, InstanceUids
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from tests.conformance.instances import make


def test_pieces_are_handed_on_as_an_instance() -> None:
    sent, kept = make("1.2.1"), list[EncodedInstance]()
    incoming = IncomingInMemory(InstanceUids.of(sent), kept.append)
    for at in range(0, len(sent.data), 1000):
        incoming.write(sent.data[at : at + 1000])
    assert not kept
    incoming.keep()
    incoming.close()
    assert kept == [sent]


def test_what_is_closed_before_is_not() -> None:
    sent, kept = make("1.2.1"), list[EncodedInstance]()
    incoming = IncomingInMemory(InstanceUids.of(sent), kept.append)
    incoming.write(sent.data)
    incoming.close()
    assert not kept


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
