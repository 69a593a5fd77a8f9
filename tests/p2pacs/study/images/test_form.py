import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.study.images.form import FORM_BYTES, IMAGE_BYTES, Form, read_form


@st.composite
def forms(draw: st.DrawFn) -> Form:
    bits = draw(st.sampled_from([8, 16]))
    reach = st.integers(-(2**31), 2**31 - 1)
    return Form(
        rows=draw(st.integers(1, 3000)),
        columns=draw(st.integers(1, 3000)),
        samples=draw(st.sampled_from([1, 3])),
        bits=bits,
        planar=draw(st.booleans()),
        big_endian=draw(st.booleans()),
        inverted=draw(st.booleans()),
        ybr=draw(st.booleans()),
        lossy=draw(st.booleans()),
        offset=draw(st.integers(0, (1 << bits) - 1)),
        low=draw(reach),
        high=draw(reach),
        check=draw(st.integers(0, 2**32 - 1)),
    )


@given(forms(), st.binary(max_size=30))
def test_what_was_packed_is_read_whatever_follows(form: Form, rest: bytes) -> None:
    packed = form.pack()
    assert len(packed) == FORM_BYTES
    assert read_form(packed + rest) == form


@given(st.binary(max_size=60))
def test_other_bytes_are_a_form_within_bounds_or_refused(raw: bytes) -> None:
    try:
        form = read_form(raw)
    except CodingError:
        return
    assert 0 < form.size <= IMAGE_BYTES


@pytest.mark.parametrize(
    "form",
    [
        Form(65535, 65535, 1, 8),
        Form(4096, 4097, 3, 16),
        Form(0, 5, 1, 8),
        Form(5, 0, 1, 8),
        Form(5, 5, 1, 8, offset=256),
    ],
)
def test_too_many_samples_none_and_an_offset_too_large_are_refused(form: Form) -> None:
    with pytest.raises(CodingError):
        read_form(form.pack())


def test_another_version_and_unknown_flags_are_refused() -> None:
    packed = Form(5, 5, 1, 8).pack()
    for changed in (b"\x02" + packed[1:], packed[:1] + b"\x80" + packed[2:], packed[:-1]):
        with pytest.raises(CodingError):
            read_form(changed)
