"""What an evaluation can add: the error of the root, and the errors where joints are hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from common.datasets.poses import Poses
from common.datasets.visibility import with_joints
from common.errors import UserError
from common.evaluation.evaluate import METRES_TO_MM
from common.lifting.motion.root import locate

HIDDEN_SEED = 20261130


def root_errors(predictions: Tensor, poses: Poses) -> Tensor:
    """MRPE: the distance of the placed root from the true one, mm, float64 (N,).

    Each predicted pose is placed so that its joints fit the rays of their keypoints best (`motion.root.locate`).

    Args:
        predictions: (N, J, 3) metres from the hip, camera axes.
        poses: with 2D in the image.
    Raises:
        UserError: a camera has no focal length.
    """
    rays = torch.full(poses.keypoints.shape, torch.nan, dtype=torch.float64)
    for view, camera in enumerate(poses.cameras):
        mine = (poses.views == view).cpu()
        if mine.any() and not camera.is_calibrated:
            raise UserError(f'--root needs cameras with a focal length, which camera {camera.name} does not have.')
        rays[mine] = camera.rays(poses.keypoints.cpu()[mine].double())
    placed = locate(predictions.numpy(), rays.numpy(), np.ones(rays.shape[:2]), 1.0, None)
    return (torch.from_numpy(placed) - poses.roots.cpu()).norm(dim=1) * METRES_TO_MM


def with_hidden_joints(poses: Poses, share: float, fewest: float) -> Poses:
    """The poses with a share of their joints hidden at random, always the same ones.

    Args:
        fewest: share of the joints that the network needs; poses with fewer are left out, and counted.
    Raises:
        UserError: the network needs all joints, or no pose is left.
    """
    if fewest >= 1:
        raise UserError('--missing is for networks that were trained with --hide; this one needs all joints.')
    if poses.whole is not None:
        raise UserError('--missing hides joints in every frame of the windows: leave --downsample out.')
    hidden = torch.rand(poses.keypoints.shape[:2], generator=torch.Generator().manual_seed(HIDDEN_SEED)) < share
    keypoints = torch.where(hidden.to(poses.views.device)[..., None], torch.nan, poses.keypoints)
    return with_joints(replace(poses, keypoints=keypoints), fewest, 'to test')
