import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from p2pacs.errors import StateError
from peer.ingest.intake import take
from peer.spool.records import SpoolOutcome
from peer.spool.spool import Spool
from peer.spool.tables import SCHEMA
from tests.conformance.instances import make

VERSION_1 = """
CREATE TABLE instances (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, study_uid VARCHAR NOT NULL,
    series_uid VARCHAR NOT NULL, uid VARCHAR NOT NULL, sop_class VARCHAR NOT NULL,
    syntax VARCHAR NOT NULL, sha256 BLOB NOT NULL, size INTEGER NOT NULL, attributes BLOB NOT NULL,
    file VARCHAR, caller VARCHAR NOT NULL, came INTEGER NOT NULL, beside BOOLEAN NOT NULL);
CREATE UNIQUE INDEX ix_instances_published ON instances (study_uid, uid) WHERE NOT beside;
CREATE INDEX ix_instances_uid ON instances (uid);
CREATE INDEX ix_instances_study ON instances (study_uid, number);
CREATE TABLE studies (
    uid VARCHAR NOT NULL PRIMARY KEY, study BLOB, version INTEGER NOT NULL,
    published INTEGER NOT NULL, safe INTEGER NOT NULL, refused VARCHAR);
PRAGMA user_version = 1;
"""
"""As the first version that had a spool made it."""


def test_a_spool_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, reserve=0)):
        pass
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as index:
        assert index.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        index.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(StateError, match="use the newer p2pacs"):
        Spool(tmp_path, reserve=0)


def _as_version_1(folder: Path) -> None:
    """Bring the index of a spool back to what it was in version 1."""
    path, newer = folder / "index.sqlite", folder / "newer.sqlite"
    for file in folder.glob("index.sqlite-*"):
        file.unlink()
    path.rename(newer)
    with closing(sqlite3.connect(path)) as index:
        index.executescript(VERSION_1)
        index.execute("ATTACH ? AS newer", (str(newer),))
        for table in ("instances", "studies"):
            names = ", ".join(row[1] for row in index.execute(f"PRAGMA main.table_info({table})"))
            index.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM newer.{table}")  # noqa: S608
        # A study of which nothing had become anything yet had no row.
        index.execute("DELETE FROM main.studies WHERE study IS NULL AND refused IS NULL")
        index.commit()
    newer.unlink()


def test_a_spool_of_version_1_is_brought_up_to_date(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, reserve=0)) as spool:
        for series, number in ((1, 1), (1, 2), (2, 1)):
            take(spool, make("1.2.1", series, number), "CT1")
        take(spool, make("1.2.1", 1, 1, name="Other^Name"), "CT2")
        take(spool, make("1.2.2"), "MR1")
        take(spool, make("1.2.3"), "MR1")
        spool.index.version_out("1.2.1", 1)
        spool.index.all_out("1.2.1", 2)
        spool.safe("1.2.1", 2)
        spool.index.refuse("1.2.2", "it is not yours")
        # what version 1 cannot say:
        before = spool.index.list_studies()
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as index:
        index.execute("UPDATE studies SET study = x'00112233445566778899aabbccddeeff' "
                      "WHERE uid = '1.2.1'")  # fmt: skip
        index.commit()
    _as_version_1(tmp_path)
    with closing(Spool(tmp_path, reserve=0)) as spool:
        after = spool.index.list_studies()
        assert [one.study is None for one in after] == [False, True, True]
        for old, new in zip(before, after, strict=True):
            assert (old.number, old.instances, old.bytes, old.spooled, old.beside) == (
                new.number, new.instances, new.bytes, new.spooled, new.beside)  # fmt: skip
            assert (old.newest, old.published, old.safe, old.version, old.refused) == (
                new.newest, new.published, new.safe, new.version, new.refused)  # fmt: skip
            assert (old.callers, old.began, old.latest) == (new.callers, new.began, new.latest)
            assert new.cancelled is None
        assert after[0].callers == ("CT1", "CT2")
        assert take(spool, make("1.2.1", 2, 1), "CT1") is SpoolOutcome.KNOWN
        assert take(spool, make("1.2.3", 1, 2), "CT1") is SpoolOutcome.KEPT
    with closing(Spool(tmp_path, reserve=0)) as spool:
        assert [one.instances for one in spool.index.list_studies()] == [3, 1, 2]


def test_studies_are_numbered_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, reserve=0)) as spool:
        for study in ("1.2.9", "1.2.1", "1.2.5"):
            for number in (1, 2, 3):
                take(spool, make(study, 1, number), "CT1")
        take(spool, make("1.2.9", 1, 4), "CT1")
        named = [(one.uid, one.number) for one in spool.index.list_studies()]
        assert named == [("1.2.9", 1), ("1.2.1", 2), ("1.2.5", 3)]
        spool.index.cancel("1.2.5", "rita")
        spool.remove("1.2.5")
    _as_version_1(tmp_path)
    with closing(Spool(tmp_path, reserve=0)) as spool:
        assert [(one.uid, one.number) for one in spool.index.list_studies()] == named[:2]
        take(spool, make("1.2.7"), "CT1")
        spool.remove("1.2.7")
        take(spool, make("1.2.6"), "CT1")
        found = spool.index.named(4)
        assert found is not None, "a number is not given twice"
        assert found.uid == "1.2.6"


def test_what_was_cancelled_before_the_broker_could_be_told_is_told(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, reserve=0)) as spool:
        take(spool, make("1.2.1"), "CT1")
        spool.index.cancel("1.2.1", "anna")
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as index:
        index.execute("DROP TABLE cancellations")
        index.execute("PRAGMA user_version = 2")
        index.commit()
    with closing(Spool(tmp_path, reserve=0)) as spool:
        assert spool.index.list_cancellations() == {"1.2.1": 1}
