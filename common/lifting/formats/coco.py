"""COCO results and AlphaPose: `[{image_id, category_id, keypoints: [x, y, score, ...], score}]`; AlphaPose adds idx."""

from __future__ import annotations

from typing import Any

from common.lifting.formats.format import Format, Found, Seen, entries, first_entry, flat_person, get


def _is_results(content: Any) -> bool:
    return isinstance(content, list) and 'image_id' in first_entry(content)


def _is_alphapose(content: Any) -> bool:
    return _is_results(content) and any(isinstance(entry, dict) and 'idx' in entry for entry in content)


def _parse(content: Any) -> Found:
    found: list[Seen] = []
    for index, entry in enumerate(entries(content, 'the file')):
        where = f'entry {index}'
        frame = get(entry, 'image_id', where, (int, str))
        track = entry.get('idx', entry.get('track_id'))
        while isinstance(track, list) and len(track) == 1:  # some trackers of AlphaPose wrap it
            track = track[0]
        found.append((frame, flat_person(get(entry, 'keypoints', where, list), where, track, entry.get('score'))))
    if len({type(frame) for frame, _ in found}) > 1:
        raise ValueError('image_id is a number in some entries and a text in others')
    return Found(found, 'coco17')


FORMATS = (Format('alphapose', _is_alphapose, _parse), Format('coco', _is_results, _parse))
