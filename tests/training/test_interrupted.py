"""Runs that are interrupted: by signals, by death at any moment; gone on with, they end as if nothing had happened."""

import glob
import multiprocessing
import os
import random
import shlex
import signal
import sys
import time

import pytest

import main_gcn
import main_linear
from common.checkpoint import load_checkpoint
from common.training.run import Trainer
from tests.conftest import ROOT
from tests.helpers.runs import GCN, SMALL, assert_same_run, run_folder, train

KILLS = int(os.environ.get('KILLS', '30'))
CALLS_AT_START, CALLS_IN_STEP = 100_000, 20_000  # of functions, about: before the first step, in each
EVERYTHING = [*GCN, '--non_local', '--dropout', '0.2', '--ema', '0.9', '--flip', '--rotate', '90']


def signal_at(monkeypatch, number, moment):
    """Send this process a signal when it may save or stop for the `moment`-th time."""
    reports, save_or_stop = [], Trainer.save_or_stop

    def counting(self):
        reports.append(self.training.progress.step)
        if len(reports) == moment:
            os.kill(os.getpid(), number)
        save_or_stop(self)

    monkeypatch.setattr(Trainer, 'save_or_stop', counting)


@pytest.mark.parametrize('main, arguments, number, moment, epoch, step', [
    (main_gcn.main, EVERYTHING, signal.SIGTERM, 1, 1, 1), (main_gcn.main, EVERYTHING, signal.SIGINT, 9, 1, 9),
    (main_gcn.main, EVERYTHING, signal.SIGTERM, 10, 1, 9), (main_gcn.main, EVERYTHING, signal.SIGINT, 12, 2, 11),
    (main_linear.main, SMALL, signal.SIGTERM, 12, 2, 11),
    (main_gcn.main, ['--recipe', 'wild', *GCN], signal.SIGTERM, 9, 1, 9),
])
def test_a_signal_ends_the_run_after_the_step_and_it_goes_on_to_the_same_bits(workplace, script, monkeypatch, main,
                                                                              arguments, number, moment, epoch, step):
    """An epoch has 9 steps and one report of its evaluation: the first, the last, the report, and the next epoch."""
    arguments = [*arguments, '-e', '3', '--seed', '5']
    with monkeypatch.context() as patch:
        signal_at(patch, number, moment)
        status, out, err = script(main, *arguments, '-c', 'halves')
    assert status == 128 + number and 'Traceback' not in err
    assert f'Stopped by {number.name} in epoch {epoch}, after step {step};' in out
    folder = run_folder('halves')
    assert load_checkpoint(f'{folder}/ckpt_last.pth.tar').step == step
    command = shlex.split(out.strip().splitlines()[-1])  # the command it printed, typed as it stands
    assert command[0] == 'python' and command[-2:] == ['--resume', f'{folder}/ckpt_last.pth.tar']
    train(script, *command[2:], main=main)
    train(script, *arguments, '-c', 'whole', main=main)
    assert_same_run(run_folder('whole'), folder)


def test_a_second_signal_is_obeyed_at_once(workplace, script, monkeypatch):
    save_or_stop = Trainer.save_or_stop

    def twice(self):
        handler = signal.getsignal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        while signal.getsignal(signal.SIGINT) == handler:  # until it is noted: two that come before are one
            time.sleep(1e-3)
        signal.raise_signal(signal.SIGINT)
        save_or_stop(self)

    monkeypatch.setattr(Trainer, 'save_or_stop', twice)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs have it ignored
    try:
        status, out, err = script(main_gcn.main, *GCN, '-e', '3')
    finally:
        signal.signal(signal.SIGINT, before)
    assert status == 130 and 'stopped' in err and 'to go on' not in out


def test_the_printed_command_has_the_new_checkpoint_in_place_of_the_old(workplace, script, monkeypatch):
    train(script, *GCN, '-e', '1', '-c', 'my runs')
    path = f'{run_folder("my runs")}/ckpt_last.pth.tar'
    with monkeypatch.context() as patch:
        signal_at(patch, signal.SIGTERM, 3)
        status, out, _ = script(main_gcn.main, '--resume', path, '-e', '4', '--data_dir', 'data', '--device', 'cpu')
    assert status == 143
    command = out.strip().splitlines()[-1]
    assert command.count('--resume') == 1 and "'my runs/" in command and '--data_dir data' in command


