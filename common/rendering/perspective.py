"""Projections to the pixels of a picture: boxes of panels, the part of the 2D image, the viewpoint of the 3D views.

The direction and the limits of a view are fixed for the whole clip, so nothing jumps. A frame costs one matrix product,
where mplot3d would lay out its axes again. The angles are as in matplotlib's `view_init`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

ELEVATION = 15.0  # degrees, as published
TILES = (0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.0025, 0.001)  # metres: a person stands on the largest, a hand does not
_PART = 1 << 13  # points projected together


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """The rows and columns of the picture that it covers."""
        return slice(self.top, self.top + self.height), slice(self.left, self.right)


class Crop:
    """Maps a part of the image to a box of the picture.

    Args:
        box: in the picture.
        corner, size: (2,) of the part, pixels of the image.
    """

    def __init__(self, box: Box, corner: np.ndarray, size: np.ndarray) -> None:
        self.scale = np.array([box.width, box.height]) / size
        self.offset = np.array([box.left, box.top]) - corner * self.scale

    def __call__(self, keypoints: np.ndarray) -> np.ndarray:
        """(..., 2) pixels of the image to pixels of the picture."""
        return keypoints * self.scale + self.offset


def limits(points: np.ndarray, project: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """Lowest and highest projected values of the finite points (N, D); points are projected in parts to save memory."""
    found = []
    for start in range(0, len(points), _PART):
        part = points[start:start + _PART]
        part = project(part[np.isfinite(part).all(-1)])
        if len(part):
            found.append((part.min(0), part.max(0)))
    return (np.min([low for low, _ in found], 0), np.max([high for _, high in found], 0)) if found else None


def around(keypoints: np.ndarray, image_size: tuple[int, int], margin: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Corner and size of the square around the keypoints (..., 2) of all frames, with a margin on every side."""
    found = limits(keypoints.reshape(-1, 2), lambda points: points)
    if found is None:
        return np.zeros(2), np.array(image_size, float)
    lowest, highest = found
    side = max((highest - lowest).max() * (1 + 2 * margin), min(image_size) / 20)
    return (lowest + highest - side) / 2, np.array([side, side])


class Perspective:
    """Perspective projection from an azimuth and `ELEVATION`, toward the middle of the positions.

    Args:
        positions: (N, 3) each, everything that is shown, metres, z up; may contain NaN.
        azimuth: degrees.
    Attributes:
        tile: side of a tile of the floor, metres.
        floor: (2,) half the sides, along x and y, of the rectangle of floor under the positions, metres.
        lowest, highest: (2,) corners of the projected positions and floor.
    """

    def __init__(self, positions: Sequence[np.ndarray], azimuth: float) -> None:
        turn, lift = math.radians(azimuth), math.radians(ELEVATION)
        right = (-math.sin(turn), math.cos(turn), 0)
        up = (-math.sin(lift) * math.cos(turn), -math.sin(lift) * math.sin(turn), math.cos(lift))
        toward = (math.cos(lift) * math.cos(turn), math.cos(lift) * math.sin(turn), math.sin(lift))
        self.axes = np.array([right, up, toward])
        extents = [ends for points in positions if (ends := limits(points, lambda part: part))]
        if not extents:
            positions = [np.array([[0, 0, 1.7]])]
            extents = [(positions[0][0], positions[0][0])]
        top, reach = max(float(high[2]) for _, high in extents), np.abs(extents).max((0, 1))[:2]
        self.tile = next((tile for tile in TILES if 2 * tile <= max(top, float(reach.max()))), TILES[-1])
        self.floor = self.tile * np.ceil(np.maximum(reach, 2 * self.tile) / self.tile)
        self.target = np.array([0, 0, top / 2])
        self.distance = 3.5 * max(float(self.floor.max()), top)
        corners = np.append(self.floor, 0) * np.array([[-1, -1, 0], [-1, 1, 0], [1, 1, 0], [1, -1, 0]])
        shown = [ends for points in (*positions, corners) if (ends := limits(points, lambda part: self(part)[0]))]
        self.lowest, self.highest = np.min([low for low, _ in shown], 0), np.max([high for _, high in shown], 0)

    def __call__(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(..., 3) metres to (..., 2) rightward and upward, and (...) nearness to the viewpoint."""
        turned = (positions - self.target) @ self.axes.T
        return turned[..., :2] * (self.distance / (self.distance - turned[..., 2:])), turned[..., 2]


class PanelProjection:
    """A perspective in a box, as large as possible and with the same scale in both directions."""

    def __init__(self, box: Box, perspective: Perspective, margin: float = 0.03) -> None:
        self.perspective = perspective
        room = np.array([box.width, box.height]) * (1 - 2 * margin)
        scale = float((room / (perspective.highest - perspective.lowest)).min())
        self.scale = np.array([scale, -scale])
        middle = np.array([box.left + box.width / 2, box.top + box.height / 2])
        self.offset = middle - (perspective.lowest + perspective.highest) / 2 * self.scale

    def __call__(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(..., 3) metres to (..., 2) pixels of the picture, and (...) nearness to the viewpoint."""
        projected, nearness = self.perspective(positions)
        return projected * self.scale + self.offset, nearness


def floor_lines(perspective: Perspective) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2, 3) lines between the tiles, and (4, 3) corners, of the floor of a perspective."""
    x, y = perspective.floor
    columns, rows = (np.linspace(-half, half, round(2 * half / perspective.tile) + 1) for half in perspective.floor)
    lines = [[(column, -y, 0), (column, y, 0)] for column in columns] + [[(-x, row, 0), (x, row, 0)] for row in rows]
    return np.array(lines), np.array([(-x, -y, 0), (-x, y, 0), (x, y, 0), (x, -y, 0)])
