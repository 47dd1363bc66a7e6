"""Reads what 2D detectors write: the people of every frame, from any of their JSON files and folders.

The format is recognised by the content. Arrays (`.npz`, `.npy`) are read by `common.lifting.detection_arrays`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from common.errors import UserError, listing, warn
from common.lifting import detection_arrays
from common.lifting.people import MAX_FRAME, Detections, Person, numbers, person

MAX_JSON_BYTES = 512 << 20  # an hour of video at 30 frames a second is about a quarter of it
# A byte of JSON can become twenty of Python's: `[],` is a list of 56 and a place of 8. At most, about:
_LIST_BYTES, _VALUE_BYTES, MAX_MEMORY = 160, 64, 2 << 30
FORMATS = ('coco', 'alphapose', 'openpose', 'mmpose', 'ultralytics', 'videopose3d', 'detectron2', 'array')
Found = tuple[int | str | None, Person | None]  # frame (None: the file is one frame) and who is there, if anybody


def read_detections(path: str, format: str | None = None, sequence: str | None = None) -> Detections:
    """Read a detector's file, or a folder with a file for each frame.

    Args:
        path: of the file or folder.
        format: one of `FORMATS`; None: recognised by the content.
        sequence: which sequence of a file that holds several (VideoPose3D).
    Raises:
        UserError: the file is missing, damaged, of no known format, or holds nobody.
    """
    if not os.path.exists(path):
        raise UserError(f'{path} is not there.')
    if os.path.isdir(path):
        found = _read_folder(path, format)
    elif path.lower().endswith(('.npz', '.npy')) or format in detection_arrays.FORMATS:
        found = detection_arrays.read_arrays(path, format, sequence)
    else:
        found = _read_json(path, format)
    if sequence is not None and found.format != 'videopose3d':
        raise UserError(f'{path} is of the format {found.format}, which holds one sequence: leave --sequence out.')
    if not any(found.people.values()):
        raise UserError(f'{path} holds no person: the detector has found nobody in its {len(found.people)} frames.')
    return found


def _read_json(path: str, format: str | None) -> Detections:
    content = _load(path)
    format = format or _recognise(path, content)
    pairs, hint = _parse(path, content, format)
    return _collect(path, format, pairs, hint)


def _read_folder(path: str, format: str | None) -> Detections:
    """One file a frame; the frame's number is the last one in the file's name."""
    names = sorted(name for name in os.listdir(path) if name.lower().endswith('.json') and not name.startswith('.'))
    if not names:
        raise UserError(f'{path} has no .json files: give the folder that the detector wrote, one file a frame.')
    if sum(os.path.getsize(os.path.join(path, name)) for name in names) > MAX_JSON_BYTES:
        raise UserError(f'{path} holds more than {MAX_JSON_BYTES >> 20} MiB of .json files: give it in parts.')
    pairs: list[Found] = []
    hint = None
    for name in names:
        file = os.path.join(path, name)
        content = _load(file)
        if format is None and content != []:
            format = _recognise(file, content)
        if format in ('coco', 'alphapose'):
            raise UserError(f'{file} is a {format} file, which holds all frames: give the file instead of the folder.')
        found, file_hint = _parse(file, content, format or 'mmpose')
        hint = hint or file_hint
        pairs.append((name, None))
        pairs += [(name, who) for _, who in found if who is not None]
    return _collect(path, format or 'mmpose', pairs, hint)


def _load(path: str) -> Any:
    """Read JSON; NaN and infinities become numbers that count as missing."""
    size = os.path.getsize(path)
    if size > MAX_JSON_BYTES:
        raise UserError(f'{path} has {size >> 20} MiB, more than the {MAX_JSON_BYTES >> 20} that are read: give it in '
                        f'parts.')
    try:
        with open(path, 'rb') as file:
            content = file.read()
        memory = _LIST_BYTES * (content.count(b'[') + content.count(b'{')) + _VALUE_BYTES * content.count(b',')
        if memory > MAX_MEMORY:
            raise UserError(f'{path} is refused: it is made of too many lists and values for its size to be read in '
                            f'{MAX_MEMORY >> 30} GiB of memory; give it in parts.')
        return json.loads(content.decode('utf-8-sig'))
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror or error}.') from error
    except RecursionError:
        raise UserError(f'{path} is nested too deep to be a detector\'s file.') from None
    except ValueError as error:  # among them bad UTF-8 and numbers of thousands of digits
        raise UserError(f'{path} is not readable JSON: {str(error)[:120]}; let the detector write it again.') from None


def _recognise(path: str, content: Any) -> str:
    """Which format the content is of; the first entry decides, the parser checks the others."""
    if isinstance(content, dict):
        if 'people' in content:
            return 'openpose'
        if 'instance_info' in content or 'instances' in content:
            return 'mmpose'
    first = content
    while isinstance(first, list) and first:  # a list of frames may begin with empty ones
        first = next((entry for entry in first if entry not in ([], None)), None)
    if isinstance(first, dict) and isinstance(content, list):
        if 'image_id' in first:
            return 'alphapose' if any(isinstance(entry, dict) and 'idx' in entry for entry in content) else 'coco'
        if 'instances' in first or 'keypoint_scores' in first:
            return 'mmpose'
        if 'box' in first:
            return 'ultralytics'
    if content == [] or (isinstance(content, list) and first is None):
        raise UserError(f'{path} holds no person: the detector has found nobody.')
    raise UserError(f'{path} is of no format known here; it can be {listing(FORMATS)}: name it with --format if it is '
                    f'one of them.')


def _parse(path: str, content: Any, format: str) -> tuple[list[Found], str | None]:
    try:
        return PARSERS[format](content)
    except KeyError:
        raise UserError(f'{path} is no {format} file: these are .npz or .npy files.') from None
    except ValueError as error:
        raise UserError(f'{path} is not a usable {format} file: {error}.') from error


def _collect(path: str, format: str, pairs: Iterable[Found], hint: str | None) -> Detections:
    """Sort people into frames, and number the frames."""
    pairs = list(pairs)
    names = list(dict.fromkeys(frame for frame, _ in pairs))
    number = _frame_numbers(path, names)
    people: dict[int, list[Person]] = {number[name]: [] for name in names}
    for name, who in pairs:
        if who is not None:
            people[number[name]].append(who)
    counts = {len(who.keypoints) for everybody in people.values() for who in everybody}
    if len(counts) > 1:
        raise UserError(f'{path} has people of {listing(sorted(counts))} joints: one file must have one layout.')
    return Detections(path, format, dict(sorted(people.items())), hint)


def _frame_numbers(path: str, names: list) -> dict:
    """{frame as the file calls it: its number}; a name's is the last number in it, or its place where that fails."""
    if all(isinstance(name, int) for name in names):
        if any(not 0 <= name <= MAX_FRAME for name in names):
            raise UserError(f'{path} has a frame number outside 0 to {MAX_FRAME}: {listing(names, 3)}.')
        return {name: name for name in names}
    if names == [None]:
        return {None: 0}
    digits = {name: re.findall(r'\d+', re.sub(r'(_keypoints)?\.\w+$', '', str(name))) for name in names}
    numbers_of = {name: int(found[-1][:12]) for name, found in digits.items() if found}
    if len(set(numbers_of.values())) == len(names) and max(numbers_of.values()) <= MAX_FRAME:
        return numbers_of
    warn(f'{path}: the names of its images do not number them ({listing(names, 2)}): frames are numbered from 0 in '
         f'the order of the names.')
    return {name: index for index, name in enumerate(sorted(names, key=str))}


