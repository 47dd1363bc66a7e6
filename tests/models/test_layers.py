"""Layers against the golden arrays and their equations, and their initialisation."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.config import default_config
from models.graph_non_local import GraphNonLocal
from models.sem_ch_graph_conv import SemCHGraphConv
from models.sem_graph_conv import SemGraphConv
from tests.helpers.networks import ADJACENCY, build, randomize

PAIRS = [(2 * pair, 2 * pair + 1) for pair in range(8)]


@pytest.mark.parametrize('layer, name', [(SemGraphConv, 'sem_graph_conv'), (SemCHGraphConv, 'sem_ch_graph_conv')])
def test_graph_convolution_matches_the_golden_arrays(golden, layer, name):
    arrays = golden(name)
    module = layer(5, 7, ADJACENCY)
    module.load_state_dict({key: torch.from_numpy(arrays[key]) for key in ('W', 'e', 'bias')})
    output = module(torch.from_numpy(arrays['input']))
    np.testing.assert_allclose(output.detach(), arrays['output'], rtol=0, atol=1e-5)


@pytest.mark.parametrize('layer', [SemGraphConv, SemCHGraphConv])
def test_graph_convolution_equals_its_equation_written_out(layer, rng):
    """Joint by joint and channel by channel: Y = (S o I) X W0 + (S o (1 - I)) X W1 + b."""
    module = randomize(layer(3, 4, ADJACENCY).double(), std=1)
    x = torch.from_numpy(rng.normal(size=(2, 16, 3)))
    expected = module.bias.expand(2, 16, 4).clone()
    places = ADJACENCY.nonzero().tolist()
    for channel in range(4):
        e = dict(zip(map(tuple, places), module.e[channel % len(module.e)].exp(), strict=True))
        for row, column in places:
            weight = e[row, column] / sum(value for (joint, _), value in e.items() if joint == row)
            expected[:, row, channel] += weight * (x[:, column] @ module.W[int(row != column), :, channel])
    torch.testing.assert_close(module(x), expected, rtol=0, atol=1e-12)


def test_non_local_block_equals_its_equation_written_out(rng):
    """In the published form: w . [theta; phi] over the concatenated tensor, neighbours max-pooled."""
    module = randomize(GraphNonLocal(6, PAIRS).double().eval(), std=1)
    parts = getattr(module, 'nonlocal')
    x = torch.from_numpy(rng.normal(size=(5, 16, 6)))
    channels_first = x.transpose(1, 2)                                                 # (B, C, J)
    g = F.max_pool1d(parts['g'][0](channels_first), 2)
    phi = F.max_pool1d(parts['phi'][0](channels_first), 2)
    theta = parts['theta'](channels_first)
    pairs = torch.cat([theta.unsqueeze(3).expand(-1, -1, -1, 8), phi.unsqueeze(2).expand(-1, -1, 16, -1)], dim=1)
    f = F.relu(parts['concat_project'][0](pairs)).squeeze(1) / 8
    update = parts['W'][1](parts['W'][0](torch.matmul(f, g.transpose(1, 2)).transpose(1, 2)))
    torch.testing.assert_close(module(x), x + update.transpose(1, 2), rtol=0, atol=1e-10)


def test_non_local_groups_are_pooled_by_their_maximum(rng):
    """Whatever their sizes and order; a joint alone is its own maximum."""
    groups = [(3,), (5, 0), (1, 2, 4)]
    x = torch.from_numpy(rng.normal(size=(2, 6, 4)))
    expected = torch.stack([x[:, list(group)].amax(1) for group in groups], dim=1)
    assert torch.equal(GraphNonLocal(8, groups).pool(x), expected)


def assert_uniform(values, bound):
    """As wide as the bound, and as spread as a uniform distribution (to 4 standard errors)."""
    assert values.abs().max() <= bound
    assert values.abs().max() > 0.99 * bound
    expected, error = bound ** 2 / 3, bound ** 2 * math.sqrt(4 / 45 / values.numel())
    assert abs(values.square().mean().item() - expected) < 4 * error


@pytest.mark.parametrize('layer, fan_of_bias', [(SemGraphConv, 256), (SemCHGraphConv, 128)])
def test_graph_convolutions_start_as_published(layer, fan_of_bias):
    """Xavier's fans are of the 3-D tensor: in = in * out, out = 2 * out; the bias goes by out, for channels by in."""
    module = layer(128, 256, ADJACENCY)
    assert_uniform(module.W.detach(), 1.414 * math.sqrt(6 / (128 * 256 + 2 * 256)))
    assert (module.e == 1).all()
    assert module.bias.abs().max() <= 1 / math.sqrt(fan_of_bias)
    assert module.bias.abs().max() > 0.9 / math.sqrt(fan_of_bias)


def assert_kaiming(weight, fan_in):
    expected = 2 / fan_in
    assert abs(weight.square().mean().item() / expected - 1) < 5 * math.sqrt(2 / weight.numel())
    assert weight.abs().max() > 2 * math.sqrt(expected)  # normal, not uniform: it has tails


def test_non_local_block_starts_as_the_identity(rng):
    module = GraphNonLocal(128, PAIRS)
    parts = getattr(module, 'nonlocal')
    for convolution in (parts['g'][0], parts['theta'], parts['phi'][0]):
        assert_kaiming(convolution.weight.detach(), 128)
        assert not convolution.bias.any()
    assert_kaiming(parts['W'][0].weight.detach(), 64)
    assert not parts['W'][0].bias.any() and not parts['W'][1].weight.any() and not parts['W'][1].bias.any()
    assert parts['concat_project'][0].bias is None
    x = torch.from_numpy(rng.normal(size=(7, 16, 128))).float()
    torch.testing.assert_close(module(x), x, rtol=0, atol=0)


def test_linear_model_starts_as_published():
    model = build(default_config('linear'))
    assert_kaiming(model.linear_stages[0].w1.weight.detach(), 1024)
    assert_kaiming(model.w1.weight.detach(), 32)
    assert_uniform(model.linear_stages[1].w2.bias.detach(), 1 / 32)


@pytest.mark.parametrize('adjacency', [torch.ones(3, 4), torch.zeros(4, 4), torch.ones(4)])
def test_an_adjacency_without_self_loops_is_refused(adjacency):
    with pytest.raises(ValueError, match='self-loops'):
        SemGraphConv(2, 2, adjacency)


@pytest.mark.parametrize('channels, groups', [(7, PAIRS), (8, []), (8, [(0, 1), (1, 2)]), (8, [(0, 2)]),
                                              (8, [(), (0,)])])
def test_non_local_blocks_that_cannot_be_are_refused(channels, groups):
    with pytest.raises(ValueError, match='non-local block'):
        GraphNonLocal(channels, groups)
