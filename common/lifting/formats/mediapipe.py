"""Landmarks as people save them from MediaPipe and TensorFlow.js: lists of `{x, y, z, visibility}`.

A pose is such a list (33 of them, or with names), a dict of them by name, or either as `landmarks`, `pose_landmarks`,
`landmark`, `pose` or `keypoints` of an object. A file is a pose, or a list of frames (perhaps as `frames`), each a
pose, several poses or nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from common.lifting.formats.format import Format, Found, Seen
from common.lifting.formats.people import Person, numbers, person

_POSES = ('landmarks', 'pose_landmarks', 'poseLandmarks', 'landmark', 'pose', 'keypoints', 'poses')
_FRAMES = ('frame', 'frame_id', 'frame_number', 'frame_index', 'frame_idx', 'index')
_SCORES = ('visibility', 'score', 'confidence', 'v', 'presence')


def _is_landmark(entry: Any) -> bool:
    return isinstance(entry, dict) and 'x' in entry and 'y' in entry and 'box' not in entry


def _unwrapped(node: Any) -> Any:
    """The list or dict of landmarks, or the list of poses, inside objects."""
    while isinstance(node, dict) and any(key in node for key in _POSES):
        node = next(node[key] for key in _POSES if key in node)
    return node


def _is_pose(node: Any) -> bool:
    node = _unwrapped(node)
    if isinstance(node, dict):
        return len(node) > 0 and all(map(_is_landmark, node.values()))
    return isinstance(node, list) and len(node) > 0 and _is_landmark(node[0])


def _is_frame(node: Any) -> bool:
    inner = _unwrapped(node)
    return _is_pose(inner) or (isinstance(inner, list) and len(inner) > 0 and _is_pose(inner[0]))


def _frames_of(content: Any) -> Any:
    return content['frames'] if isinstance(content, dict) and 'frames' in content else content


def _recognise(content: Any) -> bool:
    content = _frames_of(content)
    if _is_frame(content):
        return True
    if not isinstance(content, list):
        return False
    first = next((frame for frame in content if _unwrapped(frame) not in ([], {}, None)), None)
    return _is_frame(first)


def _parse(content: Any) -> Found:
    fps = content.get('fps') if isinstance(content, dict) else None
    content = _frames_of(content)
    if _is_pose(content):
        return Found([(None, _person(content, 'the pose'))], 'mediapipe33')
    if not isinstance(content, list):
        raise ValueError('there are no lists of landmarks in it')
    ids = [next((frame[key] for key in _FRAMES if isinstance(frame, dict) and type(frame.get(key)) is int), None)
           for frame in content]
    known = None not in ids and len(set(ids)) == len(ids)
    found: list[Seen] = []
    for index, (frame, id) in enumerate(zip(content, ids)):
        number = id if known else index
        found.append((number, None))
        inner = _unwrapped(frame)
        if inner is None or inner in ([], {}):
            continue
        poses = [inner] if _is_pose(inner) else inner
        if not isinstance(poses, list):
            raise ValueError(f'frame {number} has no list of landmarks')
        found += [(number, _person(pose, f'pose {place} of frame {number}')) for place, pose in enumerate(poses)]
    good = isinstance(fps, int | float) and not isinstance(fps, bool) and 0 < fps < 10_000
    return Found(found, 'mediapipe33', fps=float(fps) if good and fps else None)


def _person(pose: Any, where: str) -> Person:
    marks = _unwrapped(pose)
    names = None
    if isinstance(marks, dict):
        names, marks = list(marks), list(marks.values())
    if not isinstance(marks, list) or not marks or not all(map(_is_landmark, marks)):
        raise ValueError(f'{where} is not a list of landmarks with x and y')
    if names is None and all(isinstance(mark.get('name', mark.get('part')), str) for mark in marks):
        names = [mark.get('name', mark.get('part')) for mark in marks]
    points = numbers([[mark['x'], mark['y']] for mark in marks], where)
    key = next((key for key in _SCORES if key in marks[0]), None)
    scores = np.nan_to_num(numbers([mark.get(key) for mark in marks], where)) if key else None
    track = pose.get('id', pose.get('track_id')) if isinstance(pose, dict) else None
    score = pose.get('score') if isinstance(pose, dict) else None
    who = person(points, scores, track, score if isinstance(score, float) else None, where)
    return replace(who, names=tuple(names or ()))


FORMATS = (Format('mediapipe', _recognise, _parse, frame_files=True),)
