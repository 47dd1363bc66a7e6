"""Walks nested data (JSON, pickles, arrays, HDF5) and finds the bodies in it, with all that is stated on the way.

Every list, and every object whose keys are data, is a level that repeats: frames, people or sequences. `roles.py` finds
out which of them is which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import permutations
from typing import Any

import numpy as np

from common.geometry.detector_layouts import LAYOUTS, canonical_name
from common.lifting.formats import bodies
from common.lifting.formats.bodies import FEWEST, Joints, Names
from common.lifting.formats.words import is_body, is_data, is_score, names_of, plain, rank, role, size_of

MAX_DEPTH = 40
_LEGS = tuple(f'{side}_{part}' for side, parts in (('right', ('ankle', 'knee', 'hip')),
    ('left', ('hip', 'knee', 'ankle')))
              for part in parts)
_ARMS = tuple(name.replace('ankle', 'wrist').replace('knee', 'elbow').replace('hip', 'shoulder') for name in _LEGS)
POSETRACK = (*_LEGS, *_ARMS, 'neck', 'nose', 'head_top')
_JOINT_NAMES = {name for layout in LAYOUTS.values() for name in layout.joint_names}
_POSE = re.compile(r'\|#\|pose(2|25)D\|([^#]*)')  # of DeepStream's message for a person
Level = tuple[str, Any]  # the field in which it repeats, and the key or index in it


@dataclass(frozen=True)
class Leaf:
    """One body, or an array of bodies whose leading axes are further levels.

    Attributes:
        levels: what repeats, from outside to inside.
        facts: what the objects around state: frame, time, track, number, score, size, fps.
        points: (..., J, C); the third coordinate and further ones are not yet understood.
        scores: (..., J), or None.
    """

    levels: tuple[Level, ...]
    facts: dict[str, Any]
    points: np.ndarray
    scores: np.ndarray | None = None
    names: Names | None = None


@dataclass
class Walk:
    """What was found in a file.

    Attributes:
        leaves: the bodies.
        empty: levels and facts of places where bodies could stand and none does.
        left_out: fields that hold other parts of the body, or numbers that are not used.
        sized: the field that states the image's size.
    """

    leaves: list[Leaf] = field(default_factory=list)
    empty: list[tuple[tuple[Level, ...], dict[str, Any]]] = field(default_factory=list)
    left_out: dict[str, None] = field(default_factory=dict)
    sized: str = ''
    flat: bool = True  # whether the file has no objects around its numbers

    def find(self, node: Any, levels: tuple[Level, ...] = (), facts: dict[str, Any] | None = None,
            name: str = '') -> bool:
        """Collect the bodies in a node; whether there are any."""
        facts = facts or {}
        if len(levels) > MAX_DEPTH:
            raise ValueError('it is nested too deep to be a detector\'s file')
        if isinstance(node, np.ndarray) and node.dtype.kind == 'O':
            node = node.tolist()
        if isinstance(node, np.ndarray) and node.dtype.kind in 'iufb':
            if node.ndim == 1 and name and not is_body(name):
                return False  # numbers of frames
            return self._array(node, levels, facts, name)
        if isinstance(node, dict):
            return self._object(node, levels, facts, name)
        if isinstance(node, list | tuple):
            return self._list(list(node), levels, facts, name)
        if isinstance(node, str) and (found := _POSE.search(node)):
            return self._deepstream(node, found[2], levels, facts)
        self.empty.append((levels, facts))
        return False

    def _list(self, node: list, levels: tuple[Level, ...], facts: dict[str, Any], name: str) -> bool:
        first = bodies.first_leaf(node)
        if first is None:
            self.empty += [((*levels, (name, index)), facts) for index in range(len(node))] or [(levels, facts)]
            return False
        if type(first) in (int, float):
            if type(node[0]) in (int, float) and name and not is_body(name):
                return False  # numbers of frames
            array = bodies.joints_of_lists(node, len(facts['names']) if 'names' in facts else None)
            if array is not None and (name or array.ndim > 2 or len(node) >= FEWEST):
                return self._array(array, levels, facts, name, arranged=True)
        elif isinstance(first, dict) and all(
                entry is None or bodies.is_joint(entry) for entry in (*node[:2], node[-1])) and (
                found := bodies.joints_of_objects(node)):
            return self._joints(found, levels, facts)
        if all(isinstance(entry, int | float | str | None) for entry in node[:10]) and not isinstance(first, str):
            return False
        inner = {key: facts[key] for key in facts if key not in ('score', 'number')} if levels else facts
        before = len(self.leaves)
        for index, entry in enumerate(node):
            self.find(entry, (*levels, (name, index)), inner)
        return len(self.leaves) > before

    def _object(self, node: dict, levels: tuple[Level, ...], facts: dict[str, Any], name: str) -> bool:
        self.flat = False
        facts = self._facts(node, levels, facts)
        holders = {key: value for key, value in node.items() if rank(key) < 3 and _may_hold(value)}
        words = {plain(key): key for key in holders}
        if {'x', 'y'} <= words.keys() and isinstance(node[words['x']], list | np.ndarray):
            x, y = (bodies.numbers(node[words[axis]]) for axis in 'xy')
            if x is None or y is None or x.shape != y.shape:
                raise ValueError(f'it has {len(node[words["x"]])} x and {len(node[words["y"]])} y')
            return self._array(np.stack([x, y], axis=-1), levels, self._beside(node, facts), name, arranged=True)
        fields = [key for key in holders if rank(key) == 0 and not is_data(key)]
        if not fields or len(holders) > 12:
            if found := bodies.by_key(holders):
                return self._joints(found, levels, self._beside(node, facts))
            if paths := bodies.series_of(holders, is_joint_name):
                return self._array(paths[0], levels, {**facts, 'names': paths[1]}, name, arranged=True)
        data = [key for key in holders if is_data(key)]
        if not fields and not data and len(holders) > 1 and len({type(value) for value in holders.values()}) == 1 \
                and min(map(rank, holders)) == 1:
            data = list(holders)  # people by their names
        if len(data) > 1 or (data and not fields):
            before = len(self.leaves)
            for key in data:
                self.find(holders[key], (*levels, (name, str(key))), facts)
            return len(self.leaves) > before
        return self._best(node, holders, levels, facts)

    def _best(self, node: dict, holders: dict, levels: tuple[Level, ...], facts: dict[str, Any]) -> bool:
        """Follow the field that most likely holds bodies; the others are left out, and that is noted."""
        order = sorted(holders, key=lambda key: (rank(key), not is_body(key), 'data' in plain(key)))
        only = [key for key in order if rank(key) < 2 and 'people' not in plain(key)] or order
        for place, key in enumerate(only):
            empty = len(self.empty)
            if self.find(holders[key], levels, self._beside(node, facts, holders[key]), plain(key)):
                self.left_out.update(dict.fromkeys(str(other) for other in order[place + 1:] if rank(other) != 1
                    and other != key and
                                                   len(holders[other]) >= FEWEST and not _is_text(holders[other])))
                return True
            del self.empty[empty:]
        self.empty.append((levels, facts))
        return False

    def _facts(self, node: dict, levels: tuple[Level, ...], facts: dict[str, Any]) -> dict[str, Any]:
        known: dict[str, Any] = {}
        for key, value in node.items():
            what = role(key)
            if what is None:
                continue
            if isinstance(value, list) and len(value) == 1 and what != 'frame':
                value = value[0]
            while isinstance(value, list) and value and what == 'track':
                value = value[0]
            value = value.item() if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and
                                                                      value.size == 1) else value
            if what not in known and type(value) in ((int, float, str) if what in ('frame', 'time', 'track', 'hint')
                                                     else (int, float)):
                known[what] = value
            elif what == 'track' and type(value) in (int, float, str):
                known.setdefault('number', value)
        if 'number' in known:
            known['owner'] = len(levels)
        frames = node.get('frames', node.get('frame_ids'))
        if isinstance(frames, list | np.ndarray) and len(frames := list(frames)) and isinstance(frames[0],
                int | np.integer):
            known['numbers'] = [int(frame) for frame in frames]
        if 'frame' in known or 'time' in known:
            known['depth'] = len(levels)
        if size := size_of(node) if len(node) < 60 else None:
            known['size'], self.sized = size
        if len(levels) < 3 and (names := names_of(node)):
            known['names'] = names
        if isinstance(node.get('keypoints'), list) and isinstance(node.get('skeleton'), dict):
            known['swapped'] = True  # easy_ViTPose writes y, x
        if isinstance(node.get('track_names'), list):
            known['people'] = node['track_names']  # SLEAP
        if 'annolist' in node:
            known['order'] = POSETRACK  # in 2017 joints have numbers
        for key in ('meta_info', 'metadata', 'meta', 'info', 'data', 'video') if len(levels) < 2 else ():
            if isinstance(node.get(key), dict):
                known = {**self._facts(node[key], levels, {}), **known}
        return {**facts, **known} if known else facts

    def _beside(self, node: dict, facts: dict[str, Any], body: Any = None) -> dict[str, Any]:
        """The facts, with the scores that stand beside a body, and Hugging Face's numbers of the joints found."""
        scores = [(array, str(key)) for key, value in node.items() if value is not body and is_score(key)
            and isinstance(
            value, list | np.ndarray) and (array := bodies.numbers(value)) is not None]
        labels = node.get('labels')
        if isinstance(labels, list | np.ndarray) and isinstance(body, list | np.ndarray) and len(labels) == len(
            body) and \
                len(labels) >= FEWEST and all(isinstance(label, int | np.integer) for label in labels):
            facts = {**facts, 'names': tuple(map(int, labels))}
        return {**facts, 'scores': scores} if scores else facts

    def _array(self, array: np.ndarray, levels: tuple[Level, ...], facts: dict[str, Any], name: str,
               arranged: bool = False) -> bool:
        names = facts.get('names')
        points = array if arranged else bodies.arranged(array.astype(np.float64), len(names) if names else None)
        if points is None:
            return False
        scores = None
        for values, key in facts.get('scores', ()):
            fitted = _fitted(values, points.shape[:-1])
            if fitted is None and points.shape[-1] == 2 and values.ndim == points.ndim - 1:
                raise ValueError(f'its {key} are {values.shape} for keypoints {points.shape}')
            if fitted is None or scores is not None:
                self.left_out[key] = None
            scores = fitted if scores is None else scores
        if facts.get('swapped'):
            points = np.concatenate([points[..., 1::-1], points[..., 2:]], axis=-1)
        self.leaves.append(Leaf(levels, {**facts, 'field': name}, points, scores,
                                names if names and len(names) == points.shape[-2] else None))
        return True

    def _joints(self, found: Joints, levels: tuple[Level, ...], facts: dict[str, Any]) -> bool:
        points, scores, names = found
        self.flat = False
        order = facts.get('order', ())
        if order and set(names or ()) <= set(range(len(order))) and len(points) <= len(order):
            names = tuple(order[int(number)] for number in names or range(len(points)))
        self.leaves.append(Leaf(levels, facts, points, scores, names))
        return True

    def _deepstream(self, node: str, pose: str, levels: tuple[Level, ...], facts: dict[str, Any]) -> bool:
        joints = [part.split(',') for part in pose.strip('|').split('|') if part.count(',') > 1]
        array = bodies.numbers([[joint[1], joint[2], joint[-1]] for joint in joints])
        if array is None or not len(array):
            return False
        facts = {**facts, 'track': node.split('|', 1)[0]}
        return self._joints((array[:, :2], array[:, 2], tuple(joint[0] for joint in joints)), levels, facts)


@lru_cache(65536)
def is_joint_name(key: Any) -> bool:
    """Whether a name is of a joint of any layout, in any spelling."""
    return canonical_name(str(key)[:60].rsplit('.', 1)[-1]) in _JOINT_NAMES


def _fitted(scores: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Scores in the axes of the joints, without axes of length 1; None if they are not of joints."""
    scores = scores.squeeze() if scores.ndim >= len(shape) and scores.shape != shape else scores
    if scores.size != np.prod(shape) or scores.ndim > 4:
        return None
    wanted = tuple(length for length in shape if length != 1)
    return next((scores.transpose(order).reshape(shape) for order in permutations(range(scores.ndim)) if tuple(
        scores.shape[axis] for axis in order if scores.shape[axis] != 1) == wanted), None)


def _may_hold(value: Any) -> bool:
    return isinstance(value, list | dict | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0) or (
        isinstance(value, str) and '|#|' in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, list) and isinstance(bodies.first_leaf(value), str)
