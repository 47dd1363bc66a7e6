"""What a recipe means: rates, losses, the optimiser, the moving average, against closed forms."""

import copy
import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

import main_gcn
import main_linear
from common.checkpoint import Checkpoint
from common.datasets.batches import PoseBatches
from common.errors import UserError
from common.evaluation.metrics import LOSSES, mpjpe, p_mpjpe
from common.geometry.skeleton import Skeleton
from common.training.engine import MovingAverage, Training
from common.training.loss import Loss
from common.training.recipe import RECIPES, Recipe, Schedule
from common.training.resume import restore_optimizer
from models.config import ModelConfig

CPU = torch.device('cpu')


def test_the_published_rate_changes_at_multiples_only():
    schedule = Schedule(1e-3, 100, 0.96)
    assert schedule.at(1) == schedule.at(2) == schedule.at(99) == 1e-3 * 0.96 ** 0.01
    assert schedule.at(100) == schedule.at(199) == 1e-3 * 0.96
    assert schedule.at(300) == 1e-3 * 0.96 ** 3


@pytest.mark.parametrize('kind, at_half', [('linear', 0.5), ('cosine', 0.5)])
def test_falling_rates_begin_whole_and_end_in_nothing(kind, at_half):
    schedule = Schedule(2.0, kind=kind, total=100)
    rates = [schedule.at(step) for step in range(1, 102)]
    assert rates[0] == 2.0 and rates[50] == pytest.approx(2.0 * at_half) and rates[100] == pytest.approx(0, abs=1e-12)
    assert all(one > two for one, two in itertools.pairwise(rates))
    assert schedule.at(500) == pytest.approx(0, abs=1e-12)  # a run made longer than its schedule


