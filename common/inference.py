"""Predicting 3D poses with a trained network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from common.geometry.mirror import Mirror
from common.geometry.person import to_camera_axes
from common.threads import map_over_threads

CPU_SLICE = 2048  # poses predicted by a thread at a time, so that memory stays flat
CPU_BATCH, GPU_BATCH = 256, 8192  # poses in a forward pass; a folded network names its own CPU_BATCH


class Predictor:
    """A network prepared for inference: `predictor(keypoints)` is its prediction relative to the hip.

    Args:
        model: any network (B, J, 2) -> (B, J, 3), on its device. It is set to evaluation mode.
        device: where the keypoints are.
        batch_size: poses in a forward pass. None: a size that suits the network and the device.
        mirror: averages the predictions for each pose and for its mirror image.
    """

    def __init__(self, model: nn.Module, device: torch.device, batch_size: int | None = None,
                 mirror: Mirror | None = None) -> None:
        self.network, self.mirror = for_inference(model), mirror
        suited = getattr(self.network, 'CPU_BATCH', CPU_BATCH) if device.type == 'cpu' else GPU_BATCH
        self.batch_size: int = batch_size or suited
        self.slice_size = batch_size or max(suited, CPU_SLICE)

    @torch.inference_mode()
    def __call__(self, keypoints: Tensor, centers: Tensor | None = None, rays: Tensor | None = None) -> Tensor:
        """Lift (N, J, 2) to (N, J, 3) in camera axes, batch by batch.

        Args:
            centers: (N,) as for `Mirror`.
            rays: (N, 2) as for `to_camera_axes`, of networks whose input is centred on the person.
        """
        positions = keypoints.new_empty(*keypoints.shape[:2], 3)
        for start in range(0, len(keypoints), self.batch_size):
            given = keypoints[start:start + self.batch_size]
            predicted = self.network(given)
            if self.mirror is not None:
                about = None if centers is None else centers[start:start + self.batch_size]
                predicted = (predicted + self.mirror(self.network(self.mirror(given, about)))) / 2
            torch.sub(predicted, predicted[:, :1], out=positions[start:start + self.batch_size])
        return positions if rays is None else to_camera_axes(positions, rays)


def predict(model: nn.Module, keypoints: Tensor, batch_size: int | None = None,
            report: Callable[[int], None] | None = None, mirror: Mirror | None = None,
            rays: Tensor | None = None) -> Tensor:
    """Lift poses to 3D, relative to the hip, on all threads.

    Args:
        model, batch_size, mirror: as of `Predictor`.
        keypoints: (N, J, 2) normalised image coordinates, on the model's device.
        report: called with the number of poses done.
        rays: as of `Predictor`.
    Returns:
        (N, J, 3) metres in camera axes (x right, y down, z forward), the hip at the origin.
    """
    predictor = Predictor(model, keypoints.device, batch_size, mirror)
    positions = keypoints.new_empty(*keypoints.shape[:2], 3)

    def lift(part: slice) -> None:
        positions[part] = predictor(keypoints[part], rays=None if rays is None else rays[part])

    for done, _ in map_over_threads(lift, len(keypoints), predictor.slice_size, keypoints.device):
        if report:
            report(done)
    return positions


def for_inference(model: nn.Module) -> nn.Module:
    """The network in evaluation mode, folded if it has a folded form (`models/fast/folded.py`)."""
    model.eval()
    fold = getattr(model, 'folded', None)
    return fold() if callable(fold) else model
