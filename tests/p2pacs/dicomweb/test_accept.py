import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dicomweb.accept import Accept, MediaRange, Representation
from p2pacs.errors import NotAcceptableError, UsageError
from p2pacs.limits import ACCEPT_BYTES, ACCEPT_RANGES

EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_LS = "1.2.840.10008.1.2.4.80"
OCTETS = "application/octet-stream"

STORED = Representation(OCTETS, JPEG_LS, multipart=True, usual=False)
OWN = Representation("image/jls", JPEG_LS, multipart=True)
DECODED = Representation(OCTETS, EXPLICIT, multipart=True)
SINGLE = Representation(OCTETS, JPEG_LS, usual=False)
FRAMES = [STORED, OWN, DECODED, SINGLE]

JSON = Representation("application/dicom+json")
XML = Representation("application/dicom+xml", multipart=True)


@pytest.mark.parametrize(
    ("field", "chosen"),
    [
        # what nobody says anything of
        ("", STORED),
        ("*/*", STORED),
        ("multipart/related", STORED),
        ("multipart/*", STORED),
        # OHIF, with and without quotation marks
        (f'multipart/related; type="{OCTETS}"; transfer-syntax="*"', STORED),
        (f"multipart/related; type={OCTETS}; transfer-syntax=*", STORED),
        (f"multipart/related;type={OCTETS};transfer-syntax=*;q=0.9", STORED),
        ('Multipart/Related; Type="IMAGE/JLS"', OWN),
        (f"multipart/related; type=image/jls; transfer-syntax={JPEG_LS}", OWN),
        ("multipart/related; type=image/*", OWN),
        # the default transfer syntax, where none is named (PS3.18 8.7.3.3)
        (f"multipart/related; type={OCTETS}", DECODED),
        (f"multipart/related; type={OCTETS}; transfer-syntax={EXPLICIT}", DECODED),
        (f"{OCTETS}; transfer-syntax=*", SINGLE),
        # the first acceptable one counts
        (f"multipart/related; type=image/jp2, multipart/related; type=image/jls, {OCTETS}", OWN),
        (f"image/jls, multipart/related; type={OCTETS}; transfer-syntax=*", STORED),
        # quality before order, the closest before all
        ("multipart/related; type=image/jls; q=0.5, */*; q=0.1", OWN),
        (f"*/*, multipart/related; type={OCTETS}; transfer-syntax=*; q=0", OWN),
        ("*/*; q=0.2, multipart/related; type=image/jls; q=0.3", OWN),
        # what cannot be read is passed over
        ("what, multipart/related; type=; q=1, ;, multipart/related; type=image/jls", OWN),
        ('multipart/related; type="image/jls', OWN),
        (r'multipart/related; type="image\/jls"; x="a,b;c\"d"', OWN),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=0.2", STORED),
    ],
)
def test_the_first_acceptable_is_taken(field: str, chosen: Representation) -> None:
    assert Accept.parse([field]).choose(FRAMES) == chosen


def test_several_fields_are_one_list() -> None:
    accept = Accept.parse(["image/png; q=0.2", "application/dicom+json"])
    assert accept.choose([JSON]) == JSON
    assert [one.media_type for one in accept.ranges] == ["image/png", "application/dicom+json"]


@pytest.mark.parametrize(
    "field",
    [
        "text/html",
        "multipart/related; type=image/jp2",
        f"multipart/related; type={OCTETS}; transfer-syntax=1.2",
        "nonsense",
        "*/*; q=0",
        "image/jls",  # one part, and there is none
    ],
)
def test_nothing_acceptable_says_what_there_is(field: str) -> None:
    with pytest.raises(NotAcceptableError, match=f"image/jls; transfer-syntax={JPEG_LS}"):
        Accept.parse([field]).choose(FRAMES)


@pytest.mark.parametrize(
    "query", ["application/dicom+json", "application/dicom json", "a/b, application/dicom+json"]
)
def test_the_parameter_of_the_query_comes_first(query: str) -> None:
    accept = Accept.parse(["multipart/related; type=application/dicom+xml"], [query])
    assert accept.choose([XML, JSON]) == JSON


def test_a_parameter_that_accepts_nothing_leaves_it_to_the_header() -> None:
    assert Accept.parse(["application/dicom+json"], ["image/png"]).choose([XML, JSON]) == JSON
    assert Accept.parse([], ["image/png"]).choose([XML, JSON]) == XML


def test_a_megabyte_of_accept_is_refused() -> None:
    with pytest.raises(UsageError):
        Accept.parse(["a" * 2**20])
    with pytest.raises(UsageError):
        Accept.parse([], ["a b" * 2**20])
    with pytest.raises(UsageError):
        Accept.parse(["a/b," * ACCEPT_RANGES])
    assert Accept.parse(['"' * ACCEPT_BYTES]).ranges == ()


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=2))
def test_whatever_it_says_it_is_an_answer(fields: list[str], query: list[str]) -> None:
    try:
        accept = Accept.parse(fields, query)
        assert accept.choose(FRAMES) in FRAMES
    except UsageError:
        pass


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


types = st.sampled_from(["image/jls", OCTETS, "image/*", "*/*"])
syntaxes = st.sampled_from(["", "*", EXPLICIT, JPEG_LS])
qualities = st.sampled_from([0.0, 0.001, 0.5, 1.0])


@given(
    st.lists(
        st.builds(MediaRange, types, syntaxes, st.just(True), qualities), min_size=1, max_size=9
    ),
    st.randoms(use_true_random=False),
    st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=9),
)
def test_what_is_written_is_read(ranges: list[MediaRange], random, noise: str) -> None:  # type: ignore[no-untyped-def]
    """However it is quoted, and whatever stands beside it."""
    entries = []
    for one in ranges:
        said = [f"type={random.choice([quoted, str])(one.media_type)}", f"q={one.quality:g}"]
        if one.transfer_syntax:
            said.append(f"Transfer-Syntax={random.choice([quoted, str])(one.transfer_syntax)}")
        said.append(f"x={quoted(noise)}")
        random.shuffle(said)
        entries.append(random.choice([";", " ; ", "; "]).join(["multipart/related", *said]))
    assert Accept.parse([", ".join(entries)]).ranges == tuple(ranges)


@given(
    st.lists(
        st.builds(MediaRange, types, syntaxes, st.sampled_from([True, False, None]), qualities),
        max_size=9,
    )
)
def test_nothing_is_given_that_is_not_accepted(ranges: list[MediaRange]) -> None:
    try:
        chosen = Accept(ranges=tuple(ranges)).choose(FRAMES)
    except NotAcceptableError:
        for one in FRAMES:
            degrees = [(entry.specificity(one), entry.quality) for entry in ranges]
            closest = max(degrees, default=(0, 0.0))
            assert not closest[0] or not closest[1]
    else:
        assert any(entry.specificity(chosen) and entry.quality for entry in ranges)
