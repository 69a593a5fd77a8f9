import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pacs.errors import LocalError, StateError, UsageError
from peer.viewer import package
from peer.viewer.archive import contents
from peer.viewer.installed import Installed, install, read_installed, remove
from tests.peer.viewer.archives import FILES, SCRIPT, archive_of


def _install(folder: Path, files: dict[str, bytes] = FILES) -> Installed:
    archive = archive_of(folder.parent / "a.tgz", files)
    made = install(folder, contents(archive))
    archive.unlink()
    return made


def test_what_is_installed_is_read_again(tmp_path: Path) -> None:
    made = _install(tmp_path / "viewer")
    assert read_installed(tmp_path / "viewer") == made
    assert made.is_current
    assert made.version == package.VERSION
    name = "app.bundle.0123456789abcdef.js"
    files = tmp_path / "viewer" / "files"
    assert (files / name).read_bytes() == SCRIPT
    assert gzip.decompress((files / f"{name}.gz").read_bytes()) == SCRIPT
    assert made.files[name].packed == (files / f"{name}.gz").stat().st_size
    assert made.files["0123456789abcdef.wasm"].packed is None
    on_disk = sum(path.stat().st_size for path in files.rglob("*") if path.is_file())
    assert made.size == on_disk
    assert [path.name for path in tmp_path.iterdir()] == ["viewer"]


def test_its_page_has_no_service_worker_and_names_its_scripts(tmp_path: Path) -> None:
    made = _install(tmp_path / "viewer")
    page = (tmp_path / "viewer" / "files" / "index.html").read_bytes()
    assert b"service-worker" not in page
    # printf %s "window.PUBLIC_URL='/'" | openssl dgst -sha256 -binary | base64
    assert made.scripts == ("sha256-HduPiktadII+Ke0c0x0RDAVGFJI6aQ6PhDHdHF3LX+w=",)


def test_a_new_one_takes_the_place_of_the_old(tmp_path: Path) -> None:
    _install(tmp_path / "viewer", FILES | {"package/dist/old.js": b"old"})
    made = _install(tmp_path / "viewer")
    assert not (tmp_path / "viewer" / "files" / "old.js").exists()
    assert "old.js" not in made.files
    assert [path.name for path in tmp_path.iterdir()] == ["viewer"]


def test_what_fails_leaves_the_old_one(tmp_path: Path) -> None:
    made = _install(tmp_path / "viewer")

    def broken() -> Iterator[tuple[str, bytes]]:
        yield "index.html", b"new"
        raise UsageError("the archive is broken")

    with pytest.raises(UsageError, match="broken"):
        install(tmp_path / "viewer", broken())
    with pytest.raises(UsageError, match="no page"):
        install(tmp_path / "viewer", [("a.js", b"")])
    assert read_installed(tmp_path / "viewer") == made
    assert [path.name for path in tmp_path.iterdir()] == ["viewer"]


def test_what_an_interrupted_one_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".viewer.unfinished-x" / "files").mkdir(parents=True)
    (tmp_path / ".viewer.replaced-1").mkdir()
    _install(tmp_path / "viewer")
    assert [path.name for path in tmp_path.iterdir()] == ["viewer"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalError):
        install(tmp_path / "file" / "viewer", [("index.html", b"")])


def test_only_its_own_account_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        _install(tmp_path / "viewer")
    finally:
        os.umask(before)
    assert all(not path.stat().st_mode & 0o077 for path in (tmp_path / "viewer").rglob("*"))


def test_nothing_is_installed(tmp_path: Path) -> None:
    assert read_installed(tmp_path / "viewer") is None
    assert not remove(tmp_path / "viewer")


@pytest.mark.parametrize("stamp", [b"", b"{", b"[]", b'{"version": 1}', b"\xff", b"null"])
def test_a_damaged_stamp_says_what_to_do(tmp_path: Path, stamp: bytes) -> None:
    _install(tmp_path / "viewer")
    (tmp_path / "viewer" / "installed.json").write_bytes(stamp)
    with pytest.raises(StateError, match="install the viewer again"):
        read_installed(tmp_path / "viewer")


def test_of_another_version(tmp_path: Path) -> None:
    _install(tmp_path / "viewer")
    stamp = tmp_path / "viewer" / "installed.json"
    said = json.loads(stamp.read_text())
    stamp.write_text(json.dumps(said | {"version": "3.12.0", "integrity": "sha512-other"}))
    found = read_installed(tmp_path / "viewer")
    assert found is not None
    assert not found.is_current


def test_remove(tmp_path: Path) -> None:
    _install(tmp_path / "viewer")
    assert remove(tmp_path / "viewer")
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_others_is_removed(tmp_path: Path) -> None:
    (tmp_path / "viewer").mkdir()
    (tmp_path / "viewer" / "mine").touch()
    with pytest.raises(StateError, match="nothing was removed"):
        remove(tmp_path / "viewer")
    _install(tmp_path / "other")
    (tmp_path / "other" / "mine").touch()
    assert remove(tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine"]
