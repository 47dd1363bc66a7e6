"""Errors between predicted and true poses.

All take (N, J, 3) tensors in one unit and give (N,) errors in that unit, in the tensors' precision.
"""

import torch
from torch import Tensor


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
    u, s, vt = torch.linalg.svd(centered.transpose(1, 2) @ centered_target)            # (N, 3, 3)
    sign = torch.ones_like(s)
    sign[:, 2] = torch.linalg.det(u @ vt).sign()                                       # -1 turns a reflection back
    rotation = (u * sign.unsqueeze(1)) @ vt
    spread = centered.square().sum((1, 2))
    scale = (s * sign).sum(1) / torch.where(spread > 0, spread, 1)
    return scale.view(-1, 1, 1) * centered @ rotation + target_mean


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
