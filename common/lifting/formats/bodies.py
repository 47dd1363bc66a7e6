"""Recognises one body in nested data: joints as numbers in lists, as objects with x and y, by name or by number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Any

import numpy as np

from common.geometry.detector_layouts import LAYOUTS
from common.lifting.formats.words import plain, rank

Names = tuple[str | int, ...]
Joints = tuple[np.ndarray, np.ndarray | None, Names | None]
FEWEST = 5  # joints of a body
COUNTING = tuple(range(1000))
WIDEST = 5  # numbers of a joint: x, y, z, visibility, presence
COUNTS = {layout.joints for layout in LAYOUTS.values()}
FLAT = {joints * width: joints for joints in sorted(COUNTS, reverse=True)
        for width in ((2, 3, 4, 5) if joints == 33 else (2, 3))}  # {numbers in a flat row: joints}
_NAME = ('name', 'part', 'bodypart', 'label', 'type', 'landmark', 'landmarktype', 'landmarkname', 'joint', 'jointname',
         'keypoint', 'keypointname', 'class', 'classname', 'keypointlabels')
_NUMBER = ('id', 'index', 'idx', 'landmarkid', 'landmarkindex', 'jointid', 'keypointid', 'classid', 'type', 'landmark',
           'landmarktype', 'joint', 'part', 'keypoint')
_SCORE = ('score', 'confidence', 'visibility', 'likelihood', 'inframelikelihood', 'conf', 'vis', 'v', 'prob',
          'probability', 'c', 's', 'presence', 'visible', 'isvisible')
_PLACE = re.compile('^(position|location|point|coord|pos|xy|landmark|value|image|pixel|normalized|pt)')


def numbers(value: Any) -> np.ndarray | None:
    """A float64 array of nested lists of numbers, null as NaN; None if they are others or of unequal lengths."""
    try:
        array = np.array(value, np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    return array


def first_leaf(node: Any) -> Any:
    """The first value in nested lists that is neither null nor an empty list."""
    while isinstance(node, list | tuple) and len(node):
        node = next((entry for entry in node if not (entry is None or (isinstance(entry, list) and not entry))), None)
    return None if isinstance(node, list | tuple) else node


def joints_of_lists(node: Any, joints: int | None = None) -> np.ndarray | None:
    """Lists of numbers as (..., J, C), or None: [[x, y, score], null, ...], a flat row, or several of them."""
    array = numbers(node)
    if array is None and isinstance(node, list):
        width = max((len(entry) for entry in node if isinstance(entry, list)), default=0)
        if 2 <= width <= WIDEST and len(node) >= FEWEST:
            array = numbers([entry or [np.nan] * width for entry in node])
    return None if array is None else arranged(array, joints)


def arranged(array: np.ndarray, joints: int | None = None) -> np.ndarray | None:
    """An array with its joints and coordinates as the last axes, (..., J, C); None if there are none.

    Args:
        joints: their number, if the file states it.
    """
    shape = array.shape
    if array.size == 0 or array.ndim == 0 or array.ndim > 6:
        return None
    if array.ndim == 5 and shape[1] in (2, 3) and shape[3] in ({joints} if joints else COUNTS) and shape[4] < 10:
        return array.transpose(0, 4, 2, 3, 1)  # ST-GCN: samples, coordinates, frames, joints, people
    if joints in shape and array.ndim > 2 and (shape[-2] != joints or not 2 <= shape[-1] <= WIDEST):
        return _by_count(array, shape.index(joints))
    if array.ndim > 1 and 2 <= shape[-1] <= WIDEST and shape[-2] >= FEWEST:
        return array
    if joints and shape[-1] % joints == 0 and 2 <= shape[-1] // joints <= WIDEST:
        return array.reshape(*shape[:-1], joints, -1)
    if shape[-1] in FLAT:
        return array.reshape(*shape[:-1], FLAT[shape[-1]], -1)
    if array.ndim > 1 and shape[-2] in (2, 3, 4) and shape[-1] >= FEWEST:
        return array.swapaxes(-1, -2)
    if array.ndim == 1 and shape[0] >= 3 * FEWEST:
        if shape[0] % 3 or shape[0] > 3000:
            raise ValueError(f'it has {shape[0]} numbers for a body, which fit no layout in x, y or x, y, score')
        return array.reshape(-1, 3)
    return None


def _by_count(array: np.ndarray, joint: int) -> np.ndarray | None:
    """As SLEAP's (people, 2, joints, frames): one axis has the known number of joints, one beside it x and y."""
    beside = [axis for axis in (joint + 1, joint - 1) if 0 <= axis < array.ndim and array.shape[axis] == 2]
    if not beside:
        return None
    rest = [axis for axis in range(array.ndim) if axis not in (joint, beside[0])]
    return array.transpose(*sorted(rest, key=lambda axis: -array.shape[axis]), joint, beside[0])


