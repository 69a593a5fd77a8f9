import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from p2pacs.errors import StateError
from peer.ingest.spool import Spool
from peer.ingest.spool_tables import SCHEMA


def test_a_spool_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, reserve=0)):
        pass
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as index:
        assert index.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        index.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(StateError, match="use the newer p2pacs"):
        Spool(tmp_path, reserve=0)
