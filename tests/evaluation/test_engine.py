"""The engine: schedule, batches, prediction and evaluation against answers known in closed form."""

import pytest
import torch
from torch import nn

from common.datasets import h36m
from common.datasets.batches import PoseBatches
from common.datasets.poses import Poses
from common.errors import UserError
from common.evaluation.evaluate import evaluate, pose_errors
from common.evaluation.metrics import mpjpe, p_mpjpe
from common.geometry.mirror import Mirror
from common.inference import predict
from common.training.epoch import Counters, _read, train_epoch
from common.training.recipe import Recipe, Schedule
from common.training.step import TrainingStep
from models.config import ModelConfig, build_model, default_config


class Fixed(nn.Module):
    """Answers a hip-shifted copy of what it is told: keypoints carry the answer's x and y."""

    loss_joints = slice(None)

    def __init__(self, shift=0.0):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(shift))

    def forward(self, keypoints):
        return torch.cat([keypoints, keypoints.sum(2, keepdim=True)], dim=2) + self.shift


def poses(count, kinds=None, joints=16):
    keypoints = torch.randn(count, joints, 2)
    keypoints = keypoints - keypoints[:, :1]
    positions = torch.cat([keypoints, keypoints.sum(2, keepdim=True)], dim=2)
    labels = torch.zeros(count, dtype=torch.long) if kinds is None else torch.tensor(kinds)
    return Poses(keypoints, positions, torch.zeros(count, 3), labels, torch.zeros(count, dtype=torch.long),
                 kind_names=['Walking', 'Eating', 'Posing'], cameras=[])


def batches(count, size, seed=0):
    return PoseBatches(count, size, torch.Generator().manual_seed(seed), torch.device('cpu'))


@pytest.mark.parametrize('count, size, sizes', [
    (10, 4, [4, 4, 2]), (8, 4, [4, 4]), (9, 4, [4, 5]), (3, 4, [3]), (1, 4, [1]), (5, 1, [1] * 5),
])
def test_an_epoch_has_every_pose_once_and_no_last_batch_of_one(count, size, sizes):
    loader = batches(count, size)
    epoch = list(loader.epoch())
    assert [len(batch) for batch in epoch] == sizes and len(loader) == len(sizes)
    assert sorted(torch.cat(epoch).tolist()) == list(range(count))


def test_the_order_differs_between_epochs_and_repeats_with_the_seed():
    first, second = batches(50, 50), batches(50, 50)
    one, two = next(first.epoch()), next(first.epoch())
    assert not torch.equal(one, two)
    assert torch.equal(next(second.epoch()), one)


@pytest.mark.parametrize('seen, sizes', [(0, [4, 5]), (4, [5]), (9, [])])
def test_an_epoch_goes_on_where_it_was_left(seen, sizes):
    loader = batches(9, 4)
    list(loader.epoch())
    whole = torch.cat(list(loader.epoch()))
    again = batches(9, 4, seed=7)
    epochs = batches(9, 4)
    list(epochs.epoch())
    next(epochs.epoch())
    again.generator.set_state(epochs.state(4))
    rest = list(again.epoch(seen))
    assert [len(batch) for batch in rest] == sizes
    assert not rest or torch.equal(torch.cat(rest), whole[seen:])
    assert torch.equal(again.state(0), loader.state(0))  # and the next epoch is the same


def test_prediction_is_relative_to_the_hip_and_does_not_depend_on_the_batch():
    data = poses(23)
    whole = predict(Fixed(0.7), data.keypoints)
    torch.testing.assert_close(whole, data.positions)
    assert torch.equal(predict(Fixed(0.7), data.keypoints, batch_size=5), whole)
    assert not whole[:, 0].any()


def test_errors_are_averaged_over_poses_then_over_actions():
    data = poses(6, kinds=[0, 0, 0, 0, 2, 2])
    offset = torch.tensor([1, 2, 3, 4, 10, 20.0]) / 1000
    data.positions[:, 1:, 0] += offset.view(-1, 1)  # 15 of 16 joints are off by so many mm
    evaluation = evaluate(Fixed(), data, mean_pose=torch.zeros(16, 3))
    walking, posing = evaluation.actions  # Eating has no poses, and no line
    assert (walking.kind, walking.poses, posing.kind, posing.poses) == ('Walking', 4, 'Posing', 2)
    assert walking.mpjpe == pytest.approx(2.5 * 15 / 16, rel=1e-4)
    assert posing.mpjpe == pytest.approx(15 * 15 / 16, rel=1e-4)
    assert evaluation.mpjpe == pytest.approx((walking.mpjpe + posing.mpjpe) / 2)
    assert evaluation.pose_mpjpe == pytest.approx((4 * walking.mpjpe + 2 * posing.mpjpe) / 6)
    assert evaluation.p_mpjpe < evaluation.mpjpe
    expected = data.positions[:4].norm(dim=2).mean().item() * 1000
    assert walking.mean_pose == pytest.approx(expected, rel=1e-5)


