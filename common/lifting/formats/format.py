"""The description of a format of detector files, and functions that all parsers of JSON need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common.errors import listing
from common.lifting.formats.people import Person, numbers, person

_MAX_SIDE = 100_000  # pixels
FrameName = int | str | None  # None: the whole file is one frame
Seen = tuple[FrameName, Person | None]  # None: the frame was searched and has nobody
ARRAYS, JSON, TEXT = ('.npz', '.npy'), ('.json',), ('.csv', '.tsv', '.trc', '.txt')


@dataclass(frozen=True)
class Found:
    """The people in a file, or in one of its sequences, with the file's names of frames.

    Attributes:
        people: may be an iterator, which raises ValueError if the file is damaged.
        layout, size, joined, fps, normalised, counted_from: as in `Detections`.
        sizes: {frame: (width, height)} in pixels, if the file has the size of each image.
        photos: whether the frames are single pictures; None: recognised by their names.
    """

    people: Iterable[Seen]
    layout: str | None = None
    size: tuple[int, int] | None = None
    joined: bool = False
    fps: float | None = None
    normalised: bool = False
    counted_from: int = 0
    sizes: Mapping[FrameName, tuple[int, int]] = field(default_factory=dict)
    photos: bool | None = None


@dataclass(frozen=True)
class Format:
    """A format of detector files.

    Attributes:
        recognise: whether the content of a file is of this format; it may check only the first entry.
        parse: content to `Found`, or to {sequence: Found} if a file holds several; raises ValueError for bad content.
        suffixes: of its files; they decide whether content is JSON values, {name: array}, or rows of text cells.
        frame_files: whether the detector writes a file for each frame.
    """

    name: str
    recognise: Callable[[Any], bool]
    parse: Callable[[Any], Found | dict[str, Found]]
    suffixes: tuple[str, ...] = JSON
    frame_files: bool = False


def first_entry(content: Any) -> dict:
    """The first object in (nested) lists, which may begin with empty lists; {} if there is none."""
    while isinstance(content, list) and content:
        content = next((entry for entry in content if entry not in ([], None)), None)
    return content if isinstance(content, dict) else {}


def entries(content: Any, what: str) -> list[dict]:
    """The content, checked to be a list of objects."""
    if not isinstance(content, list):
        raise ValueError(f'{what} must be a list, not {kind(content)}')
    for index, entry in enumerate(content):
        if not isinstance(entry, dict):
            raise ValueError(f'entry {index} of {what} must be an object, not {kind(entry)}')
    return content


def get(entry: dict, key: str, where: str, kinds: type | tuple[type, ...]) -> Any:
    """An entry's value, checked to be of one of the kinds."""
    if key not in entry:
        raise ValueError(f'{where} has no {key}')
    if not isinstance(entry[key], kinds) or isinstance(entry[key], bool):
        raise ValueError(f'{where}: {key} cannot be {kind(entry[key])}')
    return entry[key]


def kind(value: Any) -> str:
    """The type of a JSON value, in words."""
    return {dict: 'an object', list: 'a list', str: 'a text', bool: 'true or false', int: 'a number', float: 'a number',
            type(None): 'null'}.get(type(value), type(value).__name__)


def image_size(width: Any, height: Any) -> tuple[int, int] | None:
    """Width and height in pixels; None if the file has none (they are null or 0)."""
    if not width or not height:
        return None
    for side in (width, height):
        if isinstance(side, bool) or not isinstance(side, int | np.integer) or not 0 < side <= _MAX_SIDE:
            raise ValueError(f'its image size is {listing([width, height])}')
    return int(width), int(height)


def flat_person(values: Any, where: str, track: Any = None, score: Any = None) -> Person:
    """A person from a flat list of x, y, score."""
    flat = numbers(values, where)
    if flat.ndim != 1 or len(flat) % 3:
        raise ValueError(f'{where} has {flat.size} numbers, which are not x, y and score of some joints')
    joints = flat.reshape(-1, 3)
    return person(joints[:, :2], joints[:, 2], track, score, where)


def lists_of_frames(content: list, parse: Callable[[Any], Found]) -> list[Seen]:
    """The people of a list that has a list for each frame; frames are numbered from 0."""
    found: list[Seen] = []
    for frame, people in enumerate(content):
        found.append((frame, None))
        try:
            found += [(frame, who) for _, who in parse(people).people] if people else []
        except ValueError as error:
            raise ValueError(f'frame {frame}: {error}') from error
    return found
