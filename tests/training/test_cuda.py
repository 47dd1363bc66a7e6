"""What only a CUDA device can show: a run goes on to the same bits."""

import pytest
import torch

from tests.helpers.runs import GCN, assert_same_run, run_folder, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='PyTorch finds no CUDA device here')


def test_a_run_on_the_device_goes_on_where_it_was(workplace, script):
    arguments = [*GCN, '--device', 'cuda', '--dropout', '0.2', '--ema', '0.9', '--snapshot', '2']
    train(script, *arguments, '-e', '4', '-c', 'whole')
    train(script, *arguments, '-e', '2', '-c', 'halves')
    halves = run_folder('halves')
    train(script, '-e', '4', '--device', 'cuda', '-r', f'{halves}/ckpt_last.pth.tar')
    assert_same_run(run_folder('whole'), halves)
