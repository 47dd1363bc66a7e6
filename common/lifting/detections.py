"""Reads the files of 2D detectors: the people of every frame, from a file or from a folder with a file for each frame.

The content of a file decides its format. The formats are in `common.lifting.formats`.
"""

from __future__ import annotations

import math
import os
import re
from itertools import pairwise
from typing import Any

from common.errors import UserError, listing, printable, warn
from common.geometry.detector_layouts import layout_of_names
from common.lifting.formats import FORMATS, loading
from common.lifting.formats.format import JSON, TEXT, Format, Found, FrameName, Seen
from common.lifting.formats.people import MAX_FRAME, Detections, Person, reordered

_SPARSE = 2  # ratio of the median to the smallest distance of frames; from here on they are pictures of a collection
MAX_LISTED = 1000  # sequences
_END = r'(_keypoints)?\.\w+$'  # of the names of pictures and of OpenPose's files
_FAR = 60  # frames that are all farther apart are pictures of a collection, too


def read_detections(path: str, format: str | None = None, sequence: str | None = None,
                    photos: bool | None = None, own: tuple[str, ...] = ()) -> Detections:
    """The people in a detector's file, or in a folder with a file for each frame.

    Args:
        path: of the file or folder.
        format: one of `FORMATS`; None: recognised by the content.
        sequence: which sequence of a file that holds several.
        photos: whether the frames are single pictures instead of a video; None: recognised.
        own: joints of a checkpoint of another skeleton; joints that the file names are found by these names.
    Raises:
        UserError: the file is missing, damaged, of no known format, or holds nobody.
    """
    known, found = _read(path, format)
    if not isinstance(found, dict):
        if sequence is not None:
            raise UserError(f'{path} is of the format {known.name}, which holds one sequence: leave --sequence out.')
        return _detections(path, known, found, photos, own)
    if sequence is None and len(found) == 1:
        sequence = next(iter(found))
    if sequence not in found:
        what = 'holds several sequences' if sequence is None else f'has no sequence {sequence}'
        raise UserError(f'{path} {what}: choose with --sequence one of {listing(found, MAX_LISTED) or "none"}; '
                        f'--sequence all lifts each.')
    return _detections(path, known, found[sequence], photos, own)


def sequence_names(path: str, format: str | None = None) -> list[str]:
    """The names of the sequences in a file; [] where its format holds one."""
    _, found = _read(path, format)
    return list(found) if isinstance(found, dict) else []


def _read(path: str, format: str | None) -> tuple[Format, Found | dict[str, Found]]:
    if not os.path.exists(path):
        raise UserError(f'{path} is missing.')
    if os.path.isdir(path):
        return _read_folder(path, FORMATS[format] if format else None)
    suffixes = FORMATS[format].suffixes if format else loading.kind_of(path)
    if suffixes is None:
        raise UserError(f'{path} is not read here. Read are .json, .npz, .npy, .csv, .tsv, .trc and .txt files of the '
                        f'formats {listing(FORMATS, 20)}.')
    content = loading.load(path, suffixes)
    known = FORMATS[format] if format else _recognise(path, content, suffixes)
    return known, _parse(path, content, known)


def _read_folder(path: str, format: Format | None) -> tuple[Format, Found]:
    """A file for each frame, whose number is the last number in the file's name."""
    listed = sorted(name for name in os.listdir(path) if not name.startswith('.'))
    names = [name for name in listed if name.lower().endswith('.json')]
    names = names or [name for name in listed if name.lower().endswith('.txt')]
    if not names:
        raise UserError(f'{path} has no .json or .txt files: give the folder that the detector wrote, one file a '
                        f'frame.')
    if sum(os.path.getsize(os.path.join(path, name)) for name in names) > loading.MAX_BYTES:
        raise UserError(f'{path} holds more than {loading.MAX_BYTES >> 20} MiB of such files: give it in parts.')
    suffixes = TEXT if names[0].lower().endswith('.txt') else JSON
    people: list[Seen] = []
    first = None
    for name in names:
        file = os.path.join(path, name)
        content = loading.load(file, suffixes)
        people.append((name, None))
        if content in ([], None, {}):
            continue
        format = format or _recognise(file, content, suffixes)
        if not format.frame_files:
            raise UserError(f'{file} is a {format.name} file, which holds all frames: give the file instead of the '
                            f'folder.')
        found = _parse(file, content, format)
        assert isinstance(found, Found)
        first = first or found
        people += [(name, who) for _, who in found.people if who is not None]
    first = first or Found([])
    return format or FORMATS['mmpose'], Found(people, first.layout, normalised=first.normalised,
                                              counted_from=first.counted_from)


