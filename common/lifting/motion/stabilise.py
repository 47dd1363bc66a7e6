"""From the poses of single frames to the motion of one body in the room."""

from __future__ import annotations

import numpy as np

from common.geometry import body
from common.geometry.skeleton import Skeleton
from common.lifting.lift_output import LiftedTrack
from common.lifting.motion.bones import body_height, bone_lengths, with_lengths
from common.lifting.motion.feet import planted, standing_feet
from common.lifting.motion.root import CameraView, locate, rays
from common.lifting.motion.smoothing import smooth
from common.lifting.tracks.tracking import Track

INTERPOLATED = 0.3  # weight of an interpolated joint for the place of the person; a detected joint has weight 1


def stabilise(track: Track, positions: np.ndarray, guessed: np.ndarray, view: CameraView, cutoff: float | None,
              height: float | None = None, skeleton: Skeleton | None = None) -> LiftedTrack:
    """Give a person constant bones, smooth the motion, and place it in the room.

    Args:
        positions: (T, 16, 3) metres from the hip, camera axes, as lifted; NaN where there is no pose.
        guessed: (T, 16) joints that were lifted without being seen.
        cutoff: Hz of the smoothing; None leaves every frame as it was lifted.
        height: of the person, metres; None leaves the size as lifted.
        skeleton: another one than the 16 joints, of which no feet are known that stand still.
    """
    skeleton, fps = skeleton or body.SKELETON, view.rate / track.step
    still = np.zeros((len(positions), 2), bool)
    if not np.isfinite(positions).all((1, 2)).any():
        return LiftedTrack(track, positions, positions[:, 0], guessed, still, skeleton)
    lengths = bone_lengths(positions, skeleton, guessed)
    scale = height / body_height(lengths) if height else 1.0
    if cutoff is None:
        made = positions * scale
    else:
        made = smooth(with_lengths(positions, skeleton, lengths), fps, cutoff)
        made = with_lengths(made, skeleton, lengths * scale)
    seen = rays(track.keypoints, view)
    weights = np.where(guessed, 0.0, np.where(track.interpolated, INTERPOLATED, 1.0))
    root = locate(made, seen, weights, fps, cutoff)
    if cutoff is not None and body.is_human(skeleton):
        still = standing_feet(made, seen, root, fps, cutoff)
        root = locate(made, seen, weights, fps, cutoff, still)
        made = planted(made, root, still, fps)
    return LiftedTrack(track, made.astype(np.float32), root, guessed, still, skeleton)
