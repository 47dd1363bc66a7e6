"""Two processes as one run: the same losses, weights and errors as one process at the same batch, one log, one file."""

import json
import multiprocessing
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.implementations import FixedBatches
from common import distributed
from common.checkpoint import load_checkpoint
from common.datasets import h36m
from common.training.engine import Training, train_epoch
from common.training.recipe import Recipe
from models.config import ModelConfig, build_model
from tests.conftest import ROOT
from tests.helpers.runs import GCN, run_folder, train

ARGUMENTS = [*GCN, '-b', '47', '--ema', '0.9', '--non_local', '--save_minutes', '1e-9']  # batches of 47 and a last of 6


def start_processes(*arguments):
    return subprocess.run([sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2',
                           *arguments], capture_output=True, text=True, timeout=300, check=False,
                          env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)})


def torchrun(*arguments):
    done = start_processes(*arguments)
    assert done.returncode == 0 and 'FutureWarning' not in done.stderr, done.stderr
    return done.stdout


def columns(folder):
    with open(os.path.join(folder, 'log.txt'), encoding='utf-8') as file:
        return np.array([[float(cell) for cell in line.split('\t')] for line in file.read().splitlines()[1:]])


def assert_same_curve(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_two_processes_learn_what_one_learns_and_one_goes_on_alone(workplace, script):
    train(script, *ARGUMENTS, '-e', '2', '-c', 'one')
    out = torchrun(str(ROOT / 'main_gcn.py'), *ARGUMENTS, '-e', '1', '-c', 'two', '--report', 'two.json')
    assert out.count('Protocol #1') == 1 and out.count('to train') == 1  # one of them prints
    one, two = run_folder('one'), run_folder('two')
    assert_same_curve(columns(two), columns(one)[:1])
    alone = train(script, '-d', 'tiny', '--device', 'cpu', '--evaluate', f'{two}/ckpt_last.pth.tar')
    assert alone.splitlines()[-5:] == out.splitlines()[-5:]
    train(script, '-r', f'{two}/ckpt_last.pth.tar', '-e', '2', '--device', 'cpu')  # another number of processes
    assert_same_curve(columns(two), columns(one))
    assert sorted(os.listdir(one)) == sorted(os.listdir(two))
    whole, shared = (load_checkpoint(f'{folder}/ckpt_last.pth.tar') for folder in (one, two))
    assert whole.step == shared.step == 14
    assert whole.average['updates'] == shared.average['updates']


@pytest.mark.parametrize('flags', [
    ['--val_subjects', 'S5', '--ema', '0.5'],
    ['--virtual_cameras', '--window', '3', '--hide', '0.5', '--detector_noise', '0.03'],
])
def test_two_processes_report_what_one_reports_also_after_a_resume(workplace, script, flags):
    """Steps are tiny, so that the random numbers of the samples, which differ between processes, change nothing."""
    arguments = [*GCN, *flags, '--lr', '1e-12', '--bn_momentum', '1e-12']
    reports = []
    for name, start in (('one', partial(train, script)), ('two', partial(torchrun, str(ROOT / 'main_gcn.py')))):
        start(*arguments, '-e', '1', '-c', name)
        start('--resume', f'{run_folder(name)}/ckpt_last.pth.tar', '-e', '2', '--report', f'{name}.json', '--device',
              'cpu')
        reports.append(json.loads((workplace / f'{name}.json').read_text()))
    one, two = reports
    assert ('chosen' in one) == ('--val_subjects' in flags)
    for key in ('pose_wise_average', 'action_wise_average', *(['chosen'] if 'chosen' in one else [])):
        numbers = [{name: value for name, value in report[key].items() if isinstance(value, float)}
                   for report in (one, two)]
        assert numbers[0] and numbers[1] == pytest.approx(numbers[0], rel=1e-6)


def test_what_the_first_process_cannot_do_ends_all_with_its_sentence(workplace):
    (workplace / 'file').write_text('not a folder')
    done = start_processes(str(ROOT / 'main_gcn.py'), *GCN, '-e', '1', '-c', 'file', '--test_subjects', 'S1,S9')
    assert done.returncode and 'file' in done.stderr and 'choose another folder with --checkpoint' in done.stderr
    assert done.stderr.count('Warning: S1 of the test subjects') == 1 and 'FutureWarning' not in done.stderr


def take_steps():
    """Five steps in float64 on batches of 7, 2 and 1 poses; gives the losses, the weights and the statistics."""
    skeleton = h36m.skeleton()
    torch.manual_seed(0)
    model = build_model(ModelConfig('gcn', hid_dim=6, num_layers=1, non_local=True), skeleton).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):  # the non-local block starts as the identity: let it do something
            nn.init.ones_(module.weight)
    keypoints, positions = torch.randn(7, 16, 2).double(), torch.randn(7, 16, 3).double()
    batches, losses = FixedBatches([torch.arange(count) for count in (7, 2, 7, 2, 7)], torch.device('cpu')), []
    training = Training(model, Recipe(1, 1, ema=0.5), batches, lambda batch: (keypoints[batch], positions[batch]))
    train_epoch(training, lambda: losses.append(training.progress.loss))
    return [torch.tensor(losses), *model.state_dict().values(), *training.average.model.state_dict().values()]


def take_steps_together(rank, results, meeting):
    torch.distributed.init_process_group('gloo', init_method=f'file://{meeting}', rank=rank, world_size=3)
    results[rank] = [tensor.numpy() for tensor in take_steps()]
    torch.distributed.destroy_process_group()


def test_three_processes_take_the_steps_of_one(tmp_path):
    """Shares differ, and of 2 poses the third process has none. In float64, where rounding cannot hide anything."""
    alone = take_steps()
    context = multiprocessing.get_context('fork')
    with context.Manager() as manager:
        results = manager.dict()
        processes = [context.Process(target=take_steps_together, args=(rank, results, tmp_path / 'meeting'))
                     for rank in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
        results = dict(results)
    assert sorted(results) == [0, 1, 2]
    for together in results.values():
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-7, atol=1e-9)


def test_parts_and_shares_cover_everything_once(monkeypatch):
    monkeypatch.setattr(distributed, 'size', lambda: 3)
    shares, parts = [], []
    for rank in range(3):
        monkeypatch.setattr(distributed, 'rank', lambda rank=rank: rank)
        shares += distributed.shard(torch.arange(8)).tolist()
        parts += list(range(8))[distributed.part(8)]
    assert sorted(shares) == list(range(8)) and parts == list(range(8))


def test_a_single_process_keeps_its_network_and_its_batch():
    model = nn.Sequential(nn.BatchNorm1d(2))
    assert distributed.parallel(model) is model and type(model[0]) is nn.BatchNorm1d
    assert distributed.maximum(7, torch.device('cpu')) == 7
    assert distributed.shard(torch.arange(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize('device, words', [('mps', 'does not work with --device mps'), ('cuda', 'more processes')])
def test_torchrun_on_devices_that_cannot_is_a_sentence(monkeypatch, device, words):
    from common.errors import UserError
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.setenv('LOCAL_RANK', '64')
    with pytest.raises(UserError, match=words):
        distributed.start(torch.device(device))
