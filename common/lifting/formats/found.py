"""The bodies of a file as one table, and what is done with joints, scores and times that files spell in many ways."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from common.errors import listing
from common.lifting.formats.bodies import COUNTS, Names
from common.lifting.units import Unit

FrameName = int | float | str | None  # None: the whole file is one frame
_LIKELY = 0.15  # share of negative numbers in a column of scores, at most: they stand for missing joints
_WHOLE = 27  # from so many joints on a body whose last numbers never appear is MediaPipe's


@dataclass(frozen=True)
class Found:
    """The bodies of a file, or of one of its sequences.

    Attributes:
        frames: of each body, as the file names it.
        points: (N, J, 2); scores: (N, J), or None.
        searched: all frames, those without people too.
        tracks: the identifier of each body or None; weights: the detector's confidence in each, or NaN.
        names: of the joints, where the file has them.
        layout, size, joined, fps, unit, counted_from: as in `Detections`; sized: what states the size.
        sizes: {frame: (width, height)} in pixels, if the file has the size of each image.
        depth: the joints have a third coordinate.
        format: more exactly than the reader's name, as in `Detections`.
        notes: what is said about them.
    """

    frames: Sequence[FrameName]
    points: np.ndarray
    scores: np.ndarray | None
    searched: Sequence[FrameName]
    tracks: Sequence[Any] | None = None
    weights: np.ndarray | None = None
    names: tuple[str, ...] = ()
    layout: str | None = None
    size: tuple[int, int] | None = None
    sized: str = ''
    sizes: dict[FrameName, tuple[int, int]] = field(default_factory=dict)
    joined: bool = False
    fps: float | None = None
    unit: Unit | None = None
    counted_from: int = 0
    depth: bool = False
    format: str | None = None
    notes: tuple[str, ...] = ()

    def but(self, **changes: Any) -> Found:
        return replace(self, **changes)

    def ordered(self, index: np.ndarray) -> Found:
        """With the joints in another order; -1 stands for a joint that is missing."""
        points = np.where(index[:, None] < 0, np.nan, self.points[:, index])
        return replace(self, points=points, names=self.names, scores=None if self.scores is None else np.where(
            index < 0, 0.0, self.scores[:, index]))

    @staticmethod
    def joined_from(parts: Sequence[tuple[str, Found]], searched: Sequence[str]) -> Found:
        """One table of the tables of a folder's files, each a frame of the file's name."""
        first = parts[0][1]
        scored, tracked = (any(getattr(part, what) is not None for _, part in parts) for what in ('scores', 'tracks'))
        sizes: dict[FrameName, tuple[int, int]] = {name: part.size for name, part in parts if part.size}
        return replace(
            first, frames=[name for name, part in parts for _ in part.frames], searched=searched,
            points=np.concatenate([part.points for _, part in parts]), sizes=sizes,
            scores=np.concatenate([np.ones(part.points.shape[:2]) if part.scores is None else part.scores
                                   for _, part in parts]) if scored else None,
            tracks=[who for _, part in parts for who in (part.tracks or [None] * len(part.frames))] if tracked
            else None,
            weights=np.concatenate([np.full(len(part.frames), np.nan) if part.weights is None else part.weights
                                    for _, part in parts]),
            size=first.size if len(set(sizes.values())) == 1 else None, joined=False)


def one_layout(leaves: Sequence[Any]) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...], list[str]]:
    """The bodies as (N, J, C) and (N, J) in one order of joints, its names, and notes.

    A joint's number is its place, never the order in which it appears.

    Raises:
        ValueError: the bodies have different numbers of joints without names.
    """
    orders = {leaf.names for leaf in leaves}
    counts = {leaf.points.shape[-2] for leaf in leaves}
    width = max(leaf.points.shape[-1] for leaf in leaves)
    scored = any(leaf.scores is not None for leaf in leaves)
    names: tuple[str, ...] = ()
    notes: list[str] = []
    if orders == {None}:
        if len(counts) > 1:
            raise ValueError(f'it has people of {listing(sorted(counts))} joints: one file must have one layout')
        places = {None: np.arange(next(iter(counts)))}
        joints = next(iter(counts))
    else:
        names, places, joints, notes = _places(orders, counts)
    total = sum(leaf.points[..., 0, 0].size for leaf in leaves)
    points, scores = np.full((total, joints, width), np.nan), np.full((total, joints), np.nan) if scored else None
    row = 0
    for leaf in leaves:
        count = leaf.points[..., 0, 0].size
        index = places[leaf.names]
        rows = slice(row, row + count)
        known = index >= 0
        points[rows, index[known], :leaf.points.shape[-1]] = leaf.points.reshape(count, len(index), -1)[:, known]
        if scores is not None:
            scores[rows, index[known]] = 1.0 if leaf.scores is None else leaf.scores.reshape(count, -1)[:, known]
        row += count
    return points, scores, names, notes


def _places(orders: set[Names | None], counts: set[int]) -> tuple[tuple[str, ...], dict[Any, np.ndarray], int,
        list[str]]:
    """The names of all joints, the place of each order's joints among them (-1: left out), their number, and notes."""
    given: dict[Any, None] = dict.fromkeys(name for order in sorted(filter(None, orders), key=len, reverse=True)
                                           for name in order)
    numbered = {name: found for name in given if (found := number_of(name)) is not None}
    patterns = {re.sub(r'\d+', '', str(name)) for name in numbered}
    notes = []
    if len(patterns) == 1 and len(numbered) > 0.7 * len(given):
        others = [name for name in given if name not in numbered]
        if others:
            notes.append(f'left out, because the other joints are numbered: {listing(others, 6)}')
        first = 0
        last = max(numbered.values())
        if min(numbered.values()) == 1 and last in COUNTS and len(numbered) == last:
            first = 1
            notes.append(f'joints are counted from 1 to {last}')
        joints = last + 1 - first
        if joints > 1000:
            raise ValueError(f'it numbers joints up to {last}')
        whole = min((count for count in COUNTS if count >= joints), default=joints)
        if whole != joints and (len(set(numbered.values())) < joints or joints >= _WHOLE):
            joints = whole
        missing = sorted(set(range(joints)) - {number - first for number in numbered.values()})
        if missing:
            notes.append(f'of {joints} joints the numbers {listing(missing, 8)} never appear')
        places = {order: np.arange(joints)[:next(iter(counts))] if order is None else np.array(
            [numbered[name] - first if name in numbered else -1 for name in order]) for order in orders}
        return (), places, joints, notes
    if None in orders:
        raise ValueError('it names the joints of some people and not of others')
    names = tuple(str(name) for name in given)
    if all('.' in name for name in names):  # PoseLandmarkType.nose
        names = tuple(name.rsplit('.', 1)[-1] for name in names)
    index = {name: place for place, name in enumerate(given)}
    return names, {order: np.array([index[name] for name in order or ()]) for order in orders}, len(names), notes


