"""Checks whether poses are human, in 2D and in 3D, and which reading of a file gives human poses.

The signs are bones of wrong lengths, sides that differ, and knees that bend backward. People may lie, bend over and
stand on their hands, so a head below the hip is reported apart, as a possibility.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from common.geometry import body
from common.geometry.detector_layouts import LAYOUTS, Layout, candidates, choose_layout, to_h36m
from common.lifting.formats.people import Detections
from common.lifting.motion.root import CameraView, misfit, rays
from common.lifting.orientation import oriented

_UNEQUAL = 1.5  # ratio of the median lengths of a left and a right bone in 3D, at most
_BACKWARD = -0.03  # median bend of the knees (`body.bend_signs`), at least; 522 clips of real motion reach -0.012
_MOST = 0.6  # share of frames
_ALL = 0.95
_ODD = 0.8  # mean deviation (of the logarithm) from human proportions, at most; 150 clips of real motion reach 0.7
# Median distance of a pose from its keypoints, as a share of their spread, at most. With the pretrained weights it is
# 0.06 for captured motion with detector noise, 0.14 with twice the noise seen from extreme views, and 0.3 to 1.3 for
# keypoints in a wrong layout.
_MISFIT = 0.3
_WINS = 0.65  # ratio of the scores of the best and the second best reading, at most, for a clear choice
_SAMPLE = 5000  # number of people of a file, and about the number of frames in 3D, that are checked at most
ENOUGH = 5  # poses; with fewer, proportions are not reliable
_STEEP = 0.5  # cosine between a trunk and the vertical; below it, the trunk lies


def faults_2d(keypoints: np.ndarray) -> list[str]:
    """Signs that poses in the image are not human, as parts of sentences with numbers; [] for human poses.

    Args:
        keypoints: (T, 16, 2) pixels, y down; NaN where missing.
    """
    if np.isfinite(keypoints[..., 0]).all(1).sum() < ENOUGH:
        return []
    deviation = _deviation(keypoints)
    if deviation <= _ODD:
        return []
    return [f'bones that differ from human proportions by a factor of {np.exp(deviation):.1f} in the mean']


def faults_3d(positions: np.ndarray) -> list[str]:
    """Signs that lifted poses are not human, as parts of sentences with numbers; [] for human poses.

    Args:
        positions: (T, 16, 3) metres, y down (camera axes); NaN where there is no pose.
    """
    positions = positions[_sample(positions)]
    poses = positions[np.isfinite(positions).all((1, 2))].astype(np.float64)
    if not len(poses):
        return []
    faults = []
    bones = {joint: float(np.median(length)) for joint, length in _bones(poses).items()}
    trunk = float(np.median(np.linalg.norm(poses[:, body.THORAX] - poses[:, body.HIP], axis=-1)))
    thigh = (bones[body.RIGHT_KNEE] + bones[body.LEFT_KNEE]) / 2
    for what, length, (low, high) in (('a trunk', trunk, body.TRUNK_LENGTHS), ('thighs', thigh, body.THIGH_LENGTHS)):
        if not low <= length <= high:
            faults.append(f'{what} of {length:.2f} m, where humans have {low:.2f} to {high:.2f}')
    for part, ends in (('thigh', body.KNEES), ('shin', body.FEET), ('upper arm', body.ELBOWS),
                       ('forearm', body.WRISTS)):
        right, left = (bones[end] for end in ends)
        if max(left, right) > _UNEQUAL * min(left, right):
            faults.append(f'a left {part} of {left:.2f} m and a right one of {right:.2f}')
    knees, _ = body.bend_signs(poses)
    if len(poses) >= ENOUGH and knees < _BACKWARD:
        faults.append(f'knees that bend backward, by {-100 * knees:.0f}% of the length of the legs')
    return faults


def infer_layout(detections: Detections, name: str | None = None,
                 axes: str | None = None) -> tuple[Detections, Layout, list[str]]:
    """The detections with coordinates in the order x, y, their layout, and sentences about the decisions.

    If several layouts have this number of joints, the one whose reading is clearly the most human is chosen.

    Args:
        name: of the layout, if the user gives it.
        axes: of `orientation.AXES`; None: recognised.
    Raises:
        UserError: no layout has this number of joints, or several have and no reading is clearly the most human.
    """
    sample = [person for people in detections.people.values() for person in people][:_SAMPLE]
    keypoints = np.stack([person.keypoints for person in sample])
    scores = np.stack([person.scores for person in sample])
    notes = []
    fitting = candidates(detections.joints, name, detections.layout, detections.path)
    layout = fitting[0]
    if len(fitting) > 1:
        names = ' and '.join(one.name for one in fitting)
        readings = {one.name: to_h36m(keypoints, scores, one)[0] for one in fitting}
        best, clear = most_human(readings)
        usual = [one for one in fitting if not one.rare]
        if clear and (len(sample) >= ENOUGH or len(usual) == 1):
            layout = LAYOUTS[best]
            if [layout] != usual:
                notes.append(f'of {names}, which have {detections.joints} joints, the poses are human as {best}.')
        else:
            layout = choose_layout(detections.joints, name, detections.layout, detections.path)
    detections, turned = oriented(detections, layout, axes)
    notes += turned
    return detections, layout, notes


def faults_of_fit(keypoints: np.ndarray, positions: np.ndarray, view: CameraView) -> list[str]:
    """A sign that keypoints are no human's, whatever they were lifted to: no pose looks like them. [] for others.

    Args:
        keypoints, positions: as for `faults_2d` and `faults_3d`, of the same frames.
    """
    keypoints, positions = keypoints[_sample(positions)], positions[_sample(positions)]
    lifted = np.isfinite(positions).all((1, 2)) & np.isfinite(keypoints).all((1, 2))
    if lifted.sum() < ENOUGH:
        return []
    off = float(np.median(misfit(positions[lifted], rays(keypoints[lifted], view))))
    return [f'poses that are {100 * off:.0f}% of the size of a person away from their keypoints'] * (off > _MISFIT)


def not_human(keypoints: np.ndarray, positions: np.ndarray, view: CameraView) -> list[str]:
    """Warnings about a person whose 2D is not human, or, if it is, whose 3D is not, or who is not upright.

    Args:
        keypoints: (T, 16, 2) pixels; NaN where missing.
        positions: (T, 16, 3) metres, camera axes; NaN where there is no pose.
    """
    warnings = []
    if faults := faults_2d(keypoints) or faults_3d(positions) or faults_of_fit(keypoints, positions, view):
        warnings.append(f'the result is not human: {"; ".join(faults)}. Is the layout right, and the order of the '
                        f'coordinates?')
    if faults := not_upright(keypoints):
        warnings.append(f'{" and ".join(faults)}. That is right for somebody who lies, bends over or stands on the '
                        f'hands; otherwise the image or its coordinates are turned, which --axes may correct.')
    return warnings


def most_human(readings: Mapping[str, np.ndarray]) -> tuple[str, bool]:
    """The most human reading of the same detections, and whether the choice is clear.

    A correct reading has short bones with human proportions; a wrong one connects distant joints.

    Args:
        readings: {name: (T, 16, 2) pixels}, for example one of each layout.
    """
    scores = {}
    for name, keypoints in readings.items():
        total = np.nansum(np.stack(list(_bones(keypoints).values())), axis=0)
        scores[name] = _deviation(keypoints) * float(np.median(total)) if len(total) else np.inf
    best, second = sorted(scores, key=scores.__getitem__)[:2]
    return best, bool(scores[best] < _WINS * scores[second] and _deviation(readings[best]) <= _ODD)


def _sample(frames: np.ndarray) -> slice:
    """About `_SAMPLE` of the frames: medians need no more."""
    return slice(None, None, max(len(frames) // _SAMPLE, 1))


def _bones(points: np.ndarray) -> dict[int, np.ndarray]:
    """{its far joint: (T,) length} of each bone."""
    return {child: np.linalg.norm(points[:, child] - points[:, parent], axis=-1)
            for parent, child in body.SKELETON.bones}


def _deviation(points: np.ndarray) -> float:
    """Mean deviation of the logarithms of bone lengths, each the longest in the clip, from an adult's."""
    ratios = []
    for joint, lengths in _bones(points).items():
        lengths = lengths[np.isfinite(lengths)]
        if len(lengths):
            ratios.append(np.log(max(float(np.percentile(lengths, 90)), 1e-9) / body.BONE_LENGTHS[joint]))
    if not ratios:
        return np.inf
    return float(np.abs(np.clip(np.array(ratios) - np.median(ratios), -2, 2)).mean())


def not_upright(points: np.ndarray) -> list[str]:
    """Parts of sentences about head, feet and trunk of poses (T, 16, 2 or 3) with y down; [] for upright ones."""
    points = points[np.isfinite(points[..., 0]).all(1)]
    if len(points) < ENOUGH:
        return []
    hip = points[:, body.HIP]
    trunk = hip - points[:, body.THORAX]
    head = (points[:, body.HEAD, 1] > hip[:, 1]).mean()
    feet = (points[:, body.FEET, 1].max(1) < hip[:, 1]).mean()
    lying = (trunk[:, 1] < _STEEP * np.linalg.norm(trunk, axis=-1)).mean()
    faults = []
    if head > _MOST:
        faults.append(f'the head is below the hip in {100 * head:.0f}% of {len(points)} frames')
    if feet > _MOST:
        faults.append(f'both feet are above the hip in {100 * feet:.0f}% of {len(points)} frames')
    if lying > _ALL and not faults:
        faults.append(f'the trunk lies, over 60 degrees from upright, in {100 * lying:.0f}% of {len(points)} frames')
    return faults