def _recognise(path: str, content: Any, suffixes: tuple[str, ...]) -> Format:
    """The format of the content; the first entry decides, the parser checks the others."""
    for format in FORMATS.values():
        if format.suffixes == suffixes and format.recognise(content):
            return format
    while isinstance(content, list) and content:
        content = next((entry for entry in content if entry not in ([], None)), None)
    if content in ([], None):
        raise UserError(f'{path} holds no person: the detector has found nobody.')
    raise UserError(f'{path} is of no format known here; it can be {listing(FORMATS, 20)}: name it with --format if it '
                    f'is one of them.')


def _parse(path: str, content: Any, format: Format) -> Found | dict[str, Found]:
    try:
        return format.parse(content)
    except ValueError as error:
        raise UserError(f'{path} is not a usable {format.name} file: {printable(error, 500)}.') from error


def _detections(path: str, format: Format, found: Found, photos: bool | None, own: tuple[str, ...]) -> Detections:
    try:
        seen = list(found.people)
        named = [layout_of_names(who.names, own) if who and who.names else None for _, who in seen]
    except ValueError as error:
        raise UserError(f'{path} is not a usable {format.name} file: {printable(error, 500)}.') from error
    number, sequential = _frame_numbers(path, list(dict.fromkeys(frame for frame, _ in seen)))
    people: dict[int, list[Person]] = {number: [] for number in number.values()}
    for (name, who), known in zip(seen, named):
        if who is not None:
            people[number[name]].append(reordered(who, known[1]) if known else who)
    counts = {len(who.keypoints) for everybody in people.values() for who in everybody}
    if len(counts) > 1:
        raise UserError(f'{path} has people of {listing(sorted(counts))} joints: one file must have one layout.')
    if not counts:
        raise UserError(f'{path} holds no person: the detector has found nobody in its {len(people)} frames.')
    layouts = {known[0].name for known in named if known}
    if len(layouts) > 1:
        raise UserError(f'{path} names the joints of {listing(sorted(layouts))}: one file must have one layout.')
    people = dict(sorted(people.items()))
    tracked = any(who.track is not None for everybody in people.values() for who in everybody)
    differ = len(set(found.sizes.values())) > 1
    if photos is None:
        photos = found.photos
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
    return Detections(path, format.name, people, next(iter(layouts), found.layout), found.size,
                      found.joined and not photos, found.fps, bool(photos), labels if photos else {}, sizes,
                      found.normalised, found.counted_from)


def _are_far_apart(frames: list[int]) -> bool:
    """Whether the numbers are of pictures in a collection: frames of a video are near, mostly at one step."""
    apart = sorted(after - before for before, after in pairwise(frames))
    return bool(apart) and (apart[len(apart) // 2] >= _SPARSE * math.gcd(*apart) or math.gcd(*apart) > _FAR)


def _frame_numbers(path: str, names: list[FrameName]) -> tuple[dict[FrameName, int], bool]:
    """{the file's name of a frame: its number}, and whether the names contain the numbers.

    The number is the last number in the name, or, if these are not different, the position in the order of names.
    """
    if all(isinstance(name, int) for name in names):
        if any(not 0 <= name <= MAX_FRAME for name in names if isinstance(name, int)):
            raise UserError(f'{path} has a frame number outside 0 to {MAX_FRAME}: {listing(names, 3)}.')
        return {name: name for name in names if isinstance(name, int)}, True
    if names == [None]:
        return {None: 0}, True
    digits = {name: re.findall(r'\d+', re.sub(_END, '', str(name))) for name in names}
    numbers = {name: int(found[-1][:12]) for name, found in digits.items() if found}
    if len(set(numbers.values())) == len(names) and max(numbers.values()) <= MAX_FRAME:
        return numbers, True
    return {name: index for index, name in enumerate(sorted(names, key=str))}, False
