"""People in the room: upright poses at their places on the floor of the clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.geometry.upright import to_upright
from common.lifting.anatomy import anatomy_of
from common.lifting.lift_output import LiftedTrack
from common.lifting.motion.root import CameraView
from common.rendering.clip import Clip, View

AZIMUTH = -75.0  # degrees: behind the camera, a little to its left


def in_room(lifted: LiftedTrack, pitch: float) -> np.ndarray:
    """The person's joints (T, J, 3) in metres: x right, y forward from the camera, z up from the floor.

    Args:
        pitch: downward pitch of the camera, degrees.
    """
    joints = to_upright((lifted.positions + lifted.root[:, None]).astype(np.float64), pitch)
    joints[..., 2] -= anatomy_of(lifted.skeleton).height_of_floor(joints, lifted.still)
    return joints


def clip_of_people(people: Sequence[LiftedTrack], view: CameraView, pitch: float,
                   caption: str) -> tuple[Clip, int, int]:
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
        places = (lifted.track.frames - first) // step
        keypoints[person, places], scene[person, places] = lifted.track.keypoints, in_room(lifted, pitch)
    if np.isfinite(scene).any():
        low, high = np.nanmin(scene, (0, 1, 2)), np.nanmax(scene, (0, 1, 2))
        scene[..., :2] -= (low + high)[:2] / 2
    return Clip(keypoints, view.size, [View('3D', scene)], skeleton, view.rate / step, first / view.rate, AZIMUTH,
                caption), first, step
