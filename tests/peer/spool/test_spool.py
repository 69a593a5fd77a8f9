import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from attrs import evolve

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import WHOLE_BYTES, LargeInstance
from p2pacs.errors import (
    BrokenInstanceError,
    CorruptStoreError,
    DiskFullError,
    ForbiddenError,
    LocalError,
)
from p2pacs.ids import StudyId
from peer.ingest.intake import take
from peer.spool.records import SpoolOutcome
from peer.spool.spool import Spool
from tests.conformance.instances import make
from tests.small_disk import small_disk

UID = "1.2.1"
STUDY = StudyId(bytes(16))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path, reserve=0)) as opened:
        yield opened


def files(spool_folder: Path) -> list[Path]:
    return sorted((spool_folder / "instances").iterdir())


def held(spool: Spool, uid: str = UID) -> list[EncodedInstance | LargeInstance]:
    return [spool.read(one) for one in spool.index.list_instances(uid)]


def test_what_was_taken_is_there_exactly_and_after_a_restart(tmp_path: Path) -> None:
    sent = [make(UID, 1, number) for number in (3, 1, 2)]
    with closing(Spool(tmp_path, reserve=0)) as spool:
        assert [take(spool, one, "CT1") for one in sent] == [SpoolOutcome.KEPT] * 3
    with closing(Spool(tmp_path, reserve=0)) as spool:
        assert held(spool) == sent
        (study,) = spool.index.list_studies()
        assert (study.instances, study.callers, study.newest) == (3, ("CT1",), 3)
        assert study.bytes == sum(len(one.data) for one in sent)


def test_a_file_is_a_dicom_file_whose_name_says_nothing(tmp_path: Path, spool: Spool) -> None:
    sent = make(UID)
    take(spool, sent, "CT1")
    (file,) = files(tmp_path)
    assert EncodedInstance.from_part10(file.read_bytes()) == sent
    assert len(file.stem) == 32
    assert not set(file.stem) - set("0123456789abcdef")
    assert file.stat().st_mode & 0o777 == 0o600
    assert UID not in file.name


def test_the_same_instance_again_is_stored_once(tmp_path: Path, spool: Spool) -> None:
    assert take(spool, make(UID), "CT1") is SpoolOutcome.KEPT
    assert take(spool, make(UID), "CT2") is SpoolOutcome.KNOWN
    assert len(files(tmp_path)) == 1


def test_other_bytes_under_the_same_uid_are_kept_beside(tmp_path: Path, spool: Spool) -> None:
    first = make(UID)
    other = evolve(first, data=first.data + b"\x00\xff\x00\xff\x01\x00\x00\x00\x00\x00")
    told: list[str] = []
    spool.came = told.append
    assert take(spool, first, "CT1") is SpoolOutcome.KEPT
    assert take(spool, other, "CT1") is SpoolOutcome.BESIDE
    assert take(spool, other, "CT1") is SpoolOutcome.BESIDE
    assert len(files(tmp_path)) == 2
    assert held(spool) == [first]
    (study,) = spool.index.list_studies()
    assert (study.instances, study.beside) == (1, 1)
    assert told == [UID]


def test_many_who_send_at_once_lose_nothing(tmp_path: Path, spool: Spool) -> None:
    sent = [make(UID, series, number) for series in range(1, 5) for number in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda one: take(spool, one, "CT1"), [*sent, *sent]))
    assert sorted(one.name for one in taken) == ["KEPT"] * 32 + ["KNOWN"] * 32
    assert sorted(one.sop_instance_uid for one in held(spool)) == sorted(
        one.sop_instance_uid for one in sent
    )
    assert len(files(tmp_path)) == 32


def test_two_with_other_bytes_at_once_are_kept_both(spool: Spool) -> None:
    first = make(UID)
    other = evolve(first, data=first.data + b"\x00\xff\x00\xff\x01\x00\x00\x00\x00\x00")
    both = threading.Barrier(2)

    def send(one: EncodedInstance) -> SpoolOutcome:
        both.wait(60)
        return take(spool, one, "CT1")

    with ThreadPoolExecutor(2) as pool:
        taken = list(pool.map(send, [first, other]))
    assert sorted(one.name for one in taken) == ["BESIDE", "KEPT"]


def test_what_was_not_confirmed_is_removed_at_the_next_start(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, reserve=0)) as spool:
        take(spool, make(UID), "CT1")
        (tmp_path / "instances" / ("0" * 32 + ".dcm")).write_bytes(b"half")
    with closing(Spool(tmp_path, reserve=0)) as spool:
        assert len(files(tmp_path)) == 1
        assert len(held(spool)) == 1


def test_a_full_disk_is_refused_before_it_is_full(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, reserve=1 << 62)) as spool:
        with pytest.raises(DiskFullError, match="no room for what is sent here"):
            take(spool, make(UID), "CT1")
        assert not files(tmp_path)
        assert not spool.index.list_studies()
    assert DiskFullError.dicom_status == 0xA700


