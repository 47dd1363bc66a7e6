"""Ultralytics: `[{name, class, confidence, box, track_id, keypoints: {x, y, visible}}]` of an
image, or a list of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from common.lifting.formats.format import Format, Found, Seen, entries, first_entry, get, lists_of_frames
from common.lifting.formats.people import numbers, person


def _recognise(content: Any) -> bool:
    return isinstance(content, list) and 'box' in first_entry(content)


def _parse(content: Any) -> Found:
    if isinstance(content, list) and content and all(isinstance(frame, list) for frame in content):
        return Found(lists_of_frames(content, _parse), 'coco17')
    found: list[Seen] = [(None, None)]
    for index, entry in enumerate(entries(content, 'the file')):
        where = f'entry {index}'
        if 'keypoints' not in entry and entry.get('name') != 'person':
            continue  # a ball, a dog: models of several classes write them among the people
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


FORMATS = (Format('ultralytics', _recognise, _parse, frame_files=True),)
