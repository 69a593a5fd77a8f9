import pytest

from p2pacs.errors import TranscodingError
from p2pacs.transcode.codestreams import CodestreamInfo
from p2pacs.transcode.colour import check_samples, j2k_result, jpeg_source, untransformed


def stream(*told: str, subsampled: bool = False, transformed: bool = False) -> CodestreamInfo:
    return CodestreamInfo(
        1, 1, 3, 8, told=frozenset(told), subsampled=subsampled, transformed=transformed
    )


@pytest.mark.parametrize(
    ("photometric", "said", "source"),
    [
        ("RGB", stream(), "RGB"),
        ("RGB", stream("RGB"), "RGB"),
        ("RGB", stream("YCbCr"), "YCbCr"),
        ("RGB", stream(subsampled=True), "YCbCr"),
        ("YBR_FULL", stream(), "YCbCr"),
        ("YBR_FULL_422", stream(subsampled=True), "YCbCr"),
        ("YBR_FULL_422", stream("YCbCr", subsampled=True), "YCbCr"),
    ],
)
def test_what_a_jpeg_is(photometric: str, said: CodestreamInfo, source: str) -> None:
    assert jpeg_source(photometric, said) == source


@pytest.mark.parametrize(
    ("photometric", "said"),
    [
        ("YBR_FULL", stream("RGB")),
        ("YBR_FULL_422", stream("RGB", subsampled=True)),
        ("RGB", stream("RGB", "YCbCr")),
        ("RGB", stream("RGB", subsampled=True)),
        ("RGB", stream("other")),
        ("YBR_PARTIAL_422", stream("YCbCr")),
        ("YBR_RCT", stream()),
        ("", stream()),
    ],
)
def test_an_ambiguous_jpeg_is_refused(photometric: str, said: CodestreamInfo) -> None:
    with pytest.raises(TranscodingError, match="ambiguous"):
        jpeg_source(photometric, said)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_what_was_not_transformed_stays(photometric: str) -> None:
    assert untransformed(photometric) == photometric
    assert untransformed(photometric, stream()) == photometric
    assert j2k_result(photometric, stream()) == photometric


def test_markers_that_agree_are_no_contradiction() -> None:
    assert untransformed("RGB", stream("RGB")) == "RGB"
    assert untransformed("YBR_FULL", stream("YCbCr")) == "YBR_FULL"


@pytest.mark.parametrize(
    ("photometric", "said"),
    [
        ("RGB", stream("YCbCr")),
        ("YBR_FULL", stream("RGB")),
        ("RGB", stream(subsampled=True)),
        ("YBR_FULL_422", stream()),
        ("YBR_RCT", stream()),
        ("MONOCHROME2", stream()),
    ],
)
def test_an_ambiguous_lossless_one_is_refused(photometric: str, said: CodestreamInfo) -> None:
    with pytest.raises(TranscodingError, match="ambiguous"):
        untransformed(photometric, said)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_RCT", "YBR_ICT"])
def test_what_jpeg_2000_transformed_is_rgb(photometric: str) -> None:
    assert j2k_result(photometric, stream(transformed=True)) == "RGB"


@pytest.mark.parametrize(
    ("photometric", "said"),
    [
        ("YBR_FULL", stream(transformed=True)),
        ("YBR_FULL_422", stream(transformed=True)),
        ("YBR_RCT", stream()),
        ("YBR_ICT", stream()),
        ("RGB", stream(subsampled=True)),
    ],
)
def test_an_ambiguous_jpeg_2000_is_refused(photometric: str, said: CodestreamInfo) -> None:
    with pytest.raises(TranscodingError, match="ambiguous"):
        j2k_result(photometric, said)


@pytest.mark.parametrize(("photometric", "samples"), [("RGB", 1), ("MONOCHROME2", 3), ("", 1)])
def test_samples_that_do_not_fit(photometric: str, samples: int) -> None:
    with pytest.raises(TranscodingError, match="ambiguous"):
        check_samples(photometric, samples)


def test_samples_that_fit() -> None:
    check_samples("PALETTE COLOR", 1)
    check_samples("YBR_FULL", 3)