def test_progress_is_told_to_the_end():
    told = []
    predict(Fixed(), poses(12).keypoints, batch_size=5, report=told.append)
    assert told == [4, 8, 12]


class Descent(torch.optim.SGD):
    def step(self, max_norm):
        norm = nn.utils.clip_grad_norm_(self.param_groups[0]['params'], max_norm)
        super().step()
        return norm


def step_of(model, data, **recipe):
    """A step of plain gradient descent with rate 1, so that a parameter moves by its gradient."""
    step = TrainingStep(model, Recipe(1, 1, **recipe), lambda batch: (data.keypoints[batch], data.positions[batch]))
    step.optimizer = Descent(model.parameters(), lr=1.0)
    return step


def train(step, loader, counters=None, schedule=None):
    counters = counters or Counters()
    return counters, sum(1 for _ in train_epoch(step, loader, schedule or Schedule(1.0, 10**9), counters))


def test_the_epoch_loss_is_the_mean_over_poses_though_batches_differ():
    counters, looks = train(step_of(Fixed(0.5), poses(5)), batches(5, 2), Counters(step=7), Schedule(lr=1e-30))
    assert counters.step == 9 and looks == 2 and counters.seen == 5  # batches of 2 and 3
    assert counters.loss == pytest.approx(0.25, rel=1e-5)


@pytest.mark.parametrize('max_norm, moved', [(True, 1.0), (False, 40.0)])
def test_the_gradient_is_clipped_unless_told_otherwise(max_norm, moved):
    model = Fixed(20.0)  # the gradient of its mean squared error is 2 * shift = 40
    train(step_of(model, poses(4), max_norm=max_norm), batches(4, 4))
    assert 20.0 - model.shift.item() == pytest.approx(moved, rel=1e-4)


@pytest.mark.parametrize('max_norm', [True, False])
def test_a_loss_that_is_not_finite_stops_the_run(max_norm):
    step = step_of(Fixed(float('inf')), poses(4), max_norm=max_norm)
    with pytest.raises(UserError, match=r'the loss is not finite at step 6, learning rate 1\.00e-03'):
        train(step, batches(4, 4), Counters(step=5), Schedule())


@pytest.mark.parametrize('max_norm', [True, False])
def test_a_gradient_that_is_not_finite_stops_the_run_though_the_loss_is(max_norm):
    step = step_of(Fixed(0.0), poses(4), max_norm=max_norm)
    step.loss = lambda predicted, _: predicted.square().sum().sqrt()  # the length of nothing has no direction
    data = poses(4)
    step.samples = lambda batch: (torch.zeros_like(data.keypoints), torch.zeros_like(data.positions))
    with pytest.raises(UserError, match='the gradient is not finite at step 1'):
        train(step, batches(4, 4))


@pytest.mark.parametrize('count', [1, 30, 171])
def test_errors_of_steps_that_were_read_late_name_the_right_step(monkeypatch, count):
    """As on a GPU, where losses are looked at in bundles."""
    counters = Counters(step=count)
    unread = [(2, torch.tensor([0.5, 1.0]))] * 3 + [(2, torch.tensor([float('nan'), 1.0]))]
    with pytest.raises(UserError, match=f'at step {count},'):
        _read(unread, counters, 1e-3)
    assert counters.seen == 6 and counters.loss == 0.5


def test_chunks_do_not_change_the_errors():
    predicted, target = torch.randn(30, 16, 3), torch.randn(30, 16, 3)
    torch.testing.assert_close(pose_errors(predicted, target, p_mpjpe, chunk=7),
                               pose_errors(predicted, target, p_mpjpe), rtol=0, atol=1e-9)


@pytest.mark.parametrize('config', [ModelConfig('gcn'), ModelConfig('gcn', non_local=True),
                                    ModelConfig('gcn', conv='semch'), default_config('linear')])
def test_any_batch_size_gives_the_same_errors_to_a_ten_thousandth_of_a_millimetre(config):
    torch.manual_seed(0)
    model = build_model(config, h36m.skeleton())
    keypoints, target = torch.randn(300, 16, 2) * 0.3, torch.randn(300, 16, 3) * 0.3
    for _ in range(30):
        model(keypoints)  # statistics that are not those of a fresh network
    whole = predict(model, keypoints)
    for size in (1, 7, 64):
        errors = [torch.stack([pose_errors(found, target, metric).mean() for metric in (mpjpe, p_mpjpe)])
                  for found in (whole, predict(model, keypoints, size))]
        assert (errors[0] - errors[1]).abs().max() < 1e-4
    mirror = Mirror(h36m.skeleton(), torch.device('cpu'))
    both = predict(model, keypoints, mirror=mirror)
    torch.testing.assert_close(both, (whole + mirror(predict(model, mirror(keypoints)))) / 2, rtol=0, atol=1e-6)
    torch.testing.assert_close(predict(model, mirror(keypoints), mirror=mirror), mirror(both), rtol=0, atol=1e-6)
