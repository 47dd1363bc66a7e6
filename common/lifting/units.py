"""What the coordinates of a file are: pixels, fractions of the image, or coordinates that are not of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.errors import UserError
from common.geometry.detector_layouts import LAYOUTS

_SMALL = 2.0  # median of the absolute coordinates up to which they are not pixels
_SOME = 0.05  # share of negative coordinates up to which joints only lie outside the image
_MANY = 0.3  # share of negative coordinates from which they are not pixels
_CENTRED = 0.06  # distance of the middle of the hips from (0, 0), in sizes of the body, up to which it is the origin


@dataclass(frozen=True)
class Unit:
    """A unit of coordinates.

    Attributes:
        name, done: words for a sentence: what the coordinates are, what is done with them.
        pixels: from (N, J, 2) coordinates and the (N, 1, 2) sizes of their images to pixels.
    """

    name: str
    pixels: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda points, size: points
    done: str = 'they are taken as such'


def _into_image(points: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Metres with y up, moved and scaled so that the whole clip fills most of the image."""
    low, high = np.nanmin(points, (0, 1)), np.nanmax(points, (0, 1))
    scale = 0.8 * (size / np.maximum(high - low, 1e-6)).min(-1, keepdims=True)
    return (points - (low + high) / 2) * scale * (1, -1) + size / 2


PIXELS = Unit('pixels')
FRACTIONS = Unit('fractions of the image (0 to 1)', lambda points, size: points * size)
BOTH = Unit('from -1 to 1 across the image (--keypoint_scale 4)', lambda points, size: (points + 1) * 0.5 * size)
SCREEN = Unit('from -1 to 1 across the width of the image (VideoPose3D)',
              lambda points, size: (points + size / size[..., :1]) * 0.5 * size[..., :1])
METRES = Unit('metres, y up', _into_image, 'poses are lifted from them, and only the places of people are unknown')


def unit_of(path: str, keypoints: np.ndarray, size: tuple[int, int], file: Any) -> Unit:
    """The unit of the keypoints (N, J, 2) of a file.

    Args:
        file: its `Detections`, whose unit, format, layout and depth show what they are.
    Raises:
        UserError: they are not of an image; the sentence says what they are.
    """
    if file.unit:
        return file.unit
    points = keypoints[np.isfinite(keypoints).all(-1)]
    if not len(points):
        return PIXELS
    low, high, below = points.min(), points.max(), float((points < -0.02).mean())
    what = f'{path} has coordinates from {low:.4g} to {high:.4g}'
    if np.median(np.abs(points)) > _SMALL:
        if below > _MANY:
            raise UserError(
                f'{what}, {100 * below:.0f}% of them below 0: these are not pixels of an image, but perhaps '
                            f'millimetres of a 3D pose; give the 2D keypoints, in pixels or fractions of the image.')
        return PIXELS
    if below <= _SOME:
        return FRACTIONS
    if _is_centred(keypoints, file):
        raise UserError(f'{what} around the hip: these are 3D poses or world landmarks (metres from the hip), not '
                        f'places in an image; give the landmarks of the image, or the 2D predictions.')
    if file.depth and file.format != 'openpose':
        raise UserError(f'{what}, with a third coordinate: these are 3D poses in metres, not places in an image; give '
                        f'the landmarks of the image, or the 2D predictions.')
    inside = np.percentile(np.abs(points), 99, axis=0)
    ratio = size[1] / size[0]
    if (inside <= (1.05, 1.05)).all():
        return BOTH if file.format == 'openpose' or inside[1] > 1.1 * ratio else SCREEN
    raise UserError(
        f'{what}: these are neither pixels, nor fractions of the image (0 to 1), nor from -1 to 1; give one '
                    f'of these.')


def _is_centred(keypoints: np.ndarray, file: Any) -> bool:
    """Whether the middle of the hips is the origin in every frame."""
    fitting = [layout for layout in LAYOUTS.values() if layout.joints == keypoints.shape[1]]
    for layout in [layout for layout in fitting if layout.name == file.layout] or fitting:
        hips = [layout.joint_names.index(name) for name in ('left_hip', 'right_hip')]
        middle = np.linalg.norm(keypoints[:, hips].mean(1), axis=-1)
        with np.errstate(invalid='ignore'):
            sizes = (np.nanmax(keypoints, 1) - np.nanmin(keypoints, 1)).max(-1)
        known = np.isfinite(middle) & (sizes > 0)
        if known.any() and np.percentile(middle[known] / sizes[known], 90) < _CENTRED:
            return True
    return False
