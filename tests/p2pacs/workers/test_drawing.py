import subprocess
import sys

import pytest

from p2pacs.errors import CodingError
from p2pacs.study.images import JXL
from p2pacs.workers.drawing import draw


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(CodingError):
        draw(JXL, b"nonsense")


def test_codecs_are_loaded_where_they_are_used() -> None:
    source = "import sys, p2pacs.workers.drawing; sys.exit('imagecodecs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0
