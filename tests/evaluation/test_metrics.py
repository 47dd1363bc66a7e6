"""Metrics against the golden arrays, closed forms and a textbook alignment of single poses."""

import numpy as np
import pytest
import torch

from common.evaluation import metrics


def test_metrics_match_the_golden_arrays(golden):
    poses = {name: torch.from_numpy(np.asarray(value)).double() for name, value in golden('losses').items()}
    predicted, target = poses['predicted'], poses['target']
    for name, value in (
        ('mpjpe', metrics.mpjpe(predicted, target).mean()),
        ('p_mpjpe', metrics.p_mpjpe(predicted, target).mean()),
        ('p_mpjpe_each', metrics.p_mpjpe(predicted, target)),
        ('n_mpjpe', metrics.METRICS['n_mpjpe_mm'].values(predicted, target).mean()),
        ('weighted_mpjpe', metrics.weighted_mpjpe(predicted, target, poses['weight']).mean()),
        ('mean_velocity_error', metrics.METRICS['velocity_error_mm'].values(predicted, target).mean()),
    ):
        torch.testing.assert_close(value, poses[name], rtol=0, atol=1e-5, msg=lambda text, name=name: f'{name}: {text}')


def align_one(predicted, target):
    """Umeyama's fit of one pose in plain NumPy, written as in the paper: y = c R x + t."""
    x, y = predicted - predicted.mean(0), target - target.mean(0)
    u, d, vt = np.linalg.svd(y.T @ x)
    s = np.diag([1, 1, np.linalg.det(u) * np.linalg.det(vt)])
    rotation, scale = u @ s @ vt, np.trace(np.diag(d) @ s) / (x ** 2).sum()
    return scale * x @ rotation.T + target.mean(0)


def test_batched_alignment_equals_one_pose_at_a_time(rng):
    target = rng.normal(size=(60, 16, 3))
    predicted = target + rng.normal(size=target.shape)
    predicted[::2] *= (1, 1, -1)  # mirror images, where a reflection would fit better
    aligned = metrics.align(torch.from_numpy(predicted), torch.from_numpy(target))
    np.testing.assert_allclose(aligned, [align_one(*pair) for pair in zip(predicted, target, strict=True)], atol=1e-10)


def test_alignment_removes_a_similarity_but_not_a_reflection(rng):
    target = torch.from_numpy(rng.normal(size=(4, 16, 3)))
    rotation = torch.linalg.qr(torch.from_numpy(rng.normal(size=(3, 3))))[0]
    rotation = rotation * torch.linalg.det(rotation)
    similar = 0.3 * target @ rotation + 5
    assert metrics.p_mpjpe(similar, target).max() < 1e-12
    assert metrics.p_mpjpe(similar * torch.tensor([1.0, 1.0, -1.0]), target).min() > 0.1
    assert metrics.METRICS['n_mpjpe_mm'].values(0.3 * target, target).max() < 1e-12


def test_degenerate_poses_have_finite_errors(rng):
    target = torch.from_numpy(rng.normal(size=(3, 16, 3)))
    point = torch.ones_like(target)
    line, flat = torch.zeros_like(target), target * torch.tensor([1.0, 1.0, 0.0])
    line[:, :, 0] = torch.arange(16)
    for predicted in (point, line, flat):
        for metric in metrics.METRICS.values():
            assert metric.values(predicted, target).isfinite().all()
            assert metric.values(target, predicted).isfinite().all()
    expected = (target - target.mean(1, keepdim=True)).norm(dim=2).mean(1)
    torch.testing.assert_close(metrics.p_mpjpe(point, target), expected)
    assert metrics.p_mpjpe(flat @ torch.linalg.qr(target[0, :3])[0], flat).max() < 1e-12


@pytest.mark.parametrize('metric', [metrics.mpjpe, *(metric.values for metric in metrics.METRICS.values())])
@pytest.mark.parametrize('shapes', [((2, 16, 3), (2, 15, 3)), ((2, 16, 2), (2, 16, 2)), ((16, 3), (16, 3))])
def test_wrong_shapes_are_refused(metric, shapes):
    with pytest.raises(ValueError, match=r'\(N, J, 3\)'):
        metric(*(torch.zeros(shape) for shape in shapes))
