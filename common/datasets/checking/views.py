"""Whether cameras see the people: with a wrong R or t, or one in millimetres, projected poses are wrong numbers."""

from __future__ import annotations

import numpy as np

from common.datasets.checking.people import some_frames
from common.datasets.mocap import MocapDataset
from common.errors import UserError, warn
from common.geometry.camera import Camera, image_coordinates, project, world_to_camera

SMALLEST = 5.0  # pixels: a person whose pose is smaller is not seen
ROLLED = 30.0  # degrees about its axis, by which cameras are seldom turned
TILTED = 0.5  # share of the world's vertical in the image; where it is less, the camera looks down


def check_views(path: str, dataset: MocapDataset) -> None:
    """Refuse cameras in whose image there is never anybody, or only people of a few pixels; warn of rolled ones.

    Raises:
        UserError: it names the subject and the camera.
    """
    for subject, takes in dataset.positions.items():
        some = np.concatenate([some_frames(take) for take in takes.values()])
        for camera in dataset.cameras[subject]:
            if not camera.is_calibrated:
                continue
            positions = world_to_camera(some, camera)
            with np.errstate(divide='ignore', invalid='ignore'):  # of poses beside or behind the camera
                pixels = image_coordinates(project(positions, camera), camera.width, camera.height)
            inside = ((pixels >= 0) & (pixels <= (camera.width, camera.height))).all(-1)
            seen = (inside & (positions[..., 2] > 0)).any(1)
            size = float(np.median(np.ptp(pixels[seen], axis=1).max(1))) if seen.any() else 0.0
            if size < SMALLEST:
                what = f'shows people {size:.1f} pixels large' if seen.any() else 'never shows anybody'
                raise UserError(f'{path}: camera {camera.name} of {subject} {what}: R and t must give X_camera = R '
                                f'X_world + t in metres, with x right, y down, z forward, and focal_length and center '
                                f'be in pixels; docs/datasets.md describes its entries.')
            right, down = _up(camera)[:2]
            roll = abs(np.degrees(np.arctan2(right, -down)))
            if np.hypot(right, down) > TILTED and roll > ROLLED:
                warn(f'{path}: in camera {camera.name} of {subject} the vertical is turned by {roll:.0f} degrees: is R '
                     f'the transposed matrix?')


def _up(camera: Camera) -> np.ndarray:
    """(3,) the world's vertical in camera axes."""
    return np.diff(world_to_camera(np.array([[0.0, 0, 0], [0, 0, 1]]), camera), axis=0)[0]
