"""A lifted person, and the entries of the files about it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.errors import printable
from common.geometry.skeleton import Skeleton
from common.geometry.upright import AXES, AXES_UP, to_upright
from common.lifting.motion.root import CameraView
from common.lifting.tracks.tracking import Track


@dataclass(frozen=True)
class LiftedTrack:
    """One person, lifted; camera axes.

    Attributes:
        track: the 2D.
        positions: (T, 16, 3) metres from the hip; NaN where there is no pose.
        root: (T, 3) position of the hip, metres from the camera; NaN where there is no pose.
        guessed: (T, 16) whether the joint was lifted although it was not seen.
        still: (T, 2) whether the right and the left foot stand still.
        skeleton: of the joints.
    """

    track: Track
    positions: np.ndarray
    root: np.ndarray
    guessed: np.ndarray
    still: np.ndarray
    skeleton: Skeleton

    def entries(self, view: CameraView, checkpoint: str, pitch: float | None) -> dict[str, Any]:
        """The entries of the files, as plain arrays.

        Args:
            checkpoint: the model.
            pitch: degrees by which positions are turned upright; None leaves them in camera axes.
        """
        skeleton, track = self.skeleton, self.track
        positions, root = self.positions, self.root
        if pitch is not None:
            positions, root = to_upright(positions, pitch), to_upright(root, pitch)
        name: Any = int(track.name) if track.name.lstrip('-').isdecimal() else track.name
        whole = {} if track.whole is None else {
            'keypoints_2d_all': track.whole, 'joint_names_all': np.array(track.whole_names)}
        return {'positions_3d': positions.astype(np.float32), 'root': root.astype(np.float32), 'frames': track.frames,
                'scores': track.scores.astype(np.float32), 'track': np.array(name),
                'keypoints_2d': track.keypoints.astype(np.float32), 'interpolated': track.interpolated,
                'guessed': self.guessed, 'swapped': track.swapped, 'joint_names': np.array(skeleton.names),
                'bones': np.array(skeleton.bones), 'image_size': np.array(view.size), 'focal': np.array(view.focal),
                'fps': np.array(view.fps or np.nan), 'axes': np.array(axes_text(pitch)),
                'units': np.array(f'{units_text(skeleton)}; root: metres from the camera'),
                'checkpoint': np.array(printable(os.path.basename(checkpoint))), **whole}


def units_text(skeleton: Skeleton) -> str:
    """The meaning of positions."""
    return f'metres from the {skeleton.names[skeleton.root].lower()}'


def axes_text(pitch: float | None) -> str:
    """A description of the three coordinates."""
    return AXES if pitch is None else f'{AXES_UP}, pitch {pitch:.2f} degrees'
