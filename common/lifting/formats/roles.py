"""Finds out which levels of a file are frames, people and sequences, and makes one table of all its bodies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from common.errors import listing
from common.lifting.formats.found import Found, FrameName, frames_of_times, one_layout, read_scores
from common.lifting.formats.structure import Leaf, Level, Walk
from common.lifting.formats.words import FRAMES, PEOPLE

_NEAR = 0.25  # distance of a body from one frame to the next in its own sizes, median, at most
_ENOUGH = 5  # bodies from which the motion shows which level is time
_FRAME_KEY = re.compile(r'(?i)frame|img|image|\.(jpe?g|png|bmp)$|^0\d+$|time')
_PERSON_KEY = re.compile(r'(?i)person|people|player|track|human|^id|subject|^p\d')


class _Rows:
    """Every body of a file, with the keys of all levels.

    Attributes:
        keys: for each level, its different keys, in the file's order; fields: the field in which it repeats.
        codes: (N, levels) the place of each body's key among them.
    """

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        self.leaves = leaves
        self.paths: list[tuple[Level, ...]] = []
        self.facts: list[dict[str, Any]] = []
        for leaf in leaves:
            for index in np.ndindex(*leaf.points.shape[:-2]):
                self.paths.append((*leaf.levels, *((f'[{axis}]', each) for axis, each in enumerate(index))))
                self.facts.append(leaf.facts)
        depth = max(map(len, self.paths))
        self.keys: list[list[Any]] = [[] for _ in range(depth)]
        self.fields = [''] * depth
        self.codes = np.zeros((len(self.paths), depth), np.int64)
        for level in range(depth):
            places: dict[Any, int] = {}
            for row, path in enumerate(self.paths):
                field, key = path[level] if level < len(path) else ('', 0)
                self.codes[row, level] = places.setdefault(key, len(places))
                self.fields[level] = self.fields[level] or field
            self.keys[level] = list(places)

    def stated(self, what: str) -> list[Any] | None:
        """What the objects around each body state; None unless they all do, and not once for the whole file."""
        values = [facts.get(what) for facts in self.facts]
        if any(value is None for value in values):
            return None
        outside = all(facts.get('depth', 1) == 0 for facts in self.facts) and what in ('frame', 'time')
        return None if outside and len(values) > 1 else values

    def hint(self, level: int) -> int:
        """1 if a level's field or keys are words for frames, -1 for people, 0 if they do not show it."""
        first = self.keys[level][0]
        if isinstance(first, str) and bool(_FRAME_KEY.search(first)) != bool(_PERSON_KEY.search(first)):
            return 1 if _FRAME_KEY.search(first) else -1
        field = self.fields[level]
        people, frames = bool(PEOPLE.search(field)), bool(FRAMES.search(field))
        return int(frames) - int(people)

    def motion(self, level: int) -> float:
        """The median way of a body from one key of the level to the next, in its own sizes."""
        points = self.points()
        with np.errstate(invalid='ignore'):
            low, high = np.nanmin(points, axis=1), np.nanmax(points, axis=1)
        sizes, middles = np.maximum((high - low).max(-1), 1e-9), (low + high) / 2
        others = [self.codes[:, each] for each in range(self.codes.shape[1]) if each != level]
        order = np.lexsort((self.codes[:, level], *others))
        same = np.ones(len(order) - 1, bool)
        for codes in others:
            same &= np.diff(codes[order]) == 0
        ways = np.linalg.norm(np.diff(middles[order], axis=0), axis=1) / sizes[order][1:]
        ways = ways[same & np.isfinite(ways)]
        return float(np.median(ways)) if len(ways) else np.inf

    def points(self) -> np.ndarray:
        """(N, joints, 2), of bodies with fewer joints padded with NaN; what is missing is NaN."""
        most = max(leaf.points.shape[-2] for leaf in self.leaves)
        padded = np.full((len(self.paths), most, 2), np.nan)
        row = 0
        for leaf in self.leaves:
            each = leaf.points[..., :2].reshape(-1, leaf.points.shape[-2], 2)
            padded[row:row + len(each), :each.shape[1]] = each
            row += len(each)
        padded[(padded == 0).all(-1) | (padded == -1).all(-1)] = np.nan
        return padded

    def time_level(self, varying: list[int]) -> int | None:
        """The level that is time; None if all bodies are of one frame."""
        depth = self.codes.shape[1]
        open_levels = [level for level in range(depth) if self.hint(level) >= 0]
        for level in range(depth):
            if self.hint(level) > 0 and (level in varying or not varying):
                return level
        known = [level for level in varying if level in open_levels]
        if not varying:
            return open_levels[0] if open_levels else None
        if len(varying) == 1:
            level = varying[0]
            outer = next((each for each in range(level) if each in open_levels), None)
            inner = level + 1 < depth
            if not known:
                return outer if len(self.paths) < _ENOUGH or self.motion(level) > _NEAR else level
            if inner or (outer is None and (self.fields[level].startswith('[') or not self._are_people(level))):
                return level
            near = len(self.keys[level]) >= _ENOUGH and self.motion(level) < _NEAR
            return level if near else outer
        motions = {level: self.motion(level) for level in varying if len(self.keys[level]) >= _ENOUGH}
        first = (known or varying)[0]
        best = min(motions, key=lambda level: motions[level], default=first)
        clear = motions.get(best, np.inf) < min(_NEAR, 0.5 * motions.get(first, np.inf))
        return best if clear else first

    def _are_people(self, level: int) -> bool:
        """Whether the entries of a list are objects of people (with a score or a box), as detectors list an image's."""
        return any('score' in facts or 'number' in facts or 'track' in facts for facts in self.facts)


