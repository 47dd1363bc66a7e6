"""Where lifted people stand: from hip-relative poses and their 2D, so that several can be shown in one scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.datasets import h36m
from common.geometry.camera import normalize_screen
from common.lifting.lifter import turn_up
from common.lifting.tracks.tracking import Track
from common.rendering.clip import Clip, View, stand

# Of Human3.6M's cameras, normalised as their images are; with another lens, depths are off in proportion.
FOCAL_LENGTH = 2.29
FARTHEST = 2.0  # metres from the middle of the floor: people farther apart are shown closer, to be seen at all
AZIMUTH = -75.0  # degrees: behind the camera, a little to its left


def estimate_place(positions: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """The place of the hip at which poses project best to their keypoints, for a camera of `FOCAL_LENGTH`.

    f (X + x) / (Z + z) = u is linear in the place (x, y, z): f x - u z = u Z - f X. Least squares over the joints.

    Args:
        positions: (T, 16, 3) metres from the hip, camera axes.
        keypoints: (T, 16, 2) normalised coordinates.
    Returns:
        (T, 3) metres from the camera.
    """
    count, joints = positions.shape[:2]
    system = np.zeros((count, joints, 2, 3))
    system[:, :, 0, 0] = system[:, :, 1, 1] = FOCAL_LENGTH
    system[..., 2] = -keypoints
    right = keypoints * positions[..., 2:] - FOCAL_LENGTH * positions[..., :2]
    normal = np.einsum('tjki,tjkl->til', system, system) + 1e-9 * np.eye(3)
    return np.linalg.solve(normal, np.einsum('tjki,tjk->ti', system, right)[..., None])[..., 0]


def make_clip(tracks: Sequence[Track], positions: Sequence[np.ndarray], size: tuple[int, int], fps: float,
              pitch: float, caption: str) -> tuple[Clip, int, int]:
    """All people in one scene, upright.

    A single person stays at the middle of the floor. Several keep the middle of their estimated places throughout:
    depth jitters too much from frame to frame to be looked at.

    Args:
        positions: of each track, (T, 16, 3) camera axes.
        fps: of the video's frames.
        pitch: degrees that the camera looks down.
    Returns:
        the clip, the number of its first frame, and the step from frame to frame.
    """
    steps = [int(track.frames[1] - track.frames[0]) for track in tracks if len(track.frames) > 1]
    step = min(steps, default=1)
    first, last = min(int(track.frames[0]) for track in tracks), max(int(track.frames[-1]) for track in tracks)
    length = (last - first) // step + 1
    joints = len(h36m.skeleton())
    keypoints = np.full((len(tracks), length, joints, 2), np.nan)
    scene = np.full((len(tracks), length, joints, 3), np.nan)
    places = np.zeros((len(tracks), 3))
    for person, (track, lifted) in enumerate(zip(tracks, positions)):
        rows = (track.frames - first) // step
        keypoints[person, rows] = track.keypoints
        scene[person, rows] = turn_up(lifted.astype(np.float64), pitch)
        there = np.isfinite(lifted).all((1, 2))
        if there.any():
            found = estimate_place(lifted[there], normalize_screen(track.keypoints[there], *size))
            places[person] = turn_up(np.median(found, axis=0), pitch)
    scene = stand(scene)
    if len(tracks) > 1:
        apart = (places - places.mean(0))[:, :2]
        apart *= min(1.0, FARTHEST / max(float(np.linalg.norm(apart, axis=1).max()), FARTHEST))
        scene[..., :2] += apart[:, None, None]
    skeleton = h36m.skeleton()
    return Clip(keypoints, size, [View('3D', scene)], skeleton, fps / step, first / fps, AZIMUTH, caption), first, step
