"""The benchmarks' command line, and the opponent of peer to peer."""

import shutil
from pathlib import Path

import pytest

from scripts import bench
from scripts.rsync import ssh_server


def test_every_benchmark_has_its_own_size() -> None:
    needs = {
        name: ["--dicom", "folder"] for name in ("coding", "download", "viewer", "send", "store")
    }
    parsed = {name: bench.parse([name, *needs.get(name, [])]) for name in bench.BENCHES}
    sizes = {name: given.slices for name, given in parsed.items() if "slices" in given}
    assert {name: size for name, size in sizes.items() if size is not None} == {
        "swarm3": 14,
        "link": 2000,
        "move": 200,
        "dicomweb": 200,
    }
    assert bench.parse(["link", "--slices", "10"]).slices == 10


@pytest.mark.parametrize("arguments", [[], ["other"], ["link", "--slices", "many"]])
def test_wrong_arguments_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        bench.parse(arguments)
    assert "error:" in capsys.readouterr().err


@pytest.mark.system
@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync and sshd are for scripts/bench")
async def test_rsync_copies_over_a_server_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(b"x" * 1000)
    async with ssh_server(tmp_path / "ssh") as ssh:
        assert await ssh.copy(tmp_path / "source", tmp_path / "target") > 0
    assert (tmp_path / "target" / "file").read_bytes() == b"x" * 1000
