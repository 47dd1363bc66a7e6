"""Rotations about an axis."""

import numpy as np


def about_axis(axis: int, degrees: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) about the x, y or z axis (0, 1, 2) by angles (...)."""
    radians = np.radians(degrees)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.zeros((*radians.shape, 3, 3))
    rotation[..., axis, axis] = 1
    rotation[..., first, first] = rotation[..., second, second] = np.cos(radians)
    rotation[..., second, first] = np.sin(radians)
    rotation[..., first, second] = -np.sin(radians)
    return rotation
