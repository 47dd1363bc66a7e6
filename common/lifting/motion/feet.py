"""Feet that stand still: which ones they are, and legs that keep them in their place."""

from __future__ import annotations

import numpy as np

from common.geometry import body
from common.lifting.motion.smoothing import runs, smooth

STILL = 0.25  # metres a second: a slower foot stands
SHORTEST_STAND = 0.15  # seconds
FADE = 0.2  # seconds in which a foot comes to its place and leaves it


def standing_feet(positions: np.ndarray, rays: np.ndarray, path: np.ndarray, fps: float, cutoff: float) -> np.ndarray:
    """(T, 2) whether the right and the left foot stand still, from the motion of their keypoints and their depth.

    Args:
        positions: (T, 16, 3) metres from the root, camera axes; NaN where there is no pose.
        rays: (T, 16, 2) rays of the keypoints.
        path: (T, 3) of the root.
        fps: frames a second.
        cutoff: cutoff frequency of the smoothing, Hz.
    """
    still = np.zeros((len(positions), 2), bool)
    if len(positions) < 3:
        return still
    for side, foot in enumerate(body.FEET):
        place = smooth(rays[:, foot] * (positions[:, foot, 2:] + path[:, 2:]), fps, cutoff)  # metres across the view
        speed = np.linalg.norm(np.gradient(place, axis=0), axis=-1) * fps
        for start, end in runs(speed < STILL):
            still[start:end, side] = end - start >= SHORTEST_STAND * fps
    return still


def planted(positions: np.ndarray, path: np.ndarray, still: np.ndarray, fps: float) -> np.ndarray:
    """The poses with each standing foot at the mean of its places while it stands; bones keep their lengths.

    Args:
        positions, path, fps: as for `standing_feet`.
        still: its out.
    Returns:
        (T, 16, 3). A foot that its leg does not reach from the hip comes as near as it can.
    """
    out = positions.copy()
    right, left = body.HIPS
    forward = np.cross(positions[:, left] - positions[:, right], positions[:, body.THORAX] - positions[:, body.HIP])
    forward /= np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-9)
    for side, (hip, knee, foot) in enumerate(zip(*body.LEGS, strict=True)):
        shift = _shifts(positions[:, foot] + path, still[:, side], max(round(FADE * fps), 1))
        out[:, knee], out[:, foot] = _bent(positions[:, hip], positions[:, knee], positions[:, foot], shift, forward)
    return out


def _shifts(place: np.ndarray, still: np.ndarray, fade: int) -> np.ndarray:
    """(T, 3) from a foot's places (T, 3) to where it stands; between the stands it falls to 0 within `fade` frames."""
    shift = np.zeros_like(place)
    stands = runs(still)
    for start, end in stands:
        shift[start:end] = place[start:end].mean(0) - place[start:end]
    for before, after in zip([(0, 0), *stands], [*stands, (len(place), len(place))], strict=True):
        start, end = before[1], after[0]
        reach = min(fade, end - start + 1)
        ease = (1 + np.cos(np.pi * np.minimum(np.arange(1, end - start + 1) / reach, 1)))[:, None] / 2
        if start > 0:
            shift[start:end] += ease * shift[start - 1]
        if end < len(place):
            shift[start:end] += ease[::-1] * shift[end]
    return shift


def _bent(hip: np.ndarray, knee: np.ndarray, foot: np.ndarray, shift: np.ndarray,
          forward: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knee and foot (T, 3) of legs whose feet are shifted, by the law of cosines.

    The knee keeps its direction of bending; where the leg was nearly straight, it bends forward.
    """
    thigh, shank = (np.linalg.norm(bone, axis=-1, keepdims=True) for bone in (knee - hip, foot - knee))
    axis = foot + shift - hip
    distance = np.linalg.norm(axis, axis=-1, keepdims=True)
    axis = axis / np.maximum(distance, 1e-9)
    distance = np.clip(distance, np.abs(thigh - shank), thigh + shank)
    along = (thigh ** 2 - shank ** 2 + distance ** 2) / (2 * np.maximum(distance, 1e-9))
    bend = knee - hip + np.linalg.norm(shift, axis=-1, keepdims=True) * forward
    bend -= axis * (bend * axis).sum(-1, keepdims=True)
    bend /= np.maximum(np.linalg.norm(bend, axis=-1, keepdims=True), 1e-9)
    off = np.sqrt(np.maximum(thigh ** 2 - along ** 2, 0))
    return hip + axis * along + bend * off, hip + axis * distance
