"""The words by which files name people, frames, scores, sizes and joints, in the spellings of many tools."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from common.errors import listing

_MAX_SIDE = 100_000  # pixels
_BODY = re.compile('keypoint|landmark|joint|pose|point|kpt|kps|bodypart|marker|position|coord|^xy$|^preds$')
PEOPLE = re.compile(
    'people|person|human|instances|prediction|annot|bod(y|ies)$|poses|detection|object|skeleton|subject|'
                    'individual|track|player|athlete|rect$|actor')
FRAMES = re.compile('frame|image|instanceinfo|annolist|timeline|sequence|data|result|video|batch|clip|record|sample')
_NOT_BODY = re.compile('world|3d|hand|face|foot|feet|lip|iris|finger|mesh|xyn|skeleton|normali[sz]ed')
_NEVER = re.compile('box|rectangle|segm|mask|area|colou?r|heatmap|embed|feature|^categor|license|^names?$|name$|'
                    'swap|sigma|camera|edge|limb|bone|link|^version|^info$|^meta')
SCORES = re.compile('score|conf|visib|^vis$|likelihood|^prob|presence|^v$|^s$|^c$|occupancy')
_NAMES = re.compile('name|joint|keypoint|part|label|node|skeleton|marker|landmark')
_ROLES = {
    'frame': 'frame frameid frameindex frameidx framenum framenumber frameno iter imageid image imageindex imagename '
             'filename imagepath imgname imgid imgpath img file source path',
    'time': 'time timestamp timesec timestampms timems t seconds sec ms atimestamp ntptimestamp timestampus pts',
    'track': 'trackid track trackingid personid pid objectid trackerid instanceid personindex individual person idx',
    'number': 'id index',
    'score': 'score bboxscore confidence conf personscore poseconfidence detscore',
    'fps': 'fps framerate framespersecond rate videofps',
    'hint': 'datasetname dataset layoutname'}
_ROLE = {word: role for role, words in _ROLES.items() for word in words.split()}
_WIDE, _HIGH = ('width', 'w', 'imagewidth', 'canvaswidth', 'imgwidth', 'videowidth', 'framewidth', 'originalwidth'), (
    'height', 'h', 'imageheight', 'canvasheight', 'imgheight', 'videoheight', 'frameheight', 'originalheight')
_SIZES = re.compile(
    '^(image|img|video|frame|canvas|original|orig|origimg|screen|)(size|shape|resolution|dim|dimensions)$')


@lru_cache(65536)
def plain(key: Any) -> str:
    """A key without upper case, separators and other signs."""
    return re.sub(r'[^a-z0-9]', '', str(key)[:100].lower())


@lru_cache(65536)
def is_data(key: Any) -> bool:
    """Whether a key is of data, as frames and people are numbered or named, instead of a field's name."""
    text = re.sub(r'(?i)[23]d$|_(25|17|18|33|133|308)$', '', str(key)[:200])
    return bool(re.search(r'\d', text)) or text.lower().endswith(('.jpg', '.png', '.jpeg', '.bmp'))


@lru_cache(65536)
def rank(key: Any) -> int:
    """How likely a field holds bodies: 0 likely, 1 perhaps, 2 other parts or 3D, 3 never."""
    word = plain(key)
    if _NEVER.search(word) or (SCORES.search(word) and not _BODY.search(word)) or re.search('score|conf|visib', word):
        return 3
    if _NOT_BODY.search(word):
        return 2
    if _BODY.search(word):
        return 0
    return 0 if PEOPLE.search(word) or FRAMES.search(word) else 1


@lru_cache(65536)
def role(key: Any) -> str | None:
    return _ROLE.get(plain(key))


def is_body(key: Any) -> bool:
    return bool(_BODY.search(plain(key)))


def is_score(key: Any) -> bool:
    return bool(SCORES.search(plain(key)))


def image_size(width: Any, height: Any) -> tuple[int, int] | None:
    """Width and height in pixels; None if the file has none (they are null, 0, or no whole numbers).

    Raises:
        ValueError: no image has this size.
    """
    sides = []
    for side in (width, height):
        if side is None or isinstance(side, bool | str) or not side or side != side:
            return None
        if not 0 < side <= _MAX_SIDE:  # first, because infinite and huge numbers cannot be rounded
            raise ValueError(f'its image size is {listing([width, height])}')
        if side != round(float(side)):
            return None
        sides.append(int(side))
    return (sides[0], sides[1]) if min(sides) >= 16 else None


def size_of(entry: dict) -> tuple[tuple[int, int], str] | None:
    """The image's size that an object states, and the key that states it."""
    words = {plain(key): key for key in entry}
    for wide, high in zip(_WIDE, _HIGH):
        if wide in words and high in words and not {'x', 'y'} <= words.keys():
            numbers = entry[words[wide]], entry[words[high]]
            if all(isinstance(number, int | float) for number in numbers) and (size := image_size(*numbers)):
                return size, str(words[wide])
    for word, key in words.items():
        value = entry[key]
        if isinstance(value, dict) and (word in ('image', 'meta', 'metadata', 'metainfo', 'info', 'video', 'source') or
                                        _SIZES.match(word)) and (found := size_of(value)):
            return found[0], f'{key}'
        value = value.tolist() if hasattr(value, 'tolist') else value
        if isinstance(value, list | tuple) and len(value) in (2, 3) and _SIZES.match(word) and \
                all(isinstance(number, int | float) for number in value):
            pair = value[:2]
            if size := image_size(*(pair[::-1] if 'shape' in word else pair)):
                return size, str(key)
    return None


def names_of(entry: dict) -> tuple[str, ...] | None:
    """The names of joints that an object lists, as a list or as a dict from numbers."""
    for key, value in entry.items():
        if _NAMES.search(plain(key)) and not re.search('edge|track|path', plain(key)):
            value = value.tolist() if hasattr(value, 'tolist') else value
            value = [value[name] for name in value] if isinstance(value, dict) else value
            if isinstance(value, list | tuple) and len(value) > 4 and all(isinstance(name, str) for name in value):
                return tuple(value)
    return None
