"""The benchmark: both programs compute the same, and the command reports every section; no test depends on a time."""

import dataclasses
import functools
import json

import pytest
import torch
from torch.nn import functional as F

from benchmarks import __main__ as command
from benchmarks import load, measure, sections
from benchmarks.implementations import IMPLEMENTATIONS, NETWORKS, Program, Reference, random_poses
from benchmarks.worker import Cost, Worker, peak_memory

CPU = torch.device('cpu')


@pytest.mark.parametrize('network', NETWORKS)
def test_both_programs_compute_the_same(network):
    config = dataclasses.replace(NETWORKS[network], dropout=0.0, hid_dim=32)
    reference, program = Reference(config, CPU), Program(config, CPU)
    poses = random_poses(70)
    poses.keypoints, poses.positions = poses.keypoints.double(), poses.positions.double()
    for implementation in (reference, program):
        implementation.model.double()
    for name, parameter in reference.model.named_parameters():
        if 'nonlocal.W.1' in name:  # published blocks start as the identity, which would hide them
            torch.nn.init.normal_(parameter)
    program.model.load_state_dict(reference.model.state_dict())
    assert program.evaluate(poses) == pytest.approx(reference.evaluate(poses), rel=1e-9)
    for implementation in (reference, program):
        F.mse_loss(implementation.model.train()(poses.keypoints), poses.positions).backward()
    for one, two in zip(reference.model.parameters(), program.model.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-7, atol=1e-11)
    for tolerance in (1e-9, 1e-6):  # the second loss shows that the first steps were the same
        assert program.steps(poses) == pytest.approx(reference.steps(poses), rel=tolerance)


@pytest.mark.parametrize('implementation', IMPLEMENTATIONS)
def test_an_epoch_takes_the_steps_it_is_asked_for(implementation):
    program = IMPLEMENTATIONS[implementation](dataclasses.replace(NETWORKS['SemGCN'], hid_dim=8, num_layers=1), CPU)
    poses = random_poses(10)

    def batch_norms_updates():
        return int(program.model.get_buffer('gconv_input.0.bn.num_batches_tracked'))

    program.epoch(poses, batch_size=4)
    assert batch_norms_updates() == 3
    program.epoch(poses, batch_size=4, limit=2)
    assert batch_norms_updates() == 5


def test_timers_take_turns_and_the_first_is_not_counted():
    done, times = [], iter([9.0, 90.0, 1.0, 10.0, 4.0, 40.0, 2.0, 20.0])
    timers = [lambda name=name: done.append(name) or next(times) for name in 'ab']
    assert measure.in_turns(timers, 3) == [2.0, 20.0] and done == ['a', 'b'] * 4


def test_the_peak_of_a_worker_is_its_own():
    """A worker of a large parent does not inherit the parent's peak."""
    large = torch.ones(100_000_000)
    with measure.threads(1), Worker('program', 'SemGCN', CPU) as worker:
        inherited = peak_memory()  # of this process, whose imports are the worker's
        assert all(worker.run(*job).peak < inherited - large.nbytes / 2 for job in (('steps', 4, 2), ('epoch', 9, 4)))
        assert worker.seconds('evaluate', 8) > 0


class InProcess(Worker):
    """A worker without a process of its own, which would import PyTorch for each of 16 measurements."""

    def __init__(self, implementation, network, device):
        self.implementation = IMPLEMENTATIONS[implementation](NETWORKS[network], device)

    def __exit__(self, *_):
        pass

    def run(self, job, poses, *arguments):
        action = functools.partial(getattr(self.implementation, job), random_poses(poses), *arguments)
        return Cost(measure.timed(action, CPU), peak_memory())


def test_the_command_measures_every_section(tmp_path, script, monkeypatch):
    monkeypatch.setattr(sections, 'Worker', InProcess)
    output = tmp_path / 'benchmark.json'
    status, out, err = script(command.main, '--quick', '--networks', 'SemGCN', '--threads', '1', '--repetitions', '1',
                              '--poses', '16', '--frames', '700', '--batches', '4', '8', '--output', output)
    assert status == 0, err
    content = json.loads(output.read_text())
    assert {'date', 'processor', 'cores', 'gpu', 'torch', 'python', 'command', 'load'} <= set(content['machine'])
    assert content['matmul_gflops']['1'] > 0
    assert {row['section'] for row in content['rows']} == {section.__name__ for section in command.SECTIONS}
    for row in content['rows']:
        assert row['program'] > 0 and row['ratio'] == pytest.approx(row['reference'] / row['program'])
        assert f'| {row["what"]} |' in out
    assert {row['batch'] for row in content['rows'] if row['section'] == 'scaling'} == {8}


def test_an_unknown_section_is_refused(script):
    status, _, err = script(command.main, 'stepp')
    assert status == 2 and 'no section stepp: choose from step epoch' in err


@pytest.mark.parametrize('what', ['evaluate', 'predict', 'Lifter.lift'])
def test_the_load_check_measures_a_piece_of_work(what, capsys):
    load.measure(what, 3000)
    found = json.loads(capsys.readouterr().out)
    assert found['input'] >= 3000 * 16 * 2 * 4 and found['rest'] >= 0
