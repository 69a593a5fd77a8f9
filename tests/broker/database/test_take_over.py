from pathlib import Path

import pytest

from broker.database.db import BrokerDatabase
from broker.database.take_over import open_catalogue, take_over
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.errors import DatabaseLockedError
from p2pacs.sql.sqlite import SqliteTuning
from tests.p2pacs.catalogue.samples import query, study


def _filled(path: Path) -> int:
    index = CatalogueIndex(path)
    index.upsert([study(1), study(2), study(3)])
    index.upsert([study(1, patient="P2")])
    last = index.remove([study(3).study])
    index.set_vocabulary(7)
    index.close()
    return last


async def test_a_catalogue_of_its_own_file_is_taken_over(
    database: BrokerDatabase, tmp_path: Path
) -> None:
    position = _filled(tmp_path / "catalogue.db")
    take_over(tmp_path / "catalogue.db", database)
    assert not list(tmp_path.glob("catalogue.db*"))
    index = CatalogueIndex(database)
    assert dict(index.uids()) == {f"1.2.{n}": study(n).study for n in (1, 2)}
    assert index.by_uid("1.2.1") == study(1, patient="P2")
    assert index.former(study(1).study) == [study(1)]
    assert [one.uid for one in index.candidates(query(PatientID="P1"))] == ["1.2.2"]
    assert index.vocabulary == 7
    page = index.since(position)
    assert (page.entries, page.reset) == ((), False), "members go on"
    index.upsert([study(4)])
    assert index.since(position).entries == (study(4),)


async def test_a_file_that_was_taken_over_already_is_only_removed(
    database: BrokerDatabase, tmp_path: Path
) -> None:
    _filled(tmp_path / "catalogue.db")
    index = CatalogueIndex(database)
    index.upsert([study(9)])
    take_over(tmp_path / "catalogue.db", database)
    assert not list(tmp_path.glob("catalogue.db*"))
    assert dict(index.uids()) == {"1.2.9": study(9).study}
    take_over(tmp_path / "catalogue.db", database)


async def test_a_damaged_file_is_removed(database: BrokerDatabase, tmp_path: Path) -> None:
    (tmp_path / "catalogue.db").write_bytes(b"this is no database" * 100)
    take_over(tmp_path / "catalogue.db", database)
    assert not list(tmp_path.glob("catalogue.db*"))
    assert len(CatalogueIndex(database)) == 0


async def test_what_cannot_be_taken_over_now_stays(
    database: BrokerDatabase, tmp_path: Path
) -> None:
    _filled(tmp_path / "catalogue.db")
    with (
        database.writing(),
        pytest.raises(DatabaseLockedError),
    ):
        take_over(tmp_path / "catalogue.db", BrokerDatabase(database.path, SqliteTuning(0.05, 0.1)))
    assert (tmp_path / "catalogue.db").exists()
    take_over(tmp_path / "catalogue.db", database)
    assert len(CatalogueIndex(database)) == 2


async def test_the_catalogue_stands_among_the_brokers_tables(database: BrokerDatabase) -> None:
    index = CatalogueIndex(database)
    index.upsert([study(1)])
    query = "SELECT count(*) FROM catalogue_studies"
    assert database.transact(lambda c: c.exec_driver_sql(query).scalar_one()) == 1


async def test_the_catalogue_opens_with_and_without_such_a_file(
    database: BrokerDatabase, tmp_path: Path
) -> None:
    _filled(tmp_path / "catalogue.db")
    for _ in range(2):
        index = await open_catalogue(tmp_path / "catalogue.db", database)
        assert dict(index.uids()) == {f"1.2.{n}": study(n).study for n in (1, 2)}
        assert not list(tmp_path.glob("catalogue.db*"))
