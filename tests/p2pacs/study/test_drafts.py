from p2pacs.study.blobs import BlobTable
from p2pacs.study.coding import code
from p2pacs.study.drafts import ENTRY_BYTES, Drafts
from tests.p2pacs.study.samples import KEY, instance


def test_an_instance_has_an_entry_before_its_blobs_have_numbers() -> None:
    drafts = Drafts(KEY, 1000, BlobTable())
    assert not drafts
    coded = code(instance(1))
    drafts.add(coded)
    assert list(drafts.instances()) == [coded.sop_instance_uid]
    known = drafts.get(coded.sop_instance_uid)
    assert known is not None
    assert (known.sha256, known.ranges) == (coded.sha256, ())
    assert drafts.get("1.2.3") is None
    assert drafts.laid_bytes > 0
    assert drafts.entry_bytes == ENTRY_BYTES + len(coded.attributes)
    _, (entry,) = drafts.close(10, 3)
    assert sum(count for _, count in entry.ranges) == len(coded.blobs)
    assert min(first for first, _ in entry.ranges) == 10
    assert (bool(drafts), drafts.laid_bytes, drafts.entry_bytes) == (False, 0, 0)


def test_an_instance_that_comes_again_lays_nothing_and_keeps_its_numbers() -> None:
    drafts = Drafts(KEY, 1000, BlobTable())
    coded = code(instance(1))
    drafts.add(coded)
    closed, (first,) = drafts.close(0, 0)
    drafts.add(coded)
    assert drafts.laid_bytes == 0
    _, (again,) = drafts.close(len(closed.keys), len(closed.chunks))
    assert again.ranges == first.ranges


def test_there_are_never_more_chunks_than_was_said() -> None:
    drafts = Drafts(KEY, 1000, BlobTable())
    for number in range(1, 6):
        coded = code(instance(number))
        laid = (len(coded.blobs) + len(coded.previews), coded.coded_bytes)
        most = drafts.chunks_with(*laid)
        drafts.add(coded)
        assert drafts.chunks_with(*laid) >= most
    closed, _ = drafts.close(0, 0)
    assert 0 < len(closed.chunks) <= most
