"""What a dataset's file may hold: each function gives it in the shape that is worked with, or says what is wrong where.

All raise UserError with the file, and as far as it goes the subject, action, camera and frame.
"""

import numpy as np

from common.datasets import h36m
from common.errors import UserError
from common.geometry.camera import normalize_screen

# Human poses in metres are never this large; in millimetres they always are.
MAX_POSE_SIZE = 10.0
MAX_IMAGES = 100  # widths of the image, from its corner: no detector means what is farther


def two_levels(path, entry, content):
    """(subject, {action: ...}) of a published dict, after a check that it is one."""
    if not isinstance(content, dict) or not all(isinstance(actions, dict) for actions in content.values()):
        raise UserError(f'{path}: {entry} is not a dict of subjects and actions; data/README.md describes the layout.')
    return content.items()


def checked_fps(path, fps):
    """Frames a second, which only files of this project tell."""
    number = fps.item() if isinstance(fps, np.ndarray) and not fps.shape else fps
    if type(number) not in (int, float) or not 1 <= number <= 1000:
        raise UserError(f'{path}: fps must be one number from 1 to 1000.')
    return float(number)


def checked_positions(path, subject, action, sequence):
    """One sequence as (T, 16, 3) float32, refused where it cannot be poses in metres."""
    where = f'{path}: {subject} {action}'
    joints = len(h36m.SKELETON_32)
    if not isinstance(action, str):
        raise UserError(f'{where} is not named by a text; data/README.md describes the layout.')
    if not isinstance(sequence, np.ndarray) or sequence.ndim != 3 or sequence.shape[1:] != (joints, 3):
        raise UserError(f'{where} must be an array (frames, {joints}, 3), not {_shape_of(sequence)}.')
    kept = _finite_floats(where, sequence[:, h36m.KEPT_JOINTS])
    if np.ptp(kept, axis=1).max() > MAX_POSE_SIZE:
        raise UserError(f'{where} has poses {np.ptp(kept, axis=1).max():,.0f} m across: are they in millimetres? '
                        f'Positions must be in metres.')
    return kept


def checked_views(path, dataset, subject, action, views):
    """The views of one sequence, 16 joints each, normalised."""
    where, cameras, joints = f'{path}: {subject} {action}', dataset.cameras[subject], len(dataset.skeleton)
    if not isinstance(views, list | tuple | np.ndarray) or len(views) != len(cameras):
        raise UserError(f'{where} must have one array for each of {len(cameras)} cameras, not {_shape_of(views)}.')
    checked = []
    for index, (view, camera) in enumerate(zip(views, cameras, strict=True)):
        at = f'{where} camera {index}'
        if not isinstance(view, np.ndarray) or view.ndim != 3 or view.shape[1] not in (joints, joints + 1) \
                or view.shape[2] not in (2, 3):
            raise UserError(f'{at} must be an array (frames, {joints} or {joints + 1}, 2 or 3), not {_shape_of(view)}.')
        if view.shape[1] == joints + 1:  # VideoPose3D's files have the Neck/Nose too
            view = np.delete(view, h36m.NECK_IN_17, axis=1)
        pixels = _finite_floats(at, view[..., :2])
        farthest = np.abs(pixels).max()
        if farthest <= 2:
            raise UserError(f'{at} lies within 2 pixels of the origin: is it normalised already? It must be in pixels.')
        if farthest > MAX_IMAGES * camera.width:
            raise UserError(f'{at} has coordinates of up to {farthest:.3g} pixels in an image of {camera.width}x'
                            f'{camera.height}: it must be in pixels of that image.')
        checked.append(normalize_screen(pixels, camera.width, camera.height))
    return checked


def _finite_floats(where, array):
    if array.dtype.kind not in 'fiu':
        raise UserError(f'{where} must hold numbers, not {array.dtype}.')
    if not len(array):
        raise UserError(f'{where} is empty: leave it out, or make the file again.')
    with np.errstate(over='ignore'):  # too large for float32 is infinite, which is told
        array = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(array).all():
        frame = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise UserError(f'{where} holds a number that is not finite, first in frame {frame}.')
    return array


def _shape_of(value):
    if isinstance(value, list | tuple):
        return f'{type(value).__name__} of {len(value)}'
    return f'{value.dtype} {value.shape}' if isinstance(value, np.ndarray) else type(value).__name__
