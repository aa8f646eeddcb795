"""Freed blocks stay with the process: the next block of that size costs no page faults."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from idol_model.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
x = torch.zeros(16, 1024, 1024)
for _ in range(5):
    y = x * 2
    z = y + x
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    y = x * 2
    z = y + x
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's setting")
def test_blocks_are_used_again_without_page_faults() -> None:
    faults = {how: _faults(how) for how in ("default", "keep")}
    assert faults["keep"] < 0.5 * faults["default"]


def _faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)
