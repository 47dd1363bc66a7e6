"""Errors against the golden arrays, closed forms and a textbook alignment of single poses."""

import numpy as np
import pytest
import torch

from common.evaluation import metrics as loss


@pytest.fixture
def poses(golden):
    arrays = golden('losses')
    return {name: torch.from_numpy(np.asarray(value)).double() for name, value in arrays.items()}


def test_errors_match_the_golden_arrays(poses):
    predicted, target = poses['predicted'], poses['target']
    for name, value in (
        ('mpjpe', loss.mpjpe(predicted, target).mean()),
        ('p_mpjpe', loss.p_mpjpe(predicted, target).mean()),
        ('p_mpjpe_each', loss.p_mpjpe(predicted, target)),
        ('n_mpjpe', loss.n_mpjpe(predicted, target).mean()),
        ('weighted_mpjpe', loss.weighted_mpjpe(predicted, target, poses['weight']).mean()),
        ('mean_velocity_error', loss.velocity_error(predicted, target).mean()),
    ):
        torch.testing.assert_close(value, poses[name], rtol=0, atol=1e-5, msg=lambda text, name=name: f'{name}: {text}')


def align_one(predicted, target):
    """Umeyama's fit of one pose in plain NumPy: two ways to the same answer."""
    x, y = target - target.mean(0), predicted - predicted.mean(0)
    u, s, vt = np.linalg.svd(x.T @ y)
    d = np.diag([1, 1, np.linalg.det(u) * np.linalg.det(vt)])
    rotation, scale = u @ d @ vt, np.trace(np.diag(s) @ d) / (y ** 2).sum()
    return scale * y @ rotation.T + target.mean(0)


def test_batched_alignment_equals_one_pose_at_a_time(rng):
    target = rng.normal(size=(60, 16, 3))
    predicted = target + rng.normal(size=target.shape)
    predicted[::2] *= (1, 1, -1)  # mirror images, where a reflection would fit better
    aligned = loss.align(torch.from_numpy(predicted), torch.from_numpy(target))
    np.testing.assert_allclose(aligned, [align_one(*pair) for pair in zip(predicted, target, strict=True)], atol=1e-10)


ROTATED = {
    'poses': lambda x, y: x * torch.tensor([1.0, 0.3, 0.1]) @ y,
    'mirrored poses': lambda x, y: -x * torch.tensor([1.0, 0.3, 0.1]) @ y,
    'nearly mirrored': lambda x, y: x @ torch.diag(torch.tensor([1.0, 0.5, -0.4999]).to(x)) @ x.transpose(1, 2),
    'flat': lambda x, y: x[:, :, :2] @ y[:, :2],
    'on a line': lambda x, y: x[:, :, :1] @ y[:, :1],
    'a point': lambda x, y: 0 * x,
    'a sphere': lambda x, y: torch.eye(3).to(x).expand_as(x),
    'turned inside out': lambda x, y: -torch.eye(3).to(x).expand_as(x),
    'tiny': lambda x, y: 1e-120 * x,
    'huge': lambda x, y: 1e120 * x,
}


@pytest.mark.parametrize('name', ROTATED)
def test_the_best_rotation_in_closed_form_is_that_of_the_svd(rng, name):
    x, y = torch.linalg.qr(torch.from_numpy(rng.normal(size=(2, 500, 3, 3))))[0]
    k = ROTATED[name](x, y)
    rotation, fit = loss.best_rotation(k)
    u, s, vt = torch.linalg.svd(k)
    s[:, 2] *= torch.linalg.det(u @ vt)
    torch.testing.assert_close(fit, s.sum(1), rtol=1e-12, atol=0)
    torch.testing.assert_close((rotation * k).sum((1, 2)), fit, rtol=1e-9, atol=0)
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).to(k).expand_as(k), rtol=0, atol=1e-9)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(500).to(k), rtol=0, atol=1e-9)


def test_poses_take_the_closed_form_and_doubtful_ones_alone_the_svd(rng, monkeypatch):
    seen = []
    svd = torch.linalg.svd
    monkeypatch.setattr(torch.linalg, 'svd', lambda k: seen.append(len(k)) or svd(k))
    target = torch.from_numpy(rng.normal(size=(50, 16, 3)) * (0.5, 0.2, 0.1))
    loss.p_mpjpe(target + 0.05 * torch.from_numpy(rng.normal(size=target.shape)), target)
    assert seen == []
    target[7], target[9, :, 1:] = 0, 0
    loss.p_mpjpe(target, target)
    assert seen == [2]


def test_alignment_removes_a_similarity_but_not_a_reflection(rng):
    target = torch.from_numpy(rng.normal(size=(4, 16, 3)))
    turn = torch.linalg.qr(torch.from_numpy(rng.normal(size=(3, 3))))[0]
    turn = turn * torch.linalg.det(turn)
    similar = 0.3 * target @ turn + 5
    assert loss.p_mpjpe(similar, target).max() < 1e-12
    assert loss.p_mpjpe(similar * torch.tensor([1.0, 1.0, -1.0]), target).min() > 0.1
    assert loss.n_mpjpe(0.3 * target, target).max() < 1e-12


def test_degenerate_poses_have_finite_errors(rng):
    target = torch.from_numpy(rng.normal(size=(3, 16, 3)))
    point = torch.ones_like(target)
    line = torch.zeros_like(target)
    line[:, :, 0] = torch.arange(16)
    for predicted in (point, line):
        for metric in (loss.p_mpjpe, loss.n_mpjpe):
            assert metric(predicted, target).isfinite().all()
            assert metric(target, predicted).isfinite().all()
    expected = (target - target.mean(1, keepdim=True)).norm(dim=2).mean(1)
    torch.testing.assert_close(loss.p_mpjpe(point, target), expected)


@pytest.mark.parametrize('metric', [loss.mpjpe, loss.p_mpjpe, loss.n_mpjpe, loss.velocity_error])
@pytest.mark.parametrize('shapes', [((2, 16, 3), (2, 15, 3)), ((2, 16, 2), (2, 16, 2)), ((16, 3), (16, 3))])
def test_wrong_shapes_are_refused(metric, shapes):
    with pytest.raises(ValueError, match=r'\(N, J, 3\)'):
        metric(*(torch.zeros(shape) for shape in shapes))
