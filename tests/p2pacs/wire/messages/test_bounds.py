from p2pacs import limits
from p2pacs.wire.messages.bounds import ANY_INTEGER, BOUNDS, Bound
from p2pacs.wire.messages.codec import CODECS


def test_no_bound_is_left_over() -> None:
    fields = {field.name for codec in CODECS.values() for field in codec.fields}
    exact = {f"{codec.kind.__name__}.{f.name}" for codec in CODECS.values() for f in codec.fields}
    assert set(BOUNDS) <= fields | exact


def test_every_field_but_flags_is_bounded() -> None:
    for codec in CODECS.values():
        for field in codec.fields:
            assert (field.bound is None) == (field.kind == "bool")


def test_nothing_is_larger_than_a_frame() -> None:
    for name, bound in BOUNDS.items():
        assert 0 <= bound.least <= bound.most, name
    sized = [field for codec in CODECS.values() for field in codec.fields if "bytes" in field.kind]
    assert all(field.bound and field.bound.most <= limits.FRAME_BYTES for field in sized)


def test_bounds_read_well() -> None:
    assert str(Bound(16, 16)) == "16"
    assert str(Bound(0, 5)) == "0..5"
    assert str(Bound(1, 5, items=3)) == "<= 3 x 1..5"
    assert ANY_INTEGER.most == 2**63 - 1
