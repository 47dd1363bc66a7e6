"""Augmentation of the training samples: mirrored, turned, scaled, with noise.

The random numbers of each batch come from PyTorch's generator of the device, whose state is in the checkpoint.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from common.datasets.poses import Poses
from common.errors import UserError
from common.geometry.camera import Camera, project_by
from common.geometry.mirror import Mirror
from common.geometry.skeleton import Skeleton
from common.training.recipe import Recipe


class AugmentedSamples:
    """The training pairs of a batch, augmented as the recipe asks.

    Poses are mirrored about the camera's principal point, without its distortion. A turned or scaled pose keeps its hip
    in place and is re-projected by its camera. The error of the detector, the difference between its keypoints and the
    projected pose, is kept.

    Args:
        poses: the training set, on the device.
        recipe: its flip, rotate (degrees), scale (a share) and noise (normalised image units).
    """

    def __init__(self, poses: Poses, skeleton: Skeleton, recipe: Recipe) -> None:
        self.poses, self.recipe = poses, recipe
        if (recipe.rotate or recipe.scale) and not all(camera.is_calibrated for camera in poses.cameras):
            raise UserError('--rotate and --scale project poses again, and some cameras of this dataset have no focal '
                            'length; docs/datasets.md describes how a file states it.')
        self.mirror, self.centers = Mirror(skeleton, poses.keypoints.device) if recipe.flip else None, poses.centers()
        self.cameras = CameraBatch(poses.cameras, poses.keypoints.device) if recipe.rotate or recipe.scale else None

    def __call__(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """The pairs of these poses: (B,) -> keypoints (B, J, 2), positions (B, J, 3)."""
        poses, recipe = self.poses, self.recipe
        keypoints, positions = poses.keypoints.index_select(0, batch), poses.positions.index_select(0, batch)
        if self.cameras is not None:
            roots, views = poses.roots.index_select(0, batch), poses.views.index_select(0, batch)
            changed = positions
            if recipe.rotate:
                angles = (torch.rand(len(batch), device=batch.device) * 2 - 1) * math.radians(recipe.rotate)
                changed = self.cameras.turn(changed, views, angles)
            if recipe.scale:
                sizes = 1 + (torch.rand(len(batch), 1, 1, device=batch.device) * 2 - 1) * recipe.scale
                changed = changed * sizes
            moved = self.cameras.project(torch.stack([positions, changed]) + roots[:, None], views)
            keypoints, positions = keypoints + (moved[1] - moved[0]), changed
        if recipe.noise:
            keypoints = keypoints + torch.randn_like(keypoints) * recipe.noise
        if self.mirror is not None:
            coin = torch.rand(len(batch), 1, 1, device=batch.device) < 0.5
            centers = None if self.centers is None else self.centers[batch]
            keypoints = torch.where(coin, self.mirror(keypoints, centers), keypoints)
            positions = torch.where(coin, self.mirror(positions), positions)
        return keypoints, positions


class CameraBatch:
    """The cameras of a data set as tensors, for batches in which every pose has its own camera."""

    def __init__(self, cameras: list[Camera], device: torch.device) -> None:
        # the world's vertical axis (z up) in the coordinates of each camera
        upright = [camera.rotation[2] for camera in cameras]
        self.up = torch.tensor(np.array(upright), dtype=torch.float32, device=device)          # (V, 3)
        self.intrinsic = torch.tensor(np.array([camera.intrinsic for camera in cameras]), dtype=torch.float32,
                                      device=device)                                           # (V, 9)
        self.limit = torch.tensor([camera.limit for camera in cameras], device=device).view(-1, 1, 1)

    def turn(self, positions: Tensor, views: Tensor, angles: Tensor) -> Tensor:
        """Turn poses about the vertical through their hip, by Rodrigues' formula.

        Args:
            positions: (B, J, 3) relative to the hip.
            views: (B,) camera of each.
            angles: (B,) radians.
        """
        axis = self.up[views][:, None].expand_as(positions)                                    # (B, J, 3)
        cosine, sine = angles.cos()[:, None, None], angles.sin()[:, None, None]
        along = (positions * axis).sum(2, keepdim=True) * axis
        return along + (positions - along) * cosine + torch.linalg.cross(axis, positions) * sine

    def project(self, positions: Tensor, views: Tensor) -> Tensor:
        """`camera.project` for a batch: (..., B, J, 3) camera coordinates to (..., B, J, 2), `views` (B,)."""
        return project_by(self.intrinsic[views][:, None], positions, self.limit[views])
