"""The files of a lifted person: one function, `write`, and a module for each format."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from common.geometry.skeleton import Skeleton
from common.lifting.lift_output import LiftedTrack, axes_text, units_text
from common.lifting.motion.root import CameraView
from common.lifting.placing import in_room
from common.lifting.tracks.tracking import Track
from common.lifting.writers.arrays import write_json, write_npz
from common.lifting.writers.bvh import write_bvh
from common.lifting.writers.markers import write_trc
from common.lifting.writers.table import write_csv

SUFFIXES = ('.npz', '.json', '.csv', '.trc', '.bvh')
CLOSE = 1e-3  # metres: a larger distance of a BVH's joints from the lifted ones is reported


@dataclass(frozen=True)
class Scene:
    """What the files of all people share.

    Attributes:
        checkpoint: path of the model.
        pitch: how far down the camera looks, degrees.
        upright: whether positions are turned upright; else they are in camera axes.
        bvh_names: the names of a BVH's joints, 'animation' or 'own'.
    """

    checkpoint: str
    pitch: float
    upright: bool = False
    bvh_names: str = 'animation'


def write(path: str, lifted: LiftedTrack, view: CameraView, scene: Scene) -> list[str]:
    """Write a person in the format of the suffix.

    `.npz`, `.json` and `.csv` have camera axes, or upright axes at the camera; `.trc` and `.bvh` are in the room: y up
    from the floor, z toward the camera.

    Returns:
        sentences about what differs from the lifted pose.
    Raises:
        UserError: the file cannot be written, or a BVH would have no pose.
    """
    suffix = os.path.splitext(path)[1].lower()
    names, frames = lifted.skeleton.names, lifted.track.frames
    if suffix == '.bvh':
        between, away = write_bvh(path, _y_up(lifted, scene), view.rate / lifted.track.step, scene.bvh_names)
        return [sentence for sentence, needed in (
            (f'{path}: {between} frames without a pose are interpolated.', between),
            (f'{path}: its bones have constant lengths, so joints are up to {1000 * away:.0f} mm from the lifted ones.',
             away > CLOSE)) if needed]
    if suffix == '.trc':
        write_trc(path, _y_up(lifted, scene), names, frames, view.rate)
        return []
    entries = lifted.entries(view, scene.checkpoint, scene.pitch if scene.upright else None)
    if suffix == '.csv':
        write_csv(path, entries['positions_3d'] + entries['root'][:, None], names, frames, view.rate)
    elif suffix == '.npz':
        write_npz(path, entries)
    else:
        write_json(path, entries)
    return []


def meaning(path: str, skeleton: Skeleton, scene: Scene) -> str:
    """A sentence on the numbers of a file of this suffix."""
    suffix = os.path.splitext(path)[1].lower()
    axes = axes_text(scene.pitch if scene.upright else None)
    if suffix == '.csv':
        return f'{path}: metres from the camera, {axes}.'
    if suffix in ('.trc', '.bvh'):
        return f'{path}: metres, x right, y up from the floor, z toward the camera.'
    return f'positions_3d: {units_text(skeleton)}, {axes}.'


def _y_up(lifted: LiftedTrack, scene: Scene) -> np.ndarray:
    x, y, z = np.moveaxis(in_room(lifted, scene.pitch), -1, 0)
    return np.stack([x, z, -y], axis=-1)


def has_content(path: str, lifted: LiftedTrack) -> bool:
    """Whether a file of this suffix can be written: a BVH needs a pose."""
    return not path.lower().endswith('.bvh') or bool(np.isfinite(lifted.positions).any())


def path_of(path: str, track: Track, several: bool) -> str:
    """OUT.npz for a single person; OUT_<track>.npz for each of several."""
    return with_end(path, f'_{track.name}') if several else path


def with_end(path: str, end: str) -> str:
    """The path with `end` in front of its suffix."""
    stem, suffix = os.path.splitext(path)
    return f'{stem}{end}{suffix}'
