"""The fuzzer itself: whole files are read by every target, and each kind of finding is found."""

import multiprocessing
import os
import sys

import pytest

from common.errors import UserError
from tests.fuzzing import __main__ as fuzz
from tests.fuzzing import detections as fuzz_detections
from tests.fuzzing import npz as fuzz_npz
from tests.fuzzing import sources as fuzz_sources
from tests.fuzzing.target import Target

TARGETS = [*fuzz_npz.targets(), *fuzz_sources.targets(), *fuzz_detections.targets()]


@pytest.mark.parametrize('target', TARGETS, ids=lambda target: target.title)
def test_what_is_whole_is_read(target, tmp_path):
    """Otherwise its damage would be refused for another reason."""
    path = tmp_path / target.name
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, content in target.beside().items():
        (path.parent / name).write_bytes(content)
    path.write_bytes(target.pack(target.seeds()[0]))
    target.read(str(path))


def stop(error):
    raise error


@pytest.mark.parametrize(('read', 'outcome'), [
    (lambda path: 1, 'read'),
    (lambda path: stop(UserError('x.npz is missing.')), 'refused'),
    (lambda path: stop(UserError('one line\nand another.')), 'no sentence'),
    (lambda path: stop(UserError('x.npz is damaged (Unable to allocate 3 GiB).')), 'memory'),
    (lambda path: stop(MemoryError()), 'memory'),
    (lambda path: stop(ZeroDivisionError()), 'traceback'),
    (lambda path: stop(fuzz.Hang()), 'hang'),
    (lambda path: os.system('true'), 'executed'),
    (lambda path: os.mkdir(path + 'x'), 'executed'),
])
def test_findings(read, outcome, tmp_path):
    target = Target('x', 'x', list, read)
    assert fuzz.judge(target, str(tmp_path / 'x'), fuzz.Watch('/nowhere'))[0] == outcome


def test_what_is_read_apart_may_crash(tmp_path):
    target = Target('x', 'x', list, lambda path: os._exit(11), apart=True)
    assert fuzz.judge_apart(target, 'x', fuzz.Watch(str(tmp_path)))[0] == 'apart'


def test_a_short_run_finds_nothing(monkeypatch):
    fuzz_detections.model.cache_clear()  # each run writes into a folder of its own
    monkeypatch.setattr(sys, 'argv', ['fuzz', '--inputs', str(4 * len(TARGETS))])
    run = multiprocessing.get_context('fork').Process(target=lambda: sys.exit(fuzz.main()))  # it limits its memory
    run.start()
    run.join()
    assert run.exitcode == 0
