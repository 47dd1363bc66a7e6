"""Cameras: from the world to a camera, from a camera to the image, and the image's normalised coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

FIELD_OF_VIEW = 53.13  # degrees across the image's diagonal, if nothing is known: a focal length of one diagonal
_UNDISTORTIONS = 10  # iterations; each reduces the error to a tenth or less within the images of Human3.6M
Array = TypeVar('Array', np.ndarray, torch.Tensor)


@dataclass(frozen=True)
class Camera:
    """A calibrated camera.

    Attributes:
        orientation: (4,) unit quaternion, w first; turns camera coordinates into world coordinates.
        translation: (3,) its position in the world, metres.
        focal_length, center: (2,) in normalised image coordinates (see `normalize_screen`).
        radial_distortion: (3,) factors of r^2, r^4, r^6.
        tangential_distortion: (2,).
        width, height: of its image, pixels.
        azimuth: degrees; viewpoint of plots of its poses.
        name: its identifier in file names.
        clamped: whether X / Z and Y / Z are clamped to 1 in a projection, as published for Human3.6M's cameras.
    """

    orientation: np.ndarray
    translation: np.ndarray
    focal_length: np.ndarray
    center: np.ndarray
    radial_distortion: np.ndarray
    tangential_distortion: np.ndarray
    width: int
    height: int
    azimuth: float = 70.0
    name: str = ''
    clamped: bool = False

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Camera:
        """The camera of `dataclasses.asdict`, where arrays may have become lists."""
        values: dict[str, Any] = {name: np.array(value) if isinstance(value, list) else value
                                  for name, value in content.items()}
        return cls(**values)

    @property
    def is_calibrated(self) -> bool:
        """Whether it can project; a camera of which only the image size is known has NaN for its intrinsics."""
        return bool(np.isfinite(self.intrinsic).all())

    @property
    def limit(self) -> float:
        """The largest X / Z and Y / Z of a projection."""
        return 1.0 if self.clamped else np.inf

    def rays(self, keypoints: torch.Tensor) -> torch.Tensor:
        """(..., 2) normalised image coordinates to X / Z and Y / Z: the inverse of `project_by`, by fixed points.

        A camera that is not calibrated is taken to have `FIELD_OF_VIEW` and its principal point in the middle.
        """
        if not self.is_calibrated:
            return keypoints / (default_focal((self.width, self.height)) / self.width * 2)
        focal, center, k, p = keypoints.new_tensor(self.intrinsic).split([2, 2, 3, 2])
        given = (keypoints - center) / focal
        found = given
        for _ in range(_UNDISTORTIONS if k.any() or p.any() else 0):
            square = found.square().sum(-1, keepdim=True)
            stretch = 1 + square * (k[0] + square * (k[1] + square * k[2])) + (found * p).sum(-1, keepdim=True)
            found = (given - p * square) / stretch
        return found

    @property
    def intrinsic(self) -> np.ndarray:
        """(9,) focal length, centre, radial and tangential distortion, in this order."""
        return np.concatenate([self.focal_length, self.center, self.radial_distortion, self.tangential_distortion])

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) float64, turns camera coordinates into world coordinates. SciPy's differs from it in the last bits."""
        w, x, y, z = np.asarray(self.orientation, np.float64)
        return np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                         [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                         [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]])


def default_focal(size: tuple[int, int]) -> float:
    """Focal length in pixels of a camera of `FIELD_OF_VIEW`."""
    return math.hypot(*size) / 2 / math.tan(math.radians(FIELD_OF_VIEW / 2))


def normalize_screen(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Pixels to coordinates in which the image is 2 wide around the origin, aspect kept: x / w * 2 - [1, h / w].

    Args:
        pixels: (..., 2).
    Raises:
        ValueError: the last dimension is not 2.
    """
    if pixels.shape[-1] != 2:
        raise ValueError(f'pixels must be (..., 2), not {pixels.shape}')
    return pixels / width * 2 - np.array([1, height / width], pixels.dtype)


def image_coordinates(normalized: np.ndarray, width: int, height: int) -> np.ndarray:
    """The inverse of `normalize_screen`: (..., 2) back to pixels."""
    if normalized.shape[-1] != 2:
        raise ValueError(f'normalised coordinates must be (..., 2), not {normalized.shape}')
    return (normalized + np.array([1, height / width], normalized.dtype)) * width / 2


def world_to_camera(positions: np.ndarray, camera: Camera) -> np.ndarray:
    """World coordinates (..., 3) in metres to the camera's: R^-1 (X - t); x right, y down, z forward."""
    return (positions - camera.translation.astype(positions.dtype)) @ camera.rotation.astype(positions.dtype)


def camera_to_world(positions: np.ndarray, camera: Camera) -> np.ndarray:
    """The inverse of `world_to_camera`."""
    return positions @ camera.rotation.T.astype(positions.dtype) + camera.translation.astype(positions.dtype)


def project(positions: np.ndarray, camera: Camera) -> np.ndarray:
    """Project points in front of the camera to its image, as `project_by` does.

    Args:
        positions: (..., 3) camera coordinates, metres.
    Returns:
        (..., 2) normalised image coordinates.
    """
    return project_by(camera.intrinsic.astype(positions.dtype), positions, camera.limit)


def behind(positions: np.ndarray, camera: Camera) -> np.ndarray:
    """(T,) whether a joint of a pose is not in front of the camera, which then cannot see the pose.

    Args:
        positions: (T, J, 3) world coordinates, metres.
    Returns:
        False for every pose if only the size of the image is known: positions may then be relative to the hip.
    """
    if not camera.is_calibrated:
        return np.zeros(len(positions), bool)
    forward = camera.rotation[:, 2].astype(positions.dtype)
    depth = positions @ forward - camera.translation.astype(positions.dtype) @ forward
    return (depth <= 0).any(1)


def project_by(intrinsic: Array, positions: Array, limit: Any = 1.0) -> Array:
    """Projection with the distortion model of Human3.6M, of arrays and tensors alike.

    With XX = clamp((X, Y) / Z, -limit, limit) and r the length of XX:
    f * (XX * (1 + k . (r^2, r^4, r^6) + p . XX) + p * r^2) + c.

    Args:
        intrinsic: (..., 9) focal length f, centre c, radial factors k and tangential factors p, as `Camera.intrinsic`.
        positions: (..., 3) camera coordinates, metres.
        limit: `Camera.limit`, one for all or broadcast like the focal length.
    Returns:
        (..., 2) normalised image coordinates.
    Raises:
        ValueError: the last dimension is not 3.
    """
    if positions.shape[-1] != 3:
        raise ValueError(f'positions must be (..., 3), not {tuple(positions.shape)}')
    focal, center, k, p = intrinsic[..., :2], intrinsic[..., 2:4], intrinsic[..., 4:7], intrinsic[..., 7:]
    points = (positions[..., :2] / positions[..., 2:]).clip(-limit, limit)
    x, y = points[..., :1], points[..., 1:]
    square = x * x + y * y
    stretch = 1 + square * (k[..., :1] + square * (k[..., 1:2] + square * k[..., 2:]))
    slant = x * p[..., :1] + y * p[..., 1:]
    return focal * (points * (stretch + slant) + p * square) + center