@pytest.mark.disk
def test_scanners_are_told_that_there_is_no_room_before_the_disk_is_full(tmp_path: Path) -> None:
    reserve = 1 << 20
    with (
        small_disk(tmp_path / "disk", "8m") as disk,
        closing(Spool(disk.folder / "spool", reserve=reserve)) as spool,
    ):
        sent: list[EncodedInstance] = []

        def send_all() -> None:
            for number in range(1, 100):
                take(spool, one := make(UID, 1, number, size=512), "CT1")
                sent.append(one)

        with pytest.raises(DiskFullError):
            send_all()
        free = shutil.disk_usage(disk.folder).free
        assert reserve - (256 << 10) < free < reserve + len(sent[0].data) + (256 << 10)
        assert held(spool) == sent
        spool.safe(UID, 5)
        assert take(spool, make(UID, 2, 1, size=512), "CT1") is SpoolOutcome.KEPT


@pytest.mark.disk
def test_a_disk_that_others_fill_is_told_and_loses_nothing(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", "8m") as disk,
        closing(Spool(disk.folder / "spool", reserve=0)) as spool,
    ):
        sent = [make(UID, 1, number, size=256) for number in (1, 2)]
        for one in sent:
            take(spool, one, "CT1")
        disk.fill()
        with pytest.raises(DiskFullError):
            take(spool, make(UID, 1, 3, size=256), "CT1")
        disk.free()
        assert held(spool) == sent
        assert len(files(disk.folder / "spool")) == 2
        assert take(spool, make(UID, 1, 3, size=256), "CT1") is SpoolOutcome.KEPT


def test_rot_is_found_and_the_instance_can_be_sent_again(tmp_path: Path, spool: Spool) -> None:
    sent = make(UID)
    take(spool, sent, "CT1")
    (file,) = files(tmp_path)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    (one,) = spool.index.list_instances(UID)
    with pytest.raises(CorruptStoreError, match="rotted"):
        spool.read(one)
    spool.index.drop(one)
    assert take(spool, sent, "CT1") is SpoolOutcome.KEPT
    assert held(spool) == [sent]


def test_a_study_that_the_broker_refuses_is_not_taken_any_more(spool: Spool) -> None:
    take(spool, make(UID), "CT1")
    spool.index.refuse(UID, "it belongs to another hospital")
    with pytest.raises(ForbiddenError, match="another hospital"):
        take(spool, make(UID, 1, 2), "CT1")
    assert len(held(spool)) == 1
    spool.index.admitted(UID, STUDY)
    assert take(spool, make(UID, 1, 2), "CT1") is SpoolOutcome.KEPT


def test_how_far_a_study_is_is_remembered(tmp_path: Path, spool: Spool) -> None:
    sent = [make(UID, 1, number) for number in (1, 2, 3)]
    for one in sent:
        take(spool, one, "CT1")
    spool.index.admitted(UID, STUDY)
    spool.index.version_out(UID, 4)
    spool.index.all_out(UID, 3)
    spool.safe(UID, 2)
    study = spool.index.study(UID)
    assert study is not None
    assert (study.study, study.version, study.published, study.safe) == (STUDY, 4, 3, 2)
    assert len(files(tmp_path)) == 1
    assert [one.file is None for one in spool.index.list_instances(UID)] == [True, True, False]
    assert [one.number for one in spool.index.list_instances(UID, above=2)] == [3]


def test_what_is_safe_elsewhere_is_taken_anew(tmp_path: Path, spool: Spool) -> None:
    """It may have been deleted there since."""
    sent = [make(UID, 1, number) for number in (1, 2)]
    for one in sent:
        take(spool, one, "CT1")
    spool.index.all_out(UID, 2)
    spool.safe(UID, 2)
    assert not files(tmp_path)
    assert take(spool, sent[0], "CT1") is SpoolOutcome.KEPT
    assert take(spool, sent[0], "CT1") is SpoolOutcome.KNOWN
    study = spool.index.study(UID)
    assert study is not None
    assert (study.instances, study.newest, study.is_open) == (2, 3, True)
    assert spool.read(spool.index.list_instances(UID, above=2)[0]) == sent[0]


def test_instances_that_name_another_patient_are_kept_and_that_is_said_once(
    spool: Spool, capsys: pytest.CaptureFixture[str]
) -> None:
    def is_mixed() -> bool:
        study = spool.index.study(UID)
        assert study is not None
        return study.mixed

    take(spool, make(UID, 1, 1), "CT1")
    take(spool, make(UID, 1, 2, PatientID="", PatientSex=""), "CT1")
    take(spool, make("1.2.2", 1, 1, name="Other^Patient"), "CT1")
    assert not is_mixed()
    for number in (3, 4):
        assert take(spool, make(UID, 1, number, name="Other^Patient"), "CT1") is SpoolOutcome.KEPT
    assert is_mixed()
    assert len(held(spool)) == 4
    said = capsys.readouterr().out
    assert said.count("different patients") == 1
    assert "Other" not in said
    assert UID not in said