def understand(walk: Walk, single: bool = False) -> Found | dict[str, Found]:
    """The bodies with their frames and people; by sequence where a file holds several.

    Args:
        single: the file is one frame.
    Raises:
        ValueError: the file's parts contradict each other.
    """
    rows = _Rows(walk.leaves)
    varying = [level for level, keys in enumerate(rows.keys) if len(keys) > 1]
    frames = rows.stated('frame')
    if frames is None and (times := rows.stated('time')) and len(set(times)) > 1 and _increase(times):
        frames = list(frames_of_times(times)[0])
    if single:
        if (frames and len(set(frames)) > 1) or len(varying) > 1:
            raise ValueError('it holds all frames: give the file instead of the folder')
        return _table(walk, rows, [None] * len(rows.paths), varying[-1] if varying else None, None)
    if frames is not None:
        owner = min(max(facts.get('depth', 1) for facts in rows.facts), len(rows.keys)) - 1
        outer = [level for level in varying if level < owner]
        inner = [level for level in varying if level > owner]
        if outer and owner >= 0 and (len(outer) > 1 or inner or len(set(frames)) == len(rows.keys[owner]) > len(
                rows.paths) / 2):
            return _parts(walk, rows, outer[0])
        people = next(iter(inner or outer), None)
        return _table(walk, rows, frames, people, None)
    time = rows.time_level(varying)
    people_levels = [level for level in varying if level != time]
    if len(people_levels) > 1:
        return _parts(walk, rows, people_levels[0])
    frames = [None if time is None else rows.keys[time][code] for code in (rows.codes[:, time] if time is not None
                                                                          else rows.codes[:, 0] if rows.codes.shape[1]
                                                                          else [0] * len(rows.paths))]
    numbers = rows.facts[0].get('numbers', ())
    if time is not None and len(numbers) == len(rows.keys[time]) and all(before < after for before,
            after in pairwise(numbers)):
        rows.keys[time] = numbers
        frames = [numbers[code] for code in rows.codes[:, time]]
    return _table(walk, rows, frames, people_levels[0] if people_levels else None, time)


def _increase(times: Sequence[Any]) -> bool:
    return all(type(time) in (int, float) for time in times) and all(
        before <= after for before, after in pairwise(times))


