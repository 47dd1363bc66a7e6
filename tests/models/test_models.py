"""Networks against the golden arrays (names, shapes, outputs, training traces) and against their definitions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from common.datasets import h36m
from common.datasets.batches import PoseBatches
from common.geometry import graph
from common.training.epoch import Counters, train_epoch
from common.training.recipe import Recipe, Schedule, learning_rate
from common.training.step import TrainingStep
from models import sem_gcn
from models.config import ModelConfig, build_model, default_config, infer_config
from models.dropout import dropout
from models.folded import fold
from models.graph_non_local import GraphNonLocal
from models.sem_ch_graph_conv import SemCHGraphConv
from models.sem_gcn import GraphConv, ResGraphConv
from models.sem_graph_conv import SemGraphConv

SKELETON = h36m.skeleton()
ADJACENCY = torch.from_numpy(graph.adjacency(SKELETON))
NETWORKS = {
    'sem_gcn': ModelConfig('gcn', hid_dim=16, num_layers=2),
    'sem_gcn_non_local': ModelConfig('gcn', hid_dim=16, num_layers=2, non_local=True),
    'linear': ModelConfig('linear', hid_dim=32, num_layers=2, dropout=0.0),
}


def golden_network(arrays, name):
    model = build_model(NETWORKS[name], SKELETON)
    model.load_state_dict(tensors(arrays, 'state/'))
    return model


def tensors(arrays, prefix):
    return {key.removeprefix(prefix): torch.from_numpy(np.asarray(value))
            for key, value in arrays.items() if key.startswith(prefix)}


@pytest.mark.parametrize('layer, name', [(SemGraphConv, 'sem_graph_conv'), (SemCHGraphConv, 'sem_ch_graph_conv')])
def test_layer_matches_the_golden_arrays(golden, layer, name):
    arrays = golden(name)
    module = layer(5, 7, ADJACENCY)
    module.load_state_dict({key: torch.from_numpy(arrays[key]) for key in ('W', 'e', 'bias')})
    output = module(torch.from_numpy(arrays['input']).transpose(0, 1)).transpose(0, 1)
    np.testing.assert_allclose(output.detach(), arrays['output'], rtol=0, atol=1e-5)


@pytest.mark.parametrize('layer', [SemGraphConv, SemCHGraphConv])
@pytest.mark.parametrize('sizes', [(3, 9), (9, 3), (6, 6)])
def test_layer_equals_its_equation_written_out(layer, sizes, rng):
    """Whichever side the joints are mixed on, Y = (S o I) X W0 + (S o (1 - I)) X W1 + b."""
    module = layer(*sizes, ADJACENCY).double()
    torch.nn.init.normal_(module.e)
    x = torch.from_numpy(rng.normal(size=(4, 16, sizes[0])))
    expected = torch.empty(4, 16, sizes[1], dtype=torch.float64)
    places = ADJACENCY.nonzero().tolist()
    for channel in range(sizes[1]):
        logits = torch.full((16, 16), -torch.inf, dtype=torch.float64)
        for index, (row, column) in enumerate(places):
            logits[row, column] = module.e[channel % len(module.e), index]
        weights = torch.softmax(logits, 1)
        own, others = weights * torch.eye(16), weights * (1 - torch.eye(16))
        expected[:, :, channel] = (own @ (x @ module.W[0])[..., channel:channel + 1]
                                   + others @ (x @ module.W[1])[..., channel:channel + 1]).squeeze(-1)
    expected = expected + module.bias
    torch.testing.assert_close(module(x.transpose(0, 1)).transpose(0, 1), expected, rtol=0, atol=1e-12)


def test_non_local_block_equals_its_equation_written_out(rng):
    """The concatenated form with neighbours max-pooled, as the published code has it after re-ordering the joints."""
    module = GraphNonLocal(6).double().eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    parts = getattr(module, 'nonlocal')
    x = torch.from_numpy(rng.normal(size=(5, 16, 6)))
    ordered = x.transpose(1, 2)                                                        # (B, C, J)
    g = F.max_pool1d(parts['g'][0](ordered), 2)
    phi = F.max_pool1d(parts['phi'][0](ordered), 2)
    theta = parts['theta'](ordered)
    pairs = torch.cat([theta.unsqueeze(3).expand(-1, -1, -1, 8), phi.unsqueeze(2).expand(-1, -1, 16, -1)], dim=1)
    f = F.relu(parts['concat_project'][0](pairs)).squeeze(1) / 8
    update = parts['W'][1](parts['W'][0](torch.matmul(f, g.transpose(1, 2)).transpose(1, 2)))
    expected = x + update.transpose(1, 2)
    torch.testing.assert_close(module(x.transpose(0, 1)).transpose(0, 1), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize('name', NETWORKS)
def test_state_dict_has_the_published_names_and_shapes(golden, name):
    expected = {key: value.shape for key, value in tensors(golden(name), 'state/').items()}
    found = {key: value.shape for key, value in build_model(NETWORKS[name], SKELETON).state_dict().items()}
    assert found == expected
    assert list(found) == list(expected)  # Adam's state in published files goes by this order


@pytest.mark.parametrize('name', NETWORKS)
def test_network_matches_the_golden_output(golden, name):
    arrays = golden(name)
    output = golden_network(arrays, name).eval()(torch.from_numpy(arrays['input'])).detach()
    if name == 'linear':  # the published network has no hip
        assert output.shape == (12, 16, 3) and not output[:, 0].any()
        output = output[:, 1:]
    np.testing.assert_allclose(output, arrays['output'], rtol=0, atol=1e-5)


class _InOrder(PoseBatches):
    """Batches in the order of the golden arrays in place of a random one."""

    def epoch(self, seen=0):
        return iter(torch.arange(seen, self.count).split(self.batch_size))


def train_on_golden(arrays, name):
    """The engine's own loop over the golden batches, with a learning rate that decays every 5 steps."""
    keypoints, positions = (torch.from_numpy(arrays[key]) for key in ('train_input', 'train_target'))
    batches = _InOrder(keypoints.shape[0] * keypoints.shape[1], keypoints.shape[1], torch.Generator(), 'cpu')
    keypoints, positions = keypoints.flatten(0, 1), positions.flatten(0, 1)
    step = TrainingStep(golden_network(arrays, name), Recipe(1, 1), lambda batch: (keypoints[batch], positions[batch]))
    counters, losses, rates = Counters(), [], []
    before = 0.0
    for _ in train_epoch(step, batches, Schedule(decay=5), counters):
        losses.append((counters.loss_sum - before) / batches.batch_size)
        rates.append(learning_rate(step.optimizer))
        before = counters.loss_sum
    return step.model, losses, rates