def is_joint(entry: Any) -> bool:
    """Whether an object is a joint: it has x and y, directly or in one of its values, and holds no joints itself."""
    return isinstance(entry, dict) and _schema(entry) is not None


def _xy(entry: dict) -> tuple[Any, Any] | None:
    words = {plain(key): key for key in entry}
    if 'x' not in words or 'y' not in words:
        return None
    x, y = words['x'], words['y']
    for value in (entry[x], entry[y]):
        if isinstance(_single(value), list | dict | tuple | bool | str):
            return None
    return x, y


def _schema(entry: dict) -> tuple[tuple, tuple, tuple | None, list[tuple[tuple, type]]] | None:
    """The paths of x, y and score in a joint, and the paths of its name or number with their types."""
    if any(isinstance(value, list | dict) and len(value) >= FEWEST and rank(key) == 0 for key, value in entry.items()):
        return None
    if sum(isinstance(value, dict) and _xy(value) is not None for value in entry.values()) > 3:
        return None  # joints by their names
    base: tuple = ()
    inside = entry
    found: tuple[Any, Any] | None = _xy(entry)
    if found is None:
        for key in sorted(entry, key=lambda key: '3d' in plain(key)):
            value = entry[key]
            if isinstance(value, dict) and (found := _xy(value)):
                base, inside = (key,), value
                break
            if isinstance(value, list) and 2 <= len(value) <= 4 and _PLACE.match(plain(key)) and all(
                    type(number) in (int, float) for number in value):
                base, found, inside = (key,), (0, 1), {}
                break
    if found is None:
        return None
    places = [((), {plain(key): key for key in entry}, entry), (base, {plain(key): key for key in inside}, inside)]

    def look(words: Sequence[str], *kinds: type) -> list[tuple]:
        return [(*path, known[word]) for word in words for path, known, holder in places
                if word in known and type(_single(holder[known[word]])) in kinds]

    scores = look(_SCORE, int, float, bool, type(None))
    return ((*base, found[0]), (*base, found[1]), scores[0] if scores else None,
            [(path, str) for path in look(_NAME, str)] + [(path, int) for path in look(_NUMBER, int)])


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _get(entry: Any, path: tuple | None) -> Any:
    for key in path or ():
        try:
            entry = entry[key]
        except (KeyError, TypeError, IndexError):
            return None
    return _single(entry)


def joints_of_objects(entries: Sequence[Any]) -> Joints | None:
    """Joints as objects: (J, 2) x and y, (J,) scores or None, and their names or numbers; None if they are others."""
    first = next((entry for entry in entries if isinstance(entry, dict)), None)
    schema = _schema(first) if first else None
    if schema is None:
        return None
    x, y, score, labels = schema
    array = None
    if all(len(path) == 1 for path in (x, y, score or x)):
        with suppress(KeyError, TypeError):
            array = numbers(list(map(itemgetter(*(path[0] for path in (x, y, score) if path)), entries)))
    if array is None or array.ndim != 2:  # some joints lack a key, or have a list of one number
        array = numbers([[_get(entry, path) for path in (x, y, score) if path] for entry in entries])
    if array is None or array.ndim != 2:
        return None
    names: Names | None = None
    for path, kind in labels:
        given = tuple(_get(entry, path) for entry in entries)
        if all(type(each) is kind for each in given) and len(set(given)) == len(given):
            names = given
            if plain(path[-1]) == 'keypointlabels':
                array[:, :2] /= 100  # Label Studio's percent of the image
            break
    return array[:, :2], np.nan_to_num(array[:, 2]) if score else None, None if names == COUNTING[
        :len(array)] else names


def by_key(entry: dict) -> Joints | None:
    """The joints of an object that has one under each name or number: {nose: {x, y}} or {NOSE: [x, y, z, score]}."""
    keys = [key for key, value in entry.items() if is_joint(value) or _is_point(value)]
    if len(keys) < FEWEST:
        return None
    values = [entry[key] for key in keys]
    if isinstance(values[0], dict):
        found = joints_of_objects(values)
        return found and (*found[:2], tuple(map(str, keys)))
    width = max(map(len, values))
    array = numbers([[*value, *[np.nan] * (width - len(value))] for value in values])
    return None if array is None else (array, None, tuple(map(str, keys)))


def series_of(entry: dict, known: Any) -> tuple[np.ndarray, Names] | None:
    """(T, J, C) of an object that has the path of each joint: {nose: [[x, y], ...]}."""
    keys = [key for key, value in entry.items() if isinstance(value, list | tuple | np.ndarray) and len(value)
        and known(key)]
    if len(keys) < FEWEST:
        return None
    array = numbers([entry[key] for key in keys])
    if array is None or array.ndim != 3 or not 2 <= array.shape[2] <= WIDEST:
        return None
    return array.transpose(1, 0, 2), tuple(map(str, keys))


def _is_point(value: Any) -> bool:
    return isinstance(value, list | tuple) and 2 <= len(value) <= WIDEST and all(
        number is None or type(number) in (int, float) for number in value)
