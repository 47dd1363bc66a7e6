"""An epoch: batches in random order, the loop over steps, clipping, and losses that are not finite."""

import pytest
import torch

from common.datasets.batches import PoseBatches
from common.errors import UserError
from common.evaluation.metrics import LOSSES
from common.training.engine import Training, TrainingProgress, train_epoch
from common.training.recipe import Recipe, Schedule
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


def training_of(model, data, loader=None, **recipe):
    """A training by plain gradient descent with rate 1, so that a parameter moves by its gradient."""
    training = Training(model, Recipe(1, 1, **recipe), loader or batches(len(data), len(data)),
                        lambda batch: (data.keypoints[batch], data.positions[batch]))
    training.optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    training.schedule = Schedule(1.0, 10**9)
    return training


def test_the_epoch_loss_is_the_mean_over_poses_though_batches_differ():
    training, seen = training_of(Shifting(0.5), known_poses(5), batches(5, 2)), []
    training.progress.step, training.schedule = 7, Schedule(lr=1e-30)
    train_epoch(training, lambda: seen.append(training.progress.seen))
    assert training.progress.step == 9 and seen == [2, 5]  # batches of 2 and 3
    assert training.progress.loss == pytest.approx(0.25, rel=1e-5)


@pytest.mark.parametrize('max_norm, moved', [(True, 1.0), (False, 40.0)])
def test_the_gradient_is_clipped_by_default(max_norm, moved):
    model = Shifting(20.0)  # the gradient of its mean squared error is 2 * shift = 40
    train_epoch(training_of(model, known_poses(4), max_norm=max_norm), lambda: None)
    assert 20.0 - model.shift.item() == pytest.approx(moved, rel=1e-4)


@pytest.mark.parametrize('max_norm', [True, False])
def test_a_loss_that_is_not_finite_stops_the_run(max_norm):
    training = training_of(Shifting(float('inf')), known_poses(4), max_norm=max_norm)
    training.progress.step = 5
    with pytest.raises(UserError, match=r'the loss is not finite at step 6'):
        train_epoch(training, lambda: None)


@pytest.mark.parametrize('max_norm', [True, False])
def test_a_gradient_that_is_not_finite_stops_the_run_though_the_loss_is(monkeypatch, max_norm):
    monkeypatch.setitem(LOSSES, 'mse', lambda predicted, _: predicted.square().sum().sqrt())  # of nothing: no direction
    training, data = training_of(Shifting(0.0), known_poses(4), max_norm=max_norm), known_poses(4)
    training.samples = lambda batch: (torch.zeros_like(data.keypoints), torch.zeros_like(data.positions))
    with pytest.raises(UserError, match='the gradient is not finite at step 1'):
        train_epoch(training, lambda: None)


@pytest.mark.parametrize('count', [4, 30, 171])
def test_errors_of_steps_that_were_read_late_name_the_right_step(count):
    """As on a GPU, where the losses of many steps are read at once."""
    progress = TrainingProgress(step=count)
    unread = [(2, torch.tensor(0.5), torch.tensor(1.0))] * 3 + [(2, torch.tensor(float('nan')), torch.tensor(1.0))]
    with pytest.raises(UserError, match=f'at step {count}:'):
        progress.count(unread)
    assert progress.seen == 6 and progress.loss == 0.5
