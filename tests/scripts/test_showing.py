"""`scripts/demo --web`: it says where to look, and there something is; a signal ends all of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.system
@pytest.mark.viewer
@pytest.mark.timeout(300)
def test_it_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.demo", "--web", "--slices", "2"]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        cwd=tmp_path,  # other demos may run in the checkout at the same time
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        encoding="utf-8",
    ) as demo:
        try:
            assert demo.stderr is not None
            said = []
            while not said or "Ctrl-C" not in said[-1]:
                line = demo.stderr.readline()
                assert line, said
                said.append(line)
            found = [word for line in said for word in line.split() if word.startswith("http://")]
            assert len(found) == 3, said
            for url in found:
                answer = httpx.get(url, follow_redirects=True, timeout=60)
                assert answer.status_code == 200, url
        finally:
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert not list(tmp_path.glob("demo-run/*")), "the work folder is gone"
