"""The place and size of people in the image, compared with the training images: warnings and re-framing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from common.datasets.poses import RANGE_PERCENTILES, Range
from common.errors import counted, listing
from common.geometry import body
from common.geometry.skeleton import Skeleton
from common.lifting.tracks.tracking import Track

# For checkpoints that do not record it, published ones trained on Human3.6M: what `main_gcn.py --dataset demo` records
# (2026-11-22; a test measures it again), people of ordinary height where Human3.6M's cameras look.
DEFAULT_RANGE: Range = {'height': [0.2848, 0.638, 0.9492], 'hip_x': [-0.4728, 0.0617, 0.5551],
                        'hip_y': [-0.3863, -0.1787, 0.246]}

_UNSURE = 0.3  # with a lower score a joint is mostly guessed
_WIDE = 1.34  # width to height; Human3.6M's images are square
_SOME = 0.05  # share of a clip's frames above which there is a warning
_BORDER = 0.004  # of the image's longer side: joints nearer to its border are guessed
_STRIP = 0.12  # of the person's height in the image: knees and feet nearer to the lower border are guessed


def usable_range(recorded: dict[str, Any]) -> Range | None:
    """The range that a checkpoint records; None if it is no valid range."""
    for name in DEFAULT_RANGE:
        values = recorded.get(name)
        if not isinstance(values, list) or len(values) != len(RANGE_PERCENTILES) \
                or not all(type(value) is float and abs(value) < 100 for value in values):
            return None
    return {name: recorded[name] for name in DEFAULT_RANGE} if recorded['height'][1] > 0 else None


def center_crop(keypoints: np.ndarray, usual: Range) -> np.ndarray:
    """Frame a person as the training cameras would: the usual size, and the hip at the usual place.

    All frames have the same scale, so a body that bends still gets shorter; the hip is moved in each frame.

    Args:
        keypoints: (T, 16, 2) normalised coordinates of one person; NaN where missing.
        usual: place and size of the training poses, from `measure_range`.
    """
    with np.errstate(invalid='ignore'):
        heights = np.ptp(keypoints[..., 1], axis=1)
    heights = heights[np.isfinite(heights)]
    height = np.percentile(heights, 75) if len(heights) else 0.0  # upright rather than bent
    scale = usual['height'][1] / height if height > 0 else 1.0
    return (keypoints - keypoints[:, :1]) * scale + np.array([usual['hip_x'][1], usual['hip_y'][1]])


def far_off(keypoints: np.ndarray, usual: Range) -> list[str]:
    """Sentences with numbers about a person whose size or place in the image no training pose had; [] if all is usual.

    Args:
        keypoints: (T, 16, 2) normalised coordinates of one person; NaN where missing.
    """
    whole = keypoints[np.isfinite(keypoints).all((1, 2))]
    if not len(whole):
        return []
    texts = []
    height = np.median(np.ptp(whole[..., 1], axis=1))
    low, _, high = usual['height']
    if not low <= height <= high:
        texts.append(f'the person is {height:.2f} high in an image that counts as 2 wide, and 98% of the training '
                     f'poses were {low:.2f} to {high:.2f}')
    for axis, name in enumerate(('hip_x', 'hip_y')):
        low, _, high = usual[name]
        place = np.median(whole[:, body.HIP, axis])
        if not low <= place <= high:
            texts.append(f'the hip is at {"xy"[axis]} = {place:.2f}, and in 98% of the training poses it was between '
                         f'{low:.2f} and {high:.2f} (0 is the middle of the image)')
    return texts


def framing_warnings(unusual: list[str], size: tuple[int, int], framed: bool, asked: bool | None) -> list[str]:
    """Warnings about a person's size and place in the image.

    Args:
        unusual: as `far_off` returns them.
        size: width and height of the image.
        framed: whether the person is re-framed.
        asked: whether that was asked for; None: it was decided by `unusual`.
    """
    width, height = size
    if asked:
        return []
    if unusual:
        what = 're-framed as --center_crop yes does; --center_crop no leaves it.' if framed else \
            'the pose will be poor; try --center_crop yes.'
        return [f'{sentence}: {what}' for sentence in unusual]
    if width / height < _WIDE:
        return []
    return [f'the image is {width / height:.2f} times as wide as high ({width}x{height}), and training images were '
            f'square: keypoints are divided by the width, so people come out small; --center_crop yes re-frames them.']


def mark_guessed(track: Track, size: tuple[int, int]) -> None:
    """Mark joints as hidden that lie on the image's border: a detector without scores can only have guessed them.

    If the lower border cuts a person, detectors fold the knees and feet into a strip above it.
    """
    points, edge = track.keypoints, np.array(size) - 1
    with np.errstate(invalid='ignore'):
        height = np.ptp(points[..., 1], axis=1)[:, None]
        near = np.abs(np.stack([points, edge - points])).min((0, -1)) <= _BORDER * max(size)
        low = size[1] - points[..., 1] <= _STRIP * height
        folded = low[:, body.KNEES + body.FEET].all(1)
    track.hidden |= near
    track.hidden[:, body.KNEES + body.FEET] |= folded[:, None]


def share_of_missing(tracks: Sequence[Track], skeleton: Skeleton) -> str:
    """The joints that are missing in at least one of 20 frames, each with its share, the most frequent first."""
    absent = np.concatenate([~np.isfinite(track.keypoints).all(-1) for track in tracks]).mean(0)
    return _shares(absent, np.argsort(-absent, kind='stable').tolist(), skeleton)


def _shares(share: np.ndarray, joints: Iterable[int], skeleton: Skeleton) -> str:
    """Names of joints, each with its share (J,), where that is worth a warning."""
    sides = {'L': 'left ', 'R': 'right '}
    names = [re.sub('^([LR])(?=[A-Z])', lambda side: sides[side[1]], name).lower() for name in skeleton.names]
    return listing([f'{names[joint]} ({100 * share[joint]:.0f}%)' for joint in joints if share[joint] > _SOME],
                   len(names))


def misplaced_joints(track: Track, size: tuple[int, int], skeleton: Skeleton) -> list[str]:
    """Warnings about joints of a person that lie outside the image, or are guessed at its border, with numbers."""
    texts, present = [], np.isfinite(track.keypoints).all(-1)
    if present.any():
        outside = present & ((track.keypoints < -1) | (track.keypoints > np.array(size) + 1)).any(-1)
        if outside.any():
            share = 100 * outside.sum() / present.sum()
            texts.append(f'{f"{share:.1f}%" if share >= 0.1 else "less than 0.1%"} of the joints lie outside the image '
                         f'({size[0]}x{size[1]}), in {counted(int(outside.any(1).sum()), "frame")}: is that its size?')
    guessed = (track.hidden & present).mean(0)
    if (guessed > _SOME).any():
        texts.append(f'joints are guessed at the image\'s border: {_shares(guessed, range(len(guessed)), skeleton)} of '
                     f'{len(track.frames)} frames; the file has no scores to show it, and the pose is not to be '
                     f'trusted there.')
    return texts


def missing_parts(track: Track, lifted: np.ndarray, skeleton: Skeleton) -> list[str]:
    """Warnings about parts of the human body that the detector has not found, or only guessed.

    Args:
        lifted: (T,) whether each frame has a pose.
    """
    present = (track.scores > 0).any(1)
    if not present.any():
        return []
    unsure = track.scores[present] < _UNSURE

    def share(*joints: int) -> float:
        return float(unsure[:, joints].all(1).mean())

    frames = int(present.sum())
    limbs = share(*body.HIPS, *body.KNEES, *body.FEET, *body.WRISTS, *body.ELBOWS)
    if limbs > _SOME:
        return [f'in {100 * limbs:.0f}% of {frames} frames only the face or the shoulders are detected (scores below '
                f'{_UNSURE}): there is no pose to lift.']
    texts = []
    legs = share(*body.KNEES, *body.FEET)
    if legs > _SOME:
        texts.append(f'in {100 * legs:.0f}% of {frames} frames only the upper body is detected (knees and feet score '
                     f'below {_UNSURE}): the model needs the whole body, guessed legs bend the rest.')
    texts += missing_in_frames(track, lifted, skeleton)
    headless = float((track.scores[present, body.HEAD] == 0).mean())
    if 1 - lifted.mean() <= _SOME and headless > _SOME:
        texts.append(f'in {100 * headless:.0f}% of {frames} frames the head is not detected.')
    return texts


def missing_in_frames(track: Track, lifted: np.ndarray, skeleton: Skeleton) -> list[str]:
    """Warnings about frames in which joints are missing.

    Args:
        lifted: (T,) whether each frame has a pose.
    """
    texts, empty = [], 1 - lifted.mean()
    if lifted.any() and (lifted & ~track.complete).mean() > _SOME:
        texts.append(f'joints are missing, and are guessed from the others: {share_of_missing([track], skeleton)} of '
                     f'the frames.')
    if empty > _SOME and (track.scores > 0).any():
        texts.append(f'{100 * empty:.0f}% of its {len(track.frames)} frames lack joints and stay empty: '
                     f'{share_of_missing([track], skeleton)}; a lower --min_score or a higher --max_gap fills more.')
    return texts