@pytest.mark.parametrize('name', NETWORKS)
def test_training_trace_matches_the_golden_one(golden, name):
    arrays = golden(name)
    model, losses, rates = train_on_golden(arrays, name)
    np.testing.assert_allclose(rates, arrays['lrs'], rtol=1e-12)
    np.testing.assert_allclose(losses, arrays['losses'], rtol=1e-4)
    expected, without_gradient = tensors(arrays, 'trained/'), biases_before_batch_norm(model)
    start = golden_network(arrays, name).state_dict()
    for key, value in model.state_dict().items():
        if key in without_gradient:
            # Batch norm subtracts such a bias again, so it stays; the published code makes steps of its gradient's
            # rounding, by at most a learning rate each. The test below shows that there is no gradient.
            assert (value - expected[key]).abs().max() <= rates[0] * 20, key
            assert key.endswith('running_mean') or torch.equal(value, start[key])
        else:
            scale = max(expected[key].abs().max().item(), 1e-3)
            np.testing.assert_allclose(value, expected[key], rtol=1e-4, atol=1e-4 * scale, err_msg=key)


def biases_before_batch_norm(model):
    """Names of the biases that batch norm takes out, and of the running means that carry them."""
    found = set()
    for key in model.state_dict():
        if key.endswith('running_mean'):
            bias = (key.replace('bn.running_mean', 'gconv.bias').replace('W.1.running_mean', 'W.0.bias')
                    .replace('batch_norm1.running_mean', 'w1.bias').replace('batch_norm2.running_mean', 'w2.bias'))
            found |= {key, bias}
    return found


@pytest.mark.parametrize('written_out', [True, False])
@pytest.mark.parametrize('name', NETWORKS)
def test_biases_left_out_above_have_no_gradient(golden, name, written_out):
    """However large they are, answers in training stay the same; so no gradient, no step, is right."""
    arrays = golden(name)
    model = golden_network(arrays, name).double().train()
    keypoints, positions = (torch.from_numpy(arrays[key][0]).double() for key in ('train_input', 'train_target'))
    with torch.set_grad_enabled(written_out):
        before = model(keypoints)
        biases = [model.get_parameter(key) for key in biases_before_batch_norm(model) if 'running' not in key]
        assert len(biases) >= 5
        for bias in biases:
            bias.data.normal_()
        torch.testing.assert_close(model(keypoints), before, rtol=0, atol=1e-10)
    F.mse_loss(model(keypoints)[:, model.loss_joints], positions[:, model.loss_joints]).backward()
    assert not any(bias.grad.any() for bias in biases)
    assert max(parameter.grad.abs().max() for parameter in model.parameters()) > 1e-2


@pytest.mark.parametrize('config, parameters', [
    (default_config('gcn'), 267_343),
    (replace(default_config('gcn'), non_local=True), 434_703),
    (default_config('linear'), 4_288_557),
])
def test_parameter_counts_are_the_published_ones(config, parameters):
    assert sum(parameter.numel() for parameter in build_model(config, SKELETON).parameters()) == parameters


