"""Tables of text: DeepLabCut's CSV, `.trc` of Sports2D, and CSV with a header. Joints and columns are found by name."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from common.lifting.formats.format import TEXT, Format, Found, FrameName, Seen
from common.lifting.formats.people import person

Rows = list[list[str]]
Column = tuple[str, str, str]  # person, joint, axis
_SCORES = ('v', 'vis', 'visibility', 'score', 's', 'c', 'conf', 'confidence', 'likelihood', 'prob')
_AXES = {'x': 'x', 'y': 'y', 'z': 'z', **dict.fromkeys(_SCORES, 'score')}
_FRAMES = ('frame', 'frames', 'frame#', 'frame_id', 'frame_number', 'frame_num', 'frame_idx', 'frame_index', 'image',
           '')
_TRACKS = ('track', 'track_id', 'person', 'person_id', 'individual', 'individuals', 'id')
_JOINTS = ('landmark', 'landmark_id', 'landmark_index', 'landmark_name', 'joint', 'joint_id', 'joint_name', 'keypoint',
           'keypoint_id', 'keypoint_name', 'bodypart', 'bodyparts')
_METRES = 20.0  # coordinates below it in a .trc that says m are metres: no image is so small


def _is_deeplabcut(rows: Rows) -> bool:
    return bool(rows) and rows[0][0] == 'scorer'


def _deeplabcut(rows: Rows) -> Found:
    if not _is_deeplabcut(rows):
        raise ValueError('its first row does not begin with scorer')
    heads = {row[0]: row for row in rows[:4]}
    if not {'bodyparts', 'coords'} <= heads.keys():
        raise ValueError('it has no rows of bodyparts and coords')
    body = rows[len([row for row in rows[:4] if row[0] in ('scorer', 'individuals', 'bodyparts', 'coords')]):]
    first = heads['coords'].count('coords')
    while first < len(heads['coords']) and heads['coords'][first] == '':  # the names of images may take three columns
        first += 1
    people = heads.get('individuals', [''] * len(heads['coords']))
    columns = {index: (people[index], heads['bodyparts'][index], _AXES.get(heads['coords'][index], ''))
               for index in range(first, min(map(len, (people, heads['bodyparts'], heads['coords']))))}
    frames = [_frame_name(row[first - 1], index) if row else index for index, row in enumerate(body)]
    return _people(body, frames, columns)


def _is_trc(rows: Rows) -> bool:
    return bool(rows) and rows[0][0] == 'PathFileType'


def _trc(rows: Rows) -> Found:
    if not _is_trc(rows) or len(rows) < 5:
        raise ValueError('it has no header of five rows that begins with PathFileType')
    head = dict(zip(rows[1], rows[2]))
    columns = {index + axis: ('', name, 'xy'[axis]) for index, name in enumerate(rows[3])
               if name and index >= 2 for axis in range(2)}
    body = [row for row in rows[4:] if re.fullmatch(r'\d+', row[0])]
    numbers = np.array([_number(row[index]) for row in body for index in columns if index < len(row)])
    depths = np.array([_number(row[index + 2]) for row in body for index in columns
                       if columns[index][2] == 'x' and index + 2 < len(row)])
    if np.nanmax(np.abs(depths), initial=0) > 0:
        raise ValueError('it has a third coordinate: these are 3D markers, not pixels; give the _px_ file of Sports2D')
    if head.get('Units') not in ('px', 'pixels') and np.nanmax(np.abs(numbers), initial=0) < _METRES:
        raise ValueError(f'it is in {head.get("Units") or "metres"}, not in pixels; give the _px_ file of Sports2D')
    fps = _number(head.get('DataRate', ''))
    found = _people(body, [_frame_name(row[0], index) for index, row in enumerate(body)], columns)
    return Found(found.people, joined=True, fps=fps if 0 < fps < 10_000 else None)


def _header(rows: Rows) -> dict[int, Column]:
    """The columns that the first row names (x1, nose_x, LEFT_HIP.y, Landmark_0_x); {} if there is no such row."""
    columns = {}
    for index, name in enumerate(rows[0] if rows else ()):
        before = re.fullmatch(r'(x|y|z|v|c|s)[ _.]?(\d+)', name.lower())
        after = re.fullmatch(r'(.+?)[ _.\-]+([a-z]+)', name.strip(), re.IGNORECASE)
        if before:
            columns[index] = ('', before[2], _AXES[before[1]])
        elif after and after[2].lower() in _AXES:
            columns[index] = ('', after[1], _AXES[after[2].lower()])
    return columns if {'x', 'y'} <= {axis for _, _, axis in columns.values()} else {}


def _is_long(rows: Rows) -> bool:
    """A row for each joint: frame, landmark, x, y."""
    names = [name.lower() for name in rows[0]] if rows else []
    return {'x', 'y'} <= set(names) and any(name in _JOINTS for name in names)


def _is_csv(rows: Rows) -> bool:
    return _is_long(rows) or bool(_header(rows))


def _csv(rows: Rows) -> Found:
    if not _is_csv(rows):
        raise ValueError('its first row does not name columns like nose_x and nose_y, or x1 and y1')
    if _is_long(rows):
        rows = _wide(rows)
    names = [name.lower() for name in rows[0]]
    frame = next((index for index, name in enumerate(names) if name in _FRAMES), None)
    track = next((index for index, name in enumerate(names) if name in _TRACKS), None)
    body = rows[1:]
    frames = [index if frame is None else _frame_name(_cell(row, frame), index) for index, row in enumerate(body)]
    tracks = None if track is None else [_cell(row, track) for row in body]
    return _people(body, frames, _header(rows), tracks)


def _wide(rows: Rows) -> Rows:
    """A table with a row for each joint, converted to a row for each person."""
    names = [name.lower() for name in rows[0]]
    joint = next(index for index, name in enumerate(names) if name in _JOINTS)
    keys = [index for index, name in enumerate(names) if name in _FRAMES + _TRACKS and index != joint]
    values = {index: name for index, name in enumerate(names) if name in _AXES}
    table: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows[1:]:
        entry = table.setdefault(tuple(_cell(row, index) for index in keys), {})
        entry.update({f'{_cell(row, joint)}_{name}': _cell(row, index) for index, name in values.items()})
    columns = list(dict.fromkeys(name for entry in table.values() for name in entry))
    return [[*(names[index] for index in keys), *columns],
            *([*key, *(entry.get(name, '') for name in columns)] for key, entry in table.items())]


def _people(body: Rows, frames: list[FrameName], columns: dict[int, Column], tracks: list[str] | None = None) -> Found:
    """The people in rows, one or several a row.

    Args:
        columns: {index: (person, joint, axis)}; the axis is x, y, z or score.
        tracks: the identifier of the person in each row.
    """
    first: set[str] = set()
    found: list[Seen] = [(frame, None) for frame in frames]
    for name in dict.fromkeys(who for who, _, _ in columns.values()):
        joints = list(dict.fromkeys(joint for who, joint, _ in columns.values() if who == name))
        values = np.full((len(body), len(joints), 3), np.nan)
        for index, (owner, joint, axis) in columns.items():
            if owner == name and axis in ('x', 'y', 'score'):
                values[:, joints.index(joint), ('x', 'y', 'score').index(axis)] = [
                    _number(_cell(row, index)) for row in body]
        scored = np.isfinite(values[..., 2]).any()
        first = first or set(joints)
        if first != set(joints):
            continue  # DeepLabCut's unique body parts, which belong to nobody
        names = () if all(re.fullmatch(r'\D*\d+', joint) for joint in joints) else tuple(joints)
        for row, (frame, points) in enumerate(zip(frames, values)):
            who = person(points[:, :2], np.nan_to_num(points[:, 2]) if scored else None,
                         (tracks[row] or None) if tracks else name or None, None, f'row {row}')
            if np.isfinite(who.keypoints).any():
                found.append((frame, replace(who, names=names)))
    alone = tracks is None and len({who for who, _, _ in columns.values()}) == 1
    return Found(found, joined=alone and len(set(frames)) == len(frames))


def _cell(row: list[str], index: int) -> str:
    return row[index] if index < len(row) else ''


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan


def _frame_name(cell: str, index: int) -> FrameName:
    """A frame's number, the name of its image, or its place."""
    if re.fullmatch(r'\d{1,10}(\.0*)?', cell):
        return int(float(cell))
    return cell or index


FORMATS = (Format('deeplabcut', _is_deeplabcut, _deeplabcut, TEXT), Format('trc', _is_trc, _trc, TEXT),
           Format('csv', _is_csv, _csv, TEXT))
