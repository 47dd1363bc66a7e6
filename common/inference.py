"""Predicting 3D poses with a trained network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from common.geometry.mirror import Mirror
from common.threads import over_parts
from models.folded import fold

GPU_BATCH, CPU_BATCH = 8192, 256  # poses at a time; on a CPU a folded network says
CPU_PART = 1 << 11  # poses that a thread predicts before it takes their errors: memory stays flat


def predict(model: nn.Module, keypoints: Tensor, batch_size: int | None = None,
            report: Callable[[int], None] | None = None, mirror: Mirror | None = None) -> Tensor:
    """Lift poses, relative to the hip.

    Args:
        keypoints: (N, J, 2) normalised image coordinates, on the model's device.
        batch_size: poses at a time; None for what suits the device.
        report: called with the number of poses done.
        mirror: makes the answer the mean of that for the pose and of that for its mirror image, mirrored back.
    Returns:
        (N, J, 3) metres in camera axes (x right, y down, z forward), the hip at the origin.
    """
    folded = fold(model.eval())
    size = batch_size or batch_size_of(folded, keypoints.device)
    positions = keypoints.new_empty(*keypoints.shape[:2], 3)

    def lift_part(part: slice) -> None:
        lift(folded, keypoints[part], positions[part], size, mirror)

    for done, _ in over_parts(lift_part, len(keypoints), batch_size or max(size, CPU_PART), keypoints.device):
        if report:
            report(done)
    return positions


@torch.inference_mode()
def lift(folded: nn.Module, keypoints: Tensor, positions: Tensor, batch_size: int, mirror: Mirror | None) -> None:
    """Lift poses into `positions`."""
    for start in range(0, len(keypoints), batch_size):
        given = keypoints[start:start + batch_size]
        predicted = folded(given)
        if mirror is not None:
            predicted = (predicted + mirror(folded(mirror(given)))) / 2
        torch.sub(predicted, predicted[:, :1], out=positions[start:start + batch_size])


def batch_size_of(folded: nn.Module, device: torch.device) -> int:
    return int(getattr(folded, 'CPU_BATCH', CPU_BATCH)) if device.type == 'cpu' else GPU_BATCH