def number_of(name: Any) -> int | None:
    """The number of a joint whose name only counts: 5, joint_5, Landmark5."""
    if isinstance(name, int):
        return name
    found = re.fullmatch(r'\D*?(\d{1,4})', str(name))
    return int(found[1]) if found else None


def read_scores(points: np.ndarray, scores: np.ndarray | None) -> tuple[np.ndarray | None, np.ndarray, bool, str]:
    """Scores from 0 to 1, the points (N, J, 2), whether they have a depth, and a note.

    A fourth number is a score. A third one is a score unless the file has other scores, or too many are negative.
    """
    depth, note = False, ''
    if points.shape[2] > 3:
        depth, scores = True, points[..., 3] if scores is None else scores
    elif points.shape[2] == 3:
        third = points[..., 2]
        known = third[np.isfinite(third)]
        below = ((known < 0) & (known != -1)).mean() if known.size else 0
        if scores is not None or below > _LIKELY:
            depth, note = True, 'the third number of each joint is a depth and is not used'
        elif known.size and np.percentile(known, 95) > 3:
            depth, note = True, (f'the third number of each joint is not a score (up to {known.max():g}) and is not '
                                 f'used')
        elif known.size:
            scores = third
    if scores is not None:
        known = scores[np.isfinite(scores)]
        most = known.max(initial=0)
        if most == 2 and np.isin(known, (0, 1, 2)).all():
            scores = scores / 2  # COCO: 1 is a hidden joint, 2 a visible one
        elif 3 < most <= 100 and np.median(known) > 1.5:
            scores, note = scores / 100, 'scores are taken as percent'
    return scores, points[..., :2], depth, note


def frames_of_times(times: Sequence[float], frames: Sequence[Any] | None = None) -> tuple[list[int], float | None]:
    """The frames of increasing times, and the frames a second that these show.

    Args:
        times: seconds, or milliseconds, microseconds or nanoseconds where they are far apart.
        frames: their numbers, where they are known.
    """
    array = np.array(times, np.float64)
    steps = np.diff(array)
    steps = steps[steps > 0]
    if not len(steps) or not np.isfinite(steps).all():
        return list(range(len(array))), None
    step = float(np.median(steps))
    unit = next((unit for limit, unit in ((2, 1.0), (5e3, 1e3), (5e6, 1e6)) if step < limit), 1e9)
    numbers = np.rint((array - array[0]) / step)
    if (np.abs((array - array[0]) / step - numbers) > 0.3).any() or numbers[-1] > 100 * len(array) or (
            np.diff(numbers) < (np.diff(array) > 0)).any():
        numbers = np.unique(array, return_inverse=True)[1]
    if frames is not None and all(isinstance(frame, int) for frame in frames):
        apart = np.diff(np.array(frames, np.float64))
        apart = apart[np.diff(array) > 0]
        step /= float(np.median(apart)) if len(apart) and np.median(apart) > 0 else 1
    rate = unit / step
    return [int(number) for number in numbers], rate if 1 <= rate <= 1000 else None
