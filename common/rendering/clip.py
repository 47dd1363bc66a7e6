"""A clip to draw: 2D keypoints and the 3D views beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.geometry.skeleton import Skeleton


@dataclass(frozen=True)
class View:
    """One 3D panel.

    Attributes:
        title: short; shown above the panel.
        positions: (P, T, J, 3) metres, z up, the floor at z = 0; NaN where a joint or a person is missing.
        errors: (T,) mm, shown under the title; None: no errors are shown.
    """

    title: str
    positions: np.ndarray
    errors: np.ndarray | None = None


@dataclass(frozen=True)
class Clip:
    """Some seconds of P people, for the 2D panel and the 3D panels.

    Attributes:
        keypoints: (P, T, J, 2) pixels, y down; NaN where a joint or a person is missing.
        image_size: width and height of the image, pixels.
        views: the 3D panels, from left to right.
        skeleton: of the J joints.
        fps: frames a second at which the clip plays.
        start: displayed time of the first frame, seconds.
        azimuth: viewpoint of the 3D views, degrees, as in matplotlib's `view_init`.
        caption: short; shown under the title of the 2D panel.
    Raises:
        ValueError: the shapes of the arrays contradict each other.
    """

    keypoints: np.ndarray
    image_size: tuple[int, int]
    views: Sequence[View]
    skeleton: Skeleton
    fps: float
    start: float = 0.0
    azimuth: float = 70.0
    caption: str = ''

    def __post_init__(self) -> None:
        people, frames, joints = self.keypoints.shape[:3]
        if self.keypoints.shape[2:] != (len(self.skeleton), 2) or not people or not frames:
            raise ValueError(f'keypoints must be (P, T, {len(self.skeleton)}, 2), not {self.keypoints.shape}')
        for view in self.views:
            if view.positions.shape != (people, frames, joints, 3):
                raise ValueError(f'positions must be {(people, frames, joints, 3)}, not {view.positions.shape}')
            if view.errors is not None and view.errors.shape != (frames,):
                raise ValueError(f'errors must be {(frames,)}, not {view.errors.shape}')

    def __len__(self) -> int:
        """Number of frames."""
        return self.keypoints.shape[1]

    def cut(self, frames: int) -> Clip:
        """The first frames of the clip."""
        views = [dataclasses.replace(view, positions=view.positions[:, :frames],
                                     errors=None if view.errors is None else view.errors[:frames])
                 for view in self.views]
        return dataclasses.replace(self, keypoints=self.keypoints[:, :frames], views=views)


def stand(positions: np.ndarray) -> np.ndarray:
    """The poses (..., J, 3) with z up, each moved along z until its lowest joint is at z = 0."""
    standing = positions.copy()
    standing[..., 2] -= np.fmin.reduce(positions[..., 2], axis=-1)[..., None]  # fmin ignores NaN
    return standing
