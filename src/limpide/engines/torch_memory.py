"""Memory that tensors leave behind, kept for those of the next update.

The C library of Linux hands large blocks back to the system as they are freed, which then has to clear every page of
the next ones: with convolutions that shows.
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""The names that glibc's `mallopt` has for the two bounds (malloc.h)."""

LARGEST_BLOCK, MOST_KEPT = 32 << 20, 64 << 20
"""Bytes: the most that glibc raises the two bounds to by itself, when it is lucky in what is freed first."""


@cache
def keep_freed_memory() -> None:
    """Have glibc keep what is freed, for as long as the process lives; nothing where another library has the memory.

    What the environment says of it (`MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_THRESHOLD_`, `GLIBC_TUNABLES`) holds.
    """
    is_said = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if is_said or platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK)
    mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
