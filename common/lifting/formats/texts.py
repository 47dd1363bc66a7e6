"""Texts of two tools: `.trc` of Sports2D, and Ultralytics' labels, a file for each frame."""

from __future__ import annotations

import re

import numpy as np

from common.lifting.formats.bodies import COUNTS
from common.lifting.formats.found import Found, one_layout, read_scores
from common.lifting.formats.loading import Cells
from common.lifting.formats.structure import Leaf
from common.lifting.formats.tables import frame_name, is_number, number, people_of, values_of
from common.lifting.units import FRACTIONS, METRES

_METRES = 20.0  # coordinates below it in a .trc are metres: no image is so small
_BEFORE = 5  # class and box of Ultralytics' labels


def is_trc(rows: Cells) -> bool:
    return bool(rows) and rows[0][0] == 'PathFileType'


def parse_trc(rows: Cells, single: bool) -> Found:
    if len(rows) < 5:
        raise ValueError('it has no header of five rows that begins with PathFileType')
    head = dict(zip(rows[1], rows[2]))
    columns = {index + axis: ('', name, 'xyz'[axis]) for index, name in enumerate(rows[3])
               if name and index >= 2 for axis in range(3)}
    body = Cells([row for row in rows[4:] if re.fullmatch(r'\d+', row[0])])
    if not body or not columns:
        raise ValueError('it has no markers')
    values, depths = (np.array([values_of(body, index) for index, column in columns.items() if column[2] in axis])
                      for axis in ('xy', 'z'))
    if np.nanmax(np.abs(depths), initial=0) > 0:
        raise ValueError(
            'it has a third coordinate: these are 3D markers, not places in an image; give the file of the '
                         '2D poses')
    found = people_of(body, [frame_name(row[0], index) for index, row in enumerate(body)], columns)
    fps = number(head.get('DataRate', ''))
    metres = np.nanmax(np.abs(values), initial=0) < _METRES
    return found.but(fps=fps if 0 < fps < 10_000 else None, unit=METRES if metres else None, notes=(
        *found.notes, *(['in metres, y up'] if metres else [])))


def are_labels(rows: Cells) -> bool:
    """Whether rows are Ultralytics': a class, a box and joints as fractions of the image."""
    if not rows or len(rows[0]) < _BEFORE or not all(map(is_number, rows[0])):
        return False
    start = np.array([[number(cell) for cell in row[:_BEFORE]] for row in rows[:50] if len(row) >= _BEFORE])
    rest = [number(cell) for row in rows[:50] for cell in row[_BEFORE:_BEFORE + 30]]
    return bool((start[:, 0] == np.rint(start[:, 0])).all() and (start[:, 0] >= 0).all()
        and (start[:, 1:] >= -0.1).all() and (
        start[:, 1:] <= 1.1).all() and np.nanmax(np.abs(rest), initial=0) <= 2.5)


def parse_labels(rows: Cells, single: bool) -> Found:
    """Ultralytics' labels of a frame: class, box, x, y and perhaps the score of each joint, confidence, identifier."""
    people, tracks, weights = [], [], []
    for index, row in enumerate(rows):
        count = len(row) - _BEFORE
        if 0 <= count <= 2:
            raise ValueError(
                f'line {index + 1} has a box and no keypoints: did its model find boxes only? Use a -pose model')
        fitting = ((joints, width) for joints in (17, *sorted(COUNTS - {17})) for width in (3, 2)
                   if 0 <= count - joints * width <= 2)
        joints, width = next(fitting, (0, 0))
        values = [number(cell) for cell in row[_BEFORE:]]
        if not joints:
            raise ValueError(f'line {index + 1} has {len(row)} numbers, which are no class, box and joints of a layout')
        rest = row[_BEFORE + joints * width:]
        tracks.append(rest[-1] if rest and rest[-1].isdigit() else None)
        weights.append(number(rest[0]) if len(rest) > (tracks[-1] is not None) else np.nan)
        people.append(Leaf((), {}, np.array(values[:joints * width]).reshape(joints, width)))
    points, given, _, _ = one_layout(people)
    scores, points, _, _ = read_scores(points, given)
    return Found([None] * len(people), points, scores, [None], tracks if any(tracks) else None, np.array(weights), (),
                 'coco17', unit=FRACTIONS, counted_from=1)
