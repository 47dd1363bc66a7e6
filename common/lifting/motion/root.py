"""The path of the root through a clip, from the 2D keypoints and the lifted poses.

For a pinhole camera, joint (X, Y, Z) relative to its root (x, y, z) lies on the ray (u, v, 1) of its keypoint:

    u (Z + z) = X + x        v (Z + z) = Y + y

This is linear in the root. The path over all frames minimises the sum of the squared residuals in metres, of the
squared second differences (smoothing, as in `smoothing.smooth`), and of the squared motion of feet that stand still.
Depth is known less well than the other directions, by the ratio of the person's size to the distance, so the same
smoothing acts on it more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solveh_banded

from common.geometry import body
from common.geometry.camera import default_focal
from common.lifting.motion.smoothing import second_differences, stiffness

USUAL_FPS = 30.0  # frames a second, where the rate is unknown
AT_A_TIME = 4096  # frames whose equations are set up at a time, so that little memory is needed
GRIP = 20.0  # weight of feet that stand still, beside 1 for a keypoint


@dataclass(frozen=True)
class CameraView:
    """The video or the images in which people were found.

    Attributes:
        size: of the image, pixels.
        focal: focal length, pixels.
        fps: frames a second; None where unknown.
    """

    size: tuple[int, int]
    focal: float
    fps: float | None = None

    @property
    def rate(self) -> float:
        """Frames a second, `USUAL_FPS` where unknown."""
        return self.fps or USUAL_FPS

    def of_picture(self, size: tuple[int, int] | None) -> CameraView:
        """The view of a picture that has a size of its own; with None, this one."""
        return replace(self, size=size, focal=default_focal(size)) if size else self


def rays(keypoints: np.ndarray, view: CameraView) -> np.ndarray:
    """(..., 2) pixels to X / Z and Y / Z, for a camera with its principal point in the middle of the image."""
    return (keypoints - np.array(view.size) / 2) / view.focal


def locate(positions: np.ndarray, directions: np.ndarray, weights: np.ndarray, fps: float, cutoff: float | None,
           still: np.ndarray | None = None) -> np.ndarray:
    """The path of the root, by the equations at the head of this module.

    Args:
        positions: (T, J, 3) metres from the root, camera axes; NaN where there is no pose.
        directions: (T, J, 2) rays of the keypoints.
        weights: (T, J) of the keypoints; 0 where a joint was not detected.
        fps: frames a second.
        cutoff: cutoff frequency of the smoothing, Hz; None places each frame independently.
        still: (T, 2) whether the right and the left foot stand still.
    Returns:
        (T, 3) metres from the camera; NaN where there is no pose.
    """
    count = len(positions)
    normal, target, placed = np.empty((count, 3, 3)), np.empty((count, 3)), np.empty(count, bool)
    for start in range(0, count, AT_A_TIME):
        part = slice(start, start + AT_A_TIME)
        normal[part], target[part], placed[part] = _normal_equations(positions[part], directions[part], weights[part])
    if cutoff is None:
        path = np.linalg.solve(normal, target[..., None])[..., 0]
    else:
        bands = np.zeros((9, 3 * count))  # upper bands of a (3 T, 3 T) matrix, 8 above the diagonal
        for row in range(3):
            for column in range(row, 3):
                bands[8 - (column - row), column::3] += normal[:, row, column]
        weight = float(normal[:, 0, 0].sum() / max(placed.sum(), 1))  # of all joints of a frame
        smoothing = second_differences(count) * stiffness(cutoff, fps) * weight
        for distance in range(3):
            bands[8 - 3 * distance] += np.repeat(smoothing[2 - distance], 3)
        for side in range(2 if still is not None and count > 1 else 0):
            assert still is not None
            hold = GRIP * (still[1:, side] & still[:-1, side] & placed[1:] & placed[:-1])[:, None]
            moved = np.nan_to_num(np.diff(positions[:, body.FEET[side]].astype(np.float64), axis=0))
            bands[8, :-3] += np.repeat(hold, 3)
            bands[8, 3:] += np.repeat(hold, 3)
            bands[5, 3:] -= np.repeat(hold, 3)
            target[:-1] += hold * moved
            target[1:] -= hold * moved
        path = solveh_banded(bands, target.ravel(), overwrite_ab=True, overwrite_b=True).reshape(-1, 3)
    path[~placed] = np.nan
    return path


def misfit(positions: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """How far poses are from their keypoints, each put where it fits best: (T,).

    Args:
        positions, directions: as for `locate`, finite.
    Returns:
        root mean square distance in the image, as a share of the spread of the keypoints.
    """
    rows, target, _ = _normal_equations(positions, directions, np.ones(positions.shape[:2]))
    points = positions + np.linalg.solve(rows, target[..., None])[:, None, :, 0]       # (T, J, 3)
    with np.errstate(divide='ignore', invalid='ignore'):  # joints at the camera, or all at one place
        off = ((points[..., :2] / points[..., 2:] - directions) ** 2).sum((1, 2))
        spread = ((directions - directions.mean(1, keepdims=True)) ** 2).sum((1, 2))
        return np.sqrt(off / spread)


def _normal_equations(positions: np.ndarray, directions: np.ndarray,
                      weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T, 3, 3) and (T, 3) of each frame by itself, and (T,) whether it has any joint.

    Each joint has the rows (1, 0, -u) and (0, 1, -v).
    """
    usable = np.isfinite(positions).all(-1) & np.isfinite(directions).all(-1)
    weights = np.where(usable, weights, 0)[..., None]
    positions, directions = np.nan_to_num(positions.astype(np.float64)), np.nan_to_num(directions)
    right = weights * (directions * positions[..., 2:] - positions[..., :2])  # (T, J, 2)
    rows, across = np.zeros((len(positions), 3, 3)), (weights * directions).sum(1)
    for axis in range(2):
        rows[:, axis, axis] = weights.sum((1, 2))
        rows[:, axis, -1] = rows[:, -1, axis] = -across[:, axis]
    rows[:, -1, -1] = (weights * directions ** 2).sum((1, 2))
    target = np.concatenate([right.sum(1), -(right * directions).sum((1, 2))[:, None]], axis=1)
    return rows + 1e-6 * np.eye(3), target, usable.any(1)