def test_a_batch_size_changed_within_an_epoch_still_sees_every_pose_once(workplace, script, monkeypatch):
    with monkeypatch.context() as patch:
        signal_at(patch, signal.SIGTERM, 2)
        script(main_gcn.main, *GCN, '-e', '1')
    path = f'{run_folder()}/ckpt_last.pth.tar'
    assert load_checkpoint(path).under_way[:2] == (64, 288)
    status, _, err = script(main_gcn.main, '-r', path, '-b', '16', '--device', 'cpu')
    assert status == 0 and '--batch_size 16 takes the place of 32' in err
    assert load_checkpoint(path).step == 2 + 14


def test_with_other_data_the_epoch_starts_again(workplace, script, monkeypatch):
    with monkeypatch.context() as patch:
        signal_at(patch, signal.SIGTERM, 2)
        script(main_gcn.main, *GCN, '-e', '1')
    path = f'{run_folder()}/ckpt_last.pth.tar'
    status, _, err = script(main_gcn.main, '-r', path, '--downsample', '2', '--device', 'cpu')
    assert status == 0 and 'epoch 1 starts again' in err
    assert load_checkpoint(path).step == 2 + 5


def test_checkpoints_are_written_within_an_epoch(workplace, script, monkeypatch):
    saved = []
    from common.checkpoint import Checkpoint
    save = Checkpoint.save
    monkeypatch.setattr(Checkpoint, 'save', lambda self, path: (saved.append(self.under_way[0]), save(self, path)))
    train(script, *GCN, '-e', '1', '--save_minutes', '1e-9')
    assert saved[:9] == list(range(32, 289, 32))


def _train(arguments, steps, calls):
    """Train; after some steps and then some calls of functions, in the sixth step at the latest, kill this process."""
    sys.argv = ['main_gcn.py', *arguments]
    sys.stdout = sys.stderr = open('output.txt', 'w', encoding='utf-8', buffering=1)  # noqa: SIM115
    save_or_stop, done_steps = Trainer.save_or_stop, 0

    def count_step(self):
        nonlocal done_steps
        done_steps += 1
        if done_steps == steps:
            sys.setprofile(count_call)
        if done_steps == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        save_or_stop(self)

    def count_call(frame, event, argument):  # of Python's and C's functions: within a write and a rename too
        nonlocal calls
        calls -= 'call' in event
        if calls < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if steps is not None:
        Trainer.save_or_stop = count_step
    if steps == 0:
        sys.setprofile(count_call)
    main_gcn.main()


def test_killed_at_random_moments_a_run_ends_as_if_nothing_had_happened(workplace, script, monkeypatch):
    """SIGKILL, whatever the program is doing, and again, and again; each time it resumes from ckpt_last.

    Half of the moments are between the start and the first step, half in or after the first steps.
    """
    monkeypatch.setenv('PYTHONPATH', str(ROOT))  # a fork server does not inherit sys.path
    processes = multiprocessing.get_context('forkserver')
    processes.set_forkserver_preload(['main_gcn', 'matplotlib.figure'])  # imported once, not 31 times
    random_numbers = random.Random(0)
    arguments = [*GCN, '--ema', '0.9', '--flip', '-e', '20', '--snapshot', '7', '--save_minutes', '1e-9']
    train(script, *arguments, '-c', 'whole')
    path, saved_at = None, set()
    for life in range(KILLS + 1):
        steps = random_numbers.randrange(1, 6) if life % 2 else 0
        calls = random_numbers.randrange(CALLS_IN_STEP if steps else CALLS_AT_START)
        resume = ['--resume', path] if path else []
        process = processes.Process(target=_train, args=([*arguments, '-c', 'killed', *resume],
                                                         steps if life < KILLS else None, calls))
        process.start()
        process.join()
        assert process.exitcode == (-signal.SIGKILL if life < KILLS else 0), (workplace / 'output.txt').read_text()
        if written := glob.glob('killed/*/ckpt_last.pth.tar'):
            (path,) = written
            saved_at.add(load_checkpoint(path).step)
    assert len(saved_at) > KILLS / 3
    assert_same_run(run_folder('whole'), os.path.dirname(path))
    left = {name for name in os.listdir(os.path.dirname(path)) if not name.startswith('.')}
    assert left == set(os.listdir(run_folder('whole')))
