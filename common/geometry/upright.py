"""From the axes of a camera to upright axes, for a camera that looks down by some angle."""

from __future__ import annotations

import math

import numpy as np

AXES = 'x right, y down, z forward (camera axes)'
AXES_UP = 'x right, y forward, z up (camera axes, leveled)'


def to_upright(positions: np.ndarray, pitch: float) -> np.ndarray:
    """Turn positions (..., 3) in camera axes upright: x right, y forward along the floor, z up.

    Args:
        pitch: downward pitch of the camera, degrees.
    """
    sine, cosine = math.sin(math.radians(pitch)), math.cos(math.radians(pitch))
    turn = np.array([[1, 0, 0], [0, -sine, cosine], [0, -cosine, -sine]], positions.dtype)
    return positions @ turn.T
