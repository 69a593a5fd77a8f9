from pathlib import Path

import pytest

from p2pacs.errors import StateError
from peer.lock import locked


def test_one_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(StateError, match="already running"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass
