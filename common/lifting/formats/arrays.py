"""Detections that are arrays: both kinds of VideoPose3D's `.npz`, and plain `.npy` and `.npz`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from common.errors import listing
from common.geometry.detector_layouts import LAYOUTS
from common.lifting.formats.format import ARRAYS, Format, Found, Seen, image_size
from common.lifting.formats.people import person

NAMES = ('keypoints_2d', 'keypoints', 'positions_2d')  # of the array in a plain .npz that holds several
_MEDIAPIPE = 33  # joints, with x, y, z, visibility, presence
_FLAT = {layout.joints * width: layout.joints for layout in LAYOUTS.values()
         for width in ((2, 3, 4, 5) if layout.joints == _MEDIAPIPE else (2, 3))}  # {numbers in a flat row: joints}


def _is_videopose3d(content: Any) -> bool:
    return isinstance(content.get('positions_2d'), dict)


def _videopose3d(content: dict[str, Any]) -> dict[str, Found]:
    tree = content.get('positions_2d')
    if not isinstance(tree, dict) or not all(isinstance(actions, dict) for actions in tree.values()):
        raise ValueError('positions_2d is not a dict of videos')
    meta = content.get('metadata')
    meta = meta if isinstance(meta, dict) else {}
    sizes = meta.get('video_metadata')
    found = {}
    for video, actions in tree.items():
        layout = 'coco17' if 'custom' in actions or meta.get('layout_name') == 'coco' else None
        for action, views in actions.items():
            for index, view in enumerate(views if isinstance(views, list | tuple | np.ndarray) else ()):
                name = '/'.join([str(video), *([] if action == 'custom' else [str(action)]),
                                 *([str(index)] if len(views) > 1 else [])])
                size = _size(sizes.get(video)) if isinstance(sizes, dict) else None
                found[name] = Found(_one_person(view, None), layout, size, joined=True)
    return found


def _is_detectron2(content: Any) -> bool:
    return {'boxes', 'keypoints'} <= content.keys()


def _detectron2(content: dict[str, Any]) -> Found:
    for name in ('boxes', 'keypoints'):
        if name not in content:
            raise ValueError(f'it has no entry {name}')
    boxes, keypoints = (_frames(content[name], name) for name in ('boxes', 'keypoints'))
    if len(boxes) != len(keypoints):
        raise ValueError(f'it has boxes of {len(boxes)} and keypoints of {len(keypoints)} frames')
    people: list[Seen] = []
    for frame, (found, joints) in enumerate(zip(boxes, keypoints)):
        where = f'frame {frame}'
        if len(found) != len(joints) or (len(joints) and (joints.ndim != 3 or joints.shape[1] != 4)) \
                or (len(found) and (found.ndim != 2 or found.shape[1] != 5)):
            raise ValueError(f'{where} has boxes {found.shape} and keypoints {joints.shape} instead of (N, 5) and '
                             f'(N, 4, 17)')
        people.append((frame, None))
        people += [(frame, person(points[:2].T, points[3], None, float(box[4]), f'person {index} of {where}'))
                   for index, (box, points) in enumerate(zip(found, joints))]
    return Found(people, 'coco17', _size(content.get('metadata')))


def _frames(entry: Any, name: str) -> list[np.ndarray]:
    """Each frame's entry for the class of people: an array, or an empty list if there is nobody."""
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


def _plain(content: dict[str, Any]) -> Found:
    """A plain .npz; what predict.py writes also names the joints, the size of the image and the frame rate."""
    names = [name for name in NAMES if name in content][:1] or list(content)
    if len(names) != 1:
        raise ValueError(f'it has the entries {listing(content) or "none"}; call the one with the keypoints {NAMES[1]}')
    array, scores, frames = (content.get(name) for name in (names[0], 'scores', 'frames'))
    if not isinstance(array, np.ndarray):
        raise ValueError(f'{names[0]} is a {type(array).__name__} instead of an array')
    scores = scores if isinstance(scores, np.ndarray) else None
    if scores is not None and not scores.ndim:
        raise ValueError('the scores are a single value instead of one for each joint')
    named = content.get('joint_names')
    joints: tuple[str, ...] = ()
    if isinstance(named, np.ndarray) and named.dtype.kind == 'U' and named.shape == array.shape[-2:-1]:
        joints = tuple(named.tolist())
    known = isinstance(frames, np.ndarray) and frames.dtype.kind in 'iu' and frames.ndim == 1 and frames.size and \
        frames.shape == array.shape[:1] and frames.min() >= 0 and (np.diff(frames) > 0).all()
    several = array.dtype.kind == 'O' or array.ndim == 4
    people = (_several_people if several else _one_person)(array, scores, frames if known else None)
    size, fps = (np.asarray(content.get(name)) for name in ('image_size', 'fps'))
    timed = fps.shape == () and fps.dtype.kind in 'fiu' and 0 < fps < np.inf
    return Found(((frame, who and replace(who, names=joints)) for frame, who in people), joined=not several,
                 size=image_size(*size.tolist()) if size.shape == (2,) else None, fps=float(fps) if timed else None)


