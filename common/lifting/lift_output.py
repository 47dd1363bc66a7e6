"""What is written of each lifted person: an `.npz` of plain arrays, the same as `.json`, and BVH."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.datasets import h36m
from common.files import npz
from common.files.atomic import atomic_write
from common.lifting.bvh import write_bvh
from common.lifting.tracks.tracking import Track

SUFFIXES = ('.npz', '.json')


@dataclass(frozen=True)
class Lifted:
    """One person, lifted.

    Attributes:
        positions: (T, 16, 3) metres relative to the hip; NaN where there is no pose.
        axes: what the three coordinates are.
        up: whether they are upright.
        size: of the image, pixels.
        fps: frames a second of the video, and None where nobody has said.
        checkpoint: the model that lifted.
    """

    track: Track
    positions: np.ndarray
    axes: str
    up: bool
    size: tuple[int, int]
    fps: float | None
    checkpoint: str

    def entries(self) -> dict[str, Any]:
        """What the files hold, by name; arrays without pickles."""
        skeleton, track = h36m.skeleton(), self.track
        name: Any = int(track.name) if track.name.lstrip('-').isdecimal() else track.name
        return {'positions_3d': self.positions.astype(np.float32), 'frames': track.frames,
                'scores': track.scores.astype(np.float32), 'track': np.array(name),
                'keypoints_2d': track.keypoints.astype(np.float32), 'interpolated': track.interpolated,
                'swapped': track.swapped, 'joint_names': np.array(skeleton.names), 'bones': np.array(skeleton.bones),
                'image_size': np.array(self.size), 'fps': np.array(self.fps or np.nan), 'axes': np.array(self.axes),
                'units': np.array('metres from the hip'), 'checkpoint': np.array(os.path.basename(self.checkpoint))}


def path_of(path: str, track: Track, several: bool) -> str:
    """OUT.npz for a single person; OUT_<track>.npz for each of several."""
    stem, suffix = os.path.splitext(path)
    return f'{stem}_{track.name}{suffix}' if several else path


def write(path: str, lifted: Lifted) -> None:
    """Write `.npz` or `.json`, as the name says."""
    if path.lower().endswith('.npz'):
        npz.write_npz(path, **lifted.entries())
        return
    with atomic_write(path, 'w') as file:
        json.dump({name: _plain(value) for name, value in lifted.entries().items()}, file, allow_nan=False)
        file.write('\n')


def _plain(value: np.ndarray) -> Any:
    """Lists and numbers, with null for NaN."""
    if value.dtype.kind != 'f':
        return value.tolist()
    rounded = np.array(np.round(value.astype(np.float64), 6), object)
    rounded[~np.isfinite(value)] = None
    return rounded.tolist()


def write_motion(path: str, lifted: Lifted, fps: float) -> int:
    """Write BVH, y up; gives how many frames had no pose and were put between others."""
    x, y, z = np.moveaxis(lifted.positions, -1, 0)
    frames = lifted.track.frames
    step = int(frames[1] - frames[0]) if len(frames) > 1 else 1
    return write_bvh(path, np.stack([x, z, -y] if lifted.up else [x, -y, -z], axis=-1), fps / step)
