from pathlib import Path

from sqlalchemy import create_engine, inspect

from p2pacs.catalogue import schema
from p2pacs.catalogue.catalogue_index import CatalogueIndex

from .samples import study


def test_an_index_of_another_version_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    index = CatalogueIndex(path)
    index.upsert([study(1)])
    index.close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION + 1}")
    engine.dispose()
    again = CatalogueIndex(path)
    assert len(again) == 0
    again.close()


def test_terms_are_found_by_value_and_by_study(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    schema.metadata.create_all(engine)
    inspector = inspect(engine)
    assert inspector.get_pk_constraint("terms")["constrained_columns"] == ["kind", "value", "study"]
    assert [i["name"] for i in inspector.get_indexes("terms")] == ["terms_of_study"]
    engine.dispose()