def _one_person(array: Any, scores: np.ndarray | None, frames: np.ndarray | None = None) -> Iterator[Seen]:
    """The frames of one person: (T, J, 2 to 5), (T, 2 to 5 times J) flat, or (J, 2 or 3) of a single frame."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in 'fiu':
        raise ValueError('the keypoints are not an array of numbers')
    if array.ndim == 2 and array.shape[1] in _FLAT:
        array = array.reshape(len(array), _FLAT[array.shape[1]], -1)
    if array.ndim == 2:
        array = array[None]
    widths = (2, 3, 4, 5) if array.ndim == 3 and array.shape[1] == _MEDIAPIPE else (2, 3)
    if array.ndim != 3 or array.shape[2] not in widths or not array.size:
        raise ValueError(f'the keypoints are {array.shape} instead of (frames, joints, 2 or 3)')
    yield from _frames_of(array[:, None], None if scores is None else scores[:, None], frames)


def _several_people(array: np.ndarray, scores: np.ndarray | None, frames: np.ndarray | None) -> Iterator[Seen]:
    """(T, N, J, 2 or 3) of N people a frame, or an array of T objects (N, J, 2 or 3)."""
    if array.ndim == 4 and array.dtype.kind in 'fiu' and array.shape[3] in (2, 3) and array.size:
        yield from _frames_of(array, scores, frames)
        return
    if array.ndim != 1:
        raise ValueError(f'the keypoints are {array.dtype} {array.shape} instead of (frames, people, joints, 2 or 3)')
    for index, found in enumerate(array):
        found = np.asarray(found) if isinstance(found, list | np.ndarray) else np.empty(0, 'U1')
        own = None if scores is None or index >= len(scores) else np.asarray(scores[index])[None]
        frame = index if frames is None else int(frames[index])
        yield frame, None
        if found.size:
            if found.ndim != 3 or found.dtype.kind not in 'fiu' or found.shape[2] not in (2, 3):
                raise ValueError(f'the keypoints of frame {index} are {found.dtype} {found.shape} instead of '
                                 f'(people, joints, 2 or 3)')
            yield from _frames_of(found[None], own, np.array([frame]))


def _frames_of(array: np.ndarray, scores: np.ndarray | None, frames: np.ndarray | None) -> Iterator[Seen]:
    """The people of (T, N, J, C). A third column with negative numbers is a depth; a fourth column is the score."""
    array = array.astype(np.float64)
    if scores is not None:
        if scores.shape != array.shape[:3] or scores.dtype.kind not in 'fiu':
            raise ValueError(f'the scores are {scores.dtype} {scores.shape} for keypoints {array.shape}')
        scores = scores.astype(np.float64)
    elif array.shape[3] > 3:
        scores = array[..., 3]
    elif array.shape[3] == 3 and np.nanmin(array[..., 2], initial=0) >= 0:
        scores = array[..., 2]
    for index, people in enumerate(array):
        frame = index if frames is None else int(frames[index])
        yield frame, None
        for place, points in enumerate(people):
            who = person(points[:, :2], None if scores is None else scores[index, place], None, None, f'frame {index}')
            if np.isfinite(who.keypoints).any():
                yield frame, who


def _size(meta: Any) -> tuple[int, int] | None:
    """Width and height in a dict {w, h}."""
    return image_size(meta.get('w'), meta.get('h')) if isinstance(meta, dict) else None


FORMATS = (Format('videopose3d', _is_videopose3d, _videopose3d, ARRAYS),
           Format('detectron2', _is_detectron2, _detectron2, ARRAYS),
           Format('array', lambda content: True, _plain, ARRAYS))
