"""Kept memory causes no page faults. Measured in a process of its own, for the setting cannot be undone."""

import platform
import subprocess
import sys

import pytest

PROGRAM = '''
import ctypes, resource
from common.malloc import keep_freed_memory
{set}
c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
blocks = [ctypes.c_void_p()] * 64
def take():  # like a step: blocks of 1 MB, written to, and all freed at its end
    for index in range(64):
        blocks[index] = ctypes.c_void_p(c.malloc(1 << 20))
        c.memset(blocks[index], 1, 1 << 20)
    for block in reversed(blocks):
        c.free(block)
for _ in range(3):
    take()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    take()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
'''


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='the setting is for glibc')
def test_freed_memory_is_kept_when_asked_for():
    kept, returned = (int(subprocess.run([sys.executable, '-c', PROGRAM.format(set=line)], check=True,
                                           capture_output=True, text=True).stdout)
                        for line in ('keep_freed_memory()', ''))
    assert kept < 100 < 10_000 < returned  # page faults; 64 MB have 16,384 pages, ten times


HOLDING = '''
from common.malloc import return_freed_memory
def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1])
blocks = [bytes(1000) for _ in range(100_000)]
last = bytearray(1000)  # holds the end of the heap
before = resident()
del blocks
kept = before - resident()
return_freed_memory()
print(kept, before - resident())
'''


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='the function is of glibc')
def test_freed_memory_is_returned_when_asked_for():
    kept, returned = map(int, subprocess.run([sys.executable, '-c', HOLDING], check=True, capture_output=True,
                                             text=True).stdout.split())
    assert returned > 15_000 > 2 * kept  # pages; 100 MB have 24,414


def test_other_c_libraries_are_left_alone(monkeypatch):
    from common import malloc
    for error in (AttributeError, OSError, TypeError):
        def refuse(_, error=error):
            raise error
        monkeypatch.setattr(malloc.ctypes, 'CDLL', refuse)
        assert malloc._function('mallopt')(-1, 0) == 0
