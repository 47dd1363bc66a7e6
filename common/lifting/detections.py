"""Reads the files of 2D detectors: the people of every frame, from a file or from a folder with a file for each frame.

The content of a file decides how it is read: `common.lifting.formats` has the readers.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from common.errors import UserError, counted, listing, printable, warn
from common.geometry.detector_layouts import layout_of_names
from common.geometry.missing import missing_joints
from common.lifting.formats import FORMATS, Format, loading
from common.lifting.formats.found import Found, FrameName, frames_of_times
from common.lifting.formats.people import MAX_FRAME, Detections, Person
from common.lifting.suppression import suppressed

_SPARSE = 2  # ratio of the median to the smallest distance of frames; from here on they are pictures of a collection
MAX_LISTED = 1000  # sequences
_END = r'(_keypoints|\.predictions)?\.[A-Za-z]\w*$'  # of the names of pictures, of OpenPose's and OpenPifPaf's files
_FAR = 60  # frames that are all farther apart are pictures of a collection, too
_FARTHEST = 1e6  # pixels; joints cannot be farther away


def read_detections(path: str, format: str | None = None, sequence: str | None = None,
                    photos: bool | None = None, own: tuple[str, ...] = ()) -> Detections:
    """The people in a detector's file, or in a folder with a file for each frame; prints what was understood.

    Args:
        path: of the file or folder.
        format: one of `FORMATS`; None: recognised by the content.
        sequence: which sequence of a file that holds several.
        photos: whether the frames are single pictures instead of a video; None: recognised.
        own: joints of a checkpoint of another skeleton; joints that the file names are found by these names.
    Raises:
        UserError: the file is missing, damaged, not understood, or holds nobody.
    """
    known, found = _read(path, format)
    if not isinstance(found, dict):
        if sequence is not None:
            raise UserError(f'{path} holds one sequence: leave --sequence out.')
        return _detections(path, known, found, photos, own)
    if sequence is None and len(found) == 1:
        sequence = next(iter(found))
    if sequence not in found:
        what = 'holds several sequences' if sequence is None else f'has no sequence {sequence}'
        raise UserError(f'{path} {what}: choose with --sequence one of {listing(found, MAX_LISTED) or "none"}; '
                        f'--sequence all lifts each.')
    return _detections(path, known, found[sequence], photos, own)


def sequence_names(path: str, format: str | None = None) -> list[str]:
    """The names of the sequences in a file; [] where it holds one."""
    _, found = _read(path, format)
    return list(found) if isinstance(found, dict) else []


def _read(path: str, format: str | None) -> tuple[str, Found | dict[str, Found]]:
    if not os.path.exists(path):
        raise UserError(f'{path} is missing.')
    if os.path.isdir(path):
        return _read_folder(path, FORMATS[format] if format else None)
    content = loading.load(path)
    return _parse(path, content, FORMATS[format] if format else _recognise(content), False)


def _recognise(content: Any) -> Format:
    return next(format for format in FORMATS.values() if format.recognise(content))


def _parse(path: str, content: Any, format: Format, single: bool) -> tuple[str, Found | dict[str, Found]]:
    if not format.recognise(content):
        raise UserError(f'{path} is not a {format.name} file; leave --format out to have it recognised.')
    try:
        found = format.parse(content, single)
    except ValueError as error:
        raise UserError(f'{path} cannot be read: {printable(error, 500)}.') from error
    return format.name, found


def _read_folder(path: str, format: Format | None) -> tuple[str, Found]:
    """A file for each frame, whose name numbers it."""
    listed = sorted(name for name in os.listdir(path) if not name.startswith('.'))
    names: list[str] = next(filter(None, ([name for name in listed if name.lower().endswith(suffix)]
                                          for suffix in ('.json', '.txt', '.npy'))), [])
    if not names:
        raise UserError(f'{path} has no .json, .txt or .npy files: give the folder that the detector wrote, one file a '
                        f'frame.')
    if sum(os.path.getsize(os.path.join(path, name)) for name in names) > loading.MAX_BYTES:
        raise UserError(f'{path} holds more than {loading.MAX_BYTES >> 20} MiB of such files: give it in parts.')
    parts: list[tuple[str, Found]] = []
    title = ''
    for name in names:
        file = os.path.join(path, name)
        content = loading.load(file)
        title, found = _parse(file, content, format or _recognise(content), True)
        if isinstance(found, dict):
            raise UserError(f'{file} holds several sequences: give the file instead of the folder.')
        if len(found.frames):
            parts.append((name, found))
    if not parts:
        raise UserError(f'{path} holds no person: no joint is found in its {len(names)} files.')
    first = parts[0][1]
    for name, found in parts:
        if found.points.shape[1] != first.points.shape[1] or found.names != first.names:
            raise UserError(f'{os.path.join(path, name)} has {found.points.shape[1]} joints, and other files of the '
                            f'folder {first.points.shape[1]}: one folder must have one layout.')
    return title, Found.joined_from(parts, names)


def _detections(path: str, format: str, found: Found, photos: bool | None, own: tuple[str, ...]) -> Detections:
    if not len(found.frames):
        raise UserError(f'{path} holds no person: no joint is found in it.')
    found, layout = _in_order(path, found, own)
    missing = _missing(found)
    if missing.all():
        raise UserError(f'{path} holds no person: all joints of its {len(set(found.searched))} frames are missing.')
    number, sequential, fps = _frame_numbers(path, found.searched)
    people: dict[int, list[Person]] = {place: [] for place in sorted(number.values())}
    for frame, who in zip(found.frames, _people(found, missing)):
        if who is not None:
            people[number[frame]].append(who)
    people, dropped = suppressed(people)
    tracked = any(who.track is not None for everybody in people.values() for who in everybody)
    differ = len(set(found.sizes.values())) > 1
    if photos is None and not found.joined:
        photos = differ or (not tracked and (not sequential or _are_far_apart(list(people))))
    if not sequential and not photos:
        warn(f'{path}: the names of its images do not number them ({listing(number, 2)}): frames are numbered from 0 '
             f'in the order of the names.')
    labels = {place: re.sub(_END, '', os.path.basename(name)) for name, place in number.items()
              if isinstance(name, str)}
    if len(set(labels.values())) < len(labels):
        labels = {}
    sizes = {number[name]: size for name, size in found.sizes.items()} if differ else {}
    made = Detections(path, found.format or format, people, layout, found.size, found.joined and not photos,
        found.fps or fps,
                      bool(photos), labels if photos else {}, sizes, found.unit, found.counted_from, found.depth)
    _report(made, found, dropped)
    return made


def _in_order(path: str, found: Found, own: tuple[str, ...]) -> tuple[Found, str | None]:
    """The joints in the order of the layout whose names the file has, and its name."""
    if not found.names:
        return found, found.layout
    try:
        layout, index = layout_of_names(found.names, own)
    except ValueError as error:
        raise UserError(f'{path} cannot be read: {printable(error, 500)}.') from error
    return found.ordered(index), layout.name


def _missing(found: Found) -> np.ndarray:
    """(N, J) whether a joint is missing: `missing_joints`, or farther away than any joint can be."""
    with np.errstate(invalid='ignore'):
        far = (np.abs(found.points[..., 0]) > _FARTHEST) | (np.abs(found.points[..., 1]) > _FARTHEST)
        return far | missing_joints(found.points, found.scores)


def _people(found: Found, missing: np.ndarray) -> Sequence[Person | None]:
    points = np.where(missing[..., None], np.nan, found.points)
    scores = np.where(missing, 0.0, 1.0 if found.scores is None else found.scores)
    weights = scores.mean(1) if found.weights is None else np.where(
        np.abs(found.weights) < 1e6, found.weights, scores.mean(1))
    tracks = [None] * len(points) if found.tracks is None else _track_names(found.tracks)
    there = np.logical_not(missing.all(1))
    return [Person(*each[1:]) if each[0] else None
            for each in zip(there, points, scores, weights.tolist(), tracks)]


def _track_names(tracks: Sequence[Any]) -> list[str | None]:
    """Identifiers as names that can stand in a file's name; what is no such name, or not unique, becomes a number."""
    names: dict[Any, str | None] = {None: None}
    for track in tracks:
        if track not in names:
            text = str(int(track) if isinstance(track, float) and track.is_integer() else track)
            name = re.sub(r'[^\w.-]+', '_', text)[:40].strip('._')
            while not name or name in names.values():
                name = f'{name}_{len(names) - 1}'.strip('_')
            names[track] = name if track == track else None
    return [names.get(track) for track in tracks]


