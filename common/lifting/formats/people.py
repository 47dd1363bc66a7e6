"""The people found in frames, as every reader of detections returns them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from common.errors import UserError

MAX_FRAME = 10**9
_FARTHEST = 1e6  # pixels; joints cannot be farther away


@dataclass(frozen=True)
class Person:
    """A person in one frame.

    Attributes:
        keypoints: (J, 2) pixels, y down; NaN where a joint was not found.
        scores: (J,) the detector's confidence in each joint; 1 if the file has no scores.
        score: the detector's confidence in the person.
        track: the file's identifier, where it has one.
        names: of the joints, where the file has them.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    score: float = 1.0
    track: str | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Detections:
    """The people of a clip.

    Attributes:
        path, format: of the file.
        people: {frame: its people}, in the order of frames.
        layout: implied by the format, where it implies one.
        size: width and height of the image, where the file has them.
        joined: each frame has one person, always the same: there is nothing to match.
        fps: frames a second, where the file has them.
        photos: the frames are single pictures, not a video.
        labels: {frame: name of its picture}, of photographs that have names.
        sizes: {frame: size of its picture}, where they differ.
        normalised: coordinates are fractions of the image.
        counted_from: the number of a video's first frame.
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
    normalised: bool = False
    counted_from: int = 0

    @property
    def joints(self) -> int:
        return next(len(who.keypoints) for everybody in self.people.values() for who in everybody)

    @property
    def scored(self) -> bool:
        """Whether the file has scores of the joints."""
        scores = np.concatenate([who.scores for everybody in self.people.values() for who in everybody])
        return bool(((scores > 0) & (scores != 1)).any())

    def scaled(self, size: tuple[int, int]) -> tuple[Detections, str | None]:
        """The detections in pixels, if the detector wrote fractions of the image, and a sentence about the change.

        Raises:
            UserError: the coordinates are neither pixels nor fractions.
        """
        points = np.concatenate([who.keypoints for everybody in self.people.values() for who in everybody])
        points = points[np.isfinite(points).all(-1)]
        scale, shift, what = 1.0, 0.0, 'fractions of the image (0 to 1)'
        if self.normalised:
            what = ''
        elif not len(points) or np.percentile(np.abs(points), 50 if self.format == 'mediapipe' else 100) > 2:
            return self, None  # MediaPipe's joints may lie far outside the image
        elif points.min() < -0.5 and self.format == 'openpose':
            scale, shift, what = 0.5, 1.0, 'from -1 to 1 across the image (--keypoint_scale 4)'
        elif points.min() < -0.5 and self.format != 'mediapipe':
            raise UserError(f'{self.path} has coordinates from {points.min():.2f} to {points.max():.2f}: are they '
                            f'normalised? Give pixels, or fractions of the image from 0 to 1.')
        people = {frame: [replace(who, keypoints=(who.keypoints + shift) * scale * self.sizes.get(frame, size))
                          for who in everybody] for frame, everybody in self.people.items()}
        note = f'{self.path} has coordinates that are {what}; they are taken as such.' if what else None
        return replace(self, people=people, normalised=False), note

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


def person(points: np.ndarray, scores: np.ndarray | None, track: Any, score: Any, where: str) -> Person:
    """A person with checked joints; joints that are not finite, have no score or lie at the corner (0, 0) are missing.

    Raises:
        ValueError: the arrays have wrong shapes.
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


def reordered(who: Person, index: np.ndarray) -> Person:
    """The person in the order of a layout.

    Args:
        index: as `by_name` returns it for the names of the person's joints.
    """
    keypoints = np.where(index[:, None] < 0, np.nan, who.keypoints[index])
    return replace(who, keypoints=keypoints, scores=np.where(index < 0, 0.0, who.scores[index]), names=())


def numbers(value: Any, where: str) -> np.ndarray:
    """A float64 array of lists of numbers, in which null is NaN.

    Raises:
        ValueError: a value is neither a number nor null, or the lists differ in length.
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
