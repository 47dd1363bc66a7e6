"""`models/fast/` against the plain equations, and the program without `models/fast/`."""

import math
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch import nn

import models.fast.dropout
import models.fast.graph_conv
from models.config import ModelConfig
from models.fast.dropout import Dropout
from tests.conftest import ROOT
from tests.helpers.networks import OTHER_SKELETONS, SKELETON, build, build_plain, randomize

GRID = [
    *(ModelConfig('gcn', 6, num_layers, dropout, non_local, conv) for num_layers in (0, 1, 3) for dropout in (0.0, 0.4)
      for non_local in (False, True) for conv in ('sem', 'semch')),
    *(ModelConfig('gcn', hid_dim, 1, non_local=True, window=3) for hid_dim in (4, 6, 8)),
    ModelConfig('linear', 8, 1, 0.0, window=3, unit=0.25), ModelConfig('gcn', 6, 1, unit=0.25),
    *(ModelConfig('linear', 8, num_layers, dropout) for num_layers in (0, 2) for dropout in (0.0, 0.4)),
]


CASES = [
    *((config, SKELETON) for config in GRID),
    *((ModelConfig('gcn', 6, 2, dropout, non_local=True), skeleton)
      for skeleton in OTHER_SKELETONS.values() for dropout in (0.0, 0.4)),
    (ModelConfig('gcn', 6, 1, non_local=True), replace(SKELETON, groups=tuple((joint,) for joint in range(16)))),
]
every_case = pytest.mark.parametrize('config, skeleton', CASES, ids=[
    f'{config.describe()}, dropout {config.dropout}, {len(skeleton)} joints, {len(skeleton.groups)} groups'
    for config, skeleton in CASES])


def fast_and_plain_networks(config, skeleton):
    """Both networks in float64 with the same weights, and with running statistics that are not a new network's."""
    fast, plain = randomize(build(config, skeleton).double()), build_plain(config, skeleton).double()
    for name, value in fast.state_dict().items():
        if 'running' in name:
            value.uniform_(0.5, 2)
    plain.load_state_dict(fast.state_dict())
    return fast, plain


def taken(model, keypoints):
    """Outputs, all gradients and the state after two passes forward and backward, by name."""
    keypoints = keypoints.clone().requires_grad_()
    torch.manual_seed(0)
    outputs = {f'output{index}': model(keypoints * (index + 1)) for index in range(2)}
    sum(output.square().mean() for output in outputs.values()).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {**outputs, 'keypoints': keypoints.grad, **{f'{name}.grad': grad for name, grad in gradients.items()},
            **model.state_dict()}


@pytest.mark.parametrize('training', [True, False], ids=['train', 'eval'])
@every_case
def test_fast_networks_equal_plain_ones(config, skeleton, training, rng, monkeypatch):
    fast, plain = (network.train(training) for network in fast_and_plain_networks(config, skeleton))
    if config.architecture == 'gcn':
        assert fast.is_faster(torch.zeros(1)) == (training and config.conv == 'sem')
    keypoints = torch.from_numpy(rng.normal(size=(5, len(skeleton), 2 * config.window)))
    masks = record_masks(monkeypatch)
    found = taken(fast, keypoints)
    if masks:  # fast networks draw masks of their own, which the plain ones have to use too
        monkeypatch.setattr(nn.Dropout, 'forward', lambda self, x: x * plain_layout(masks.pop(0), fast))
    expected = taken(plain, keypoints)
    assert found.keys() == expected.keys() and not masks
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-10, msg=f'{name} differs')
    assert expected['keypoints'].abs().max() > 1e-4  # far above the tolerance


def record_masks(monkeypatch):
    """A list that gets the dropout masks of fast networks."""
    masks, draw = [], models.fast.dropout.dropout_mask

    def drawn(x, p):
        masks.append(draw(x, p))
        return masks[-1]
    for module in (models.fast.dropout, models.fast.graph_conv):
        monkeypatch.setattr(module, 'dropout_mask', drawn)
    return masks


def plain_layout(mask, fast):
    """A mask of the fast SemGCN, (J B, C) in its order of joints, as (B, J, C); one of the linear model as it is."""
    if not hasattr(fast, 'inverse_order'):
        return mask
    return mask.view(len(fast.inverse_order), -1, mask.shape[1])[fast.inverse_order].transpose(0, 1)


