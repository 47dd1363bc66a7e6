"""Reads the files of 2D detectors: the people of every frame, from a file or from a folder with a file a frame.

What a file is, is recognised by its content. The formats stand in `common.lifting.formats`.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from common.errors import UserError, listing, warn
from common.files import npz
from common.lifting.formats import FORMATS
from common.lifting.formats.format import ARRAYS, JSON, Format, Found, FrameName, Seen
from common.lifting.formats.people import MAX_FRAME, Detections, Person

MAX_JSON_BYTES = 512 << 20  # an hour of video at 30 frames a second is about a quarter of it
# A byte of JSON can become twenty of Python's: `[],` is a list of 56 and a place of 8. At most, about:
_LIST_BYTES, _VALUE_BYTES, MAX_MEMORY = 160, 64, 2 << 30


def read_detections(path: str, format: str | None = None, sequence: str | None = None) -> Detections:
    """The people in a detector's file, or in a folder with a file for each frame.

    Args:
        path: of the file or folder.
        format: one of `FORMATS`; None: recognised by the content.
        sequence: which sequence of a file that holds several (VideoPose3D).
    Raises:
        UserError: the file is missing, damaged, of no known format, or holds nobody.
    """
    if not os.path.exists(path):
        raise UserError(f'{path} is missing.')
    found: Found | dict[str, Found]
    if os.path.isdir(path):
        known, found = _read_folder(path, FORMATS[format] if format else None)
    else:
        content = _load(path, FORMATS[format].suffixes if format else _suffixes(path))
        known = FORMATS[format] if format else _recognise(path, content)
        found = _parse(path, content, known)
    if isinstance(found, dict):
        found = _choose_sequence(path, found, sequence)
    elif sequence is not None:
        raise UserError(f'{path} is of the format {known.name}, which holds one sequence: leave --sequence out.')
    try:
        people = _by_frame(path, list(found.people))
    except ValueError as error:
        raise UserError(f'{path} is not a usable {known.name} file: {error}.') from error
    if not any(people.values()):
        raise UserError(f'{path} holds no person: the detector has found nobody in its {len(people)} frames.')
    return Detections(path, known.name, people, found.layout, found.size, found.joined)


def _choose_sequence(path: str, found: dict[str, Found], sequence: str | None) -> Found:
    if sequence is None and len(found) == 1:
        return next(iter(found.values()))
    if sequence not in found:
        what = 'holds several sequences' if sequence is None else f'has no sequence {sequence}'
        raise UserError(f'{path} {what}: choose with --sequence one of {listing(found, 8) or "none"}.')
    return found[sequence]


def _read_folder(path: str, format: Format | None) -> tuple[Format, Found]:
    """One file a frame; the frame's number is the last one in the file's name."""
    names = sorted(name for name in os.listdir(path) if name.lower().endswith('.json') and not name.startswith('.'))
    if not names:
        raise UserError(f'{path} has no .json files: give the folder that the detector wrote, one file a frame.')
    if sum(os.path.getsize(os.path.join(path, name)) for name in names) > MAX_JSON_BYTES:
        raise UserError(f'{path} holds more than {MAX_JSON_BYTES >> 20} MiB of .json files: give it in parts.')
    people: list[Seen] = []
    layout = None
    for name in names:
        file = os.path.join(path, name)
        content = _load(file, JSON)
        people.append((name, None))
        if format is None and content == []:
            continue
        format = format or _recognise(file, content)
        if not format.frame_files:
            raise UserError(f'{file} is a {format.name} file, which holds all frames: give the file instead of the '
                            f'folder.')
        found = _parse(file, content, format)
        assert isinstance(found, Found)
        layout = layout or found.layout
        people += [(name, who) for _, who in found.people if who is not None]
    return format or FORMATS['mmpose'], Found(people, layout)


def _suffixes(path: str) -> tuple[str, ...]:
    return ARRAYS if path.lower().endswith(ARRAYS) else JSON


def _load(path: str, suffixes: tuple[str, ...]) -> Any:
    """Content of a file: {name: array}, or JSON values."""
    if suffixes is ARRAYS:
        return {'keypoints': npz.read_npy(path)} if path.lower().endswith('.npy') else npz.read_npz(path)
    if path.lower().endswith(ARRAYS):
        raise UserError(f'{path} is no JSON file, as files of the format are that --format names.')
    return _load_json(path)


def _load_json(path: str) -> Any:
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


def _recognise(path: str, content: Any) -> Format:
    """The format of the content; the first entry decides, the parser checks the others."""
    suffixes = _suffixes(path)
    for format in FORMATS.values():
        if format.suffixes == suffixes and format.recognise(content):
            return format
    while isinstance(content, list) and content:
        content = next((entry for entry in content if entry not in ([], None)), None)
    if content in ([], None):
        raise UserError(f'{path} holds no person: the detector has found nobody.')
    raise UserError(f'{path} is of no format known here; it can be {listing(FORMATS)}: name it with --format if it is '
                    f'one of them.')


def _parse(path: str, content: Any, format: Format) -> Found | dict[str, Found]:
    try:
        return format.parse(content)
    except ValueError as error:
        raise UserError(f'{path} is not a usable {format.name} file: {error}.') from error


def _by_frame(path: str, people: list[Seen]) -> dict[int, list[Person]]:
    """Sort people into frames, and number the frames."""
    number = _frame_numbers(path, list(dict.fromkeys(frame for frame, _ in people)))
    by_frame: dict[int, list[Person]] = {number[name]: [] for name in number}
    for name, who in people:
        if who is not None:
            by_frame[number[name]].append(who)
    counts = {len(who.keypoints) for everybody in by_frame.values() for who in everybody}
    if len(counts) > 1:
        raise UserError(f'{path} has people of {listing(sorted(counts))} joints: one file must have one layout.')
    return dict(sorted(by_frame.items()))


def _frame_numbers(path: str, names: list[FrameName]) -> dict[FrameName, int]:
    """{frame as the file names it: its number}: the last number in a name, or its place in the order of names."""
    if all(isinstance(name, int) for name in names):
        if any(not 0 <= name <= MAX_FRAME for name in names if isinstance(name, int)):
            raise UserError(f'{path} has a frame number outside 0 to {MAX_FRAME}: {listing(names, 3)}.')
        return {name: name for name in names if isinstance(name, int)}
    if names == [None]:
        return {None: 0}
    digits = {name: re.findall(r'\d+', re.sub(r'(_keypoints)?\.\w+$', '', str(name))) for name in names}
    numbers_of = {name: int(found[-1][:12]) for name, found in digits.items() if found}
    if len(set(numbers_of.values())) == len(names) and max(numbers_of.values()) <= MAX_FRAME:
        return numbers_of
    warn(f'{path}: the names of its images do not number them ({listing(names, 2)}): frames are numbered from 0 in '
         f'the order of the names.')
    return {name: index for index, name in enumerate(sorted(names, key=str))}
