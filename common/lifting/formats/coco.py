"""Files in the layout of COCO.

Results are `[{image_id, category_id, keypoints: [x, y, score, ...], score}]`; AlphaPose adds `idx`, a person's
identifier (in nested lists after it merged detections). Data sets are `{images, annotations, categories}`; their third
number is 0 for a joint that is not labelled, 1 for a hidden and 2 for a visible one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from common.lifting.formats.format import (
    Format,
    Found,
    FrameName,
    Seen,
    entries,
    first_entry,
    flat_person,
    get,
    image_size,
)
from common.lifting.formats.people import Person

_VISIBLE = 2


def _is_results(content: Any) -> bool:
    return isinstance(content, list) and 'image_id' in first_entry(content)


def _is_alphapose(content: Any) -> bool:
    return _is_results(content) and any(isinstance(entry, dict) and 'idx' in entry for entry in content)


def _results(content: Any) -> Found:
    found: list[Seen] = []
    for index, entry in enumerate(entries(content, 'the file')):
        where = f'entry {index}'
        frame = get(entry, 'image_id', where, (int, str))
        values = get(entry, 'keypoints', where, list)
        found.append((frame, flat_person(values, where, _track(entry), entry.get('score'))))
    if len({type(frame) for frame, _ in found}) > 1:
        raise ValueError('image_id is a number in some entries and a text in others')
    return Found(found, 'coco17')


def _track(entry: dict) -> Any:
    track = entry.get('idx', entry.get('track_id'))
    while isinstance(track, list) and track:
        track = track[0]
    return None if track == [] else track


def _is_dataset(content: Any) -> bool:
    return isinstance(content, dict) and {'images', 'annotations'} <= content.keys()


def _dataset(content: Any) -> dict[str, Found]:
    """One sequence for each video (PoseTrack's vid_id); without videos, one of all images."""
    images = {}
    for index, image in enumerate(entries(content['images'], 'images')):
        images[get(image, 'id', f'image {index}', (int, str))] = image
    names = _joint_names(content.get('categories'))
    people: dict[Any, list[Person]] = {}
    for index, entry in enumerate(entries(content['annotations'], 'annotations')):
        where = f'annotation {index}'
        if not entry.get('keypoints') or entry.get('num_keypoints') == 0:
            continue  # a box or an outline alone
        image = get(entry, 'image_id', where, (int, str))
        if image not in images:
            raise ValueError(f'{where} is of image {image}, which is not among the images')
        people.setdefault(image, []).append(_labelled(entry, where, names))
    found: dict[str, list[Any]] = {} if images else {'': []}
    for id, image in images.items():
        video = next((image[key] for key in ('vid_id', 'video_id') if isinstance(image.get(key), int | str)), '')
        found.setdefault(str(video), []).append(id)
    return {video: _video([images[id] for id in ids], people) for video, ids in found.items()}


def _joint_names(categories: Any) -> tuple[str, ...]:
    """Names of the joints of the first category that has any."""
    for category in categories if isinstance(categories, list) else ():
        names = category.get('keypoints') if isinstance(category, dict) else None
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            return tuple(names)
    return ()


def _labelled(entry: dict, where: str, names: tuple[str, ...]) -> Person:
    attributes = entry.get('attributes')
    track = _track(entry) if not isinstance(attributes, dict) else attributes.get('track_id', _track(entry))
    who = flat_person(get(entry, 'keypoints', where, list), where, track, entry.get('score'))
    if who.scores.max(initial=0) > 1:
        who = replace(who, scores=who.scores / _VISIBLE)
    if names and len(names) != len(who.scores):
        raise ValueError(f'{where} has {len(who.scores)} joints, and its category has {len(names)} names')
    return replace(who, names=names)


def _video(images: list[dict], people: dict[Any, list[Person]]) -> Found:
    found: list[Seen] = []
    sizes: dict[FrameName, tuple[int, int]] = {}
    use_names = all(isinstance(image.get('file_name'), str) for image in images)
    for image in images:
        frame: FrameName = image['file_name'] if use_names else image['id']  # PoseTrack's identifiers are very large
        found += [(frame, None), *((frame, who) for who in people.get(image['id'], ()))]
        size = image_size(image.get('width'), image.get('height'))
        if size:
            sizes[frame] = size
    if len({type(frame) for frame, _ in found}) > 1:
        raise ValueError('frames are numbers in some images and names in others')
    size = next(iter(sizes.values())) if len(set(sizes.values())) == 1 else None
    return Found(found, 'coco17', size, sizes=sizes)


FORMATS = (Format('alphapose', _is_alphapose, _results), Format('coco', _is_results, _results),
           Format('coco_dataset', _is_dataset, _dataset))
