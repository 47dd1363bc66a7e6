"""People found in frames: what every reader of detections returns, whatever wrote the file."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from common.errors import UserError

MAX_FRAME = 10**9
_FARTHEST = 1e6  # pixels; what lies farther is no joint


@dataclass(frozen=True)
class Person:
    """Somebody in one frame.

    Attributes:
        keypoints: (J, 2) pixels, y down; NaN where a joint was not found.
        scores: (J,) the detector's confidence in each; 1 where the file has none.
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
        path, format: of the file.
        people: {frame: its people}, in the order of frames.
        layout: implied by the format, where it implies one.
        size: width and height of the image, where the file has them.
        joined: each frame has one person, always the same: there is nothing to match.
    """

    path: str
    format: str
    people: dict[int, list[Person]]
    layout: str | None = None
    size: tuple[int, int] | None = None
    joined: bool = False

    @property
    def joints(self) -> int:
        return next(len(who.keypoints) for everybody in self.people.values() for who in everybody)

    def scaled(self, size: tuple[int, int]) -> tuple[Detections, str | None]:
        """The same in pixels, where the detector wrote fractions of the image; and a sentence about it.

        Raises:
            UserError: the coordinates are neither pixels nor fractions.
        """
        points = np.concatenate([who.keypoints for everybody in self.people.values() for who in everybody])
        points = points[np.isfinite(points).all(-1)]
        if not len(points) or np.abs(points).max() > 2:
            return self, None
        if points.min() >= -0.5:  # MediaPipe's may lie a little outside the image
            scale, shift, what = np.array(size, float), 0.0, 'fractions of the image (0 to 1)'
        elif self.format == 'openpose':
            scale, shift, what = np.array(size, float) / 2, 1.0, 'from -1 to 1 across the image (--keypoint_scale 4)'
        else:
            raise UserError(f'{self.path} has coordinates from {points.min():.2f} to {points.max():.2f}: are they '
                            f'normalised? Give pixels, or fractions of the image from 0 to 1.')
        people = {frame: [replace(who, keypoints=(who.keypoints + shift) * scale) for who in everybody]
                  for frame, everybody in self.people.items()}
        return replace(self, people=people), f'{self.path} has coordinates that are {what}; they are taken as such.'


def person(points: np.ndarray, scores: np.ndarray | None, track: Any, score: Any, where: str) -> Person:
    """A person of checked joints; what is not finite, has no score or lies at the very corner (0, 0) is missing.

    Raises:
        ValueError: these are no joints.
    """
    if points.ndim != 2 or points.shape[1] not in (2, 3) or not len(points):
        raise ValueError(f'{where} has keypoints of shape {points.shape} instead of (joints, 2)')
    if scores is None:
        scores = points[:, 2] if points.shape[1] == 3 else np.ones(len(points))
    if scores.shape != (len(points),):
        raise ValueError(f'{where} has {len(points)} joints and {scores.size} scores')
    missing = ~np.isfinite(points[:, :2]).all(1) | (np.abs(points[:, :2]) > _FARTHEST).any(1)
    missing |= ~(scores > 0) | (points[:, :2] == 0).all(1)
    known = isinstance(score, int | float) and score == score and abs(score) < 1e6
    return Person(np.where(missing[:, None], np.nan, points[:, :2]), np.where(missing, 0.0, scores),
                  float(score) if known else float(np.where(missing, 0.0, scores).mean()), _track_name(track, where))


def numbers(value: Any, where: str) -> np.ndarray:
    """A float64 array of lists of numbers, in which null is NaN.

    Raises:
        ValueError: something else is among them, or the lists differ in length.
    """
    try:
        array = np.array(value)
    except ValueError:
        array = np.empty(0, 'U1')
    if array.dtype == object:
        flat = array.ravel().tolist()
        if all(entry is None or type(entry) in (int, float) for entry in flat):
            try:
                return np.array([np.nan if entry is None else entry for entry in flat], float).reshape(array.shape)
            except OverflowError:
                pass
    if array.dtype.kind not in 'iuf':
        raise ValueError(f'{where} has keypoints or scores that are not all numbers in lists of the same length')
    return array.astype(np.float64)


def _track_name(track: Any, where: str) -> str | None:
    if track is None:
        return None
    if isinstance(track, float) and track.is_integer():
        track = int(track)
    if isinstance(track, bool) or not isinstance(track, int | str) or not re.fullmatch(r'-?[\w.]{1,40}', str(track)):
        raise ValueError(f'{where} has an identifier that is neither a number nor a short name')
    return str(track)
