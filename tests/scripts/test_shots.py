import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scripts.shots import LARGEST, Shots


class FakePage:
    def screenshot(self) -> bytes:
        noise = np.random.default_rng(1).integers(90, 160, (400, 640, 3), "u1")
        out = io.BytesIO()
        Image.fromarray(noise).save(out, "PNG")
        return out.getvalue()


def test_a_picture_is_as_small_as_the_documentation_wants(tmp_path: Path) -> None:
    page: Any = FakePage()
    Shots(tmp_path).take(page, "noise")
    made = tmp_path / "noise.jpg"
    assert made.stat().st_size < LARGEST
    assert Image.open(made).size == (640, 400)
