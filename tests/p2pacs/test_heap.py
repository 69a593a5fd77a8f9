import os
import subprocess
import sys

import pytest

THREADS = """
import ctypes, threading
from p2pacs import heap
if {bounded}:
    assert heap.bound()
barrier = threading.Barrier(9)
def work():
    kept = [bytes(20_000) for _ in range(200)]
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
barrier.wait()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
stdout = ctypes.c_void_p.in_dll(libc, "stdout")
libc.malloc_info(0, stdout)
libc.fflush(stdout)
"""


def heaps(*, bounded: bool) -> int:
    script = THREADS.format(bounded=bounded)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return run.stdout.count("<heap nr=")


@pytest.mark.skipif(
    "CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="only glibc has heaps for threads"
)
def test_threads_share_heaps() -> None:
    assert heaps(bounded=True) == 2
    assert heaps(bounded=False) > 2
