"""Errors between predicted and true poses.

All take (N, J, 3) tensors in one unit and give (N,) errors in that unit, in the tensors' precision.
"""

import torch
from torch import Tensor

_NEWTON_STEPS = 12
_CLEARLY_APART, _CONVERGED = 1e-3, 1e-12  # of a covariance of norm 1: the rotation is then good to about 1e-10


def mpjpe(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean per-joint position error of each pose (Protocol 1).

    Raises:
        ValueError: the shapes differ, or are not (N, J, 3).
    """
    _check(predicted, target)
    return (predicted - target).norm(dim=2).mean(1)


def weighted_mpjpe(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """MPJPE with a weight for each joint, (N, J) or (J,)."""
    _check(predicted, target)
    return (weight * (predicted - target).norm(dim=2)).mean(1)


def p_mpjpe(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean per-joint position error after similarity alignment (Protocol 2).

    Each pose is moved, turned and scaled onto its target by the least-squares fit of Umeyama (1991); reflections are
    excluded. A prediction that is a single point is moved only.

    Raises:
        ValueError: the shapes differ, or are not (N, J, 3).
    """
    _check(predicted, target)
    return mpjpe(align(predicted, target), target)


def align(predicted: Tensor, target: Tensor) -> Tensor:
    """Each pose of `predicted` after the similarity that fits it best onto its target, (N, J, 3)."""
    target_mean, predicted_mean = target.mean(1, keepdim=True), predicted.mean(1, keepdim=True)
    centered_target, centered = target - target_mean, predicted - predicted_mean
    rotation, fit = best_rotation((centered.transpose(1, 2) @ centered_target).double())
    spread = centered.square().sum((1, 2))
    scale = fit.to(spread) / torch.where(spread > 0, spread, 1)
    return scale.view(-1, 1, 1) * centered @ rotation.to(spread) + target_mean


def best_rotation(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The rotations R, (N, 3, 3), with the largest trace of R' K, and those traces, (N,), for K (N, 3, 3) in float64.

    In closed form after Markley, J. Astronautical Sciences 41 (1993): the trace is the largest root of a polynomial of
    degree four in K's invariants, found by Newton's method from above, and R a polynomial in K. Where two rotations fit
    nearly as well, as for poses on a line or mirrored ones, that loses digits, and an SVD takes over.
    """
    size = covariance.square().sum((1, 2)).sqrt()
    k = covariance / size.view(-1, 1, 1)
    cofactors = torch.linalg.cross(k.roll(-1, 1), k.roll(-2, 1))
    determinant, squares = (k[:, 0] * cofactors[:, 0]).sum(1), cofactors.square().sum((1, 2))

    def apartness(root: Tensor) -> Tensor:
        """(s1 + s2) (s1 + s3) (s2 + s3) of the singular values, an eighth of the polynomial's slope at its root."""
        return (root * (root.square() - 1) - 2 * determinant) / 2

    root = torch.full_like(size, 3 ** 0.5)
    for _ in range(_NEWTON_STEPS):
        step = ((root.square() - 1).square() - 8 * root * determinant - 4 * squares) / (8 * apartness(root))
        root = root - step
    apart = apartness(root)
    rotation = (((root.square() + 1) / 2).view(-1, 1, 1) * k + root.view(-1, 1, 1) * cofactors
                - k @ (k.transpose(1, 2) @ k)) / apart.view(-1, 1, 1)
    fit = root * size
    doubtful = ~((apart > _CLEARLY_APART) & (step.abs() < _CONVERGED))                 # NaN is doubtful too
    if doubtful.any():
        u, s, vt = torch.linalg.svd(covariance[doubtful])
        sign = torch.linalg.det(u @ vt).sign()                                         # -1 turns a reflection back
        s[:, 2] *= sign
        u[:, :, 2] *= sign.unsqueeze(1)
        rotation[doubtful], fit[doubtful] = u @ vt, s.sum(1)
    return rotation, fit


def n_mpjpe(predicted: Tensor, target: Tensor) -> Tensor:
    """MPJPE after the best scale only, as in Rhodin et al., CVPR 2018."""
    _check(predicted, target)
    spread = predicted.square().sum((1, 2))
    scale = (predicted * target).sum((1, 2)) / torch.where(spread > 0, spread, 1)
    return mpjpe(scale.view(-1, 1, 1) * predicted, target)


def velocity_error(predicted: Tensor, target: Tensor) -> Tensor:
    """MPJPE of the motion from each pose of a sequence to the next, (N - 1,); Pavllo et al., CVPR 2019."""
    _check(predicted, target)
    return mpjpe(predicted.diff(dim=0), target.diff(dim=0))


def _check(predicted, target):
    if predicted.shape != target.shape or predicted.ndim != 3 or predicted.shape[2] != 3:
        raise ValueError(f'poses must both be (N, J, 3), not {tuple(predicted.shape)} and {tuple(target.shape)}')
