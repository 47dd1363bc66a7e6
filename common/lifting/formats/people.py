"""The people found in frames, as every reader of detections returns them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from common.lifting.units import Unit, unit_of

MAX_FRAME = 10**9


@dataclass(frozen=True, slots=True)
class Person:
    """A person in one frame.

    Attributes:
        keypoints: (J, 2) pixels, y down; NaN where a joint is missing.
        scores: (J,) the detector's confidence in each joint; 1 if the file has no scores.
        score: the detector's confidence in the person.
        track: the file's identifier, where it has one.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    score: float = 1.0
    track: str | None = None


@dataclass(frozen=True)
class Detections:
    """The people of a clip.

    Attributes:
        path, format: of the file; a format `array` states nothing about its numbers.
        people: {frame: its people}, in the order of frames.
        layout: implied by the format, where it implies one.
        size: width and height of the image, where the file has them.
        joined: each frame has one person, always the same: there is nothing to match.
        fps: frames a second, where the file has them.
        photos: the frames are single pictures, not a video.
        labels: {frame: name of its picture}, of photographs that have names.
        sizes: {frame: size of its picture}, where they differ.
        unit: of the coordinates, where the format states it.
        counted_from: the number of a video's first frame.
        depth: the file's joints have a third coordinate.
    """

    path: str
    format: str
    people: dict[int, list[Person]]
    layout: str | None = None
    size: tuple[int, int] | None = None
    joined: bool = False
    fps: float | None = None
    photos: bool = False
    labels: dict[int, str] = field(default_factory=dict)
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    unit: Unit | None = None
    counted_from: int = 0
    depth: bool = False

    @property
    def joints(self) -> int:
        return next(len(who.keypoints) for everybody in self.people.values() for who in everybody)

    @property
    def scored(self) -> bool:
        """Whether the file has scores of the joints."""
        scores = np.concatenate([who.scores for everybody in self.people.values() for who in everybody])
        return bool(((scores > 0) & (scores != 1)).any())

    def keypoints(self) -> np.ndarray:
        """(N, J, 2) of all people, one after another."""
        return np.stack([who.keypoints for everybody in self.people.values() for who in everybody])

    def changed(self, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Detections:
        """The detections with other coordinates.

        Args:
            change: from the (N, J, 2) keypoints and their (N,) frames to the (N, J, 2) new ones.
        """
        frames = np.array([frame for frame, everybody in self.people.items() for _ in everybody])
        new = iter(change(self.keypoints(), frames))
        people = {frame: [replace(who, keypoints=next(new)) for who in everybody]
                  for frame, everybody in self.people.items()}
        return replace(self, people=people)

    def scaled(self, size: tuple[int, int]) -> tuple[Detections, str | None]:
        """The detections in pixels, and a sentence about the change, if the file has another unit.

        Raises:
            UserError: the coordinates are not of an image.
        """
        unit = unit_of(self.path, self.keypoints(), size, self)
        if unit.name == 'pixels':
            return replace(self, size=size), None
        sides = np.array([self.sizes.get(frame, size) for frame, everybody in self.people.items() for _ in everybody])
        changed = self.changed(lambda points, _: unit.pixels(points, sides.reshape(-1, 1, 2)))
        note = f'{self.path} has coordinates that are {unit.name}; {unit.done}.' if self.unit is None else None
        return replace(changed, unit=None, size=size), note

    def counted_as(self, frames: int) -> tuple[Detections, str | None]:
        """The detections with the video's frame numbers, counted from 0, and a sentence about the change.

        Args:
            frames: number of frames of the video.
        """
        first, last = min(self.people), max(self.people)
        if first < 1 or not (self.counted_from or last == frames):
            return self, None
        people = {frame - 1: everybody for frame, everybody in self.people.items()}
        return replace(self, people=people), f'{self.path} counts frames from 1: frame 1 is the first of the video.'
