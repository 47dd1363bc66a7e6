"""MMPose: `[{frame_id, instances: [{keypoints, keypoint_scores, bbox_score}]}]` of a video, the list of instances of an
image, or either of them as `instance_info` beside `meta_info`."""

from __future__ import annotations

from typing import Any

from common.lifting.formats.format import Format, Found, Seen, entries, first_entry, get, lists_of_frames
from common.lifting.formats.people import Person, numbers, person

_LAYOUTS = (('h36m', 'h36m17'), ('mpii', 'mpii16'), ('halpe', 'halpe26'))  # (word in the data set's name, layout)


def _recognise(content: Any) -> bool:
    if isinstance(content, dict):
        return 'instance_info' in content or 'instances' in content
    first = first_entry(content)
    return 'instances' in first or 'keypoint_scores' in first


def _parse(content: Any) -> Found:
    layout = 'coco17'
    if isinstance(content, dict) and 'instance_info' in content:
        meta = content.get('meta_info')
        name = str(meta.get('dataset_name', '')).lower() if isinstance(meta, dict) else ''
        layout = next((known for word, known in _LAYOUTS if word in name), layout)
        content = content['instance_info']
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list) and all(isinstance(frame, list) for frame in content):
        return Found(lists_of_frames(content, _parse), layout)
    frames = entries(content, 'the file')
    if not any('instances' in entry for entry in frames):
        people = [_instance(entry, f'entry {index}') for index, entry in enumerate(frames)]
        return Found([(None, None), *((None, who) for who in people)], layout)
    found: list[Seen] = []
    for index, entry in enumerate(frames):
        frame = get(entry, 'frame_id', f'entry {index}', int) if len(frames) > 1 or 'frame_id' in entry else None
        found.append((frame, None))
        instances = entries(get(entry, 'instances', f'entry {index}', list), f'frame {frame}')
        found += [(frame, _instance(instance, f'person {number} of frame {frame}'))
                  for number, instance in enumerate(instances)]
    return Found(found, layout)


def _instance(entry: dict, where: str) -> Person:
    points = numbers(get(entry, 'keypoints', where, list), where)
    points = points[0] if points.ndim == 3 and len(points) == 1 else points
    scores = numbers(entry['keypoint_scores'], where).reshape(-1) if entry.get('keypoint_scores') is not None else None
    return person(points, scores, entry.get('track_id'), entry.get('bbox_score'), where)


FORMATS = (Format('mmpose', _recognise, _parse, frame_files=True),)
