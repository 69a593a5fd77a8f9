import msgpack
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.catalogue.listing import Listing, decode_listing, encode_listing
from p2pacs.catalogue.records import SeriesRecord, series_of
from p2pacs.dataset.json_model import Json, text
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import MalformedMessageError
from p2pacs.limits import FIND_RESULTS, FRAME_BYTES

from .samples import attributes, study


def image(number: int, comment: str = "") -> Json:
    return attributes(
        SOPInstanceUID=("UI", f"1.2.3.1.{number}"),
        SOPClassUID=("UI", "1.2.840.10008.5.1.4.1.1.2"),
        InstanceNumber=("IS", f"{number:03}"),
        ImagePositionPatient=("DS", f"-120.50\\{number}.0\\{number * 7 % 100}"),
        PixelSpacing=("DS", "0.50\\0.50"),
        ImageComments=("LT", comment),
    )


def of(count: int) -> SeriesRecord:
    held = attributes(Modality=("CS", "CT"), SeriesDescription=("LO", "Größe"))
    return SeriesRecord("1.2.3.1", held, tuple(image(n) for n in range(count)))


def test_a_listing_goes_there_and_back_with_its_decimals_as_written() -> None:
    other = SeriesRecord("1.2.3.2", attributes(Modality=("CS", "SR")))
    parts, more = encode_listing([of(600), other])
    assert not more
    listing = decode_listing(parts)
    assert listing.series == (of(600), other)
    assert listing.count == 600
    assert text(listing.series[0].instances[7], "InstanceNumber") == "007"


def test_a_large_study_fits_in_one_message() -> None:
    parts, more = encode_listing([of(5000)])
    assert not more
    assert sum(map(len, parts)) < FRAME_BYTES
    assert encode_listing([of(FIND_RESULTS + 1)])[1]
    assert encode_listing([]) == ([], False)


def test_what_is_known_of_instances_is_what_they_tell() -> None:
    told = [attributes(SOPInstanceUID=("UI", "1.1"), SliceLocation=("DS", ""))]
    keys = decode_listing(encode_listing([SeriesRecord("1", {}, tuple(told))])[0]).keys
    assert keys is not None
    assert {tag("SliceLocation"), tag("InstanceNumber")} <= keys
    assert tag("PixelSpacing") not in keys


def test_instances_go_into_their_series() -> None:
    told = [
        attributes(
            SOPInstanceUID=("UI", f"1.3.{n}"),
            SeriesInstanceUID=("UI", f"1.4.{n % 2}"),
            InstanceNumber=("IS", str(n)),
            Modality=("CS", "CT"),
            PatientPosition=("CS", "HFS"),
        )
        for n in range(3)
    ]
    record = study(
        1, SeriesRecord("1.4.0", attributes(Modality=("CS", "MR"), StationName=("SH", "")))
    )
    filled = Listing(series_of(told)).into(record)
    assert [series.uid for series in filled.series] == ["1.4.0", "1.4.1"]
    numbers = [[text(i, "InstanceNumber") for i in series.instances] for series in filled.series]
    assert numbers == [["0", "2"], ["1"]]
    assert [text(series.attributes, "Modality") for series in filled.series] == ["MR", "CT"]
    assert [text(s.attributes, "PatientPosition") for s in filled.series] == ["HFS", "HFS"]


def packed(content: object) -> bytes:
    return zstandard.compress(msgpack.packb(content))


@pytest.mark.parametrize(
    "raw",
    [
        bytes(40),
        packed([]),
        packed(["1.2", {}]),
        packed([7, {}, []]),
        packed(["1.2\\3", {}, []]),
        packed(["1.2", {"x": 1}, []]),
        packed(["1.2", {}, [{}]]),
        packed(["1.2", {}, ["x"]]),
        packed(["1.2", {}, {"00080018": 1}]),
        packed(["1.2", {}, [image(1) for _ in range(FIND_RESULTS + 1)]]),
    ],
)
def test_what_is_no_listing_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        decode_listing([raw])


@given(st.binary(max_size=60))
def test_whatever_the_bytes_are(raw: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        decode_listing([raw])