def _parts(walk: Walk, rows: _Rows, level: int) -> dict[str, Found]:
    """Each sequence of a file that holds several."""
    groups: dict[str, Walk] = {}
    row = 0
    for leaf in walk.leaves:
        count = int(np.prod(leaf.points.shape[:-2]))
        path = rows.paths[row]
        row += count
        if level >= len(leaf.levels):
            raise ValueError(f'it has arrays of {leaf.points.shape}, in which frames, people and joints are not clear')
        name = str(leaf.facts.get('sequence', path[level][1]))
        groups.setdefault(name, Walk(left_out=walk.left_out, sized=walk.sized)).leaves.append(
            Leaf((*leaf.levels[:level], *leaf.levels[level + 1:]), leaf.facts, leaf.points, leaf.scores, leaf.names))
    found = {name: understand(part) for name, part in groups.items()}
    nested = next((part for part in found.values() if isinstance(part, dict)), None)
    if nested is not None:
        raise ValueError(f'it is nested in more levels than sequences, frames and people: {listing(rows.fields)}')
    return {name: part for name, part in found.items() if isinstance(part, Found)}


def _table(walk: Walk, rows: _Rows, frames: Sequence[FrameName], people: int | None, time: int | None) -> Found:
    facts = rows.facts
    points, given, names, notes = one_layout(walk.leaves)
    scores, points, depth, note = read_scores(points, given)
    notes += [note] if note else []
    if walk.left_out:
        notes.append(f'not used: {listing(walk.left_out, 6)}')
    tracks: Sequence[Any] | None = rows.stated('track')
    numbers = [each.get('number') for each in facts]
    if None not in numbers:
        several = len(set(frames)) > 1
        if len(set(numbers)) < len(numbers) or not several:
            tracks = tracks or numbers
        elif tracks is None and time is not None and all(type(number) is int for number in numbers) and \
                _increase(numbers) and len(set(numbers)) == len(set(frames)):
            frames = numbers
    if tracks is None and people is not None and isinstance(rows.keys[people][0], str):
        tracks = [rows.keys[people][code] for code in rows.codes[:, people]]
    if tracks is None and people is not None and (known := facts[0].get('people')):
        tracks = [known[code] if code < len(known) else code for code in rows.codes[:, people]]
    if tracks is not None and set(tracks) == {-1}:
        tracks = None
    weights = np.array([each.get('score', np.nan) for each in facts], np.float64)
    searched = list(frames)
    for levels, each in walk.empty:
        if time is not None and len(levels) > time:
            searched.append(levels[time][1])
        elif time is None and each.get('frame') is not None:
            searched.append(each['frame'])
    first = next((leaf.facts for leaf in walk.leaves), {})
    fps = first.get('fps')
    fps = float(fps) if isinstance(fps, int | float) and 0 < fps < 10_000 else None
    times = rows.stated('time')
    if times and len(times) > 1 and _increase(times) and not any(isinstance(frame, str) for frame in frames):
        fps = fps or frames_of_times(times, frames)[1]
    sizes = {frame: each['size'] for frame, each in zip(frames, facts) if 'size' in each}
    alone = people is None and len(walk.leaves) == 1 and len(frames) > 1 and tracks is None
    format, layout = _implied(str(first.get('hint', '')).lower(), walk)
    return Found(frames, points, scores, list(dict.fromkeys(searched)), tracks, weights, names, layout,
                 next(iter(sizes.values())) if len(set(sizes.values())) == 1 else None, walk.sized, sizes, alone, fps,
                 depth=depth, format=format, notes=tuple(notes))


def _implied(hint: str, walk: Walk) -> tuple[str | None, str | None]:
    """The format, and the layout that a data set's name, or the kind of file, implies."""
    first = walk.leaves[0]
    openpose = str(first.facts.get('field', '')).startswith(('posekeypoints', 'joints'))
    format = 'array' if walk.flat else 'openpose' if openpose else None
    for word, layout in (('h36m', 'h36m17'), ('mpii', 'mpii16'), ('halpe', 'halpe26')):
        if word in hint:
            return format, layout
    return format, None if format or (first.scores is None and first.points.shape[-1] < 3) else 'coco17'
