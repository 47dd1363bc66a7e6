"""A wrong checkpoint ends in a sentence that names what is wrong with it."""

import copy
import dataclasses
import math
import os
from collections import OrderedDict

import numpy as np
import pytest
import torch

from common.checkpoint import load_checkpoint, restore_model
from common.datasets.h36m import skeleton
from common.training.resume import restore_optimizer
from models.config import ModelConfig, default_config
from tests.helpers.make_checkpoints import (
    SMALL,
    assert_equal_bits,
    checkpoint_of,
    published,
    rejection,
    train_step,
    trained,
)


def damaged_state(change):
    model, optimizer = trained()
    state = OrderedDict(copy.deepcopy(model.state_dict()))
    change(state)
    return checkpoint_of(model, optimizer, state_dict=state)


@pytest.mark.parametrize(('change', 'words'), [
    (lambda state: state.pop('gconv_output.bias'), ['gconv_output.bias', 'has nothing where', '(3,)']),
    (lambda state: state.pop('gconv_layers.0.gconv2.bn.weight'), ['gconv_layers.0.gconv2.bn.weight', '(8,)']),
    (lambda state: state.update(extra=torch.zeros(2)), ['extra', 'has (2,)', 'network has nothing']),
    (lambda state: state.update({'gconv_output.bias': torch.zeros(4)}), ['gconv_output.bias', '(4,)', '(3,)']),
    (lambda state: state.update({'gconv_output.e': torch.zeros(46)}), ['gconv_output.e', '(46,)', '(1, 46)']),
    (lambda state: state.update({'gconv_output.e': torch.zeros(1, 49)}), ['gconv_output.e', '(1, 49)', '16 joints']),
    (lambda state: state.update({'gconv_output.bias': torch.zeros(3).long()}), ['gconv_output.bias', 'integers']),
    (lambda state: state.update({'x\x1b[2J' * 100: torch.zeros(1)}), ['x?[2J']),
])
def test_tensors_that_do_not_fit(tmp_path, change, words):
    path = str(tmp_path / 'a.pth.tar')
    damaged_state(change).save(path)
    text = rejection(restore_model, load_checkpoint(path), path, skeleton())
    for word in (*words, path, 'SemGCN (1 layers of 8)'):
        assert word in text


def test_the_description_contradicts_the_tensors(tmp_path):
    path = str(tmp_path / 'a.pth.tar')
    model, optimizer = trained()
    for config in (dataclasses.replace(SMALL, num_layers=2), dataclasses.replace(SMALL, hid_dim=16),
                   dataclasses.replace(SMALL, non_local=True), dataclasses.replace(SMALL, conv='semch'),
                   default_config('linear'), ModelConfig('gcn', hid_dim=1 << 14, num_layers=4)):
        checkpoint_of(model, optimizer, config).save(path)
        text = rejection(restore_model, load_checkpoint(path), path, skeleton())
        assert f'does not fit a {config.describe()}' in text


@pytest.mark.parametrize('change', [
    lambda state: state.update({'gconv_output.bias': torch.full((3,), math.nan)}),
    lambda state: state['gconv_layers.0.gconv1.gconv.W'][0].fill_(math.inf),
    lambda state: state.update({'gconv_output.bias': torch.full((3,), 1e300, dtype=torch.float64)}),
])
def test_weights_that_are_not_finite(tmp_path, change):
    path = str(tmp_path / 'a.pth.tar')
    damaged_state(change).save(path)
    assert rejection(load_checkpoint, path).endswith('its weights are not all finite numbers.')
    damaged_state(lambda state: state['gconv_input.0.bn.running_var'].neg_()).save(path)
    assert 'negative variances' in rejection(load_checkpoint, path)


def test_halves_and_doubles_are_read(tmp_path):
    path = str(tmp_path / 'a.pth.tar')
    for dtype in (torch.float16, torch.float64):
        damaged_state(lambda state, dtype=dtype: state.update(
            {name: value.to(dtype) for name, value in state.items() if value.is_floating_point()})).save(path)
        restored = restore_model(load_checkpoint(path), path, skeleton())
        assert all(parameter.dtype == torch.float32 for parameter in restored.parameters())


INPUT = 'gconv_input.0.gconv.'


@pytest.mark.parametrize('state', [
    {'w': torch.zeros(2)}, {'module.' + INPUT + 'W': torch.zeros(2, 2, 8), 'w': torch.zeros(2)},
    {INPUT + 'W': torch.zeros(2)}, {INPUT + 'W': torch.tensor(1.0)}, {INPUT + 'W': torch.zeros(2, 2, 8)},
    {INPUT + 'W': torch.zeros(2, 2, 8), INPUT + 'e': torch.tensor(1.0)},
    {INPUT + 'W': torch.zeros(2, 2, 0), INPUT + 'e': torch.zeros(1, 46)},
    {'linear_stages.0.w1.weight': torch.zeros(2)},
    {'linear_stages.0.w1.weight': torch.zeros(2), 'w1.weight': torch.tensor(1.0)},
])
def test_tensors_of_no_network(tmp_path, state):
    path = published(*trained(), tmp_path / 'a.pth.tar', state_dict=state)
    assert 'its tensors' in rejection(load_checkpoint, path)


