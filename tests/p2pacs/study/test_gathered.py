import pickle
import tracemalloc

import pytest
from attrs import evolve

from p2pacs.errors import CodingError
from p2pacs.study.codecs import RAW, ZSTD, encode_zstd
from p2pacs.study.gathered import Gathered, GatheredBlob, decode_gathered
from p2pacs.study.images import HTJ2K, JXL, Coding
from tests.p2pacs.study.samples import Shelf, instance


def gathered(coding: Coding) -> list[Gathered]:
    """Two instances, coded so."""
    shelf = Shelf()
    shelf.publish([instance(1), instance(2)], coding=coding)
    reader = shelf.reader()
    reader.advance(shelf.chunks, shelf.chunks.__getitem__)
    return [
        reader.gather(entry, shelf.chunks.__getitem__) for entry in reader.index.instances.values()
    ]


@pytest.mark.parametrize(("coding", "codec"), [(Coding.SMALLEST, JXL), (Coding.PROGRESSIVE, HTJ2K)])
def test_decodes_in_another_process_too(coding: Coding, codec: int) -> None:
    for number, each in enumerate(gathered(coding), 1):
        assert each.blobs[-1].codec == codec
        assert each.heavy
        there = pickle.loads(pickle.dumps(each))  # noqa: S301
        assert decode_gathered(there) == instance(number)


def test_without_images_it_is_light() -> None:
    one = gathered(Coding.SMALLEST)[0]
    assert not evolve(one, blobs=one.blobs[:1]).heavy


def test_the_second_header_has_the_first_as_dictionary() -> None:
    first, second = gathered(Coding.SMALLEST)
    assert first.blobs[0].dictionary is None
    assert second.blobs[0].dictionary is not None
    assert instance(1).data.startswith(second.blobs[0].dictionary)


def test_what_is_not_exact_is_never_given_out() -> None:
    one = gathered(Coding.SMALLEST)[0]
    with pytest.raises(CodingError, match="exact") as caught:
        decode_gathered(evolve(one, sha256=bytes(32)))
    assert instance(1).sop_instance_uid not in str(caught.value)
    with pytest.raises(CodingError, match="add up"):
        decode_gathered(evolve(one, size=one.size + 1))


def test_no_more_memory_than_declared() -> None:
    """And not twice the data set: it may be gigabytes."""
    size = 8_000_000
    blobs = tuple(GatheredBlob(ZSTD, size, encode_zstd(bytes(size))) for _ in range(4))
    bomb = Gathered("1", "1.2", "1.3", bytes(32), 4 * size, "study", blobs)
    tracemalloc.start()
    with pytest.raises(CodingError, match="exact"):
        decode_gathered(bomb)
    with pytest.raises(CodingError):
        decode_gathered(evolve(bomb, size=4000, blobs=(evolve(blobs[0], size=4000),)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * size


def test_a_raw_blob_of_another_length() -> None:
    one = Gathered("1", "1.2", "1.3", bytes(32), 4, "study", (GatheredBlob(RAW, 4, b"12345"),))
    with pytest.raises(CodingError, match="declared"):
        decode_gathered(one)
