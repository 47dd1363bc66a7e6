"""Cameras: from the world to a camera, from a camera to the image, and the image's normalised coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.geometry import quaternion


@dataclass(frozen=True)
class Camera:
    """A calibrated camera: where it stands and how it draws.

    Attributes:
        orientation: (4,) unit quaternion, w first; turns camera coordinates into world coordinates.
        translation: (3,) its place in the world, metres.
        focal_length, center: (2,) in normalised image coordinates (see `normalize_screen`).
        radial_distortion: (3,) factors of r^2, r^4, r^6.
        tangential_distortion: (2,).
        width, height: of its image, pixels.
        azimuth: degrees; from where a plot of its poses is best looked at.
        name: the identifier that its files carry.
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

    @property
    def intrinsic(self) -> np.ndarray:
        """(9,) focal length, centre, radial and tangential distortion in a row, as VideoPose3D orders them."""
        return np.concatenate([self.focal_length, self.center, self.radial_distortion, self.tangential_distortion])


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
    shifted = positions - camera.translation.astype(positions.dtype)
    return quaternion.rotate(quaternion.inverse(camera.orientation), shifted)


def camera_to_world(positions: np.ndarray, camera: Camera) -> np.ndarray:
    """The inverse of `world_to_camera`."""
    return quaternion.rotate(camera.orientation, positions) + camera.translation.astype(positions.dtype)


def project(positions: np.ndarray, camera: Camera) -> np.ndarray:
    """Project points before the camera to its image, with the distortion model of Human3.6M.

    With XX = clamp(X / Z, -1, 1) and r the length of XX:
    f * (XX * (1 + k . (r^2, r^4, r^6) + p . XX) + p * r^2) + c.

    Args:
        positions: (..., 3) camera coordinates, metres.
    Returns:
        (..., 2) normalised image coordinates.
    """
    points, focal, center = _pinhole(positions, camera)
    radial, tangential = (value.astype(positions.dtype)
                          for value in (camera.radial_distortion, camera.tangential_distortion))
    square = (points ** 2).sum(-1, keepdims=True)
    stretch = 1 + square * (radial[0] + square * (radial[1] + square * radial[2]))
    slant = (points * tangential).sum(-1, keepdims=True)
    return focal * (points * (stretch + slant) + tangential * square) + center


def project_linear(positions: np.ndarray, camera: Camera) -> np.ndarray:
    """Project as `project` does, without distortion: f * clamp(X / Z, -1, 1) + c."""
    points, focal, center = _pinhole(positions, camera)
    return focal * points + center


def _pinhole(positions, camera):
    if positions.shape[-1] != 3:
        raise ValueError(f'positions must be (..., 3), not {positions.shape}')
    points = np.clip(positions[..., :2] / positions[..., 2:], -1, 1)
    return points, camera.focal_length.astype(positions.dtype), camera.center.astype(positions.dtype)