@pytest.mark.parametrize(('config', 'words'), [
    *(({'architecture': 'gcn', key: value}, f'{key} {value!r}'[:60]) for key, value in (
        ('architecture', 'transformer'), ('architecture', ['gcn']), ('architecture', 'x' * 10_000), ('conv', 'gat'),
        ('hid_dim', '8'), ('hid_dim', True), ('hid_dim', 0), ('hid_dim', 1 << 40), ('hid_dim', torch.tensor(8)),
        ('num_layers', -1), ('num_layers', 10 ** 9), ('dropout', 1.0), ('dropout', math.nan), ('non_local', 1),
        ('window', 4), ('window', 0), ('unit', 0.0), ('unit', math.inf))),
    ({'architecture': 'gcn', 'non_local': True, 'hid_dim': 7}, 'odd hid_dim 7'),
    ({'architecture': 'gcn', 'heads': 8}, 'heads'), ({'architecture': 'gcn', 5: 8}, 'architecture, 5 where'),
    ({}, 'has nothing where'), ({'hid_dim': 8}, 'has hid_dim where'), ([], 'config is a list'),
    (None, 'config is a NoneType'), ('gcn', 'config is a str'), (torch.zeros(2), 'config is a Tensor'),
])
def test_descriptions_of_no_network(tmp_path, config, words):
    path = published(*trained(), tmp_path / 'a.pth.tar', config=config)
    text = rejection(load_checkpoint, path)
    assert text.startswith(f'{path} is not a usable checkpoint: ')
    assert words in text


@pytest.mark.parametrize(('key', 'values'), [
    ('epoch', ['39', None, 3.0, -1, True, 1 << 60, torch.zeros(2), math.nan]), ('step', ['x', -5]),
    ('lr', [-1.0, math.nan, math.inf, 10 ** 400, False]), ('error', ['x', math.nan, -1.0]), ('best_error', [math.nan]),
    ('normalization', ['box', 1]), ('optimizer', [[], torch.zeros(2)]), ('recipe', [[], None]), ('random', [[]]),
])
def test_values_that_cannot_be(tmp_path, key, values):
    for value in values:
        path = published(*trained(), tmp_path / 'a.pth.tar', **{key: value})
        assert f'its {key} is' in rejection(load_checkpoint, path) or 'bits' in rejection(load_checkpoint, path)


def test_skeletons_that_are_none(tmp_path):
    for value in (5, {'names': ('a',)}, {**skeleton().as_dict(), 'parents': (0,) * 16}):
        path = published(*trained(), tmp_path / 'a.pth.tar', skeleton=value)
        assert f'{path} is not a usable checkpoint: ' in rejection(load_checkpoint, path)


def test_joints_of_another_skeleton(tmp_path):
    """Any tree of 16 joints has as many edges: that the shapes fit does not make the joints the same."""
    other = dataclasses.replace(skeleton(), names=(*skeleton().names[:-1], 'Tail'))
    model, optimizer = trained()
    path = str(tmp_path / 'a.pth.tar')
    checkpoint_of(model, optimizer, skeleton=other).save(path)
    assert load_checkpoint(path).skeleton == other
    restore_model(load_checkpoint(path), path, other)
    text = rejection(restore_model, load_checkpoint(path), path, skeleton())
    assert 'Tail, which are not the joints here: Hip' in text
    path = published(model, optimizer, path)  # does not say: it is of the published joints
    restore_model(load_checkpoint(path), path, skeleton())
    assert 'RWrist, which are not the joints here' in rejection(restore_model, load_checkpoint(path), path, other)


def test_numbers_of_numpy_and_pytorch_are_numbers(tmp_path):
    path = published(*trained(), tmp_path / 'a.pth.tar', error=np.float32(42.5), epoch=np.int64(39), lr=np.float64(0.5),
                     step=torch.tensor(7))
    found = load_checkpoint(path)
    assert (found.error, found.epoch, found.step, found.lr) == (42.5, 39, 7, 0.5)
    assert [type(value) for value in (found.error, found.epoch, found.step, found.lr)] == [float, int, int, float]


