"""Where people are in the image, compared with the training images: warnings, and a re-framing."""

from __future__ import annotations

from typing import Any

import numpy as np

from common.datasets.poses import RANGE_PERCENTILES, Range
from common.geometry.camera import normalize_screen
from common.lifting.layouts import HEAD, HIP
from common.lifting.tracks.tracking import Track

# For checkpoints that do not record it, published ones trained on Human3.6M: what `main_gcn.py --dataset demo` records
# (2026-11-22; a test measures it again), people of ordinary height where Human3.6M's cameras look.
DEFAULT_RANGE: Range = {'height': [0.2848, 0.638, 0.9492], 'hip_x': [-0.4728, 0.0617, 0.5551],
                        'hip_y': [-0.3863, -0.1787, 0.246]}

_ELBOWS, _WRISTS, _SHOULDERS, _KNEES, _FEET, _HIPS = (11, 14), (12, 15), (10, 13), (2, 5), (3, 6), (1, 4)
_UNSURE = 0.3  # a score below which a detector mostly guesses
_WIDE = 1.34  # width to height; Human3.6M's images are square
_SOME = 0.05  # share of a clip's frames from which something is worth a warning


def usable_range(recorded: dict[str, Any]) -> Range | None:
    """The range that a checkpoint records, if it is one."""
    for name in DEFAULT_RANGE:
        values = recorded.get(name)
        if not isinstance(values, list) or len(values) != len(RANGE_PERCENTILES) \
                or not all(type(value) is float and abs(value) < 100 for value in values):
            return None
    return {name: recorded[name] for name in DEFAULT_RANGE} if recorded['height'][1] > 0 else None


def center_crop(keypoints: np.ndarray, seen: Range) -> np.ndarray:
    """Frame a person as the training cameras would: of their usual size, the hip at their usual place.

    One scale for all the frames, so that a body that bends still gets shorter; each frame's hip is moved on its own.

    Args:
        keypoints: (T, 16, 2) normalised coordinates of one person; NaN where missing.
        seen: from `measure_range`.
    """
    with np.errstate(invalid='ignore'):
        heights = np.ptp(keypoints[..., 1], axis=1)
    heights = heights[np.isfinite(heights)]
    height = np.percentile(heights, 75) if len(heights) else 0.0  # upright rather than bent
    scale = seen['height'][1] / height if height > 0 else 1.0
    return (keypoints - keypoints[:, :1]) * scale + np.array([seen['hip_x'][1], seen['hip_y'][1]])


def image_warnings(size: tuple[int, int], cropped: bool) -> list[str]:
    """Warnings about an image of this width and height."""
    width, height = size
    if cropped or width / height < _WIDE:
        return []
    return [f'the image is {width / height:.2f} times as wide as high ({width}x{height}), and training images were '
            f'square: keypoints are divided by the width, so people come out small; --center_crop re-frames them.']


def track_warnings(track: Track, size: tuple[int, int], seen: Range, cropped: bool) -> list[str]:
    """Warnings about a person whose result will be poor, with numbers."""
    found = _missing(track)
    there = np.isfinite(track.keypoints).all(-1)
    if there.any():
        outside = there & ((track.keypoints < -1) | (track.keypoints > np.array(size) + 1)).any(-1)
        if outside.any():
            found.append(f'{100 * outside.sum() / there.sum():.1f}% of the joints lie outside the image '
                         f'({size[0]}x{size[1]}), in {outside.any(1).sum()} frames: is that its size?')
    if track.complete.any() and not cropped:
        found += _placed(normalize_screen(track.keypoints[track.complete], *size), seen)
    return found


def _placed(keypoints: np.ndarray, seen: Range) -> list[str]:
    found = []
    height = np.median(np.ptp(keypoints[..., 1], axis=1))
    low, _, high = seen['height']
    if not low <= height <= high:
        found.append(f'the person is {height:.2f} high in an image that counts as 2 wide, and 98% of the training '
                     f'poses were {low:.2f} to {high:.2f}: the pose will be poor; try --center_crop.')
    for axis, name in enumerate(('hip_x', 'hip_y')):
        low, _, high = seen[name]
        place = np.median(keypoints[:, HIP, axis])
        if not low <= place <= high:
            found.append(f'the hip is at {"xy"[axis]} = {place:.2f}, and in 98% of the training poses it was between '
                         f'{low:.2f} and {high:.2f} (0 is the middle of the image): the pose will be turned or poor; '
                         f'try --center_crop.')
    return found


def _missing(track: Track) -> list[str]:
    """Warnings about parts of the body that the detector has not found, or only guessed."""
    present = (track.scores > 0).any(1)
    if not present.any():
        return []
    unsure = track.scores[present] < _UNSURE

    def share(*joints: int) -> float:
        return float(unsure[:, joints].all(1).mean())

    frames = int(present.sum())
    if share(*_HIPS, *_KNEES, *_FEET, *_WRISTS, *_ELBOWS) > _SOME:
        part = share(*_HIPS, *_KNEES, *_FEET, *_WRISTS, *_ELBOWS)
        return [f'in {100 * part:.0f}% of {frames} frames only the face or the shoulders are detected (scores below '
                f'{_UNSURE}): there is no pose to lift.']
    found = []
    if share(*_KNEES, *_FEET) > _SOME:
        found.append(f'in {100 * share(*_KNEES, *_FEET):.0f}% of {frames} frames only the upper body is detected '
                     f'(knees and feet score below {_UNSURE}): the model needs the whole body, guessed legs bend the '
                     f'rest.')
    if share(HEAD) > _SOME:
        found.append(f'in {100 * share(HEAD):.0f}% of {frames} frames the head is not detected or unsure (score below '
                     f'{_UNSURE}).')
    empty = 1 - track.complete.mean()
    if empty > _SOME:
        found.append(f'{100 * empty:.0f}% of its {len(track.frames)} frames lack joints and stay empty; a lower '
                     f'--min_score or a higher --max_gap fills more.')
    return found
