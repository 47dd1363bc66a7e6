"""OpenPose: a file for each frame, `{people: [{pose_keypoints_2d: [x, y, score, ...]}]}`."""

from __future__ import annotations

from typing import Any

from common.lifting.formats.format import Format, Found, Seen, entries, flat_person, get


def _recognise(content: Any) -> bool:
    return isinstance(content, dict) and 'people' in content


def _parse(content: Any) -> Found:
    people = content.get('people') if isinstance(content, dict) else None
    found: list[Seen] = [(None, None)]
    for index, entry in enumerate(entries(people, 'people')):
        where = f'person {index}'
        values = get(entry, 'pose_keypoints_2d', where, list)
        known = entry.get('person_id')
        track = known[0] if isinstance(known, list) and known and known[0] != -1 else None
        if values:
            found.append((None, flat_person(values, where, track)))
    return Found(found)


FORMATS = (Format('openpose', _recognise, _parse, frame_files=True),)
