"""Checkpoints are read again to the bit, and checkpoints of the published code are read."""

import dataclasses
import errno
import math
import os

import pytest
import torch

from common.checkpoint import check_flags, load_checkpoint, restore_model, snapshot_name
from common.datasets.h36m import skeleton
from common.training.resume import restore_optimizer
from models.config import ModelConfig, build_model, default_config
from tests.helpers.make_checkpoints import (
    SMALL,
    assert_equal_bits,
    checkpoint_of,
    published,
    rejection,
    train_step,
    trained,
)

PUBLISHED_KEYS = ['epoch', 'lr', 'step', 'state_dict', 'optimizer', 'error']
CONFIGS = {
    'plain': ModelConfig('gcn', hid_dim=16, num_layers=2),
    'semch non-local': ModelConfig('gcn', hid_dim=8, num_layers=1, conv='semch', non_local=True),
    'linear': ModelConfig('linear', hid_dim=32, num_layers=2, dropout=0.5),
}


# There and back.

@pytest.mark.parametrize('name', CONFIGS)
def test_round_trip(tmp_path, name):
    config = CONFIGS[name]
    model, optimizer = trained(config)
    saved = checkpoint_of(model, optimizer, config)
    path = str(tmp_path / 'folder' / snapshot_name(3))
    saved.save(path)
    found = load_checkpoint(path)

    assert found.described
    for attribute in ('epoch', 'lr', 'step', 'error', 'config', 'best_error', 'recipe'):
        assert getattr(found, attribute) == getattr(saved, attribute)
    assert list(found.state_dict) == list(model.state_dict())
    for key, value in model.state_dict().items():
        assert_equal_bits(found.state_dict[key], value)
    for key, value in saved.random.items():
        assert_equal_bits(found.random[key], value)

    restored = restore_model(found, path, skeleton())
    again = torch.optim.Adam(restored.parameters(), lr=1.0)
    restore_optimizer(again, found, path)
    assert again.param_groups[0]['lr'] == 2e-3
    torch.manual_seed(7)  # of the dropout
    train_step(model, optimizer)
    torch.manual_seed(7)
    train_step(restored, again)
    for key, value in model.state_dict().items():
        assert_equal_bits(restored.state_dict()[key], value)
    mine, theirs = again.state_dict()['state'], optimizer.state_dict()['state']
    assert mine.keys() == theirs.keys()
    for index, moments in theirs.items():
        for key, value in moments.items():
            assert_equal_bits(mine[index][key], value)


def test_the_file_is_the_published_layout(tmp_path):
    """PyTorch 1.1 and `weights_only` read it too."""
    path = tmp_path / 'a.pth.tar'
    model, optimizer = trained()
    checkpoint_of(model, optimizer).save(str(path))
    assert path.read_bytes()[:2] == b'\x80\x02'  # a pickle of protocol 2, not a zip archive
    content = torch.load(path, weights_only=True)
    assert list(content)[:6] == PUBLISHED_KEYS
    assert content['config'] == dataclasses.asdict(SMALL)
    assert (content['epoch'], content['lr'], content['step'], content['error']) == (3, 2e-3, 1234, 45.5)
    build_model(SMALL, skeleton()).load_state_dict(content['state_dict'])
    torch.optim.Adam(model.parameters()).load_state_dict(content['optimizer'])


def test_the_new_container_is_read_too(tmp_path):
    path = str(tmp_path / 'a.pth')
    model, _ = trained()
    torch.save({'state_dict': model.state_dict()}, path)
    found = load_checkpoint(path)
    assert found.config == SMALL
    assert (found.epoch, found.lr, found.step, found.optimizer, found.error) == (0, 0.0, 0, None, math.inf)
    restore_optimizer(torch.optim.Adam(model.parameters()), found, path)  # it has no state: nothing to do