@pytest.mark.parametrize('content', [
    None, [], 'text', 5, {}, {'state_dict': None}, {'state_dict': []}, {'state_dict': {1: torch.zeros(1)}},
    {'state_dict': {'a': 1}}, {'state_dict': {'a': None}}, {'state_dict': {'a': np.zeros(2)}}, torch.zeros(2), {1: 2},
    {'model': {'a': torch.zeros(2)}}, {'state_dict': {}},
])
def test_files_of_torch_that_are_no_checkpoints(tmp_path, content):
    path = str(tmp_path / 'a.pth.tar')
    torch.save(content, path, _use_new_zipfile_serialization=False)
    keys = f' but {", ".join(map(str, content))}' if isinstance(content, dict) and content else ''
    assert rejection(load_checkpoint, path).startswith(
        f'{path} is not a checkpoint: it has no state_dict of tensors{keys}. Save')


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / 'a.pth.tar'
    assert rejection(load_checkpoint, str(path)) == f'{path} is missing.'
    assert 'Is a directory' in rejection(load_checkpoint, str(tmp_path))
    for content in (b'', b'text', b'PK\3\4'):
        path.write_bytes(content)
        assert f'{path} is not a readable checkpoint: ' in rejection(load_checkpoint, str(path))
    torch.save({'state_dict': {}, 'x': os.system}, path)
    assert 'asks for posix.system' in rejection(load_checkpoint, str(path))


# The optimizer.

def test_an_optimizer_of_python2(tmp_path):
    """The names of parameters are their addresses, which have no order; steps are whole numbers."""
    model, optimizer = trained()
    path = published(model, optimizer, tmp_path / 'a.pth.tar', python2_ids=True, lr=2e-3)
    found = load_checkpoint(path)
    restored = restore_model(found, path, skeleton())
    again = torch.optim.Adam(restored.parameters(), lr=1.0, betas=(0.9, 0.999))
    restore_optimizer(again, found, path)
    train_step(model, optimizer)
    train_step(restored, again)
    for key, value in model.state_dict().items():
        assert_equal_bits(restored.state_dict()[key], value)


def test_the_optimizer_owns_its_moments(tmp_path):
    """A file may describe one tensor twice; Adam writes into its moments."""
    path = str(tmp_path / 'a.pth.tar')
    model, optimizer = trained()
    state = copy.deepcopy(optimizer.state_dict())
    for moments in state['state'].values():
        moments['exp_avg'] = moments['exp_avg_sq']
    checkpoint_of(model, optimizer, optimizer=state).save(path)
    found = load_checkpoint(path)
    restored = restore_model(found, path, skeleton())
    again = torch.optim.Adam(restored.parameters())
    restore_optimizer(again, found, path)
    for moments in again.state.values():
        assert moments['exp_avg'].data_ptr() != moments['exp_avg_sq'].data_ptr()
        assert torch.equal(moments['exp_avg'], moments['exp_avg_sq'])
    before = found.optimizer['state'][0]['exp_avg'].clone()
    train_step(restored, again)
    assert torch.equal(found.optimizer['state'][0]['exp_avg'], before)


def first(**changes):
    """The moments of one parameter, changed; those that become ... are left out."""
    def change(state):
        state['state'][0].update(changes)
        state['state'][0] = {name: value for name, value in state['state'][0].items() if value is not ...}
    return change


@pytest.mark.parametrize('change', [
    lambda state: state.pop('state'), lambda state: state.pop('param_groups'),
    lambda state: state.update(state={0: []}), lambda state: state.update(param_groups=[{'params': 'abc'}]),
    lambda state: state['param_groups'][0]['params'].append(99), lambda state: state['state'].pop(3),
    lambda state: state['state'][0]['exp_avg_sq'].fill_(-1), *(first(step=value) for value in (..., -1, math.nan, 'x')),
    *(first(exp_avg=value) for value in (..., None, torch.zeros(3), torch.full((2, 2, 8), math.nan))),
])
def test_an_optimizer_that_does_not_fit(tmp_path, change):
    path = str(tmp_path / 'a.pth.tar')
    model, optimizer = trained()
    state = copy.deepcopy(optimizer.state_dict())
    change(state)
    checkpoint_of(model, optimizer, optimizer=state).save(path)
    before = copy.deepcopy(optimizer.state_dict())
    text = rejection(restore_optimizer, optimizer, load_checkpoint(path), path)
    assert text.startswith(f'{path} holds an optimizer that does not fit its network: ')
    assert str(optimizer.state_dict()) == str(before)


def test_an_optimizer_of_another_network(tmp_path):
    path = str(tmp_path / 'a.pth.tar')
    _, optimizer = trained(dataclasses.replace(SMALL, hid_dim=16))
    model, _ = trained()
    checkpoint_of(model, optimizer).save(path)
    text = rejection(restore_optimizer, torch.optim.Adam(model.parameters()), load_checkpoint(path), path)
    assert 'exp_avg is (2, 2, 16) instead of (2, 2, 8)' in text
    _, optimizer = trained(dataclasses.replace(SMALL, num_layers=2))
    checkpoint_of(model, optimizer).save(path)
    text = rejection(restore_optimizer, torch.optim.Adam(model.parameters()), load_checkpoint(path), path)
    assert 'it has 28 parameters instead of 18' in text
