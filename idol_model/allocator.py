"""The C library's memory on CPUs: large blocks that are freed stay with the process.

By default glibc gives a large block back to the system at each free and gets zeroed pages at the next use. A denoising
step frees and asks for hundreds of them, so a sixth of its time goes into page faults (`benchmarks/denoiser.py`).
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Names and numbers of glibc's ``malloc.h``."""


def keep_freed_memory() -> bool:
    """Let freed blocks be used again by this process, which then stays at its peak until it ends.

    Returns:
        Whether the C library knows the setting; without glibc nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 2**27}
    return all(mallopt(name, value) for name, value in settings.items())
