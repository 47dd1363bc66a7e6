"""Files of which more is known than their structure shows: COCO's data sets, and both kinds of VideoPose3D's `.npz`."""

from __future__ import annotations

from typing import Any

import numpy as np

from common.errors import listing
from common.lifting.formats.found import Found
from common.lifting.formats.roles import understand
from common.lifting.formats.structure import Walk
from common.lifting.formats.words import names_of, size_of


def is_dataset(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get('annotations'), list) and isinstance(
        content.get('images'), list)


def parse_dataset(content: Any, single: bool) -> Found | dict[str, Found]:
    """COCO: each annotation with what its image states; one sequence for each video (PoseTrack's vid_id)."""
    images: dict[Any, dict] = {}
    for index, image in enumerate(content['images']):
        if not isinstance(image, dict) or not isinstance(image.get('id'), int | str):
            raise ValueError(f'image {index} has no id')
        images[image['id']] = image
    categories = content.get('categories')
    names = next(filter(None, (names_of(one) for one in categories if isinstance(one, dict))), None) if isinstance(
        categories, list) else None
    use_names = all(isinstance(image.get('file_name'), str) for image in images.values())
    walks: dict[str, Walk] = {}
    frames: dict[Any, tuple[str, dict[str, Any]]] = {}
    for key, image in images.items():  # PoseTrack's identifiers are very large
        video = next((image[word] for word in ('vid_id', 'video_id') if isinstance(image.get(word), int | str)), '')
        facts: dict[str, Any] = {'frame': image['file_name'] if use_names else key, 'depth': 1}
        if size := size_of(image):
            facts['size'] = size[0]
        frames[key] = str(video), facts
        walks.setdefault(str(video), Walk(flat=False, sized='images')).empty.append((((('images', len(frames)),)),
            facts))
    for index, entry in enumerate(content['annotations']):
        if not isinstance(entry, dict):
            raise ValueError(f'annotation {index} is not an object')
        if entry.get('num_keypoints') == 0 or not entry.get('keypoints'):
            continue  # a box or an outline alone
        if not isinstance(entry.get('image_id'), int | str) or entry['image_id'] not in frames:
            raise ValueError(
                f'annotation {index} is of image {listing([entry.get("image_id")])}, which is not among the '
                             f'images')
        video, facts = frames[entry['image_id']]
        attributes = entry['attributes'] if isinstance(entry.get('attributes'), dict) else {}
        entry = {key: value for key, value in (*attributes.items(), *entry.items())
                 if key in ('keypoints', 'score', 'track_id', 'idx', 'instance_id')}
        walk = walks[video]
        before = len(walk.leaves)
        walk.find(entry, (('annotations', index),), {**facts, **({'names': names} if names else {})}, 'annotations')
        if len(walk.leaves) == before:
            raise ValueError(f'annotation {index} has keypoints that are not x, y and score of some joints')
        walk.left_out.clear()
    found = {}
    for video, walk in walks.items():
        if walk.leaves:
            part = understand(walk)
            assert isinstance(part, Found)
            found[video] = part
    if not found:
        raise ValueError('it holds no person: none of its annotations has keypoints')
    return next(iter(found.values())) if list(found) == [''] else found


def is_videopose3d(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get('positions_2d'), dict)


def parse_videopose3d(content: Any, single: bool) -> dict[str, Found]:
    """{video or subject: {action: [view, ...]}}; a video's only action is `custom`."""
    if not all(isinstance(actions, dict) for actions in content['positions_2d'].values()):
        raise ValueError('positions_2d is not a dict of videos')
    meta = content['metadata'] if isinstance(content.get('metadata'), dict) else {}
    sizes = meta['video_metadata'] if isinstance(meta.get('video_metadata'), dict) else {}
    found = {}
    for video, actions in content['positions_2d'].items():
        layout = 'coco17' if 'custom' in actions or meta.get('layout_name') == 'coco' else None
        for action, views in actions.items():
            for index, view in enumerate(views if isinstance(views, list | tuple | np.ndarray) else ()):
                name = '/'.join([str(video), *([] if action == 'custom' else [str(action)]),
                                 *([str(index)] if len(views) > 1 else [])])
                walk = Walk(flat=False)
                if not isinstance(view, np.ndarray) or not walk.find(view):
                    raise ValueError(f'{name} is not an array of numbers (frames, joints, 2)')
                part = understand(walk)
                assert isinstance(part, Found)
                size = size_of(sizes[video]) if isinstance(sizes.get(video), dict) else None
                found[name] = part.but(layout=layout, size=size and size[0], sized='metadata', joined=True)
    return found


def is_detectron2(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get('boxes'), np.ndarray) and 'keypoints' in content


def parse_detectron2(content: Any, single: bool) -> Found:
    """Boxes and keypoints of each frame, of two classes, the second of which is people: (N, 5) and (N, 4, 17)."""
    walk = Walk(flat=False)
    boxes, keypoints = (_second_class(content[name], name) for name in ('boxes', 'keypoints'))
    if len(boxes) != len(keypoints):
        raise ValueError(f'it has boxes of {len(boxes)} and keypoints of {len(keypoints)} frames')
    for frame, (box, joints) in enumerate(zip(boxes, keypoints)):
        facts = {'frame': frame, 'depth': 1}
        walk.empty.append(((('frames', frame),), facts))
        if len(box) != len(joints) or (len(joints) and (joints.ndim != 3 or joints.shape[1] != 4)) or (
                len(box) and (box.ndim != 2 or box.shape[1] != 5)):
            raise ValueError(f'frame {frame} has boxes {box.shape} and keypoints {joints.shape} instead of (N, 5) and '
                             f'(N, 4, 17)')
        for place, (each, points) in enumerate(zip(box, joints)):
            walk.find(points[[0, 1, 3]].T, (('frames', frame), ('people', place)), {**facts, 'score': float(each[4])},
                'keypoints')
    if not walk.leaves:
        raise ValueError(f'it holds no person in its {len(boxes)} frames')
    found = understand(walk)
    assert isinstance(found, Found)
    size = size_of(content['metadata']) if isinstance(content.get('metadata'), dict) else None
    return found.but(layout='coco17', size=size and size[0], sized='metadata', sizes={})


def _second_class(entry: Any, name: str) -> list[np.ndarray]:
    frames = []
    if not isinstance(entry, list | tuple | np.ndarray) or (isinstance(entry, np.ndarray) and not entry.ndim):
        raise ValueError(f'{name} is not a list of frames')
    for index, frame in enumerate(entry):
        if not isinstance(frame, list | tuple | np.ndarray) or len(frame) < 2:
            raise ValueError(f'{name} of frame {index} are not lists for two classes')
        try:
            array = np.array(frame[1], np.float64)
        except (ValueError, TypeError):
            array = np.array(np.nan)
        if not array.ndim:
            raise ValueError(f'{name} of frame {index} are not lists of numbers')
        frames.append(array)
    return frames