def _entries(content: Any, what: str) -> list[dict]:
    if not isinstance(content, list):
        raise ValueError(f'{what} must be a list, not {_kind(content)}')
    for index, entry in enumerate(content):
        if not isinstance(entry, dict):
            raise ValueError(f'entry {index} of {what} must be an object, not {_kind(entry)}')
    return content


def _get(entry: dict, key: str, where: str, kinds: type | tuple[type, ...]) -> Any:
    if key not in entry:
        raise ValueError(f'{where} has no {key}')
    if not isinstance(entry[key], kinds) or isinstance(entry[key], bool):
        raise ValueError(f'{where}: {key} cannot be {_kind(entry[key])}')
    return entry[key]


def _kind(value: Any) -> str:
    return {dict: 'an object', list: 'a list', str: 'a text', bool: 'true or false', int: 'a number', float: 'a number',
            type(None): 'null'}.get(type(value), type(value).__name__)


def _flat(values: Any, where: str, track: Any = None, score: Any = None) -> Person:
    """A person of x, y, score in a row."""
    flat = numbers(values, where)
    if flat.ndim != 1 or len(flat) % 3:
        raise ValueError(f'{where} has {flat.size} numbers, which are not x, y and score of some joints')
    joints = flat.reshape(-1, 3)
    return person(joints[:, :2], joints[:, 2], track, score, where)


