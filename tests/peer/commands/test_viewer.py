import json
from pathlib import Path

import pytest

from p2pacs.errors import StateError, UsageError
from p2pacs.front import main
from peer.config import PeerSettings, save_peer_settings
from peer.viewer.archive import contents
from peer.viewer.installed import install
from tests.peer.viewer.archives import archive_of


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["viewer", *map(str, arguments)])
    said = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, said.out, said.err


def _put(folder: Path) -> None:
    install(folder / "viewer", contents(archive_of(folder / "a.tgz")))


def test_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _run(capsys, "status", tmp_path)
    assert (code, out) == (0, f"The viewer is not installed: p2pacs viewer install {tmp_path}\n")
    _put(tmp_path)
    code, out, _ = _run(capsys, "status", tmp_path)
    assert out.startswith("OHIF (@ohif/app 3.13.2, MIT licence) is in ")
    code, out, _ = _run(capsys, "status", tmp_path, "--json")
    assert json.loads(out)["files"] == 6
    stamp = tmp_path / "viewer" / "installed.json"
    stamp.write_text(stamp.read_text().replace("sha512-", "sha512-other"))
    code, out, _ = _run(capsys, "status", tmp_path)
    assert f"was tried with 3.13.2: p2pacs viewer install {tmp_path}" in out


def test_an_archive_that_is_another_is_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = archive_of(tmp_path / "ohif.tgz")
    code, out, err = _run(capsys, "install", tmp_path / "peer", "--from", archive)
    assert (code, out) == (UsageError.exit_code, "")
    assert "ohif.tgz is not @ohif/app 3.13.2 as it was published" in err
    assert not (tmp_path / "peer").exists()


def test_what_is_there_is_not_fetched_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # there is no npm
    _put(tmp_path)
    code, out, _ = _run(capsys, "install", tmp_path)
    assert code == 0
    assert "Set gateway.viewer in peer.toml" in out
    viewer = {"viewer": "127.0.0.1:8043"}
    said = {"name": "a", "listen": ["127.0.0.1:1"], "gateway": viewer}
    save_peer_settings(tmp_path, PeerSettings.model_validate(said))
    code, out, _ = _run(capsys, "install", tmp_path)
    assert "Set gateway.viewer" not in out
    assert "serves it at 127.0.0.1:8043" in out
    for arguments in (["--again"], []):
        code, out, err = _run(capsys, "install", tmp_path, *arguments)
        assert code == StateError.exit_code
        assert "npm is not installed" in err
        (tmp_path / "viewer" / "installed.json").write_text("damaged")


def test_remove(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _put(tmp_path)
    assert _run(capsys, "remove", tmp_path)[:2] == (0, f"Removed {tmp_path / 'viewer'}.\n")
    assert _run(capsys, "remove", tmp_path)[:2] == (0, "The viewer was not installed.\n")
    _, out, _ = _run(capsys, "remove", tmp_path, "--json")
    assert json.loads(out) == {"removed": False, "folder": str(tmp_path / "viewer")}
