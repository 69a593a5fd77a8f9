from pathlib import Path

import pytest
from attrs import evolve

from p2pacs.errors import DirectoryError, StateError
from p2pacs.identity.book import KEYS, DirectoryBook
from p2pacs.identity.directory import BrokerKey, Directory, Role, sign_directory
from p2pacs.identity.keys import SigningKey
from tests.p2pacs.identity.test_directory import record

KEY = SigningKey.generate()


def signed(version: int, epoch: int = 0, members: int = 1) -> bytes:
    records = tuple(record(number) for number in range(members))
    return sign_directory(Directory(version, epoch, records), KEY)


def test_the_newest_is_kept_over_a_restart(tmp_path: Path) -> None:
    book = DirectoryBook(tmp_path / "directory", KEY.public)
    assert (book.directory.version, book.raw) == (0, b"")
    assert book.update(signed(3))
    assert not book.update(signed(3))
    assert not book.update(signed(2))
    again = DirectoryBook(tmp_path / "directory", KEY.public)
    assert again.directory == book.directory
    assert again.raw == signed(3)


def test_every_broker_of_the_directory_may_sign(tmp_path: Path) -> None:
    second = SigningKey.generate()
    brokers = tuple(evolve(record(number), role=Role.BROKER) for number in (1, 2))
    keys = (
        BrokerKey(brokers[0].address, KEY.public.raw),
        BrokerKey(brokers[1].address, second.public.raw),
    )
    book = DirectoryBook(tmp_path / "directory", KEY.public)
    held = book.keys
    later = sign_directory(Directory(2, 0, brokers, keys), second)
    with pytest.raises(DirectoryError, match="not signed"):
        book.update(later)  # nobody has said yet that it is a broker
    book.update(sign_directory(Directory(1, 0, brokers, keys), KEY))
    assert book.update(later)
    assert held is book.keys
    assert set(held.keys) == {KEY.public, second.public}
    again = DirectoryBook(tmp_path / "directory", KEY.public)
    assert (again.directory, again.keys.keys) == (book.directory, held.keys)
    (tmp_path / KEYS).write_bytes(b"short")
    with pytest.raises(StateError, match="damaged"):
        DirectoryBook(tmp_path / "directory", KEY.public)


def test_it_never_goes_back(tmp_path: Path) -> None:
    book = DirectoryBook(tmp_path / "directory", KEY.public)
    book.update(signed(3, epoch=2))
    for raw in (signed(3, epoch=2, members=2), signed(4, epoch=1), b"", signed(4)[:-1]):
        with pytest.raises(DirectoryError):
            book.update(raw)
    with pytest.raises(DirectoryError, match="not signed"):
        book.update(sign_directory(Directory(9, 9, ()), SigningKey.generate()))
    assert book.raw == signed(3, epoch=2)


def test_listeners_are_told_after_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    book = DirectoryBook(path, KEY.public)
    told: list[tuple[int, bytes]] = []
    end = book.subscribe(lambda directory: told.append((directory.version, path.read_bytes())))
    book.update(signed(1))
    book.update(signed(1))
    book.update(signed(2, epoch=1))
    end()
    book.update(signed(3, epoch=1))
    assert told == [(1, signed(1)), (2, signed(2, epoch=1))]


def test_a_listener_may_end_its_own_subscription(tmp_path: Path) -> None:
    book = DirectoryBook(tmp_path / "directory", KEY.public)
    told: list[int] = []
    end = book.subscribe(lambda _directory: end())
    book.subscribe(lambda directory: told.append(directory.version))
    book.update(signed(1))
    assert told == [1]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    path.write_bytes(signed(1)[:-1] + b"x")
    with pytest.raises(StateError, match="join again"):
        DirectoryBook(path, KEY.public)


def test_revocation_is_a_directory_with_a_higher_epoch(tmp_path: Path) -> None:
    book = DirectoryBook(tmp_path / "directory", KEY.public)
    book.update(signed(1))
    gone = Directory(2, 1, (evolve(record(0), revoked=True),))
    assert book.update(sign_directory(gone, KEY))
    member = book.directory.get(record(0).address)
    assert member is not None
    assert member.revoked
