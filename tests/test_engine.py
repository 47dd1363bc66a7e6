"""The engine: schedule, batches, prediction and evaluation against answers known in closed form."""

import pytest
import torch
from torch import nn

from common import engine
from common.data_utils import Poses
from common.errors import UserError
from common.generators import PoseBatches


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


def batches(data, size, seed=0):
    return PoseBatches(data, size, torch.Generator().manual_seed(seed), torch.device('cpu'))


def test_schedule_is_set_at_the_first_step_and_at_multiples_only():
    schedule = engine.Schedule(1e-3, 100, 0.96)
    assert schedule.at(1) == 1e-3 * 0.96 ** 0.01
    assert schedule.at(2) is None and schedule.at(99) is None
    assert schedule.at(100) == 1e-3 * 0.96
    assert schedule.at(300) == 1e-3 * 0.96 ** 3


@pytest.mark.parametrize('count, size, sizes', [
    (10, 4, [4, 4, 2]), (8, 4, [4, 4]), (9, 4, [4, 5]), (3, 4, [3]), (1, 4, [1]), (5, 1, [1] * 5),
])
def test_an_epoch_has_every_pose_once_and_no_last_batch_of_one(count, size, sizes):
    data = poses(count)
    loader = batches(data, size)
    epoch = list(loader)
    assert [len(keypoints) for keypoints, _ in epoch] == sizes and len(loader) == len(sizes)
    keypoints, positions = (torch.cat(parts) for parts in zip(*epoch, strict=True))
    assert sorted(keypoints[:, 1, 0].tolist()) == sorted(data.keypoints[:, 1, 0].tolist())
    assert torch.equal(keypoints, positions[..., :2])  # pairs stay pairs


def test_the_order_differs_between_epochs_and_repeats_with_the_seed():
    data = poses(50)
    first, second = batches(data, 50), batches(data, 50)
    one, two = next(iter(first))[0], next(iter(first))[0]
    assert not torch.equal(one, two)
    assert torch.equal(next(iter(second))[0], one)


def test_prediction_is_relative_to_the_hip_and_does_not_depend_on_the_batch():
    data = poses(23)
    whole = engine.predict(Fixed(0.7), data.keypoints)
    torch.testing.assert_close(whole, data.positions)
    assert torch.equal(engine.predict(Fixed(0.7), data.keypoints, batch_size=5), whole)
    assert not whole[:, 0].any()


def test_errors_are_averaged_over_poses_then_over_actions():
    data = poses(6, kinds=[0, 0, 0, 0, 2, 2])
    offset = torch.tensor([1, 2, 3, 4, 10, 20.0]) / 1000
    data.positions[:, 1:, 0] += offset.view(-1, 1)  # 15 of 16 joints are off by so many mm
    evaluation = engine.evaluate(Fixed(), data, mean_pose=torch.zeros(16, 3))
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
    engine.predict(Fixed(), poses(12).keypoints, batch_size=5, report=told.append)
    assert told == [5, 10, 12]


def test_the_epoch_loss_is_the_mean_over_poses_though_batches_differ():
    data = poses(5)
    model = Fixed(0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    schedule = engine.Schedule(lr=1e-30)
    loss, step = engine.train_one_epoch(model, batches(data, 2), optimizer, schedule, 7, None, lambda *_: None)
    assert step == 9  # batches of 2 and 3
    assert loss == pytest.approx(0.25, rel=1e-5)


@pytest.mark.parametrize('max_norm, moved', [(1.0, 1.0), (None, 40.0)])
def test_the_gradient_is_clipped_unless_told_otherwise(max_norm, moved):
    model = Fixed(20.0)  # the gradient of its mean squared error is 2 * shift = 40
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    engine.train_one_epoch(model, batches(poses(4), 4), optimizer, engine.Schedule(1.0, 10**9), 0, max_norm,
                           lambda *_: None)
    assert 20.0 - model.shift.item() == pytest.approx(moved, rel=1e-4)


def test_a_loss_that_is_not_finite_stops_the_run():
    model = Fixed(float('inf'))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with pytest.raises(UserError, match=r'not finite at step 6, learning rate 1\.00e-03'):
        engine.train_one_epoch(model, batches(poses(4), 4), optimizer, engine.Schedule(), 5, 1.0, lambda *_: None)


def test_chunks_do_not_change_the_errors():
    from common.loss import p_mpjpe
    predicted, target = torch.randn(30, 16, 3), torch.randn(30, 16, 3)
    torch.testing.assert_close(engine.pose_errors(predicted, target, p_mpjpe, chunk=7),
                               engine.pose_errors(predicted, target, p_mpjpe), rtol=0, atol=1e-9)