@pytest.mark.parametrize('config', [
    ModelConfig('gcn', hid_dim=8, num_layers=3), ModelConfig('gcn', hid_dim=8, num_layers=1, non_local=True),
    ModelConfig('gcn', hid_dim=6, num_layers=2, conv='semch'), ModelConfig('gcn', hid_dim=4, num_layers=0),
    ModelConfig('linear', hid_dim=24, num_layers=3, dropout=0.5),
])
def test_config_can_be_read_off_the_tensors(config):
    assert infer_config(build_model(config, SKELETON).state_dict()) == config


@pytest.mark.parametrize('wrong', [
    {'architecture': 'transformer'}, {'conv': 'gat'}, {'hid_dim': 0}, {'hid_dim': '128'}, {'dropout': 1.5},
    {'hid_dim': 9, 'non_local': True}, {'num_layers': 10**9},
])
def test_configs_that_make_no_network_are_refused(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong)))):
        ModelConfig(**{'architecture': 'gcn', **wrong})


@pytest.mark.parametrize('config', [*NETWORKS.values(), ModelConfig('gcn', hid_dim=6, num_layers=1, conv='semch')])
def test_gradients_written_by_hand_equal_numerical_ones(config, rng):
    model = build_model(replace(config, hid_dim=4, num_layers=1), SKELETON).double()
    for parameter in model.parameters():  # away from zeros, where the identity of a new block would hide a gradient
        torch.nn.init.normal_(parameter)
    keypoints = torch.from_numpy(rng.normal(size=(3, 16, 2))).requires_grad_()
    names, values = zip(*model.named_parameters(), strict=True)

    def output(keypoints, *values):
        return torch.func.functional_call(model, dict(zip(names, values, strict=True)), keypoints)

    assert torch.autograd.gradcheck(output, (keypoints, *values), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize('dropout', [0.0, 0.5])
def test_blocks_written_out_equal_their_modules(dropout, rng, monkeypatch):
    """Answers, gradients and running statistics, after two steps of training."""
    ran, found, apply = [], [], sem_gcn._InARow.apply
    monkeypatch.setattr(sem_gcn._InARow, 'apply', lambda *given: ran.append(given) or apply(*given))
    given = rng.standard_normal((16, 7, 5))
    for written_out in (True, False):
        torch.manual_seed(0)
        sizes = [(5, 6), (6, 6), (6, 6), (6, 4)]  # mixed before the weights, after them, and only backwards before them
        one, *two, last = (SemGraphConv(*size, ADJACENCY, range(15, -1, -1)) for size in sizes)
        blocks = nn.ModuleList([GraphConv(one, dropout), ResGraphConv(*two, dropout), GraphConv(last, dropout)])
        blocks.double().train()
        x = torch.tensor(given, requires_grad=True)
        for _ in range(2):
            mixings = iter([conv.gconv.mixing() for block in blocks for conv in block.convs()])
            if written_out:
                y = sem_gcn.in_a_row(blocks, x, mixings)
            else:
                y = blocks[2](blocks[1](blocks[0](x, mixings), mixings), mixings)
            (y ** 3).sum().backward()
        found.append([y, x.grad, *(parameter.grad for parameter in blocks.parameters()), *blocks.buffers()])
    assert len(ran) == 2 and len(found[0]) == 2 + 4 * (5 + 4)
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize('p', [0.0, 0.1, 0.5, 0.9, 1 - 1e-7])
def test_dropout_keeps_its_share_scaled(p):
    x = torch.randn(1001, 999, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(0)
    y = dropout(x, p, training=True)
    kept = y != 0
    assert abs(kept.double().mean() - (1 - p)) <= 4 * math.sqrt(p * (1 - p) / x.numel()) + 2 ** -16
    torch.testing.assert_close(y[kept], x[kept] / (1 - p))
    y.sum().backward()
    torch.testing.assert_close(x.grad, kept.double() / (1 - p))
    torch.manual_seed(0)
    assert torch.equal(dropout(x, p, training=True), y) and torch.equal(dropout(x, p, training=False), x)


def test_dropout_has_no_pattern():
    """Neighbours, which have bits of one draw, and elements at a distance are kept independently."""
    kept = dropout(torch.ones(1 << 20), 0.5, training=True) > 0
    for distance in (1, 2, 3, 4, 64, 1024):
        both = (kept[distance:] & kept[:-distance]).double().mean()
        assert abs(both - 0.25) < 4 * math.sqrt(0.25 * 0.75 / len(kept))


@pytest.mark.parametrize('config', [*NETWORKS.values(), ModelConfig('gcn', hid_dim=6, num_layers=2, conv='semch')])
def test_a_folded_network_answers_as_its_original(config, rng):
    model = build_model(config, SKELETON)
    keypoints = torch.from_numpy(rng.normal(size=(40, 16, 2))).float()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    for _ in range(20):
        model(keypoints + torch.randn(40, 16, 2))  # running statistics that are not those of a new batch norm
    model.eval()
    expected = model(keypoints).detach()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        output = fold(model)(keypoints)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize('name', NETWORKS)
def test_a_folded_network_matches_the_golden_output(golden, name):
    arrays = golden(name)
    with torch.no_grad():
        output = fold(golden_network(arrays, name).eval())(torch.from_numpy(arrays['input']))
    np.testing.assert_allclose(output[:, -arrays['output'].shape[1]:], arrays['output'], rtol=0, atol=1e-5)


def assert_uniform(values, bound):
    """As wide as the bound, and as spread as a uniform distribution (to 4 standard errors)."""
    assert values.abs().max() <= bound
    assert values.abs().max() > 0.99 * bound
    expected, error = bound ** 2 / 3, bound ** 2 * math.sqrt(4 / 45 / values.numel())
    assert abs(values.square().mean().item() - expected) < 4 * error


@pytest.mark.parametrize('layer, fan_of_bias', [(SemGraphConv, 256), (SemCHGraphConv, 128)])
def test_semantic_convolutions_start_as_published(layer, fan_of_bias):
    """Xavier's fans are of the 3-D tensor: in = in * out, out = 2 * out; the bias goes by out, for channels by in."""
    module = layer(128, 256, ADJACENCY)
    assert_uniform(module.W.detach(), 1.414 * math.sqrt(6 / (128 * 256 + 2 * 256)))
    assert (module.e == 1).all() and module.e.shape == (1 if layer is SemGraphConv else 256, 46)
    assert module.bias.abs().max() <= 1 / math.sqrt(fan_of_bias)
    assert module.bias.abs().max() > 0.9 / math.sqrt(fan_of_bias)
    if layer is SemGraphConv:
        assert abs(1.414 * math.sqrt(6 / (128 * 128 + 2 * 128)) - 0.0268) < 1e-4  # the figure in facts 3, at 128 to 128


def assert_kaiming(weight, fan_in):
    expected = 2 / fan_in
    assert abs(weight.square().mean().item() / expected - 1) < 5 * math.sqrt(2 / weight.numel())
    assert weight.abs().max() > 2 * math.sqrt(expected)  # normal, not uniform: it has tails


def test_non_local_block_starts_as_the_identity(rng):
    module = GraphNonLocal(128)
    parts = getattr(module, 'nonlocal')
    for convolution in (parts['g'][0], parts['theta'], parts['phi'][0]):
        assert_kaiming(convolution.weight.detach(), 128)
        assert not convolution.bias.any()
    assert_kaiming(parts['W'][0].weight.detach(), 64)
    assert not parts['W'][0].bias.any() and not parts['W'][1].weight.any() and not parts['W'][1].bias.any()
    assert parts['concat_project'][0].bias is None
    x = torch.from_numpy(rng.normal(size=(16, 7, 128))).float()
    torch.testing.assert_close(module(x), x, rtol=0, atol=0)


def test_linear_model_starts_as_published():
    model = build_model(default_config('linear'), SKELETON)
    assert_kaiming(model.linear_stages[0].w1.weight.detach(), 1024)
    assert_kaiming(model.w1.weight.detach(), 32)
    assert_uniform(model.linear_stages[1].w2.bias.detach(), 1 / 32)


@pytest.mark.parametrize('config', [*NETWORKS.values(), ModelConfig('gcn', hid_dim=8, num_layers=1, conv='semch')])
def test_a_batch_equals_its_poses_one_by_one(config, rng):
    model = build_model(config, SKELETON).eval()
    keypoints = torch.from_numpy(rng.normal(size=(9, 16, 2))).float()
    alone = torch.cat([model(keypoints[index:index + 1]) for index in range(9)])
    torch.testing.assert_close(model(keypoints), alone, rtol=0, atol=1e-5)


def test_dropout_acts_in_training_only():
    model = build_model(ModelConfig('gcn', hid_dim=8, num_layers=1, dropout=0.5), SKELETON)
    keypoints = torch.randn(4, 16, 2)
    assert not torch.equal(model(keypoints), model(keypoints))
    model.eval()
    assert torch.equal(model(keypoints), model(keypoints))


@pytest.mark.parametrize('adjacency', [torch.ones(3, 4), torch.zeros(4, 4), torch.ones(4)])
def test_an_adjacency_without_self_loops_is_refused(adjacency):
    with pytest.raises(ValueError, match='self-loops'):
        SemGraphConv(2, 2, adjacency)
