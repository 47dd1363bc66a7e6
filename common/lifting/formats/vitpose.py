"""easy_ViTPose: `{keypoints: [{person: [[y, x, score], ...]}], skeleton: {number: name}}`, a dict for each frame."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from common.lifting.formats.format import Format, Found, Seen, entries, get
from common.lifting.formats.people import numbers, person


def _recognise(content: Any) -> bool:
    return isinstance(content, dict) and {'keypoints', 'skeleton'} <= content.keys()


def _parse(content: Any) -> Found:
    if not isinstance(content, dict):
        raise ValueError('it is no object with keypoints and skeleton')
    skeleton = get(content, 'skeleton', 'the file', (dict, list))
    names = list(skeleton.values()) if isinstance(skeleton, dict) else skeleton
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError('its skeleton is not a list of names')
    found: list[Seen] = []
    for frame, people in enumerate(entries(get(content, 'keypoints', 'the file', list), 'keypoints')):
        found.append((frame, None))
        for track, joints in people.items():
            where = f'person {track} of frame {frame}'
            points = numbers(joints, where)
            if points.shape != (len(names), 3):
                raise ValueError(f'{where} has keypoints of shape {points.shape} instead of ({len(names)}, 3)')
            who = person(points[:, [1, 0]], points[:, 2], track, None, where)
            found.append((frame, replace(who, names=tuple(names))))
    return Found(found)


FORMATS = (Format('vitpose', _recognise, _parse),)
