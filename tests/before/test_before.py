"""A data folder of the version before opens and goes on."""

from __future__ import annotations

import hashlib
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from broker.config import CATALOGUE, DATABASE, load_broker_settings
from broker.database.db import bump, migrate, open_database
from broker.database.take_over import take_over
from broker.members.registry import list_members
from broker.setup import load_keys
from broker.study_keys import StudyKeys
from p2pacs.accounts.people import add_account, list_accounts
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.find import find
from p2pacs.dataset.vocabulary import tag
from p2pacs.identity.keys import StudyKey, VerifyKey
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import StudyId
from p2pacs.publish.previous import load_published
from p2pacs.store import open_store
from p2pacs.study.reader import StudyReader
from peer.api.search import find_studies
from peer.config import CATALOGUE_DB, IDENTITY, PEER_DB, STORE, load_peer_settings
from peer.db import connect as connect_peer_database
from peer.db import open_database as open_peer_database
from peer.gateway.studies.instances import listing_of_entries
from peer.retrieval.sources.grants import Grants

STUDY = StudyId(bytes.fromhex("3cfeb4ce757c849cf5b3bf4abca5b5fe"))
UID = "1.2.826.0.1.3680043.10.1"
EXACT = "4783cbb69dee6e84e965baf7fbdc3b7e79406bc1f34cb066e4beac132a9a3ade"
"""SHA-256 over the data sets of the four instances, in order of their UIDs."""


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    with tarfile.open(Path(__file__).parent / "folders-0.1.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


async def _digest(folder: Path, key: StudyKey, signed_by: VerifyKey) -> str:
    """Over the data sets of the study in a store, as they are joined again."""
    async with open_store(folder) as store:
        files = await store.study(STUDY)
        published = await load_published(files, key, signed_by)
        assert published is not None
        assert published.root.complete
        reader = StudyReader(key, published.root, published.chunks)
        while not reader.whole:
            reader.load_part(files.load)
        together = hashlib.sha256()
        for uid in sorted(reader.index.instances):
            instance = reader.join(reader.index.instances[uid], files.load)
            together.update(instance.data)
        return together.hexdigest()


async def test_a_brokers_folder_opens_and_its_study_is_exact(folders: Path) -> None:
    folder = folders / "broker"
    settings = load_broker_settings(folder)
    assert settings.web.hosts is not None
    migrate(folder / DATABASE)
    keys = load_keys(folder)
    async with open_database(folder / DATABASE) as database:
        members = await database.run(list_members)
        assert {"replica-1", "hospital-a", "hospital-b"} <= {one.name for one in members}
        studies = StudyKeys(database, keys.study_secret, keys.identity.box_key)
        assert studies.id_of(UID) == STUDY
        key = await studies.ensure(UID)
    assert await _digest(folder / "store", key, keys.signing.public) == EXACT


async def test_a_brokers_numbers_go_on_above_those_that_it_told(folders: Path) -> None:
    folder = folders / "broker"
    with closing(sqlite3.connect(folder / DATABASE)) as old:
        told = dict(old.execute("SELECT name, value FROM counters").fetchall())
    with closing(sqlite3.connect(folder / CATALOGUE)) as old:
        (seq,) = old.execute("SELECT value FROM state WHERE name = 'seq'").fetchone()
    assert told
    assert seq > 0
    async with open_database(folder / DATABASE) as database:
        for name, value in told.items():
            assert await database.run(lambda c, name=name: bump(c, name)) > value
        take_over(folder / CATALOGUE, database)
        index = CatalogueIndex(database)
        record = index.by_uid(UID)
        assert record is not None
        assert record.study == STUDY
        assert record.version > 0
        assert index.seq > seq
        assert index.since(seq).reset, "it did not know what its studies were before"
        assert not index.since(index.seq).reset
    assert not list(folder.glob("catalogue.db*"))


async def test_a_hospitals_folder_opens_and_its_study_is_exact(folders: Path) -> None:
    folder = folders / "hospital"
    settings = load_peer_settings(folder)
    assert settings.aet == "HOSPITAL_A"
    identity = NodeIdentity.load(folder / IDENTITY)
    async with open_peer_database(folder / PEER_DB) as database:
        key = await Grants(database, identity.box_key).key(STUDY)
    assert await _digest(folder / STORE, key, identity.broker_key) == EXACT


async def test_a_hospitals_folder_takes_accounts(folders: Path) -> None:
    path = folders / "hospital" / PEER_DB
    async with open_peer_database(path) as database:
        await database.run(lambda c: add_account(c, "anna", "a sentence is good", "operator"))
    with closing(connect_peer_database(path)) as database:
        assert [one.name for one in database.transact(list_accounts)] == ["anna"]


async def test_who_signed_in_at_a_broker_may_do_everything(folders: Path) -> None:
    async with open_database(folders / "broker" / DATABASE) as database:
        (account,) = await database.run(list_accounts)
    assert account.role == "administrator"


def test_a_hospitals_catalogue_still_answers(folders: Path) -> None:
    index = CatalogueIndex(folders / "hospital" / CATALOGUE_DB)
    try:
        answers = find_studies(index, {"PatientID": "B0"})
    finally:
        index.close()
    assert [answer["study_instance_uid"] for answer in answers] == [UID]


async def test_a_hospitals_study_still_answers_at_image_level(folders: Path) -> None:
    """Its index has numbers where the data sets have texts, and fewer attributes than today's."""
    folder = folders / "hospital"
    identity = NodeIdentity.load(folder / IDENTITY)
    async with open_peer_database(folder / PEER_DB) as database:
        key = await Grants(database, identity.box_key).key(STUDY)
    async with open_store(folder / STORE) as store:
        published = await load_published(await store.study(STUDY), key, identity.broker_key)
    assert published is not None
    listing = listing_of_entries(list(published.index.instances.values()))
    index = CatalogueIndex(folder / CATALOGUE_DB)
    try:
        record = index.by_uid(UID)
        assert record is not None
        asked = Dataset()
        asked.QueryRetrieveLevel, asked.StudyInstanceUID = "IMAGE", UID
        asked.SeriesInstanceUID, asked.InstanceNumber = listing.series[0].uid, "2"
        asked.PixelSpacing = ["1", "1"]
        answers = find([listing.into(record)], asked, "STUDY", index.known)
        (answer,) = answers
    finally:
        index.close()
    assert answer.InstanceNumber == 2
    assert answers.ignored == {tag("PixelSpacing")}, "not known, so not matched"
