import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import UsageError
from p2pacs.limits import PICTURE_SIDE
from p2pacs.rendering.options import (
    JPEG,
    PNG,
    QUALITY,
    RenderedViewport,
    RenderOptions,
    VoiFunction,
    VoiWindow,
)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("40,400,linear", VoiWindow(40, 400)),
        ("40, 400", VoiWindow(40, 400)),
        ("-600.5,0.5,LINEAR-EXACT", VoiWindow(-600.5, 0.5, VoiFunction.LINEAR_EXACT)),
        ("0,1e3", None),
        ("1,2,sigmoid", VoiWindow(1, 2, VoiFunction.SIGMOID)),
        ("1,0,linear", None),
        ("1,-2,sigmoid", None),
        ("1", None),
        ("1,2,3,4", None),
        ("nan,inf", None),
        ("1,2,curved", None),
    ],
)
def test_windows(text: str, window: VoiWindow | None) -> None:
    if window is None:
        with pytest.raises(UsageError):
            VoiWindow.parse(text)
    else:
        assert VoiWindow.parse(text) == window


@pytest.mark.parametrize(
    ("text", "viewport"),
    [
        ("512,256", RenderedViewport(512, 256)),
        ("512,256,,,,", RenderedViewport(512, 256)),
        ("5,5,1,2.5,-10,20", RenderedViewport(5, 5, 1, 2.5, -10, 20)),
        ("5,5,,,10", RenderedViewport(5, 5, region_width=10)),
        ("5", None),
        ("0,5", None),
        (f"5,{PICTURE_SIDE + 1}", None),
        ("5.5,5", None),
        ("5,5,-1,0", None),
        ("5,5,0,0,0,9", None),
        ("5,5,1,1,1,1,1", None),
    ],
)
def test_viewports(text: str, viewport: RenderedViewport | None) -> None:
    if viewport is None:
        with pytest.raises(UsageError):
            RenderedViewport.parse(text)
    else:
        assert RenderedViewport.parse(text) == viewport


def test_what_is_not_said_is_usual() -> None:
    assert RenderOptions.parse({}, PNG) == RenderOptions(PNG, QUALITY, None, None)
    assert RenderOptions.parse({"quality": ["7"], "window": [""]}, JPEG).quality == 7
    thumbnail = RenderOptions.parse({"window": ["1,2"]}, JPEG, thumbnail=True)
    assert thumbnail == RenderOptions(JPEG, QUALITY, None, RenderedViewport(128, 128))


@pytest.mark.parametrize(
    "parameters", [{"quality": ["0"]}, {"quality": ["101"]}, {"window": ["1,2", "1,2"]}]
)
def test_what_makes_no_sense_is_told(parameters: dict[str, list[str]]) -> None:
    with pytest.raises(UsageError):
        RenderOptions.parse(parameters, JPEG)


numbers = st.one_of(st.integers(-99, 99).map(str), st.text(max_size=3), st.just(""))


@given(st.lists(numbers, max_size=7).map(",".join), st.lists(numbers, max_size=4).map(",".join))
def test_whatever_is_said_it_is_an_answer(viewport: str, window: str) -> None:
    try:
        found = RenderOptions.parse({"viewport": [viewport], "window": [window]}, JPEG)
    except UsageError:
        return
    if found.viewport is not None:
        assert 0 < found.viewport.width <= PICTURE_SIDE
    if found.window is not None:
        assert found.window.width > 0
