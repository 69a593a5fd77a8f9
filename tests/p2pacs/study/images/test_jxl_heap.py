"""The encoder's efforts that are used, on what breaks effort 1, under glibc's heap checks.

With libjxl 0.11.2 the same loop with effort 1 ends in «malloc: top chunk is corrupt» within
60 images; efforts 2 (1,200 images), 3 (300) and 5 (60) passed, and effort 2 passed
valgrind's memcheck without an invalid read or write in libjxl.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKER = Path("/lib/x86_64-linux-gnu/libc_malloc_debug.so.0")
"""Since glibc 2.34 the checks of the heap are in a library of their own."""

LOOP = """
import sys
import numpy as np
from p2pacs.study.images.form import Form
from p2pacs.study.images.jxl import decode, encode

effort, count = int(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(effort)
sides = [1, 2, 3, 7, 8, 9, 15, 17, 31, 33, 63, 65, 127, 129, 255, 256, 257, 300, 511, 513]
for number in range(count):
    rows, columns = (int(side) for side in rng.choice(sides, 2))
    samples = 3 if number % 5 == 0 else 1
    form = Form(rows, columns, samples, 16)
    depth = int(rng.choice([9, 12, 13, 16, 16, 16]))
    pixels = rng.integers(0, 1 << depth, form.shape, dtype=np.uint16)
    assert (decode(encode(pixels, effort), form) == pixels).all()
"""


@pytest.mark.skipif(not CHECKER.exists(), reason="glibc's heap checks are not here")
@pytest.mark.parametrize(("effort", "count"), [(2, 80), (3, 60), (5, 15)])
def test_noise_of_odd_shapes_leaves_the_heap_whole(effort: int, count: int) -> None:
    checks = {"LD_PRELOAD": str(CHECKER), "MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165"}
    done = subprocess.run(
        [sys.executable, "-c", LOOP, str(effort), str(count)],
        env={**os.environ, **checks},
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
