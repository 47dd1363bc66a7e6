"""Coordinates whose axes are exchanged, mirrored or upside down: found where the face and the trunk show it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from common.geometry import body
from common.geometry.detector_layouts import Layout, facing, to_h36m
from common.lifting.formats.people import Detections

AXES = ('xy', 'yx', 'mirrored', 'y_up')  # values of --axes
_ALL = 0.95  # share of the frames
_ENOUGH = 5  # frames
_STEEP = 0.5  # cosine between a trunk and the vertical; below it, the trunk lies
_SAMPLE = 5000  # people of a file that are looked at, at most
_SURE = 'mediapipe33'  # it sees faces from behind, so that a face shows nothing


def oriented(detections: Detections, layout: Layout, axes: str | None) -> tuple[Detections, list[str]]:
    """The detections with x to the right and y down, and sentences about what was changed.

    Args:
        axes: of `AXES`; None: recognised.
    """
    notes = []
    if axes is None:
        axes, note = _recognised(detections, layout)
        notes += [f'{detections.path}: {note}.'] if note else []
    points = detections.keypoints()
    size = np.array(detections.size or np.nanmin(points, (0, 1)) + np.nanmax(points, (0, 1)), np.float64)
    changes: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
        'yx': lambda points, _: points[..., ::-1],
        'mirrored': lambda points, _: points * (-1, 1) + (size[0], 0),
        'y_up': lambda points, _: points * (1, -1) + (0, size[1])}
    return (detections.changed(changes[axes]) if axes in changes else detections), notes


def _recognised(detections: Detections, layout: Layout) -> tuple[str | None, str]:
    everybody = [who for people in detections.people.values() for who in people][:_SAMPLE]
    keypoints, scores = np.stack([who.keypoints for who in everybody]), np.stack([who.scores for who in everybody])
    poses = to_h36m(keypoints, scores, layout)[0]
    faces = facing(keypoints, scores, layout)
    if detections.format == 'array' and lies_as_y_x(poses, faces):
        return 'yx', (
            'read as x, y, everybody is mirrored and lies with the head to the left; read as y, x they stand, '
                      'and are taken so; --axes xy keeps the order')
    trunk = poses[:, body.THORAX] - poses[:, body.HIP]
    known = np.isfinite(trunk).all(-1)
    if known.sum() < _ENOUGH:
        return None, ''
    down = trunk[:, 1] > _STEEP * np.linalg.norm(trunk, axis=-1)
    standing = trunk[:, 1] < -_STEEP * np.linalg.norm(trunk, axis=-1)
    mirrored = _faces_are_mirrored(keypoints, scores, layout, trunk, known & (faces > 0))
    if down[known].mean() > _ALL:
        if mirrored:
            return 'y_up', ('everybody stands on the head and is mirrored, as where y points up; y is turned; '
                            '--axes xy leaves it')
        feet = poses[:, body.FEET, 1].max(1) < poses[:, body.HIP, 1]
        if feet[known].mean() > _ALL:
            return None, 'everybody stands on the head: if y points up in this file, --axes y_up turns it'
    elif mirrored and standing[known].mean() > _ALL:
        if layout.name == _SURE:
            return None, ('people with a visible face have their left on the left: they are seen from behind, or the '
                          'picture is mirrored, which --axes mirrored turns back')
        return 'mirrored', ('people with a visible face have their left on the left: the picture is mirrored, as by '
                            'flipHorizontal; x is turned back; --axes xy leaves it')
    return None, ''


def _faces_are_mirrored(keypoints: np.ndarray, scores: np.ndarray, layout: Layout, trunk: np.ndarray,
                        known: np.ndarray) -> bool:
    """Whether visible faces and shoulders have left and right as a mirrored body has them, in all frames.

    Args:
        trunk: (N, 2) from the hip to the thorax; known: (N,) the people whose face is visible.
    """
    names = layout.joint_names
    if known.sum() < _ENOUGH or known.mean() < 0.5 or 'left_eye' not in names:
        return False
    eyes, shoulders = ([names.index(f'{side}_{part}') for side in ('left', 'right')] for part in ('eye', 'shoulder'))
    if np.ptp(scores[known][:, eyes]) == 0:
        return False  # made scores, which do not show what is visible
    for left, right in (eyes, shoulders):
        across = keypoints[:, left] - keypoints[:, right]
        turned = across[:, 1] * trunk[:, 0] - across[:, 0] * trunk[:, 1] < 0
        if turned[known].mean() <= _ALL:
            return False
    return True


def lies_as_y_x(keypoints: np.ndarray, facing: np.ndarray) -> bool:
    """Whether a person lies with the head to the left and mirrored in all frames, as if x and y were exchanged.

    Args:
        keypoints: (T, 16, 2) pixels.
        facing: (T,) as `detector_layouts.facing` returns it; only frames with a visible face can show a mirrored body.
    """
    trunk = keypoints[:, body.THORAX] - keypoints[:, body.HIP]
    known = np.isfinite(trunk).all(-1) & (facing > 0)
    across = keypoints[:, body.LEFT_SHOULDER] - keypoints[:, body.RIGHT_SHOULDER]
    mirrored = across[..., 1] * trunk[..., 0] - across[..., 0] * trunk[..., 1] < 0
    lying = trunk[..., 0] < -np.abs(trunk[..., 1]) / _STEEP * (1 - _STEEP ** 2) ** 0.5
    return bool(known.sum() >= _ENOUGH and (lying & mirrored)[known].mean() > _ALL)
