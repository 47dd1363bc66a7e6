"""An epoch: batches in random order, the loop over steps, clipping, and losses that are not finite."""

import pytest
import torch
from torch import nn

from common.datasets.batches import PoseBatches
from common.errors import UserError
from common.training.epoch import Counters, _read, train_epoch
from common.training.recipe import Recipe, Schedule
from common.training.step import TrainingStep
from tests.helpers.known_poses import Shifting, known_poses


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


class Descent(torch.optim.SGD):
    learning_rate = 1.0  # that a schedule sets it changes nothing

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
    counters, reads = train(step_of(Shifting(0.5), known_poses(5)), batches(5, 2), Counters(step=7), Schedule(lr=1e-30))
    assert counters.step == 9 and reads == 2 and counters.seen == 5  # batches of 2 and 3
    assert counters.loss == pytest.approx(0.25, rel=1e-5)


@pytest.mark.parametrize('max_norm, moved', [(True, 1.0), (False, 40.0)])
def test_the_gradient_is_clipped_by_default(max_norm, moved):
    model = Shifting(20.0)  # the gradient of its mean squared error is 2 * shift = 40
    train(step_of(model, known_poses(4), max_norm=max_norm), batches(4, 4))
    assert 20.0 - model.shift.item() == pytest.approx(moved, rel=1e-4)


@pytest.mark.parametrize('max_norm', [True, False])
def test_a_loss_that_is_not_finite_stops_the_run(max_norm):
    step = step_of(Shifting(float('inf')), known_poses(4), max_norm=max_norm)
    with pytest.raises(UserError, match=r'the loss is not finite at step 6, learning rate 1\.00e-03'):
        train(step, batches(4, 4), Counters(step=5), Schedule())


@pytest.mark.parametrize('max_norm', [True, False])
def test_a_gradient_that_is_not_finite_stops_the_run_though_the_loss_is(max_norm):
    step = step_of(Shifting(0.0), known_poses(4), max_norm=max_norm)
    step.loss = lambda predicted, _: predicted.square().sum().sqrt()  # the length of nothing has no direction
    data = known_poses(4)
    step.samples = lambda batch: (torch.zeros_like(data.keypoints), torch.zeros_like(data.positions))
    with pytest.raises(UserError, match='the gradient is not finite at step 1'):
        train(step, batches(4, 4))


@pytest.mark.parametrize('count', [1, 30, 171])
def test_errors_of_steps_that_were_read_late_name_the_right_step(monkeypatch, count):
    """As on a GPU, where the losses of many steps are read at once."""
    counters = Counters(step=count)
    unread = [(2, torch.tensor([0.5, 1.0]))] * 3 + [(2, torch.tensor([float('nan'), 1.0]))]
    with pytest.raises(UserError, match=f'at step {count},'):
        _read(unread, counters, 1e-3)
    assert counters.seen == 6 and counters.loss == 0.5
