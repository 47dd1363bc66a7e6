"""Networks against the golden arrays: names, shapes, outputs and training traces, with `models/fast/` and without."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from common.datasets.batches import PoseBatches
from common.inference import predict
from common.training.engine import Training, train_epoch
from common.training.recipe import Recipe
from tests.helpers.networks import GOLDEN_NETWORKS, build, build_plain, tensors

every_network = pytest.mark.parametrize('name', GOLDEN_NETWORKS)
fast_and_plain = pytest.mark.parametrize('make', [build, build_plain])


def golden_network(arrays, name, make):
    model = make(GOLDEN_NETWORKS[name])
    model.load_state_dict(tensors(arrays, 'state/'))
    return model


@every_network
@fast_and_plain
def test_state_dict_has_the_published_names_and_shapes(golden, name, make):
    expected = {key: value.shape for key, value in tensors(golden(name), 'state/').items()}
    found = {key: value.shape for key, value in make(GOLDEN_NETWORKS[name]).state_dict().items()}
    assert found == expected
    assert list(found) == list(expected)  # Adam's state in published files goes by this order


@every_network
@fast_and_plain
def test_network_matches_the_golden_output(golden, name, make):
    arrays = golden(name)
    model = golden_network(arrays, name, make).eval()
    keypoints, expected = torch.from_numpy(arrays['input']), arrays['output']
    output = model(keypoints).detach()
    assert output.shape == (12, 16, 3)
    np.testing.assert_allclose(output[:, -expected.shape[1]:], expected, rtol=0, atol=1e-5)
    if name == 'linear':  # the published network has no hip
        assert not output[:, 0].any()
    np.testing.assert_allclose(predict(model, keypoints), output - output[:, :1], rtol=0, atol=1e-5)


class _InOrder(PoseBatches):
    """Batches in the order of the golden arrays in place of a random one."""

    def epoch(self, seen=0):
        return iter(torch.arange(seen, self.count).split(self.batch_size))


def train_on_golden(arrays, model):
    """Losses and learning rates of the program's own loop over the golden batches; the rate decays every 5 steps."""
    keypoints, positions = (torch.from_numpy(arrays[key]) for key in ('train_input', 'train_target'))
    batches = _InOrder(keypoints.shape[0] * keypoints.shape[1], keypoints.shape[1], torch.Generator(), 'cpu')
    keypoints, positions = keypoints.flatten(0, 1), positions.flatten(0, 1)
    training = Training(model, Recipe(1, 1, lr_decay=5), batches, lambda batch: (keypoints[batch], positions[batch]))
    sums, rates = [0.0], []

    def between_steps():
        sums.append(training.progress.loss_sum)
        rates.append(training.optimizer.param_groups[0]['lr'])

    train_epoch(training, between_steps)
    return np.diff(sums) / batches.batch_size, rates


@every_network
@fast_and_plain
def test_training_trace_matches_the_golden_one(golden, name, make):
    arrays = golden(name)
    model = golden_network(arrays, name, make)
    losses, rates = train_on_golden(arrays, model)
    np.testing.assert_allclose(rates, arrays['lrs'], rtol=1e-12)
    np.testing.assert_allclose(losses, arrays['losses'], rtol=1e-4)
    expected, without_gradient = tensors(arrays, 'trained/'), biases_before_batch_norm(model)
    start = golden_network(arrays, name, make).state_dict()
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


@every_network
@fast_and_plain
def test_biases_left_out_above_have_no_gradient(golden, name, make):
    """However large they are, outputs in training stay the same; so no gradient, no step, is right."""
    arrays = golden(name)
    model = golden_network(arrays, name, make).double().train()
    keypoints, positions = (torch.from_numpy(arrays[key][0]).double() for key in ('train_input', 'train_target'))
    before = model(keypoints)
    biases = [model.get_parameter(key) for key in biases_before_batch_norm(model) if 'running' not in key]
    assert len(biases) >= 5
    for bias in biases:
        bias.data.normal_()
    torch.testing.assert_close(model(keypoints), before, rtol=0, atol=1e-10)
    F.mse_loss(model(keypoints)[:, model.loss_joints], positions[:, model.loss_joints]).backward()
    assert all(bias.grad is not None and not bias.grad.any() for bias in biases)
    assert max(parameter.grad.abs().max() for parameter in model.parameters()) > 1e-2
