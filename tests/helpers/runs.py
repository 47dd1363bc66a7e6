"""Small training runs for tests: what to type, where their files are, and when two of them are the same."""

import os

import torch

import main_gcn
from common.checkpoint import load_checkpoint

SMALL = ['-d', 'tiny', '--device', 'cpu', '-b', '32']
GCN = [*SMALL, '-z', '8', '-l', '1']


def run_folder(root='checkpoint'):
    (folder,) = os.listdir(root)
    return os.path.join(root, folder)


def train(script, *arguments, main=main_gcn.main):
    """Run with the fixture `script`; returns what it printed."""
    status, out, err = script(main, *arguments)
    assert status == 0, err
    return out


def assert_same_run(one_folder, other_folder):
    """Weights, average, optimiser, random states, errors and log of two runs agree to the bit."""
    for name in ('ckpt_last.pth.tar', 'ckpt_best.pth.tar'):
        one, two = (load_checkpoint(os.path.join(folder, name)) for folder in (one_folder, other_folder))
        for tensors in ('state_dict', 'random'):
            assert_same_tensors(getattr(one, tensors), getattr(two, tensors))
        assert one.average.keys() == two.average.keys()
        if one.average:
            assert_same_tensors(one.average['state_dict'], two.average['state_dict'])
            assert one.average['updates'] == two.average['updates']
        assert one.optimizer['state'].keys() == two.optimizer['state'].keys()
        for index, state in one.optimizer['state'].items():
            assert_same_tensors(state, two.optimizer['state'][index])
        for attribute in ('epoch', 'step', 'lr', 'error', 'best_error', 'under_way', 'keypoints_range'):
            assert getattr(one, attribute) == getattr(two, attribute), attribute
    logs = []
    for folder in (one_folder, other_folder):
        with open(os.path.join(folder, 'log.txt'), encoding='utf-8') as file:
            logs.append(file.read())
    assert logs[0] == logs[1]


def assert_same_tensors(one, two):
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)