def test_cosine_is_the_cosine():
    schedule = Schedule(1.0, kind='cosine', total=8)
    expected = [(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]
    np.testing.assert_allclose([schedule.at(step) for step in range(1, 9)], expected, rtol=1e-12)


@pytest.mark.parametrize('kind', ['published', 'linear', 'cosine'])
def test_warmup_rises_to_the_rate_that_would_be(kind):
    cold, warm = Schedule(1.0, 5, 0.5, kind, 0, 40), Schedule(1.0, 5, 0.5, kind, 10, 40)
    for step in range(1, 41):
        assert warm.at(step) == pytest.approx(cold.at(step) * min(step / 10, 1))


def test_losses_in_closed_form():
    target = torch.zeros(2, 3, 3)
    predicted = torch.zeros(2, 3, 3)
    predicted[0, 0] = torch.tensor([0.3, 0.0, 0.4])  # 0.5 m away; its absolute values 0.3 and 0.4
    values = {name: loss(predicted, target).item() for name, loss in LOSSES.items()}
    assert values['mse'] == pytest.approx(0.25 / 18)
    assert values['mpjpe'] == pytest.approx(0.5 / 6)
    assert values['l1'] == pytest.approx(0.7 / 18)
    assert values['smooth_l1'] == pytest.approx((0.3 - 0.025 + 0.4 - 0.025) / 18)


def test_the_aligned_loss_adds_the_errors_that_remain_after_alignment():
    torch.manual_seed(0)
    target = torch.randn(5, 16, 3)
    turn = torch.linalg.qr(torch.randn(3, 3)).Q
    moved = 0.7 * target @ (turn * torch.linalg.det(turn))  # right but for rotation and scale
    assert LOSSES['mpjpe_aligned'](moved, target) == pytest.approx(LOSSES['mpjpe'](moved, target).item() / 2, rel=1e-4)
    predicted = (target + torch.randn(5, 16, 3)).requires_grad_()
    LOSSES['mpjpe_aligned'](predicted, target).backward()
    downhill = predicted.detach() - 0.1 * predicted.grad
    before, after = ((mpjpe(poses, target) + p_mpjpe(poses, target)).mean() for poses in (predicted, downhill))
    assert after < before


def test_the_loss_of_the_paper_adds_the_bones_and_weights_scale_the_share_of_a_joint():
    skeleton = Skeleton(('a', 'b', 'c'), (-1, 0, 1))
    predicted, target = torch.randn(4, 3, 3), torch.randn(4, 3, 3)
    joints, bones = (predicted - target).square(), (predicted.diff(dim=1) - target.diff(dim=1)).square()
    assert Loss('joints_bones', slice(None), skeleton)(predicted, target) == pytest.approx(joints.mean() + bones.mean())
    without_root = Loss('joints_bones', slice(1, None), skeleton)(predicted, target)
    assert without_root == pytest.approx(joints[:, 1:].mean() + bones.mean())
    shares = torch.tensor([1.0, 3.0, 0.5]).view(3, 1)
    for name, errors in (('mse', joints), ('mpjpe', joints.sum(2, keepdim=True).sqrt()),
                         ('l1', (predicted - target).abs())):
        weighted = Loss(name, slice(None), skeleton, 'b=3, c=0.5')(predicted, target)
        assert weighted == pytest.approx((errors * shares).mean().item(), rel=1e-5)
        assert Loss(name, slice(None), skeleton)(predicted, target) == LOSSES[name](predicted, target)
    for wrong in ('d=1', 'b=-1', 'b', 'b=nan', 'b=x'):
        with pytest.raises(UserError, match=f'--joint_weights {wrong}: give NAME=WEIGHT'):
            Loss('mse', slice(None), skeleton, wrong)
    with pytest.raises(UserError, match='scaled poses cannot be aligned'):
        Loss('mpjpe_aligned', slice(None), skeleton, 'b=2')


def test_the_moving_average_is_the_recursion_over_all_weights_and_statistics():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    average = MovingAverage(model, 0.8)
    expected = {name: value.double().clone() for name, value in model.state_dict().items()}
    for update in range(30):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        model(torch.randn(16, 3) * 5)
        average.update()
        decay = min(0.8, (1 + update) / (10 + update))
        for name, value in model.state_dict().items():
            expected[name] = expected[name] * decay + value.double() * (1 - decay)
    found = average.model.state_dict()
    for name in ('0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean', '1.running_var'):
        torch.testing.assert_close(found[name].double(), expected[name], rtol=1e-5, atol=1e-6)
    assert found['1.running_var'].max() > 2 and average.updates == 30


def test_the_average_leaves_integers_alone():
    """Joint orders and edges are buffers too; an average of them would be no order."""
    model = nn.BatchNorm1d(2)
    model.register_buffer('order', torch.tensor([3, 1, 2]))
    average = MovingAverage(model, 0.9)
    for _ in range(20):
        average.update()
    assert average.model.order.tolist() == [3, 1, 2]


def test_a_step_sets_the_momentum_of_every_batch_norm():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model.loss_joints = slice(None)
    Training(model, Recipe(1, 1, bn_momentum=0.02), PoseBatches(4, 4, torch.Generator(), CPU), None)
    assert model[1].momentum == 0.02


@pytest.mark.parametrize('name', RECIPES)
def test_recipes_name_flags_or_what_describes_a_network(name):
    network = {field.name for field in dataclasses.fields(ModelConfig)}
    for architecture, script in (('gcn', main_gcn), ('linear', main_linear)):
        flags = vars(script.get_args_parser().parse_args([])).keys()
        assert RECIPES[name][architecture].keys() <= flags | network


@pytest.mark.parametrize('name', ['adam', 'adamw'])
def test_a_state_saved_by_the_optimizer_of_earlier_versions_and_of_pytorch_still_loads(name):
    """Two steps, saved and loaded into a new optimizer, then a third, against three steps by one optimizer."""
    torch.manual_seed(0)
    model = nn.Linear(30, 5)
    other = copy.deepcopy(model)
    recipe = Recipe(1, 1, lr=0.1, optimizer=name, weight_decay=0.01)
    model.loss_joints = other.loss_joints = slice(None)
    whole, halves = (Training(each, recipe, PoseBatches(4, 4, torch.Generator(), CPU), None) for each in (model, other))
    for step in range(3):
        if step == 2:
            saved = halves.optimizer.state_dict()
            for state in saved['state'].values():
                state['step'] = int(state['step'])  # published files have whole numbers
            checkpoint = Checkpoint(1, 0.1, 2, {}, saved, 0.0, ModelConfig('gcn'))
            halves = Training(other, recipe, halves.batches, None)
            restore_optimizer(halves.optimizer, checkpoint, 'file')
        x = torch.randn(4, 30)
        for training in (whole, halves):
            training.optimizer.zero_grad()
            training.model(x).square().sum().backward()
            training.optimizer.step()
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), other.parameters(), strict=True))
