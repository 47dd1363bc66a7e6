"""OpenPose: a file for each frame, `{people: [{pose_keypoints_2d: [x, y, score, ...]}]}`.

Versions before 1.1 wrote `pose_keypoints`; AlphaPose's `--format open` and `cmu` write all frames as
`{image: {people}}` and `{image: {bodies: [{joints}]}}`. Arrays of hands, faces and 3D are not used.
"""

from __future__ import annotations

from typing import Any

from common.lifting.formats.format import Format, Found, FrameName, Seen, entries, flat_person, get

_LISTS = ('people', 'bodies')
_POSES = ('pose_keypoints_2d', 'pose_keypoints', 'joints')


def _is_frame(content: Any) -> bool:
    return isinstance(content, dict) and any(key in content for key in _LISTS)


def _recognise(content: Any) -> bool:
    many = isinstance(content, dict) and len(content) > 0 and all(map(_is_frame, content.values()))
    return many or _is_frame(content)


def _parse(content: Any) -> Found:
    if not _is_frame(content) and _recognise(content):
        return Found([seen for name, frame in content.items() for seen in _frame(frame, name)])
    return Found(_frame(content, None))


def _frame(content: Any, name: FrameName) -> list[Seen]:
    people = next((content[key] for key in _LISTS if key in content), None) if isinstance(content, dict) else None
    found: list[Seen] = [(name, None)]
    for index, entry in enumerate(entries(people, 'people')):
        where = f'person {index}'
        values = get(entry, next((key for key in _POSES if key in entry), _POSES[0]), where, list)
        known = entry.get('person_id')
        track = known[0] if isinstance(known, list) and known and known[0] != -1 else None
        if values:
            found.append((name, flat_person(values, where, track)))
    return found


FORMATS = (Format('openpose', _recognise, _parse, frame_files=True),)
