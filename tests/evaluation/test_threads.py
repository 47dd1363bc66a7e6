"""Slices of a set over threads."""

import threading
import weakref

import pytest
import torch

from benchmarks.measure import threads
from common.datasets import h36m
from common.datasets.poses import Poses
from common.evaluation.evaluate import evaluate, with_baseline
from common.inference import predict
from common.threads import map_over_threads
from models.config import ModelConfig, build_model

CPU = torch.device('cpu')


@pytest.mark.parametrize('count, most', [(0, 5), (1, 5), (200, 7), (1000, 100), (1000, 5000)])
@pytest.mark.parametrize('cores', [1, 3])
def test_every_pose_is_in_one_slice(count, most, cores):
    with threads(cores):
        found = list(map_over_threads(lambda part: range(1000)[part], count, most, CPU))
        assert torch.get_num_threads() == cores
    assert [index for _, part in found for index in part] == list(range(count))
    assert [done for done, _ in found] == [part.stop for _, part in found]
    assert all(len(part) <= most for _, part in found)
    assert len(found) == 1 or len({len(part) for _, part in found}) <= 2  # no thread waits for a larger part


def test_slices_have_a_core_each_and_few_poses_have_them_all():
    def work(_):
        return threading.current_thread() is threading.main_thread(), torch.get_num_threads()

    with threads(2):
        assert {found for _, found in map_over_threads(work, 1000, 100, CPU)} == {(False, 1)}
        assert [found for _, found in map_over_threads(work, 100, 1000, CPU)] == [(True, 2)]
        assert {found for _, found in map_over_threads(work, 1000, 100, torch.device('meta'))} == {(True, 2)}


def test_a_failure_in_a_slice_is_raised_and_ends_the_work():
    def work(part):
        if part.start:
            raise ArithmeticError('in a part')
        return part

    with threads(2):
        with pytest.raises(ArithmeticError, match='in a part'):
            list(map_over_threads(work, 1000, 100, CPU))
        assert torch.get_num_threads() == 2


def test_results_that_were_taken_are_not_kept():
    taken = []
    with threads(2):
        for _, result in map_over_threads(lambda part: torch.zeros(3), 10_000, 100, CPU):
            assert sum(reference() is not None for reference in taken) <= 2  # a thread may be about to let one go
            taken.append(weakref.ref(result))
            del result
    assert len(taken) == 100


@pytest.mark.parametrize('architecture', ['gcn', 'linear'])
def test_predictions_and_errors_do_not_depend_on_the_threads(architecture, rng):
    model = build_model(ModelConfig(architecture, hid_dim=32), h36m.skeleton())
    keypoints, positions = (torch.from_numpy(rng.normal(size=(5000, 16, axes))).float() for axes in (2, 3))
    kinds = torch.from_numpy(rng.integers(0, 3, 5000))
    poses = Poses(keypoints, positions, torch.zeros(5000, 3), kinds, kinds, kind_names=list('abc'), cameras=[])
    found = []
    for cores in (1, 3):
        with threads(cores):
            found.append((predict(model, keypoints), with_baseline(evaluate(model, poses), poses, positions.mean(0))))
    (lifted, one), (also_lifted, three) = found
    torch.testing.assert_close(also_lifted, lifted, rtol=0, atol=1e-6)
    assert three.poses.tolist() == one.poses.tolist() == kinds.bincount().tolist()
    assert three.mean() == pytest.approx(one.mean(), rel=1e-6)
    assert three.action_average == pytest.approx(one.action_average, rel=1e-6)
