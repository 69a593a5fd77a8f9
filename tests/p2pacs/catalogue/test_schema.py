from pathlib import Path

from sqlalchemy import create_engine, inspect

from p2pacs.catalogue import schema
from p2pacs.catalogue.catalogue_index import CatalogueIndex

from .samples import query, study


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


def test_an_index_whose_tables_had_bare_names_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    index = CatalogueIndex(path)
    index.upsert([study(1)])
    position = index.seq
    index.close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_catalogue_terms_study")
        for table in schema.metadata.sorted_tables:
            bare = table.name.removeprefix("catalogue_")
            connection.exec_driver_sql(f"ALTER TABLE {table.name} RENAME TO {bare}")
        connection.exec_driver_sql("CREATE INDEX terms_of_study ON terms (study)")
        connection.exec_driver_sql("PRAGMA user_version = 1")
    engine.dispose()
    again = CatalogueIndex(path)
    assert again.by_uid("1.2.1") == study(1)
    assert [one.uid for one in again.candidates(query(PatientID="P1"))] == ["1.2.1"]
    assert not again.since(position).reset
    again.upsert([study(1, patient="P2")])
    assert list(again.candidates(query(PatientID="P1"))) == []
    again.close()
    engine = create_engine(f"sqlite:///{path}")
    inspector = inspect(engine)
    assert set(inspector.get_table_names()) == {one.name for one in schema.metadata.sorted_tables}
    (reference,) = inspector.get_foreign_keys("catalogue_terms")
    assert reference["referred_table"] == "catalogue_studies"
    names = [one["name"] for one in inspector.get_indexes("catalogue_terms")]
    assert names == ["ix_catalogue_terms_study"]
    engine.dispose()


def test_terms_are_found_by_value_and_by_study(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    schema.metadata.create_all(engine)
    inspector = inspect(engine)
    assert inspector.get_pk_constraint("catalogue_terms")["constrained_columns"] == [
        "kind",
        "value",
        "study",
    ]
    names = [one["name"] for one in inspector.get_indexes("catalogue_terms")]
    assert names == ["ix_catalogue_terms_study"]
    engine.dispose()
