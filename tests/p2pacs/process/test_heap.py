import subprocess
import sys

import pytest

SOURCE = """
import resource, sys
from p2pacs.process import heap
told = getattr(heap, sys.argv[1])()
for _ in range(5):
    bytes(bytearray(8 * 2**20))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    bytes(bytearray(8 * 2**20))
print(told, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", SOURCE, how], check=True, capture_output=True, text=True
    )
    told, count = done.stdout.split()
    if told != "True":
        pytest.skip("not glibc")
    return int(count)


def test_what_is_large_is_given_back_or_kept() -> None:
    assert faults("bound") > 20 * 8 * 2**20 // 4096
    assert faults("keep") < 100


SEARCHED = """
import gc
from p2pacs.process import heap
there = len(gc.get_objects())
with heap.settled():
    assert gc.get_freeze_count() > there / 2
    assert len(gc.get_objects()) < there / 2
    circle = []
    circle.append(circle)
    del circle
    assert gc.collect() > 0
assert gc.get_freeze_count() == 0
"""

LOADED = """
import gc
from p2pacs.process import heap
with heap.loading():
    assert not gc.isenabled()
    import decimal
assert gc.isenabled()
frozen = gc.get_freeze_count()
assert frozen > len(gc.get_objects())
with heap.settled():
    pass
assert gc.get_freeze_count() >= frozen
"""


@pytest.mark.parametrize("source", [SEARCHED, LOADED])
def test_searches_for_cycles_leave_what_stays(source: str) -> None:
    """In a process of its own: what this one keeps is the other tests' doing, too."""
    subprocess.run([sys.executable, "-c", source], check=True)
