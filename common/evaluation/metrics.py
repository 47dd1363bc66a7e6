"""Errors between predicted and true poses, and the losses of training.

Every metric takes two (N, J, 3) tensors in one unit and returns errors in that unit, in the tensors' precision. All
raise a ValueError where the shapes differ, or are not (N, J, 3). `METRICS` names the metrics of evaluations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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


def motion_errors(predicted: Tensor, target: Tensor, order: int) -> Tensor:
    """Distance of the differences of consecutive poses of a sequence, joint by joint, (N - order, J).

    Args:
        order: 1 for the velocity, mm a frame (Pavllo et al., CVPR 2019), 2 for the acceleration, mm a frame squared
            (Kanazawa et al., CVPR 2019).
    """
    return joint_errors(predicted.diff(order, dim=0), target.diff(order, dim=0))


def pck(errors: Tensor, threshold: float = PCK_THRESHOLD) -> Tensor:
    """Percentage of correct keypoints: 100 where a joint is less than a threshold off, else 0.

    The mean over joints and poses at 150 mm is the PCK of MPI-INF-3DHP (Mehta et al., 3DV 2017), whose positions are
    relative to the root.

    Args:
        errors: of any shape, mm.
        threshold: mm.
    """
    return (errors < threshold).to(errors.dtype) * 100


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
    excluded. A prediction that is a single point is only translated. Gradients do not flow through the fit.
    """
    _check_shapes(predicted, target)
    predicted_mean, target_mean = predicted.mean(1, keepdim=True), target.mean(1, keepdim=True)
    return (predicted - predicted_mean) @ _fit(predicted - predicted_mean, target - target_mean) + target_mean


@torch.no_grad()
def _fit(x: Tensor, y: Tensor) -> Tensor:
    """(N, 3, 3) the rotation times the scale of the least-squares fit of x to y, both (N, J, 3) and centred."""
    u, d, vt = torch.linalg.svd(x.mT @ y)                                              # the covariance, (N, 3, 3)
    sign = torch.linalg.det(u @ vt).sign()
    u[:, :, 2] *= sign.unsqueeze(1)                                                    # -1 excludes a reflection
    d[:, 2] *= sign
    variance = x.square().sum((1, 2))
    scale = d.sum(1) / torch.where(variance > 0, variance, 1)
    return scale.view(-1, 1, 1) * (u @ vt)


def rescale(predicted: Tensor, target: Tensor) -> Tensor:
    """The poses, each times the factor that fits it best to its target, (N, J, 3)."""
    _check_shapes(predicted, target)
    squared = predicted.square().sum((1, 2))
    scale = (predicted * target).sum((1, 2)) / torch.where(squared > 0, squared, 1)
    return scale.view(-1, 1, 1) * predicted


def _check_shapes(predicted: Tensor, target: Tensor) -> None:
    if predicted.shape != target.shape or predicted.ndim != 3 or predicted.shape[2] != 3:
        raise ValueError(f'poses must both be (N, J, 3), not {tuple(predicted.shape)} and {tuple(target.shape)}')


# The losses of training: (B, J, 3) metres, twice -> scalar. `mpjpe_aligned` is the mean of MPJPE and P-MPJPE;
# `joints_bones` adds the bones, see `training/loss.py`.
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'mse': F.mse_loss,
    'mpjpe': lambda predicted, target: mpjpe(predicted, target).mean(),
    'mpjpe_aligned': lambda predicted, target: (mpjpe(predicted, target) + p_mpjpe(predicted, target)).mean() / 2,
    'l1': F.l1_loss,
    'smooth_l1': lambda predicted, target: F.smooth_l1_loss(predicted, target, beta=SMOOTH_L1_BETA),
    'joints_bones': F.mse_loss,
}


@dataclass(frozen=True)
class Metric:
    """A metric of an evaluation, which averages its values over poses, by action, subject, camera and joint.

    Attributes:
        heading: of its column.
        values: (N, J, 3) predicted and true positions of consecutive poses, mm, float64 -> (N - frames + 1, J) for the
            last poses, or (N - frames + 1,) without `by_joint`.
        frames: the number of consecutive poses from which a value is computed.
        by_joint: whether it is a mean over joints.
        pck: only the joints that count for PCK are averaged.
    """

    heading: str
    values: Callable[[Tensor, Tensor], Tensor]
    frames: int = 1
    by_joint: bool = True
    pck: bool = False


def pck_metric(threshold: float) -> Metric:
    """PCK at a threshold, mm."""
    return Metric(f'PCK@{threshold:g}', lambda predicted, target: pck(joint_errors(predicted, target), threshold),
                  pck=True)


# A new metric is one entry.
PROTOCOLS = {
    'mpjpe_mm': Metric('MPJPE', joint_errors),
    'p_mpjpe_mm': Metric('P-MPJPE', lambda predicted, target: joint_errors(align(predicted, target), target)),
}
MRPE = Metric('MRPE', joint_errors, by_joint=False)  # of the root before the camera, see `evaluation/further.py`
METRICS = {
    **PROTOCOLS,
    'n_mpjpe_mm': Metric('N-MPJPE', lambda predicted, target: joint_errors(rescale(predicted, target), target)),
    'velocity_error_mm': Metric('velocity', lambda predicted, target: motion_errors(predicted, target, 1), frames=2),
    'acceleration_error_mm': Metric('acceleration', lambda predicted, target: motion_errors(predicted, target, 2),
                                    frames=3),
    'pck_150_percent': pck_metric(PCK_THRESHOLD),
    'auc_percent': Metric('AUC', lambda predicted, target: auc(joint_errors(predicted, target)), pck=True),
}
