"""Freed memory stays with the process, unless the user has said how it is to be."""

import subprocess
import sys

import pytest

from recsys_cli.allocator import keep_freed_memory

FAULTS = """
import resource, sys
import numpy as np
from recsys_cli.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
np.ones(8_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(8_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is of glibc")
def test_a_big_array_takes_the_place_of_the_last_one():
    assert 4 * faults("kept") < faults("as it comes")


def test_a_choice_of_the_user_stands(monkeypatch):
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "131072")
    assert not keep_freed_memory()
