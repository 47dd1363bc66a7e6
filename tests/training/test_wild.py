"""The recipe wild from the command line: what it records, what it evaluates, and flags that exclude each other."""

import pytest
import torch

import main_gcn
import main_linear
from common.checkpoint import load_checkpoint
from common.datasets import h36m
from common.geometry.mirror import Mirror
from common.training.recipe import RECIPES
from tests.helpers.runs import GCN, SMALL, run_folder, train


@pytest.mark.parametrize('main, arguments', [(main_gcn.main, GCN), (main_linear.main, SMALL)])
def test_a_run_records_what_it_was_and_is_evaluated_without_flags(workplace, script, main, arguments):
    data = SMALL[:2]
    _, out, _ = script(main, '--recipe', 'wild', *arguments, '-e', '1', '-c', 'runs')
    path = f'{run_folder("runs")}/ckpt_last.pth.tar'
    checkpoint = load_checkpoint(path)
    assert (checkpoint.normalization, checkpoint.config.window) == ('person', 5)
    assert {name: checkpoint.recipe[name] for name in ('virtual', 'hide', 'turn')} == {
        name: RECIPES['wild']['gcn'][name] for name in ('virtual', 'hide', 'turn')}
    errors = out.splitlines()[-2:]
    assert script(main, '--recipe', 'wild', *data, '--evaluate', path)[1].splitlines()[-2:] == errors
    status, own_cameras, _ = script(main, *data, '--evaluate', path, '--tta', 'flip')
    assert status == 0 and own_cameras.splitlines()[-2:] != errors


@pytest.mark.parametrize('flags, words', [
    (['--window', '5'], '--window 5 needs --virtual'), (['--turn', '0.3'], '--turn needs --virtual'),
    (['--virtual', '--rotate', '30'], '--rotate does not go together with --virtual'),
    (['--virtual', '--window', '4'], 'window 4, which must be odd')])
def test_flags_that_exclude_each_other(workplace, script, flags, words):
    status, _, err = script(main_gcn.main, *GCN, *flags)
    assert status == 2 and words in err


def test_networks_of_the_image_are_not_shown_virtual_cameras(workplace, script):
    train(script, *GCN, '-e', '1', '-c', 'runs')
    status, _, err = script(main_gcn.main, *SMALL[:2], '--virtual', '--evaluate',
                            f'{run_folder("runs")}/ckpt_last.pth.tar')
    assert status == 2 and 'trained with it' in err


def test_windows_are_mirrored_frame_by_frame():
    mirror, windows = Mirror(h36m.skeleton(), torch.device('cpu')), torch.randn(3, 16, 5, 2)
    expected = torch.stack([mirror(windows[:, :, frame]) for frame in range(5)], 2)
    assert torch.equal(mirror(windows.flatten(2)).view_as(windows), expected)
    assert torch.equal(mirror(mirror(windows.flatten(2))), windows.flatten(2))
