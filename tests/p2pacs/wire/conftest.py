from pathlib import Path

import pytest

from tests.p2pacs.identity.network import Network


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network.create(tmp_path)
