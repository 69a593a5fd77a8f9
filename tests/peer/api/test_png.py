import io

import pytest
from PIL import Image

from p2pacs.study.images import Picture
from peer.api.png import NOTICE, to_png


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png), formats=["PNG"])
    image.load()
    return image


@pytest.mark.parametrize(("samples", "mode"), [(1, "L"), (3, "RGB")])
def test_a_picture_as_png_says_that_it_is_a_preview(samples: int, mode: str) -> None:
    pixels = bytes(n % 256 for n in range(5 * 3 * samples))
    image = opened(to_png(Picture(5, 3, samples, pixels)))
    assert (image.mode, image.size) == (mode, (3, 5))
    assert image.tobytes() == pixels
    assert image.info == {"Comment": NOTICE}
    assert NOTICE == "preview, not for diagnosis"
