"""Reads detections that are arrays: both kinds of VideoPose3D's `.npz`, and plain `.npy` and `.npz`."""

from __future__ import annotations

from typing import Any

import numpy as np

from common.errors import UserError, listing
from common.files import npz
from common.lifting.people import Detections, Person, person

FORMATS = ('videopose3d', 'detectron2', 'array')
NAMES = ('keypoints_2d', 'keypoints', 'positions_2d')  # of the array in a plain .npz that holds several
_MAX_SIDE = 100_000  # pixels


def read_arrays(path: str, format: str | None, sequence: str | None) -> Detections:
    """Read an `.npz` or `.npy` file.

    Raises:
        UserError: it is damaged or of no known format, or holds several sequences and none is chosen.
    """
    if path.lower().endswith('.npy'):
        content: dict[str, Any] = {'keypoints': npz.read_npy(path)}
    else:
        content = npz.read_npz(path)
    if format is None:
        if isinstance(content.get('positions_2d'), dict):
            format = 'videopose3d'
        else:
            format = 'detectron2' if {'boxes', 'keypoints'} <= content.keys() else 'array'
    try:
        if format == 'videopose3d':
            return _videopose3d(path, content, sequence)
        if format == 'detectron2':
            return _detectron2(path, content)
        if format == 'array':
            return _plain(path, content)
    except ValueError as error:
        raise UserError(f'{path} is not a usable {format} file: {error}.') from error
    raise UserError(f'{path} is no {format} file: these are .json.')


def _videopose3d(path: str, content: dict[str, Any], sequence: str | None) -> Detections:
    tree = content.get('positions_2d')
    if not isinstance(tree, dict) or not all(isinstance(actions, dict) for actions in tree.values()):
        raise ValueError('positions_2d is not a dict of videos')
    found: dict[str, tuple[str, np.ndarray]] = {}
    for video, actions in tree.items():
        for action, views in actions.items():
            for index, view in enumerate(views if isinstance(views, list | tuple | np.ndarray) else ()):
                name = '/'.join([str(video), *([] if action == 'custom' else [str(action)]),
                                 *([str(index)] if len(views) > 1 else [])])
                found[name] = video, view
    if sequence is None and len(found) == 1:
        sequence = next(iter(found))
    if sequence not in found:
        what = 'holds several sequences' if sequence is None else f'has no sequence {sequence}'
        raise UserError(f'{path} {what}: choose with --sequence one of {listing(found, 8) or "none"}.')
    video, view = found[sequence]
    meta = content.get('metadata')
    meta = meta if isinstance(meta, dict) else {}
    sizes = meta.get('video_metadata')
    custom = 'custom' in tree[video] or meta.get('layout_name') == 'coco'
    return _sequence(path, 'videopose3d', view, None, 'coco17' if custom else None,
                     _size(sizes.get(video) if isinstance(sizes, dict) else None))


def _detectron2(path: str, content: dict[str, Any]) -> Detections:
    for name in ('boxes', 'keypoints'):
        if name not in content:
            raise ValueError(f'it has no entry {name}')
    boxes, keypoints = (_frames(content[name], name) for name in ('boxes', 'keypoints'))
    if len(boxes) != len(keypoints):
        raise ValueError(f'it has boxes of {len(boxes)} and keypoints of {len(keypoints)} frames')
    people: dict[int, list[Person]] = {}
    for frame, (found, joints) in enumerate(zip(boxes, keypoints)):
        where = f'frame {frame}'
        if len(found) != len(joints) or (len(joints) and (joints.ndim != 3 or joints.shape[1] != 4)) \
                or (len(found) and (found.ndim != 2 or found.shape[1] != 5)):
            raise ValueError(f'{where} has boxes {found.shape} and keypoints {joints.shape} instead of (N, 5) and '
                             f'(N, 4, 17)')
        people[frame] = [person(points[:2].T, points[3], None, float(box[4]), f'person {index} of {where}')
                         for index, (box, points) in enumerate(zip(found, joints))]
    return Detections(path, 'detectron2', people, 'coco17', _size(content.get('metadata')))


def _frames(entry: Any, name: str) -> list[np.ndarray]:
    """Of each frame, what stands for the class of people: an array, or an empty list where nobody is."""
    frames = []
    if not isinstance(entry, list | tuple | np.ndarray) or (isinstance(entry, np.ndarray) and not entry.ndim):
        raise ValueError(f'{name} is not a list of frames')
    for index, frame in enumerate(entry):
        if not isinstance(frame, list | tuple | np.ndarray) or len(frame) < 2:
            raise ValueError(f'{name} of frame {index} are not those of two classes')
        try:
            array = np.array(frame[1], np.float64)
        except (ValueError, TypeError):
            array = np.array(np.nan)
        if not array.ndim:
            raise ValueError(f'{name} of frame {index} are not lists of numbers')
        frames.append(array)
    return frames


def _plain(path: str, content: dict[str, Any]) -> Detections:
    names = [name for name in NAMES if name in content][:1] or list(content)
    if len(names) != 1:
        raise ValueError(f'it has the entries {listing(content) or "none"}; call the one with the keypoints {NAMES[1]}')
    array, hint = content[names[0]], None
    if not isinstance(array, np.ndarray):
        raise ValueError(f'{names[0]} is a {type(array).__name__} instead of an array')
    joints = content.get('joint_names')
    if isinstance(joints, np.ndarray) and joints.shape == (16,) and joints[7] == 'Spine':
        hint = 'h36m16'  # written by predict.py itself
    scores = content.get('scores')
    found = _sequence(path, 'array', array, scores if isinstance(scores, np.ndarray) else None, hint, None)
    frames = content.get('frames')
    if isinstance(frames, np.ndarray) and frames.dtype.kind in 'iu' and frames.shape == (len(array),) \
            and len(frames) and frames.min() >= 0 and (np.diff(frames) > 0).all():
        return Detections(path, 'array', dict(zip(frames.tolist(), found.people.values())), hint, joined=True)
    return found


def _sequence(path, format, array, scores, hint, size) -> Detections:
    """Somebody's (T, J, 2 or 3), or (J, 2 or 3) of a single frame."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in 'fiu':
        raise ValueError('the keypoints are not an array of numbers')
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.shape[2] not in (2, 3) or not array.size:
        raise ValueError(f'the keypoints are {array.shape} instead of (frames, joints, 2 or 3)')
    array = array.astype(np.float64)
    if scores is not None:
        if scores.shape != array.shape[:2] or scores.dtype.kind not in 'fiu':
            raise ValueError(f'the scores are {scores.dtype} {scores.shape} for keypoints {array.shape}')
        scores = scores.astype(np.float64)
    people = {}
    for frame, points in enumerate(array):
        who = person(points, None if scores is None else scores[frame], None, None, f'frame {frame}')
        people[frame] = [who] if np.isfinite(who.keypoints).any() else []
    return Detections(path, format, people, hint, size, joined=True)


def _size(meta: Any) -> tuple[int, int] | None:
    """Width and height in a dict {w, h}."""
    if not isinstance(meta, dict):
        return None
    sides: list[Any] = [meta.get(side) for side in ('w', 'h')]
    if not all(isinstance(side, int | np.integer) and 0 < side <= _MAX_SIDE for side in sides):
        raise ValueError(f'its image size is {listing(sides)}')
    return int(sides[0]), int(sides[1])
