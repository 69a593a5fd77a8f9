import tarfile
from pathlib import Path

import pytest

from p2pacs.errors import LocalError, StateError, UnavailableError, UsageError
from peer.viewer import package
from peer.viewer.archive import contents, fetch_archive, verify
from tests.peer.viewer.archives import FILES, PAGE, archive_of, integrity_of


def _npm(folder: Path, script: str) -> str:
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def test_what_npm_fetched(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    npm = _npm(tmp_path, 'echo "$*" > said; for last; do :; done; echo x > "$last/ohif.tgz"')
    assert fetch_archive(target, npm).read_text() == "x\n"
    said = (target / "said").read_text()
    assert said.startswith(f"pack {package.NAME}@{package.VERSION} ")
    assert "--ignore-scripts" in said


def test_without_npm_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"Debian: npm.*npm pack @ohif/app@.*--from"):
        fetch_archive(tmp_path, "no-such-npm")


def test_without_a_network_it_says_what_npm_said(tmp_path: Path) -> None:
    npm = _npm(tmp_path, "echo 'npm error code ENOTFOUND' >&2; exit 1")
    with pytest.raises(UnavailableError, match=r"npm error code ENOTFOUND.*--from"):
        fetch_archive(tmp_path, npm)
    npm = _npm(tmp_path, "exit 3")
    with pytest.raises(UnavailableError, match="exit code 3"):
        fetch_archive(tmp_path, npm)
    npm = _npm(tmp_path, "exit 0")
    with pytest.raises(UnavailableError):
        fetch_archive(tmp_path, npm)


def test_an_archive_is_verified_byte_for_byte(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.tgz")
    verify(archive, integrity_of(archive))
    with pytest.raises(UsageError, match="another one"):
        verify(archive)
    integrity = integrity_of(archive)
    archive.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(UsageError, match=r"^a\.tgz is not @ohif/app"):
        verify(archive, integrity)
    with pytest.raises(LocalError):
        verify(tmp_path / "none.tgz")


def test_of_a_huge_file_only_the_beginning_is_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.tgz"
    with huge.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UsageError):
        verify(huge)


def test_what_is_needed_comes_out(tmp_path: Path) -> None:
    found = dict(contents(archive_of(tmp_path / "a.tgz")))
    assert found["index.html"] == PAGE
    assert set(found) == {path for name in FILES if (path := package.needed(name))}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_what_is_no_file_is_passed_over(tmp_path: Path, kind: bytes) -> None:
    entry = tarfile.TarInfo("package/dist/evil.js")
    entry.type, entry.linkname = kind, "/etc/passwd"
    archive = archive_of(tmp_path / "a.tgz", others=[entry])
    assert "evil.js" not in dict(contents(archive))


def test_more_than_the_viewer_has_is_refused(tmp_path: Path) -> None:
    many = {f"package/dist/{number}.js": b"" for number in range(package.FILES + 1)}
    with pytest.raises(UsageError, match="more than"):
        list(contents(archive_of(tmp_path / "many.tgz", many)))
    entry = tarfile.TarInfo("package/dist/large.js")
    entry.size = package.UNPACKED_BYTES + 1
    with tarfile.open(tmp_path / "large.tgz", "w:gz") as made:
        made.addfile(entry)
    with pytest.raises(UsageError, match="more than"):
        list(contents(tmp_path / "large.tgz"))


@pytest.mark.parametrize("broken", [b"", b"no archive", b"\x1f\x8b\x08\x00"])
def test_what_is_no_archive(tmp_path: Path, broken: bytes) -> None:
    archive = tmp_path / "a.tgz"
    archive.write_bytes(broken)
    with pytest.raises(UsageError, match="cannot be unpacked"):
        list(contents(archive))
