"""Rotations: unit quaternions, written w first, and rotations about an axis."""

import numpy as np


def rotate(quaternion: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Turn points by a unit quaternion: v + 2 w (u x v) + 2 u x (u x v) for q = (w, u).

    Args:
        quaternion: (4,), w first.
        points: (..., 3).
    Returns:
        (..., 3) in the points' precision.
    """
    return points @ matrix(quaternion).T.astype(points.dtype)


def inverse(quaternion: np.ndarray) -> np.ndarray:
    """The inverse rotation of a unit quaternion (4,): its conjugate."""
    return np.asarray(quaternion) * (1, -1, -1, -1)


def matrix(quaternion: np.ndarray) -> np.ndarray:
    """The rotation matrix (3, 3) of a unit quaternion (4,), as float64."""
    w, x, y, z = np.asarray(quaternion, np.float64)
    return np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                     [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                     [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]])


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


def from_matrix(rotation: np.ndarray) -> np.ndarray:
    """The unit quaternion (4,) of a rotation matrix (3, 3): the largest row of 4 q q^T, normalised."""
    (a, b, c), (d, e, f), (g, h, i) = np.asarray(rotation, np.float64)
    outer = np.array([[1 + a + e + i, h - f, c - g, d - b],
                      [h - f, 1 + a - e - i, b + d, c + g],
                      [c - g, b + d, 1 - a + e - i, f + h],
                      [d - b, c + g, f + h, 1 - a - e + i]])
    row = outer[outer.diagonal().argmax()]
    return row / np.linalg.norm(row)
