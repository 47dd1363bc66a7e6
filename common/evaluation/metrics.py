"""Errors between predicted and true poses, and the losses of training.

Every metric takes two (N, J, 3) tensors in one unit and returns (N,) errors in that unit, in the tensors' precision.
All raise a ValueError where the shapes differ, or are not (N, J, 3).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

PCK_THRESHOLD = 150.0  # mm
AUC_THRESHOLDS = tuple(range(0, 151, 5))  # mm
SMOOTH_L1_BETA = 0.05  # metres; PyTorch's own 1 m would make it half the squared error everywhere


def joint_errors(predicted: Tensor, target: Tensor) -> Tensor:
    """Distance of every joint to its target, (N, J)."""
    _check_shapes(predicted, target)
    return (predicted - target).norm(dim=2)


def mpjpe(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean per-joint position error (Protocol 1)."""
    return joint_errors(predicted, target).mean(1)


def weighted_mpjpe(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """MPJPE with a weight for each joint, (N, J) or (J,)."""
    return (weight * joint_errors(predicted, target)).mean(1)


def p_mpjpe(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean per-joint position error after similarity alignment (Protocol 2)."""
    return mpjpe(align(predicted, target), target)


def n_mpjpe(predicted: Tensor, target: Tensor) -> Tensor:
    """MPJPE after the best scale only; Rhodin et al., CVPR 2018."""
    return mpjpe(rescale(predicted, target), target)


def velocity_error(predicted: Tensor, target: Tensor) -> Tensor:
    """MPJPE of the motion from each pose of a sequence to the next, (N - 1,); Pavllo et al., CVPR 2019."""
    return mpjpe(predicted.diff(dim=0), target.diff(dim=0))


def pck(errors: Tensor) -> Tensor:
    """Percentage of correct keypoints: 100 where a joint is less than 150 mm off, else 0.

    The mean over joints and poses is the PCK of MPI-INF-3DHP (Mehta et al., 3DV 2017), whose positions are relative to
    the root.

    Args:
        errors: of any shape, mm.
    """
    return (errors < PCK_THRESHOLD).to(errors.dtype) * 100


def auc(errors: Tensor) -> Tensor:
    """Area under the curve of PCK: its mean over the thresholds 0, 5, ..., 150 mm; Mehta et al., 3DV 2017.

    Args:
        errors: of any shape, mm.
    """
    thresholds = torch.tensor(AUC_THRESHOLDS, dtype=errors.dtype, device=errors.device)
    not_larger = torch.bucketize(errors, thresholds, right=True)  # number of thresholds that the error reaches
    return (1 - not_larger.to(errors.dtype) / len(thresholds)) * 100


def align(predicted: Tensor, target: Tensor) -> Tensor:
    """The poses after similarity alignment to their targets, (N, J, 3).

    Each pose is translated, rotated and scaled by the least-squares fit of Umeyama, PAMI 1991; reflections are
    excluded. A prediction that is a single point is only translated.
    """
    _check_shapes(predicted, target)
    predicted_mean, target_mean = predicted.mean(1, keepdim=True), target.mean(1, keepdim=True)
    x, y = predicted - predicted_mean, target - target_mean
    u, d, vt = torch.linalg.svd(x.mT @ y)                                              # the covariance, (N, 3, 3)
    sign = torch.linalg.det(u @ vt).sign()
    u[:, :, 2] *= sign.unsqueeze(1)                                                    # -1 excludes a reflection
    d[:, 2] *= sign
    variance = x.square().sum((1, 2))
    scale = d.sum(1) / torch.where(variance > 0, variance, 1)
    return scale.view(-1, 1, 1) * x @ (u @ vt) + target_mean


def rescale(predicted: Tensor, target: Tensor) -> Tensor:
    """The poses, each times the factor that fits it best to its target, (N, J, 3)."""
    _check_shapes(predicted, target)
    squared = predicted.square().sum((1, 2))
    scale = (predicted * target).sum((1, 2)) / torch.where(squared > 0, squared, 1)
    return scale.view(-1, 1, 1) * predicted


def _check_shapes(predicted: Tensor, target: Tensor) -> None:
    if predicted.shape != target.shape or predicted.ndim != 3 or predicted.shape[2] != 3:
        raise ValueError(f'poses must both be (N, J, 3), not {tuple(predicted.shape)} and {tuple(target.shape)}')


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'mse': F.mse_loss,
    'mpjpe': lambda predicted, target: mpjpe(predicted, target).mean(),
    'l1': F.l1_loss,
    'smooth_l1': lambda predicted, target: F.smooth_l1_loss(predicted, target, beta=SMOOTH_L1_BETA),
}

# The metrics of an evaluation, joint by joint: (N, J, 3) mm, twice -> (N, J).
BY_JOINT: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'mpjpe_mm': joint_errors,
    'p_mpjpe_mm': lambda predicted, target: joint_errors(align(predicted, target), target),
    'n_mpjpe_mm': lambda predicted, target: joint_errors(rescale(predicted, target), target),
    'pck_150_percent': lambda predicted, target: pck(joint_errors(predicted, target)),
    'auc_percent': lambda predicted, target: auc(joint_errors(predicted, target)),
}