def _report(made: Detections, found: Found, dropped: list[str]) -> None:
    """Print in one line what was understood."""
    counts = [len(everybody) for everybody in made.people.values()]
    least, most = min(filter(None, counts)), max(counts)
    several = f'{least} to {most} people' if most > least else f'{most} people' if most > 1 else 'one person'
    named = 'named joints' if found.names else 'joints'
    parts = [f'{counted(len(counts), "frame")}, {several} of {made.joints} {named}',
             'scores' if made.scored else 'no scores']
    if made.fps:
        parts.append(f'{made.fps:g} frames a second')
    if found.size:
        parts.append(f'size {found.size[0]}x{found.size[1]}' + (f' from {found.sized}' if found.sized else ''))
    print(f'{made.path}: {", ".join(parts)}' + ''.join(f'; {note}' for note in (*found.notes, *dropped)))


def _are_far_apart(frames: list[int]) -> bool:
    """Whether the numbers are of pictures in a collection: frames of a video are near, mostly at one step."""
    apart = sorted(after - before for before, after in pairwise(frames))
    return bool(apart) and (apart[len(apart) // 2] >= _SPARSE * math.gcd(*apart) or math.gcd(*apart) > _FAR)


def _frame_numbers(path: str, names: Sequence[FrameName]) -> tuple[dict[FrameName, int], bool, float | None]:
    """{the file's name of a frame: its number}, whether the names contain the numbers, and the frames a second.

    Of the numbers in names, the one that changes from name to name counts the frames. Times, and numbers too large
    to count, are frames in order. Names without such numbers are in the order of the names.
    """
    if len(names) == 1 and not isinstance(names[0], int | float):
        return {names[0]: 0}, True, None
    texts = {name: re.sub(_END, '', str(name)) for name in names}
    if all(isinstance(name, int | float) or re.fullmatch(r'-?\d+(\.\d+)?', texts[name]) for name in names) and \
            len(set(texts.values())) == len(names):
        values = {name: float(text) for name, text in texts.items()}
        if any(not 0 <= value < math.inf for value in values.values()):
            raise UserError(f'{path} has frame numbers below 0 or without end: {listing(names, 3)}.')
        if all(value == int(value) and value <= MAX_FRAME for value in values.values()):
            return {name: int(value) for name, value in values.items()}, True, None
        order = sorted(names, key=values.__getitem__)
        numbers, fps = frames_of_times([values[name] for name in order])
        return dict(zip(order, numbers)), True, fps
    digits = [re.findall(r'\d+', text) for text in texts.values()]
    for place in range(1, max(map(len, digits), default=0) + 1):
        found = [int(group[-place][:12]) if len(group) >= place else -1 for group in digits]
        if len(set(found)) == len(names) and max(found) <= MAX_FRAME and min(found) >= 0:
            return dict(zip(names, found)), True, None
    return {name: index for index, name in enumerate(sorted(names, key=str))}, False, None