@pytest.mark.parametrize('prefix', ['', 'module.', '_orig_mod.', 'module._orig_mod.'])
@pytest.mark.parametrize('bare', [False, True])
def test_state_dicts_of_wrapped_networks_and_alone(tmp_path, prefix, bare):
    path = str(tmp_path / 'a.pth')
    model, _ = trained()
    state = {prefix + name: value for name, value in model.state_dict().items()}
    torch.save(state if bare else {'epoch': 1, 'state_dict': state}, path)
    found = load_checkpoint(path)
    assert (found.config, found.normalization, found.skeleton) == (SMALL, 'image', None)
    poses = torch.randn(3, 16, 2)
    assert torch.equal(restore_model(found, path, skeleton()).eval()(poses), model.eval()(poses))


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = str(tmp_path / 'ckpt_last.pth.tar')
    saved = checkpoint_of(*trained())
    saved.save(path)

    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    assert 'No space left on device' in rejection(dataclasses.replace(saved, epoch=4).save, path)
    assert load_checkpoint(path).epoch == 3 and os.listdir(tmp_path) == ['ckpt_last.pth.tar']


# Files that do not describe themselves.

@pytest.mark.parametrize('name', CONFIGS)
def test_the_network_is_read_off_the_tensors(tmp_path, name):
    config = CONFIGS[name]
    model, optimizer = trained(config)
    path = published(model, optimizer, tmp_path / 'a.pth.tar')
    found = load_checkpoint(path)
    assert not found.described
    assert found.config == config
    assert (found.epoch, found.step, found.lr, found.error, found.best_error) == (39, 950508, 6e-4, 42.3, 42.3)
    restored = restore_model(found, path, skeleton())
    poses = torch.randn(3, 16, 2)
    assert torch.equal(restored.eval()(poses), model.eval()(poses))


def test_dropout_comes_from_the_config(tmp_path):
    """The tensors do not show it, so a file without a config has none; `take_flags_from` takes the flag's then."""
    path = str(tmp_path / 'a.pth.tar')
    config = dataclasses.replace(SMALL, dropout=0.25)
    model, optimizer = trained(config)
    checkpoint_of(model, optimizer, config).save(path)
    found = load_checkpoint(path)
    assert found.config == config
    assert restore_model(found, path, skeleton()).gconv_input[0].dropout.p == 0.25
    path = published(model, optimizer, tmp_path / 'b.pth.tar')
    found = load_checkpoint(path)
    assert restore_model(found, path, skeleton()).gconv_input[0].dropout.p == found.config.dropout == 0


def test_the_published_checkpoint(shared):
    path = str(shared('pretrained/ckpt_semgcn.pth.tar'))
    found = load_checkpoint(path)
    assert (found.epoch, found.step, found.described) == (39, 950508, False)
    assert found.lr == pytest.approx(6.925339958244801e-4, rel=1e-12)
    assert found.error == pytest.approx(42.32632323957809, rel=1e-12)
    assert found.config == default_config('gcn')
    assert all(value.isfinite().all() for value in found.state_dict.values())
    model = restore_model(found, path, skeleton())
    optimizer = torch.optim.Adam(model.parameters())
    restore_optimizer(optimizer, found, path)
    states = optimizer.state_dict()['state']
    assert len(states) == len(list(model.parameters()))
    assert all(state['step'] == 950508 for state in states.values())


# Flags.

def test_flags_that_agree_or_are_not_given(tmp_path):
    found = checkpoint_of(*trained())
    check_flags(found, 'a.pth.tar', {})
    check_flags(found, 'a.pth.tar', {'hid_dim': 8, 'num_layers': 1, 'non_local': False, 'dropout': 0.0})
    found.described = False
    check_flags(found, 'a.pth.tar', {'dropout': 0.5})  # nothing in the file is against it


@pytest.mark.parametrize(('flags', 'words'), [
    ({'hid_dim': 128}, ['--hid_dim 128 ', 'hid_dim 8']), ({'num_layers': 4}, ['--num_layers 4 ', 'num_layers 1']),
    ({'non_local': True}, ['--non_local ', 'non_local False']), ({'dropout': 0.5}, ['--dropout 0.5 ', 'dropout 0.0']),
    ({'hid_dim': 8, 'num_layers': 2}, ['--num_layers 2 ', 'num_layers 1']),
])
def test_flags_that_contradict_the_file(flags, words):
    text = rejection(check_flags, checkpoint_of(*trained()), 'run/a.pth.tar', flags)
    for word in (*words, 'run/a.pth.tar', 'SemGCN (1 layers of 8)'):
        assert word in text