def how_known(spool: Spool, one: EncodedInstance) -> SpoolOutcome | None:
    digest = sha256(one.data).digest()
    known = spool.index.find_known(one.sop_instance_uid, one.transfer_syntax_uid, digest)
    return None if known is None else known[1]


def test_what_is_set_aside_is_kept_and_not_published(tmp_path: Path, spool: Spool) -> None:
    sent = [make(UID, 1, number) for number in (1, 2)]
    for one in sent:
        take(spool, one, "CT1")
    uids = [sent[0].sop_instance_uid, "1.2.3"]
    assert [spool.index.set_aside(UID, uids), spool.index.set_aside(UID, uids)] == [1, 0]
    assert held(spool) == sent[1:]
    assert how_known(spool, sent[0]) is SpoolOutcome.BROKEN
    spool.safe(UID, 2)
    assert len(files(tmp_path)) == 1
    assert take(spool, sent[0], "CT1") is SpoolOutcome.BESIDE


def test_what_lies_beside_keeps_no_other_back(spool: Spool) -> None:
    broken = make(UID)
    in_order = evolve(broken, data=broken.data + b"\x00\xff\x00\xff\x01\x00\x00\x00\x00\x00")
    take(spool, broken, "CT1")
    spool.index.set_aside(UID, [broken.sop_instance_uid])
    assert take(spool, in_order, "CT1") is SpoolOutcome.KEPT
    assert held(spool) == [in_order]
    assert how_known(spool, in_order) is SpoolOutcome.KNOWN
    assert how_known(spool, broken) is SpoolOutcome.BESIDE
    spool.safe(UID, 2)
    assert take(spool, in_order, "CT1") is SpoolOutcome.KEPT  # it may be gone elsewhere
    assert take(spool, broken, "CT1") is SpoolOutcome.BESIDE


def test_a_file_that_cannot_be_read_now_is_not_lost(tmp_path: Path, spool: Spool) -> None:
    sent = make(UID)
    take(spool, sent, "CT1")
    (file,) = files(tmp_path)
    away = file.rename(tmp_path / "away")
    file.mkdir()
    (one,) = spool.index.list_instances(UID)
    with pytest.raises(LocalError, match="cannot read") as caught:
        spool.read(one)
    assert not isinstance(caught.value, CorruptStoreError)
    file.rmdir()
    away.rename(file)
    assert spool.read(one) == sent


def test_instances_without_uids_or_with_others_are_refused(spool: Spool) -> None:
    sent = make(UID)
    series = b"\x20\x00\x0e\x00UI"
    assert sent.data.count(series) == 1
    without = evolve(sent, data=sent.data.replace(series, b"\x20\x00\x0f\x00UI"))
    with pytest.raises(BrokenInstanceError, match="no Series Instance UID"):
        take(spool, without, "CT1")
    with pytest.raises(BrokenInstanceError, match="not those that came with it"):
        take(spool, evolve(sent, sop_instance_uid="1.2.3"), "CT1")
    with pytest.raises(BrokenInstanceError):
        take(spool, evolve(sent, data=b"\x00"), "CT1")
    assert not spool.index.list_studies()


_SENDER = """
import sys
from pathlib import Path
from peer.ingest.intake import take
from peer.spool.spool import Spool
from tests.conformance.instances import make
spool = Spool(Path(sys.argv[1]), reserve=0)
for number in range(1, 1000):
    take(spool, make("1.2.1", 1, number), "CT1")
    print(number, flush=True)
"""


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    sender = subprocess.Popen(
        [sys.executable, "-c", _SENDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert sender.stdout is not None
    answered = [int(sender.stdout.readline()) for _ in range(20)]
    os.kill(sender.pid, signal.SIGKILL)
    answered += map(int, sender.stdout)
    sender.wait()
    sender.stdout.close()
    with closing(Spool(tmp_path, reserve=0)) as spool:
        found = {one.sop_instance_uid: one for one in held(spool)}
        for number in answered:
            one = make("1.2.1", 1, number)
            assert found[one.sop_instance_uid] == one
        assert len(files(tmp_path)) == len(found)


def test_a_large_instance_is_read_where_it_lies(tmp_path: Path, spool: Spool) -> None:
    sent = make(UID, size=3072)
    assert len(sent.data) > WHOLE_BYTES
    take(spool, sent, "CT1")
    (one,) = spool.index.list_instances(UID)
    large = spool.read(one)
    assert isinstance(large, LargeInstance)
    assert (large.sop_instance_uid, large.size) == (sent.sop_instance_uid, len(sent.data))
    assert large.read(0, large.size) == sent.data
    assert large.read(1000, 2000) == sent.data[1000:2000]
    (file,) = files(tmp_path)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(CorruptStoreError, match="rotted"):
        spool.read(one)
    file.write_bytes(b"rot")
    with pytest.raises(CorruptStoreError):
        spool.read(one)
    file.unlink()
    with pytest.raises(CorruptStoreError):
        spool.read(one)