@every_case
def test_folded_networks_equal_plain_ones(config, skeleton, rng):
    fast, plain = (network.eval() for network in fast_and_plain_networks(config, skeleton))
    keypoints = torch.from_numpy(rng.normal(size=(7, len(skeleton), 2 * config.window)))
    before = {key: value.clone() for key, value in fast.state_dict().items()}
    folded = fast.folded()
    assert (folded is fast) == (config.conv == 'semch')
    with torch.inference_mode():
        torch.testing.assert_close(folded(keypoints), plain(keypoints), rtol=0, atol=1e-10)
    assert all(torch.equal(value, before[key]) for key, value in fast.state_dict().items())


@pytest.mark.parametrize('case, faster', [
    ('training', True), ('evaluation', False), ('no gradients', False), ('autocast', False), ('channel-wise', False),
    ('another batch norm', False), ('a frozen batch norm', False), ('groups of three', False)])
def test_what_is_unusual_takes_the_plain_equations(case, faster, monkeypatch):
    config = ModelConfig('gcn', 6, 1, non_local=True)
    skeleton = SKELETON if case != 'groups of three' else replace(SKELETON, groups=tuple(
        tuple(range(start, min(start + 3, 16))) for start in range(0, 16, 3)))
    model = build(replace(config, conv='semch') if case == 'channel-wise' else config, skeleton)
    if case == 'another batch norm':
        model.gconv_input[0].bn = type('OtherBatchNorm', (nn.BatchNorm1d,), {})(6)
    model.train(case != 'evaluation')
    model.gconv_input[0].bn.train(case not in ('evaluation', 'a frozen batch norm'))
    ran, forward = [], model._forward
    monkeypatch.setattr(model, '_forward', lambda keypoints: ran.append(keypoints) or forward(keypoints))
    with {'no gradients': torch.no_grad(), 'autocast': torch.autocast('cpu', torch.bfloat16)}.get(case, nullcontext()):
        output = model(torch.randn(4, 16, 2))
    assert bool(ran) == faster
    assert output.shape == (4, 16, 3)


@pytest.mark.parametrize('p', [0.0, 0.1, 0.5, 0.9, 1 - 1e-7])
def test_dropout_keeps_its_share_scaled(p):
    x, dropout = torch.randn(1001, 999, dtype=torch.float64, requires_grad=True), Dropout(p)
    torch.manual_seed(0)
    y = dropout(x)
    kept = y != 0
    assert abs(kept.double().mean() - (1 - p)) <= 4 * math.sqrt(p * (1 - p) / x.numel()) + 2 ** -16
    torch.testing.assert_close(y[kept], x[kept] / (1 - p))
    y.sum().backward()
    torch.testing.assert_close(x.grad, kept.double() / (1 - p))
    torch.manual_seed(0)
    assert torch.equal(dropout(x), y) and torch.equal(dropout.eval()(x), x)


def test_dropout_has_no_pattern():
    """Neighbours, which have bits of one draw, and elements at a distance are kept independently."""
    kept = Dropout(0.5)(torch.ones(1 << 20)) > 0
    for distance in (1, 2, 3, 4, 64, 1024):
        both = (kept[distance:] & kept[:-distance]).double().mean()
        assert abs(both - 0.25) < 4 * math.sqrt(0.25 * 0.75 / len(kept))


def test_without_models_fast_the_program_passes_the_golden_tests(tmp_path):
    """The folder is deleted, and `models/config.py` imports the plain networks in its place."""
    for folder in ('models', 'common', 'tests'):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns('fast', '__pycache__'))
    shutil.copy(ROOT / 'pyproject.toml', tmp_path)
    config = tmp_path / 'models' / 'config.py'
    lines = config.read_text(encoding='utf-8').splitlines()
    calls = [line for line in lines if 'models.fast' in line]
    assert len(calls) == 1
    plain = 'from models.linear_model import LinearModel\nfrom models.sem_gcn import SemGCN'
    config.write_text('\n'.join(plain if line in calls else line for line in lines), encoding='utf-8')
    subprocess.run([sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'tests/models/test_golden.py'],
                   cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(tmp_path)}, check=True)
