"""Tables of text as people have them: a row a frame, a person or a joint; columns are found by their names.

Read are headers like nose_x, x_nose, nose.x, x_0, 0_x, noseX, `Nose (px) x`, person1_nose_x, cells like `[x, y]`,
headers of several rows as DeepLabCut writes them, and rows without a header whose length fits a layout.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from common.errors import listing
from common.lifting.formats.bodies import COUNTS, FLAT
from common.lifting.formats.found import Found, FrameName, frames_of_times, one_layout, read_scores
from common.lifting.formats.loading import Cells
from common.lifting.formats.structure import Leaf, is_joint_name
from common.lifting.formats.words import plain

Column = tuple[str, str, str]  # person, joint, axis
_SCORES = ('v', 'vis', 'visibility', 'score', 's', 'c', 'conf', 'confidence', 'likelihood', 'prob', 'probability', 'p')
_AXES = {'x': 'x', 'y': 'y', 'z': 'z', **dict.fromkeys(_SCORES, 'score')}
_UNITS = ('px', 'pixel', 'pixels', 'norm', 'normalized', 'normalised', 'coord', 'coordinate', 'pos', 'position', 'm',
    'cm',
          'mm', 'image', 'kp', 'keypoint', 'joint', 'landmark', 'point')
_FRAMES = ('frame', 'frames', 'frameid', 'framenumber', 'framenum', 'frameidx', 'frameindex', 'frameno', 'image',
    'imageid',
           'imagename', 'filename', 'file', 'iter', 'iteration', 'unnamed0', '')
_TIMES = ('time', 't', 'timestamp', 'times', 'timesec', 'timeseconds', 'timems', 'timestampms', 'seconds', 'sec', 'ms')
_TRACKS = ('track', 'trackid', 'person', 'personid', 'personidx', 'individual', 'individuals', 'subject', 'player',
    'id')
_JOINTS = tuple(f'{word}{end}' for word in ('landmark', 'joint', 'keypoint', 'bodypart', 'kpt', 'kp', 'marker', 'point')
                for end in ('', 's', 'id', 'index', 'idx', 'name', 'number')) + ('part', 'id', 'name', 'index',
                'label', 'type')
_PEOPLE = ('person', 'p', 'player', 'subject', 'id', 'track', 'individual', 'skeleton', 'human', 'actor')
_EMPTY = ('', 'nan', 'none', 'null', 'na', 'n/a', '-', '--', 'inf', '-inf')
_CELL = re.compile(r'[\[(]\s*([^\[\]()]*?)\s*[\])]')


def number(cell: str) -> float:
    """The number in a cell, with a decimal point or comma; NaN if there is none."""
    try:
        return float(cell)
    except ValueError:
        try:
            return float(cell.replace(',', '.'))
        except ValueError:
            return np.nan


def is_number(cell: str) -> bool:
    return cell.lower() in _EMPTY or number(cell) == number(cell)


def _cell(row: list[str], index: int) -> str:
    return row[index] if 0 <= index < len(row) else ''


def values_of(body: Cells, index: int) -> np.ndarray:
    cells = [_cell(row, index) for row in body]
    try:
        return np.array(cells, np.float64)
    except ValueError:
        return np.array([number(cell) for cell in cells])


def parse(rows: Cells, single: bool) -> Found:
    """The bodies of a table.

    Raises:
        ValueError: its columns are not understood.
    """
    heads = next((index for index, row in enumerate(rows) if sum(map(is_number, row)) > len(row) / 2 or any(
        map(_CELL.fullmatch, row))), len(rows))
    if not rows or heads == len(rows):
        raise ValueError('it has a header and no numbers' if rows else 'it has no rows')
    counted = list(map(str, range(len(rows[0]))))
    if heads == 0 and len(rows) > 1 and rows[0] in (counted, ['', *counted[:-1]]):  # as pandas counts columns
        heads = 1
        if not any(map(_CELL.fullmatch, rows[1])):
            return _headerless(Cells(rows[1:] if rows[0][0] else [row[1:] for row in rows[1:]]))
    if heads == 0:
        return _headerless(rows)
    head, body = rows[:heads], Cells(rows[heads:])
    if heads > 1:
        return _of_several_rows(head, body)
    names = head[0]
    if any(_CELL.fullmatch(cell) for cell in body[0]):
        return _of_cells(names, body)
    words = [plain(name) for name in names]
    axes = _exact_axes(names)
    if {'x', 'y'} <= axes.keys():
        return _long(words, axes, body)
    columns = {index: column for index, name in enumerate(names) if (column := column_of(name))}
    if not {'x', 'y'} <= {axis for _, _, axis in columns.values()}:
        raise ValueError(f'its columns are {listing(names, 6)}, and none are named like nose_x and nose_y, or x1, y1')
    return _wide(names, columns, body)


def _words(name: str) -> list[str]:
    return re.findall(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+', name)


def _exact_axes(names: Sequence[str]) -> dict[str, int]:
    """{axis: column} of columns that name an axis and no joint: x, `X (px)`, pos_y."""
    found: dict[str, int] = {}
    for index, name in enumerate(names):
        words = [word for word in map(str.lower, _words(name)) if word not in _UNITS]
        if len(words) == 1 and words[0] in _AXES:
            found.setdefault(_AXES[words[0]], index)
    return found


@cache
def column_of(name: str) -> Column | None:
    """The person, joint and axis of a column; None if it is of none."""
    words = [word for word in _words(name) if word.lower() not in _UNITS] if len(name) < 200 else []
    for place in (-1, 0, -2):
        if len(words) > 1 and -place <= len(words) and words[place].lower() in _AXES and (
                place != -2 or words[-1].isdigit()):
            axis = _AXES[words[place].lower()]
            rest = words[:place] + words[place + 1:] if place != -1 else words[:-1]
            return (*_person(rest), axis) if rest else None
    return None


def _person(words: list[str]) -> tuple[str, str]:
    """The person and the joint of the words of a column, as in person1_nose, nose_2 and Anna_left_hip."""
    if len(words) > 2 and words[0].lower() in _PEOPLE and words[1].isdigit():
        return words[1], '_'.join(words[2:])
    if len(words) > 2 and words[-2].lower() in _PEOPLE and words[-1].isdigit():
        return words[-1], '_'.join(words[:-2])
    for first in range(len(words)):
        if is_joint_name(' '.join(words[first:])):
            return '_'.join(words[:first]), '_'.join(words[first:])
        if words[-1].isdigit() and is_joint_name(' '.join(words[first:-1])):
            return '_'.join([*words[:first], words[-1]]), '_'.join(words[first:-1])
    return '', '_'.join(words)


def _wide(names: list[str], columns: dict[int, Column], body: Cells) -> Found:
    frame, time, track = _indices([plain(name) if index not in columns else '-' for index, name in enumerate(names)])
    frames, fps = _frames_and_rate(body, frame, time)
    tracks = None if track is None else [_cell(row, track) for row in body]
    other = [name for index, name in enumerate(names) if index not in columns and index not in (frame, time, track)]
    return people_of(body, frames, columns, tracks, fps, [f'columns not used: {listing(other, 6)}'] if other else [])


def _indices(words: list[str]) -> tuple[int | None, int | None, int | None]:
    """The columns of frames, times and people."""
    frame, time, track = (next((index for index, word in enumerate(words) if word in known), None)
                          for known in (_FRAMES, _TIMES, _TRACKS))
    return frame, time, track


def _frames_and_rate(body: Cells, frame: int | None, time: int | None) -> tuple[list[FrameName], float | None]:
    frames: list[FrameName] = list(range(len(body)))
    if frame is not None:
        frames = [frame_name(_cell(row, frame), index) for index, row in enumerate(body)]
    times = [] if time is None else values_of(body, time).tolist()
    if len(set(times)) < 2 or not np.isfinite(times).all() or times != sorted(times):
        return frames, None
    counted, fps = frames_of_times(times, frames if frame is not None else None)
    return (frames, fps) if frame is not None else (list(counted), fps)


def _found(leaves: list[Leaf], frames: Sequence[FrameName], tracks: Sequence[Any] | None = None,
           fps: float | None = None, notes: Sequence[str] = ()) -> Found:
    points, given, names, more = one_layout(leaves)
    scores, points, depth, note = read_scores(points, given)
    return Found(frames, points, scores, list(dict.fromkeys(frames)), tracks, None, names, fps=fps, depth=depth,
                 joined=tracks is None and len(set(frames)) == len(frames),
                 notes=tuple(filter(None, (*notes, *more, note))))


def people_of(body: Cells, frames: Sequence[FrameName], columns: dict[int, Column], tracks: list[str] | None = None,
            fps: float | None = None, notes: Sequence[str] = ()) -> Found:
    """The people in rows, one or several side by side.

    Args:
        columns: {index: (person, joint, axis)}; the axis is x, y, z or score.
        tracks: the identifier of the person in each row.
    """
    places: dict[str, dict[str, int]] = {}
    for who, joint, axis in columns.values():
        if axis in 'xy':
            places.setdefault(who, {}).setdefault(joint, len(places[who]))
    values = {who: np.full((len(body), len(joints), 3), np.nan) for who, joints in places.items()}
    for index, (who, joint, axis) in columns.items():
        if axis != 'z' and joint in places.get(who, ()):
            values[who][:, places[who][joint], ('x', 'y', 'score').index(axis)] = values_of(body, index)
    scored = any(axis == 'score' for _, _, axis in columns.values())
    most = max(map(len, places.values()))
    # What has few joints belongs to nobody: DeepLabCut's unique body parts, a box.
    others = [f'{who} {joint}'.strip() for who, joints in places.items() if 2 * len(joints) < most for joint in joints]
    leaves = [Leaf((), {'track': who or '0'}, values[who][..., :2], np.nan_to_num(values[who][..., 2]) if scored
        else None,
                   tuple(joints)) for who, joints in places.items() if 2 * len(joints) >= most]
    notes = [*notes, *([f'left out: {listing(others, 6)}'] if others else [])]
    if len(leaves) > 1 and not tracks:
        tracks = [leaf.facts['track'] for leaf in leaves for _ in frames]
    elif tracks:
        tracks = list(tracks) * len(leaves)
    return _found(leaves, [*frames] * len(leaves), tracks and [who or None for who in tracks], fps, notes)


def _long(words: list[str], axes: dict[str, int], body: Cells) -> Found:
    """A row for each joint: frame, landmark, x, y."""
    words = [word if index not in axes.values() else '-' for index, word in enumerate(words)]
    joint = next((words.index(name) for name in _JOINTS if name in words), None)
    if joint is None:
        raise ValueError('it has columns x and y, and none that names the joint of a row, like landmark or keypoint_id')
    words[joint] = '-'
    frame, time, track = _indices(words)
    counted = frame if frame is not None else time
    places: dict[tuple[str, str], int] = {}
    joints: dict[str, int] = {}
    where: list[tuple[int, int]] = []
    turn, seen = 0, set[str]()
    for row in body:
        name = re.sub(r'[.,]0+$', '', _cell(row, joint))
        if name in seen and counted is None:  # without frames, each begins where a joint comes again
            turn, seen = turn + 1, set[str]()
        seen.add(name)
        key = (str(turn) if counted is None else _cell(row, counted), '' if track is None else _cell(row, track))
        where.append((places.setdefault(key, len(places)), joints.setdefault(name, len(joints))))
    if len(set(where)) < 0.9 * len(where):
        raise ValueError(f'a joint has several rows in a frame: {listing(joints, 3)} do not name the joints')
    values = np.full((len(places), len(joints), 3), np.nan)
    for place, axis in enumerate(('x', 'y', 'score')):
        if axis in axes:
            values[tuple(np.array(where).T) + (place,)] = values_of(body, axes[axis])
    keys = Cells([list(key) for key in places])
    frames, fps = _frames_and_rate(keys, None if frame is None and time is not None else 0,
        0 if frame is None else None)
    other = [word for index, word in enumerate(words) if word != '-' and index not in (frame, time, track)]
    leaf = Leaf((), {}, values[..., :2], np.nan_to_num(values[..., 2]) if 'score' in axes else None, tuple(joints))
    return _found([leaf], frames, [who or None for _, who in places] if track is not None else None, fps,
                  [f'columns not used: {listing(other, 6)}'] if other else [])


def _of_cells(names: list[str], body: Cells) -> Found:
    """A column for each joint, with cells like [x, y]."""
    cells = [index for index in range(len(names)) if any(_CELL.fullmatch(_cell(row, index)) for row in body[:20])]
    split = [[[number(part) for part in re.split(r'[,;\s]+', found[1]) if part] if (
        found := _CELL.fullmatch(_cell(row, index))) else [] for index in cells] for row in body]
    width = max(len(cell) for row in split for cell in row)
    if not 2 <= width <= 5:
        raise ValueError(f'its cells hold {width} numbers, which are not x and y')
    values = np.array([[cell + [np.nan] * (width - len(cell)) for cell in row] for row in split])
    frame, time, _ = _indices([plain(name) if index not in cells else '-' for index, name in enumerate(names)])
    frames, fps = _frames_and_rate(body, frame, time)
    return _found([Leaf((), {}, values, None, tuple(names[index] for index in cells))], frames, fps=fps)


def _of_several_rows(head: list[list[str]], body: Cells) -> Found:
    """A header of several rows: (scorer,) (individuals,) bodyparts, coords."""
    heads = [row for row in head if plain(row[0]) != 'scorer' and any(row)]
    last = next((place for place, row in enumerate(heads) if {'x', 'y'} <= {cell.lower() for cell in row}), 0)
    if not last:
        raise ValueError('its header has several rows, and no rows of bodyparts and coords (x, y) among them')
    people = heads[last - 2] if last > 1 else [''] * len(heads[last])
    columns = {index: (who, joint, _AXES[axis.lower()]) for index, (who, joint, axis) in enumerate(zip(
        people, heads[last - 1], heads[last])) if axis.lower() in _AXES}
    first = min(columns) - 1
    return people_of(body, [frame_name(_cell(row, first), index) for index, row in enumerate(body)], columns)


def _headerless(rows: Cells) -> Found:
    """Rows of numbers alone: a frame each where their length fits a layout, or a joint each: frame, joint, x, y."""
    width = Counter(map(len, rows)).most_common(1)[0][0]
    values = np.array([values_of(rows, index) for index in range(width)]).T
    for before in (0, 1, 2):
        if width - before in FLAT and (values[:, :before] == np.rint(values[:, :before])).all():
            counted = before and (np.diff(values[:, 0]) >= 0).all() and values[0, 0] >= 0
            frames = [int(value) for value in values[:, 0]] if counted else list(range(len(rows)))
            return _found([Leaf((), {}, values[:, before:].reshape(len(rows), FLAT[width - before], -1))], frames,
                          [str(int(who)) for who in values[:, 1]] if before == 2 else None,
                          notes=[
                          f'no header: a row of {width} numbers is taken for a {("frame", "person")[before == 2]}'])
    if 4 <= width <= 5 and len(rows) > 1 and (values[:, :2] == np.rint(values[:, :2])).all() and \
            values[:, 1].max() < max(COUNTS) and len(set(values[:, 1])) > 4:
        head = ['frame', 'joint', 'x', 'y', 'score'][:width]
        found = _long(head, _exact_axes(head), rows)
        return found.but(notes=(f'no header: columns are taken for {listing(head)}', *found.notes))
    raise ValueError(
        f'it has no header, and rows of {width} numbers fit no layout in x, y or x, y, score: name the columns '
                     f'like nose_x and nose_y')


def frame_name(cell: str, index: int) -> FrameName:
    """A frame's number, the name of its image, or its place."""
    if re.fullmatch(r'\d{1,10}([.,]0*)?', cell):
        return int(number(cell))
    return cell or index