def _coco(content: Any) -> tuple[list[Found], str | None]:
    found: list[Found] = []
    for index, entry in enumerate(_entries(content, 'the file')):
        where = f'entry {index}'
        frame = _get(entry, 'image_id', where, (int, str))
        track = entry.get('idx', entry.get('track_id'))
        while isinstance(track, list) and len(track) == 1:  # some trackers of AlphaPose wrap it
            track = track[0]
        found.append((frame, _flat(_get(entry, 'keypoints', where, list), where, track, entry.get('score'))))
    if len({type(frame) for frame, _ in found}) > 1:
        raise ValueError('image_id is a number in some entries and a text in others')
    return found, 'coco17'


def _openpose(content: Any) -> tuple[list[Found], str | None]:
    people = content.get('people') if isinstance(content, dict) else None
    found: list[Found] = [(None, None)]
    for index, entry in enumerate(_entries(people, 'people')):
        where = f'person {index}'
        values = _get(entry, 'pose_keypoints_2d', where, list)
        known = entry.get('person_id')
        track = known[0] if isinstance(known, list) and known and known[0] != -1 else None
        if values:
            found.append((None, _flat(values, where, track)))
    return found, None


def _mmpose(content: Any) -> tuple[list[Found], str | None]:
    hint = 'coco17'
    if isinstance(content, dict) and 'instance_info' in content:
        meta = content.get('meta_info')
        name = str(meta.get('dataset_name', '')).lower() if isinstance(meta, dict) else ''
        hint = next((layout for word, layout in (('h36m', 'h36m17'), ('mpii', 'mpii16'), ('halpe', 'halpe26'))
                     if word in name), hint)
        content = content['instance_info']
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list) and all(isinstance(frame, list) for frame in content):
        return _frames(content, _mmpose), hint
    entries = _entries(content, 'the file')
    if not any('instances' in entry for entry in entries):
        people = [_instance(entry, f'entry {index}') for index, entry in enumerate(entries)]
        return [(None, None), *((None, who) for who in people)], hint
    found: list[Found] = []
    for index, entry in enumerate(entries):
        frame = _get(entry, 'frame_id', f'entry {index}', int) if len(entries) > 1 or 'frame_id' in entry else None
        found.append((frame, None))
        instances = _entries(_get(entry, 'instances', f'entry {index}', list), f'frame {frame}')
        found += [(frame, _instance(instance, f'person {number} of frame {frame}'))
                  for number, instance in enumerate(instances)]
    return found, hint


def _instance(entry: dict, where: str) -> Person:
    points = numbers(_get(entry, 'keypoints', where, list), where)
    points = points[0] if points.ndim == 3 and len(points) == 1 else points
    scores = numbers(entry['keypoint_scores'], where).reshape(-1) if entry.get('keypoint_scores') is not None else None
    return person(points, scores, entry.get('track_id'), entry.get('bbox_score'), where)


def _ultralytics(content: Any) -> tuple[list[Found], str | None]:
    if isinstance(content, list) and content and all(isinstance(frame, list) for frame in content):
        return _frames(content, _ultralytics), 'coco17'
    found: list[Found] = [(None, None)]
    for index, entry in enumerate(_entries(content, 'the file')):
        where = f'entry {index}'
        if 'keypoints' not in entry and entry.get('name') != 'person':
            continue  # a ball, a dog: models of several classes write them among the people
        if 'keypoints' not in entry:
            raise ValueError(f'{where} has no keypoints: did its model find boxes only? Use a -pose model')
        points = _get(entry, 'keypoints', where, dict)
        columns = [numbers(_get(points, axis, where, list), where) for axis in ('x', 'y')]
        if columns[0].shape != columns[1].shape or columns[0].ndim != 1:
            raise ValueError(f'{where} has {columns[0].size} x and {columns[1].size} y')
        scores = numbers(points['visible'], where) if points.get('visible') is not None else None
        joints = np.stack(columns, axis=1)
        found.append((None, person(joints, scores, entry.get('track_id'), entry.get('confidence'), where)))
    return found, 'coco17'


def _frames(content: list, parser: Callable) -> list[Found]:
    """A list with a list for each frame, numbered from 0."""
    found: list[Found] = []
    for frame, entries in enumerate(content):
        try:
            found += [(frame, None), *((frame, who) for _, who in parser(entries)[0])] if entries else [(frame, None)]
        except ValueError as error:
            raise ValueError(f'frame {frame}: {error}') from error
    return found


PARSERS: dict[str, Callable[[Any], tuple[list[Found], str | None]]] = {
    'coco': _coco, 'alphapose': _coco, 'openpose': _openpose, 'mmpose': _mmpose, 'ultralytics': _ultralytics}
