"""Settings of glibc: it keeps freed memory, which shortens a training step by 3 to 20 percent, or returns it."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's settings, from its malloc.h
_LARGEST = 32 << 20  # bytes; glibc accepts no more


def keep_freed_memory() -> None:
    """Make glibc keep the memory that this process frees; other C libraries stay as they are.

    Every training step frees the tensors of the step before. By default glibc returns some of them to the system, which
    clears each page again before the next step gets it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # other C libraries, static programs, Windows
        return
    mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
    mallopt(_MMAP_THRESHOLD, _LARGEST)


def return_freed_memory() -> None:
    """Make glibc return freed memory to the system, for example that of the people of a long clip, 1 KB for each frame.

    By default it keeps freed pages below the last one in use.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return
    trim(0)
