"""People in the room: upright poses at their places on the floor of the clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.geometry import body
from common.lifting.lift_output import LiftedTrack
from common.lifting.lifter import mean_camera_pitch, to_upright
from common.lifting.motion.root import CameraView
from common.rendering.clip import Clip, View

AZIMUTH = -75.0  # degrees: behind the camera, a little to its left
STRAIGHT = 0.97  # distance from the feet to the thorax, relative to the bones between; from here on a person stands
FEW = 0.05  # least share of standing poses from which the camera's pitch is measured
FLOOR_REACH = 0.5  # metres: feet that are not farther apart hardly tilt the floor


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
    standing &= np.abs(axis[:, 0]) < 0.5 * np.linalg.norm(axis, axis=-1)  # not lying across the view
    if standing.sum() < max(FEW * len(poses), 3):
        return mean_camera_pitch()
    lean = np.degrees(np.arctan2(-axis[standing, 2], -axis[standing, 1]))
    return float(np.clip(np.median(lean), -30, 60))


def in_room(lifted: LiftedTrack, pitch: float) -> np.ndarray:
    """The person's joints (T, 16, 3) in metres: x right, y forward from the camera, z up from the floor.

    The floor is a plane fitted to the feet that stand still, or, if none do, to the lower half of the feet. Under
    another skeleton than the 16 joints it is level, at the lowest joint.
    """
    joints = to_upright((lifted.positions + lifted.root[:, None]).astype(np.float64), pitch)
    if not body.is_human(lifted.skeleton):
        joints[..., 2] -= np.fmin.reduce(joints[..., 2], axis=None)  # ignores NaN
        return joints
    feet = joints[:, body.FEET]
    there = np.isfinite(feet).all(-1)
    ground = feet[lifted.still & there] if (lifted.still & there).any() else feet[there]
    if not len(ground):
        return joints
    if not (lifted.still & there).any():
        ground = ground[ground[:, 2] <= np.median(ground[:, 2])]
    middle = np.median(ground, axis=0)
    across = ground - middle
    system = across[:, :2].T @ across[:, :2] + len(ground) * FLOOR_REACH ** 2 * np.eye(2)
    slope = np.linalg.solve(system, across[:, :2].T @ across[:, 2])
    joints[..., 2] -= middle[2] + (joints[:, :1, :2] - middle[:2]) @ slope
    return joints


def make_clip(people: Sequence[LiftedTrack], view: CameraView, pitch: float, caption: str) -> tuple[Clip, int, int]:
    """All people in one scene, upright, where they stood; the middle of the scene is the middle of their paths.

    Args:
        pitch: downward pitch of the camera, degrees.
    Returns:
        the clip, the number of its first frame, and the step from frame to frame.
    """
    tracks = [lifted.track for lifted in people]
    step = min((track.step for track in tracks if len(track.frames) > 1), default=1)
    first, last = min(int(track.frames[0]) for track in tracks), max(int(track.frames[-1]) for track in tracks)
    skeleton = people[0].skeleton
    shape = len(tracks), (last - first) // step + 1, len(skeleton)
    keypoints, scene = np.full((*shape, 2), np.nan), np.full((*shape, 3), np.nan)
    for person, lifted in enumerate(people):
        rows = (lifted.track.frames - first) // step
        keypoints[person, rows], scene[person, rows] = lifted.track.keypoints, in_room(lifted, pitch)
    if np.isfinite(scene).any():
        low, high = np.nanmin(scene, (0, 1, 2)), np.nanmax(scene, (0, 1, 2))
        scene[..., :2] -= (low + high)[:2] / 2
    return Clip(keypoints, view.size, [View('3D', scene)], skeleton, view.rate / step, first / view.rate, AZIMUTH,
                caption), first, step
