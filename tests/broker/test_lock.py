from pathlib import Path

import pytest

from broker.lock import is_running, running_lock
from p2pacs.errors import StateError


def test_one_broker_a_folder(tmp_path: Path) -> None:
    assert not is_running(tmp_path)
    with running_lock(tmp_path):
        assert is_running(tmp_path)
        with pytest.raises(StateError, match="stop it first"), running_lock(tmp_path):
            pass
    assert not is_running(tmp_path)
