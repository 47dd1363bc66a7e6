"""What the C library does with freed memory."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's settings, from its malloc.h
_LARGEST = 32 << 20  # bytes: glibc refuses to keep larger blocks


def keep_freed_memory() -> None:
    """Have glibc keep what this process frees, for all its threads; other C libraries are left as they are.

    Every step frees the tensors of the one before. By its defaults glibc hands some of them back to the system, as the
    heap happens to lie, and the system clears each of their pages for the next step: 3 microseconds for 4 KB here.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # of other C libraries, of static programs, of Windows
        return
    mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
    mallopt(_MMAP_THRESHOLD, _LARGEST)
