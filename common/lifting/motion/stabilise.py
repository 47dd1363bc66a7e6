"""From the poses of single frames to the motion of one body in the room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from common.lifting.anatomy import anatomy_of
from common.lifting.lift_output import LiftedTrack
from common.lifting.motion.bones import body_height, bone_lengths, with_lengths, with_rigid_hips
from common.lifting.motion.feet import planted, standing_feet
from common.lifting.motion.root import CameraView, locate, rays
from common.lifting.motion.smoothing import smooth

INTERPOLATED = 0.3  # weight of an interpolated joint for the place of the person; a detected joint has weight 1


def stabilise(lifted: LiftedTrack, view: CameraView, cutoff: float | None, height: float | None = None) -> LiftedTrack:
    """Give a person constant bones, smooth the motion, and place it in the room.

    Args:
        lifted: its positions as the network predicts them.
        cutoff: Hz of the smoothing; None leaves every frame as it was lifted.
        height: of the person, metres; None leaves the size as lifted. For human bodies only.
    """
    track, positions, skeleton, fps = lifted.track, lifted.positions, lifted.skeleton, view.rate / lifted.track.step
    posed = np.isfinite(positions).all((1, 2))
    if not posed.any():
        return lifted
    lengths = bone_lengths(positions, skeleton, lifted.guessed)
    scale = height / body_height(lengths) if height else 1.0
    if cutoff is None:
        positions = positions * scale
    else:
        positions = smooth(with_lengths(positions, skeleton, lengths), fps, cutoff)
        positions = with_lengths(positions, skeleton, lengths * scale)
        positions = with_rigid_hips(positions) if anatomy_of(skeleton).stands else positions
    directions = rays(track.keypoints, view)
    weights = np.where(lifted.guessed, 0.0, np.where(track.interpolated, INTERPOLATED, 1.0))
    root, still = locate(positions, directions, weights, fps, cutoff), lifted.still
    if cutoff is not None and anatomy_of(skeleton).stands:
        still = standing_feet(positions, directions, root, fps, cutoff)
        root = locate(positions, directions, weights, fps, cutoff, still)
        positions = planted(positions, root, still, fps)
    positions[~posed], root[~posed] = np.nan, np.nan  # the root of a frame without a pose was at the origin
    return replace(lifted, positions=positions.astype(np.float32), root=root, still=still)
