"""Keep freed memory: glibc otherwise returns big tensors to the system and faults them in again each step."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
THRESHOLDS = (1 << 30, 32 << 20)  # bytes; older glibc takes no M_MMAP_THRESHOLD above 32 MiB


def keep_freed_memory() -> bool:
    """Raise glibc's thresholds for the whole process; False if there is no glibc. Costs resident memory."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return any(mallopt(M_MMAP_THRESHOLD, size) for size in THRESHOLDS) and bool(
        mallopt(M_TRIM_THRESHOLD, THRESHOLDS[0])
    )
