"""Where the floor is: the pitch of the camera over it, and the plane under people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from common.datasets import h36m
from common.geometry import body

STRAIGHT = 0.97  # distance from the feet to the thorax, relative to the bones between; from here on a person stands
FEW = 0.05  # least share of standing poses from which the camera's pitch is measured
UPRIGHT = 0.5  # cosine between a standing body and the vertical of the image, at least
FOOT_REACH = 0.5  # metres: feet that are not farther apart hardly tilt the floor
CLOSE = 0.15  # metres above the lowest joint of the pose, at most: a foot on the floor


@cache
def mean_camera_pitch() -> float:
    """The mean downward pitch of Human3.6M's cameras, degrees, about 12.7."""
    down = [-camera.rotation[2, 2] for cameras in h36m.cameras().values() for camera in cameras]  # forward axes
    return math.degrees(sum(map(math.asin, down)) / len(down))


def camera_pitch(people: Sequence[np.ndarray]) -> float:
    """The downward pitch of the camera, degrees: median lean of standing people; `mean_camera_pitch` if few stand.

    Args:
        people: (T, 16, 3) metres from the hip, camera axes, each.
    """
    poses = np.concatenate(people).astype(np.float64)
    poses = poses[np.isfinite(poses).all((1, 2))]

    def length(*joints: int) -> np.ndarray:
        return np.linalg.norm(np.diff(poses[:, joints], axis=1), axis=-1).sum(1)

    right, left = zip(*body.LEGS)
    straight = (length(*right) + length(*left)) / 2 + length(body.HIP, body.SPINE, body.THORAX)
    axis = poses[:, body.THORAX] - poses[:, body.FEET].mean(1)
    standing = np.linalg.norm(axis, axis=-1) > STRAIGHT * straight
    standing &= -axis[:, 1] > UPRIGHT * np.linalg.norm(axis, axis=-1)  # not lying, nor on the hands
    standing &= np.abs(axis[:, 0]) < 0.5 * np.linalg.norm(axis, axis=-1)  # not lying across the view
    if standing.sum() < max(FEW * len(poses), 3):
        return mean_camera_pitch()
    lean = np.degrees(np.arctan2(-axis[standing, 2], -axis[standing, 1]))
    return float(np.clip(np.median(lean), -30, 60))


def height_of_floor(joints: np.ndarray, still: np.ndarray) -> np.ndarray | float:
    """The height of the floor under a person's hip, metres: it touches the lowest joint of the clip.

    Its slope is fitted to the feet that stand still, or else to the lower half of the feet; feet in the air, of people
    who lie or stand on their hands, do not count. Without feet on the floor it is level.

    Args:
        joints: (T, 16, 3) metres, z up; NaN where there is no pose.
        still: (T, 2) whether the right and the left foot stand still.
    Returns:
        (T, 1), or 0 if there is no pose.
    """
    if not np.isfinite(joints).any():
        return 0.0
    feet, lowest = joints[:, body.FEET], joints[..., 2].min(1)
    on_floor = feet[..., 2] < lowest[:, None] + CLOSE  # False where there is no pose
    height = np.zeros((len(joints), 1))
    if on_floor.any():
        ground = feet[still & on_floor] if (still & on_floor).any() else feet[on_floor]
        if not (still & on_floor).any():
            ground = ground[ground[:, 2] <= np.median(ground[:, 2])]
        middle = np.median(ground, axis=0)
        across = ground - middle
        system = across[:, :2].T @ across[:, :2] + len(ground) * FOOT_REACH ** 2 * np.eye(2)
        slope = np.linalg.solve(system, across[:, :2].T @ across[:, 2])
        height = (joints[:, :1, :2] - middle[:2]) @ slope
    return height + np.nanmin(lowest[:, None] - height)
