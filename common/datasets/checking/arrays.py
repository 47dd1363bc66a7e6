"""Checks of a dataset's arrays: each function returns the arrays in the form that the program uses.

All raise UserError, which names the file and, where possible, the subject, action, camera and frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from common.datasets.checking.people import unit_of
from common.datasets.mocap import DatasetSpec
from common.errors import UserError, listing
from common.geometry.camera import Camera
from common.geometry.missing import missing_joints

MAX_POSE_SIZE = 10.0  # metres; a larger pose is probably in millimetres
MAX_IMAGES = 100  # widths of the image; no detector places keypoints farther from the corner
FEW_FRAMES, FEW = 5, 0.02  # allowed difference of the lengths of 2D and 3D: frames, and share of the longer
WHOLE = 'all'  # name of the action of subjects without actions


def two_levels(path: str, entry: str, content: Any) -> dict[str, dict[str, Any]]:
    """{subject: {action: ...}} of a file's entry; a subject without actions gets one with the name `WHOLE`."""
    levels = 'a dict of subjects and actions; docs/datasets.md describes the layout'
    if not isinstance(content, dict):
        raise UserError(f'{path}: {entry} is not {levels}.')
    found = {subject: actions if isinstance(actions, dict) else {WHOLE: actions}
             for subject, actions in content.items()}
    for subject, actions in found.items():
        if unnamed := [name for name in (subject, *actions) if not isinstance(name, str)]:
            raise UserError(f'{path}: {subject} {unnamed[0]} is not named by a text; {entry} must be {levels}.')
    return found


def checked_positions(where: str, sequence: Any, spec: DatasetSpec) -> np.ndarray:
    """A sequence as (T, J, 3) float32 of the skeleton's joints, refused if it cannot be in metres."""
    joints = len(spec.file_skeleton)
    if not isinstance(sequence, np.ndarray) or sequence.ndim != 3 or sequence.shape[1:] != (joints, 3):
        raise UserError(f'{where} must be an array (frames, {joints}, 3), not {_shape_of(sequence)}; docs/datasets.md '
                        f'describes how a file brings its own joints.')
    kept = _finite_floats(where, sequence[:, spec.file_joints])
    if (size := np.ptp(kept, axis=1).max()) > MAX_POSE_SIZE:
        raise UserError(f'{where} has poses {size:,.0f} m across: are they in millimetres? Positions must be in metres '
                        f'({unit_of(size)}).')
    return kept


def checked_pixels(where: str, views: Any, cameras: tuple[Camera, ...], joints: set[int]) -> list[np.ndarray]:
    """The views of one sequence, each (T, F, 2) float32 pixels; NaN where a joint is missing (`missing_joints`).

    Args:
        joints: numbers of joints F that the file may have.
    """
    if isinstance(views, np.ndarray) and views.ndim == 3 and len(cameras) == 1:
        views = [views]
    if not isinstance(views, list | tuple | np.ndarray) or len(views) != len(cameras):
        raise UserError(f'{where} must have one array for each of {len(cameras)} cameras, not {_shape_of(views)}; '
                        f'docs/datasets.md describes how the file of the 3D brings other cameras.')
    checked = []
    for index, (view, camera) in enumerate(zip(views, cameras, strict=True)):
        at = f'{where} camera {index}'
        if not isinstance(view, np.ndarray) or view.ndim != 3 or view.shape[1] not in joints \
                or view.shape[2] not in (2, 3):
            raise UserError(f'{at} must be an array (frames, joints, 2 or 3) of {listing(sorted(joints))} joints, not '
                            f'{_shape_of(view)}.')
        pixels = _floats(at, view[..., :2])
        if np.isinf(pixels).any():
            raise UserError(f'{at} holds a number that is not finite, first in frame {_first(np.isinf(pixels))}.')
        scores = view[..., 2] if view.shape[2] == 3 and (view[..., 2] > 0).any() else None
        missing = missing_joints(pixels, scores)
        if missing.any():
            pixels = np.where(missing[..., None], np.float32(np.nan), pixels)
        farthest = np.abs(pixels[~missing]).max(initial=0)
        if farthest <= 2 and not missing.all():
            raise UserError(f'{at} lies within 2 pixels of the origin: is it normalised already? It must be in pixels.')
        if farthest > MAX_IMAGES * camera.width:
            raise UserError(f'{at} has coordinates of up to {farthest:.3g} pixels in an image of {camera.width}x'
                            f'{camera.height}: it must be in pixels of that image.')
        checked.append(pixels)
    return checked


def check_lengths(where: str, views: list[np.ndarray], frames: int) -> None:
    """Refuse 2D that differs from its 3D by more than a few frames, because its frame rate is another."""
    for index, view in enumerate(views):
        shorter, longer = sorted((len(view), frames))
        if longer - shorter > max(FEW_FRAMES, FEW * longer) or longer >= 2 * shorter:
            step = next((n for n in range(2, longer) if shorter in (longer // n, -(-longer // n))), 0)
            ratio = f'the {"2D" if len(view) < frames else "3D"} looks like every {_ordinal(step)} frame' if step else \
                f'a ratio of {longer / shorter:.3g}'
            raise UserError(f'{where} camera {index} has {len(view)} frames of 2D and {frames} of 3D ({ratio}): they '
                            f'are not one recording at one rate; make both at the same rate.')


def _ordinal(number: int) -> str:
    ending = 'th' if number % 100 in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')
    return f'{number}{ending}'


def _finite_floats(where: str, array: np.ndarray) -> np.ndarray:
    array = _floats(where, array)
    if not np.isfinite(array).all():
        raise UserError(f'{where} holds a number that is not finite, first in frame {_first(~np.isfinite(array))}.')
    return array


def _first(bad: np.ndarray) -> int:
    return int(np.argwhere(bad)[0, 0])


def _floats(where: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in 'fiu':
        raise UserError(f'{where} must hold numbers, not {array.dtype}.')
    if not len(array):
        raise UserError(f'{where} is empty: leave it out, or make the file again.')
    with np.errstate(over='ignore'):  # what is too large for float32 becomes infinite, and is refused
        return np.ascontiguousarray(array, np.float32)


def _shape_of(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f'{type(value).__name__} of {len(value)}'
    return f'{value.dtype} {value.shape}' if isinstance(value, np.ndarray) else type(value).__name__
