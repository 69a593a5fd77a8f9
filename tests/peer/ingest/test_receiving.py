"""Instances that come into the spool piece by piece."""

import hashlib
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.dataset.incoming import InstanceUids
from p2pacs.errors import BrokenInstanceError, DiskFullError, ForbiddenError
from peer.ingest.receiving import BLOCK_BYTES, Receiving
from peer.spool.records import SpoolOutcome
from peer.spool.spool import Spool
from tests.conformance.instances import make
from tests.small_disk import small_disk

UID = "1.2.1"
SMALL = make(UID)
LARGE = make(UID, size=1024)
LARGE_UIDS = InstanceUids.of(LARGE)
assert len(LARGE.data) > 2 * BLOCK_BYTES


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path, reserve=0)) as opened:
        yield opened


def pieces(data: bytes, cuts: Iterable[int] = ()) -> Iterator[bytes]:
    ends = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    for first, end in pairwise(ends):
        yield data[first:end]


def _write_zeros(receiving: Receiving, size: int) -> None:
    for _ in range(0, size, 65536):
        receiving.write(bytes(65536))


def files(folder: Path) -> list[Path]:
    return sorted((folder / "instances").iterdir())


@settings(max_examples=25)
@given(
    st.sampled_from([SMALL, LARGE]),
    st.lists(st.integers(0, len(LARGE.data) + 400), max_size=20),
    st.booleans(),
)
def test_whatever_the_pieces_the_file_and_its_hash_are_the_same(
    sent: object, cuts: list[int], as_file: bool
) -> None:
    instance = SMALL if sent is SMALL else LARGE
    written = instance.part10() if as_file else instance.data
    uids = None if as_file else InstanceUids.of(instance)
    with TemporaryDirectory() as folder, closing(Spool(Path(folder), reserve=0)) as spool:
        with Receiving(spool, "CT1", uids) as receiving:
            for piece in pieces(written, cuts):
                receiving.write(piece)
            assert receiving.keep() is SpoolOutcome.KEPT
        (file,) = files(Path(folder))
        assert file.read_bytes() == instance.part10()
        (spooled,) = spool.index.list_instances(UID)
        assert spooled.sha256 == hashlib.sha256(instance.data).digest()
        assert spooled.size == len(instance.data)
        assert spool.read(spooled) == instance


def test_left_in_the_middle_nothing_stays(tmp_path: Path, spool: Spool) -> None:
    for written in (1000, BLOCK_BYTES, len(LARGE.data)):
        with Receiving(spool, "CT1", LARGE_UIDS) as receiving:
            receiving.write(LARGE.data[:written])
            if written == BLOCK_BYTES:
                assert len(files(tmp_path)) == 1
        assert not files(tmp_path)
        assert not spool.index.list_studies()


def test_what_came_before_is_known_and_not_kept_twice(tmp_path: Path, spool: Spool) -> None:
    for outcome in (SpoolOutcome.KEPT, SpoolOutcome.KNOWN):
        with Receiving(spool, "CT1", LARGE_UIDS) as receiving:
            receiving.write(LARGE.data)
            assert receiving.keep() is outcome
    assert len(files(tmp_path)) == 1


def test_little_of_it_is_in_memory(spool: Spool) -> None:
    piece = bytes(64 * 1024)
    with Receiving(spool, "CT1", LARGE_UIDS) as receiving:
        receiving.write(LARGE.data)
        tracemalloc.start()
        for _ in range(1024):  # 64 MiB
            receiving.write(piece)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert receiving.keep() is SpoolOutcome.KEPT
    assert peak < 4 * BLOCK_BYTES


@pytest.mark.system
def test_a_disk_that_gets_full_while_it_comes(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", "8m") as disk,
        closing(Spool(disk.folder, reserve=1 << 20)) as spool,
    ):
        with Receiving(spool, "CT1", LARGE_UIDS) as receiving:
            receiving.write(LARGE.data)
            with pytest.raises(DiskFullError, match="no room for what is sent here"):
                _write_zeros(receiving, 64 << 20)
            assert len(files(disk.folder)) == 1
        assert not files(disk.folder)
        with Receiving(spool, "CT1", InstanceUids.of(SMALL)) as receiving:
            receiving.write(SMALL.data)
            assert receiving.keep() is SpoolOutcome.KEPT


def test_one_that_is_too_long_is_refused_with_words(tmp_path: Path, spool: Spool) -> None:
    most = 3 * BLOCK_BYTES
    with Receiving(spool, "CT1", LARGE_UIDS, most=most) as receiving:
        receiving.write(LARGE.data)
        with pytest.raises(BrokenInstanceError, match="longer than 3145728 bytes"):
            _write_zeros(receiving, most)
    assert not files(tmp_path)


def test_large_ones_without_uids_are_refused(tmp_path: Path, spool: Spool) -> None:
    series = b"\x20\x00\x0e\x00UI"
    assert LARGE.data.count(series) == 1
    without = LARGE.data.replace(series, b"\x20\x00\x0f\x00UI")
    with Receiving(spool, "CT1", LARGE_UIDS) as receiving:
        receiving.write(without)
        with pytest.raises(BrokenInstanceError, match="no Series Instance UID"):
            receiving.keep()
    with Receiving(spool, "CT1") as receiving, pytest.raises(BrokenInstanceError):
        receiving.write(bytes(BLOCK_BYTES))
    assert not files(tmp_path)


def test_a_study_that_may_not_be_sent_is_refused(tmp_path: Path, spool: Spool) -> None:
    with Receiving(spool, "CT1", InstanceUids.of(SMALL)) as receiving:
        receiving.write(SMALL.data)
        receiving.keep()
    spool.index.refuse(UID, "it belongs to another hospital")
    large = make(UID, 1, 2, size=1024)
    with Receiving(spool, "CT1", InstanceUids.of(large)) as receiving:
        receiving.write(large.data)
        with pytest.raises(ForbiddenError, match="another hospital"):
            receiving.keep()
    assert len(files(tmp_path)) == 1


def test_a_file_without_group_2_is_read_by_what_was_told(spool: Spool) -> None:
    with Receiving(spool, "send", syntax=SMALL.transfer_syntax_uid) as receiving:
        receiving.write(SMALL.data)
        assert receiving.keep() is SpoolOutcome.KEPT
    (spooled,) = spool.index.list_instances(UID)
    assert spool.read(spooled) == SMALL
