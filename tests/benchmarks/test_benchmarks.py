"""The benchmark compares like with like, and its command gives what it says; times are none of a test's business."""

import dataclasses
import json
import time

import pytest
import torch
from torch.nn import functional as F

from benchmarks import __main__ as command
from benchmarks import child, measure
from benchmarks.elsewhere import Elsewhere
from benchmarks.sides import NETWORKS, SIDES, Program, Straightforward, random_poses
from common.training.optimizer import PackedAdam

CPU = torch.device('cpu')


def both_sides(network):
    """Both programs on one set of weights, in float64 and without dropout's chance."""
    config = dataclasses.replace(NETWORKS[network], dropout=0.0, hid_dim=32)
    sides = Straightforward(config, CPU), Program(config, CPU)
    for side in sides:
        side.model.double()
    for name, parameter in sides[0].model.named_parameters():
        if 'nonlocal.W.1' in name:  # published blocks start as the identity, which would hide them
            torch.nn.init.normal_(parameter)
    sides[1].model.load_state_dict(sides[0].model.state_dict())
    return sides


@pytest.mark.parametrize('network', NETWORKS)
def test_both_programs_do_the_same(network):
    poses = random_poses(70)
    poses.keypoints, poses.positions = poses.keypoints.double(), poses.positions.double()
    straight, program = both_sides(network)
    assert program.evaluate(poses) == pytest.approx(straight.evaluate(poses), rel=1e-9)
    for side in (straight, program):
        model = side.model.train()
        F.mse_loss(model(poses.keypoints), poses.positions).backward()
    for one, two in zip(straight.model.parameters(), program.model.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-7, atol=1e-11)
    batch = poses.keypoints, poses.positions
    for tolerance in (1e-9, 1e-6):  # the second loss tells that the first steps were the same
        assert program.steps(batch) == pytest.approx(straight.steps(batch), rel=tolerance)


def test_both_errors_are_the_same():
    target = random_poses(130).positions
    predicted = target + torch.randn_like(target) * 0.1
    assert Program.p_mpjpe(predicted, target) == pytest.approx(Straightforward.p_mpjpe(predicted, target), rel=1e-5)


@pytest.mark.parametrize('side, optimizer', [(Straightforward, torch.optim.Adam), (Program, PackedAdam)])
def test_an_epoch_takes_the_steps_it_is_asked_for(side, optimizer, monkeypatch):
    program = side(dataclasses.replace(NETWORKS['SemGCN'], hid_dim=8, num_layers=1), CPU)
    steps, take = [], optimizer.step
    monkeypatch.setattr(optimizer, 'step', lambda *given: steps.append(1) or take(*given))
    program.epoch(random_poses(10), batch_size=4)
    assert len(steps) == 3
    program.epoch(random_poses(10), batch_size=4, limit=2)
    assert len(steps) == 5


def test_the_products_of_a_network_are_counted():
    """By hand for the linear network: forward, and both gradients but that of the keypoints."""
    side = Program(NETWORKS['linear'], CPU)
    poses = random_poses(4)
    layers = [(32, 1024), *[(1024, 1024)] * 4, (1024, 45)]
    expected = sum(3 * 2 * 4 * a * b for a, b in layers) - 2 * 4 * 32 * 1024
    assert measure.matmul_flops(lambda: side.steps((poses.keypoints, poses.positions))) == expected
    a, b = torch.randn(3, 5), torch.randn(5, 7)
    assert measure.matmul_flops(lambda: torch.zeros(3, 7).addmm_(a, b)) == 2 * 3 * 5 * 7


def test_timers_take_turns_and_the_first_is_not_counted():
    done, times = [], iter([9.0, 90.0, 1.0, 10.0, 4.0, 40.0, 2.0, 20.0])
    timers = [lambda name=name: done.append(name) or next(times) for name in 'ab']
    assert measure.in_turns(timers, 3) == [2.0, 20.0] and done == ['a', 'b'] * 4
    assert measure.timed(lambda: time.sleep(0.05), CPU) >= 0.05


@pytest.mark.parametrize('side', SIDES)
def test_a_program_elsewhere_does_what_it_does_here(side):
    with measure.threads(1), Elsewhere(side, 'SemGCN', CPU) as program:
        assert all(0 < program.seconds(*job) < 60 for job in (('steps', 4, 2), ('epoch', 9, 4), ('evaluation', 8)))
        here, poses = side(NETWORKS['SemGCN'], CPU), random_poses(4)
        assert program.flops('steps', 4, 1) == measure.matmul_flops(
            lambda: here.steps((poses.keypoints, poses.positions))) > 1e7


def test_the_peak_of_a_process_is_its_own(tmp_path):
    """A child that follows a large parent does not inherit the parent's peak."""
    large = torch.ones(100_000_000)
    child.write_motion(str(tmp_path), 700)
    found = child.run('load', tmp_path, 'cold')
    assert large.nbytes < 400_000_001 and found['rss'] < child.peak_memory() - 200e6
    assert 0 < child.run('load', tmp_path, 'warm')['seconds'] < 60


def test_the_command_measures_every_section(tmp_path, script):
    output = tmp_path / 'benchmark.json'
    status, out, err = script(command.main, '--quick', '--networks', 'SemGCN', '--threads', '1', '--repetitions', '1',
                              '--poses', '16', '--frames', '700', '--batches', '4', '8', '--output', output)
    assert status == 0, err
    content = json.loads(output.read_text())
    assert {'date', 'processor', 'cores', 'gpu', 'torch', 'python', 'command', 'load'} <= set(content['machine'])
    assert content['matmul_gflops']['1'] > 0
    found = {row['section'] for row in content['rows']}
    assert found == {section.__name__ for section in command.SECTIONS}
    for row in content['rows']:
        assert row['program'] > 0 and row['ratio'] == pytest.approx(row['straightforward'] / row['program'])
        assert row['section'] not in ('step', 'scaling', 'evaluation') or row['matmul_share'] > 0
        assert f'| {row["what"]} |' in out
    assert {row['batch'] for row in content['rows'] if row['section'] == 'scaling'} == {8}


def test_what_cannot_be_measured_is_refused(script):
    status, _, err = script(command.main, 'stepp')
    assert status == 2 and 'no section stepp: choose from step epoch' in err


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA GPU here')
def test_a_gpu_is_measured_too(tmp_path, script):
    output = tmp_path / 'benchmark.json'
    status, _, err = script(command.main, 'step', 'epoch', 'evaluation', 'memory', '--quick', '--threads', '1',
                            '--repetitions', '1', '--poses', '64', '--device', 'cuda', '--output', output)
    assert status == 0, err
    assert json.loads(output.read_text())['machine']['gpu'] != 'none'
