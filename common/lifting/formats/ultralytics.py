"""Ultralytics.

JSON: `[{name, class, confidence, box, track_id, keypoints: {x, y, visible}}]` of an image, or a list of them.
`labels/*.txt` of `save_txt=True`: a file for each frame with people, counted from 1. A row has the class, the box (4),
x, y and perhaps the score of each joint, the confidence with `save_conf=True`, and the identifier of a tracked person.
Coordinates are fractions of the image.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from common.geometry.detector_layouts import LAYOUTS
from common.lifting.formats.format import TEXT, Format, Found, Seen, entries, first_entry, get, lists_of_frames
from common.lifting.formats.people import Person, numbers, person

_JOINTS = (17, *sorted({layout.joints for layout in LAYOUTS.values()} - {17}))
_BEFORE = 5  # class and box


def _recognise(content: Any) -> bool:
    return isinstance(content, list) and 'box' in first_entry(content)


def _parse(content: Any) -> Found:
    if isinstance(content, list) and content and all(isinstance(frame, list) for frame in content):
        return Found(lists_of_frames(content, _parse), 'coco17')
    found: list[Seen] = [(None, None)]
    for index, entry in enumerate(entries(content, 'the file')):
        where = f'entry {index}'
        if 'keypoints' not in entry and entry.get('name') != 'person':
            continue  # models with several classes also write balls, dogs and so on
        if 'keypoints' not in entry:
            raise ValueError(f'{where} has no keypoints: did its model find boxes only? Use a -pose model')
        points = get(entry, 'keypoints', where, dict)
        columns = [numbers(get(points, axis, where, list), where) for axis in ('x', 'y')]
        if columns[0].shape != columns[1].shape or columns[0].ndim != 1:
            raise ValueError(f'{where} has {columns[0].size} x and {columns[1].size} y')
        scores = numbers(points['visible'], where) if points.get('visible') is not None else None
        joints = np.stack(columns, axis=1)
        found.append((None, person(joints, scores, entry.get('track_id'), entry.get('confidence'), where)))
    return Found(found, 'coco17')


def _are_labels(rows: Any) -> bool:
    numbers_only = bool(rows) and all(re.fullmatch(r'-?[\d.]+(e-?\d+)?', cell) for cell in rows[0])
    return numbers_only and len(rows[0]) >= _BEFORE


def _labels(rows: list[list[str]]) -> Found:
    people = [_labelled(row, f'line {index + 1}') for index, row in enumerate(rows)]
    return Found([(None, None), *((None, who) for who in people)], 'coco17', normalised=True, counted_from=1)


def _labelled(row: list[str], where: str) -> Person:
    count = len(row) - _BEFORE
    if 0 <= count <= 2:
        raise ValueError(f'{where} has a box and no keypoints: did its model find boxes only? Use a -pose model')
    fitting = ((joints, width) for joints in _JOINTS for width in (3, 2) if 0 <= count - joints * width <= 2)
    joints, width = next(fitting, (0, 0))
    if not joints:
        raise ValueError(f'{where} has {len(row)} numbers, which are no class, box and joints')
    try:
        values = np.array(row[_BEFORE:], np.float64)
    except ValueError:
        raise ValueError(f'{where} has words among its numbers') from None
    points, rest = values[:joints * width].reshape(joints, width), row[_BEFORE + joints * width:]
    track = int(rest[-1]) if rest and rest[-1].isdigit() else None
    score = float(rest[0]) if len(rest) > (track is not None) else None
    return person(points[:, :2], points[:, 2] if width == 3 else None, track, score, where)


FORMATS = (Format('ultralytics', _recognise, _parse, frame_files=True),
           Format('ultralytics_txt', _are_labels, _labels, TEXT, frame_files=True))
