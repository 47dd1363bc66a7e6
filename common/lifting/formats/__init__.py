"""The files of 2D detectors. `FORMATS` is the only list of readers; the last reads whatever has bodies in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.errors import listing
from common.lifting.formats import named, tables, texts
from common.lifting.formats.bodies import first_leaf as first_leaf
from common.lifting.formats.found import Found
from common.lifting.formats.loading import Cells
from common.lifting.formats.roles import understand
from common.lifting.formats.structure import MAX_DEPTH, Walk
from common.lifting.formats.words import rank


@dataclass(frozen=True)
class Format:
    """A reader of files.

    Attributes:
        recognise: whether content, as `loading.load` returns it, is of this format.
        parse: content to `Found`, or to {sequence: Found}, given whether the file is one frame; raises ValueError.
    """

    name: str
    recognise: Callable[[Any], bool]
    parse: Callable[[Any, bool], Found | dict[str, Found]]


def _parse(content: Any, single: bool) -> Found | dict[str, Found]:
    """The bodies of any nested data."""
    if (cells := _as_table(content)):
        return tables.parse(cells, single)
    walk = Walk()
    walk.find(content)
    if not walk.leaves and _is_empty(content):
        return Found([], np.zeros((0, 0, 2)), None, [None])
    if not walk.leaves:
        raise ValueError(_why_not(content))
    walk.flat = _is_array(content) or (isinstance(content, list) and walk.flat)
    return understand(walk, single)


def _are_columns(names: Iterable[Any]) -> bool:
    return sum(tables.column_of(str(name)) is not None for name in names) > 9


def _as_table(content: Any) -> Cells | None:
    """A table that was saved as JSON: a list of records, or an object of columns, as pandas writes them."""
    def single(values: Any) -> bool:
        return not any(isinstance(value, list | dict | tuple | np.ndarray) for value in values)

    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        head = list(content[0])
        if _are_columns(head) and single(content[0].values()):
            return Cells([head, *([str(row.get(key, '')) for key in head] for row in content)])
    if isinstance(content, dict) and _are_columns(content) and all(isinstance(column, list | dict)
                                                                   for column in content.values()):
        columns = [list(column.values()) if isinstance(column, dict) else column for column in content.values()]
        if all(map(single, columns)):
            return Cells([list(content), *([str(value) for value in row] for row in zip(*columns))])
    return None


def _is_array(content: Any) -> bool:
    return isinstance(content, np.ndarray) or (isinstance(content, dict) and len(content) > 0 and all(
        isinstance(value, np.ndarray | np.generic | str) for value in content.values()))


def _is_empty(content: Any, depth: int = 0) -> bool:
    """Whether a detector has written that nobody is there: nothing, empty lists, or objects with empty lists."""
    if isinstance(content, dict):
        return not content or any(_is_empty(value, depth + 1) for key, value in content.items()
                                  if rank(key) < 3 and value is not None)
    if depth > MAX_DEPTH:
        raise ValueError('it is nested too deep to be a detector\'s file')
    return content is None or (isinstance(content, list) and all(_is_empty(entry, depth + 1) for entry in content))


def _why_not(content: Any, name: str = '') -> str:
    """What stands where joints should, in words."""
    for _ in range(20):
        if isinstance(content, list | tuple) and len(content) and isinstance(content[0], dict | list):
            content = content[0]
        elif isinstance(content, dict) and (fields := sorted(
                (isinstance(value, int | float | str | None), rank(key), place) for place,
                (key, value) in enumerate(content.items()))):
            single, least, place = fields[0]
            key = list(content)[place]
            if least > 1 or single:
                boxes = [key for key in content if 'box' in str(key).lower()]
                if boxes:
                    return 'it has boxes and no joints: did its model find boxes only? Use a -pose model'
                return f'no joints are found in it, only the entries {listing(content, 8)}'
            content, name = content[key], f'its {key} '
        else:
            break
    what = f'{content.dtype} {content.shape}' if isinstance(content, np.ndarray) else \
        f'a list of {len(content)} values like {listing(content[:2])}' if isinstance(content, list) and content else \
        listing([content])
    what = f'{f"{name}are" if name else "it is"} {what}'
    return f'no joints are found in it: {what}, which are not x and y of some joints'


FORMATS = {format.name: format for format in (
    Format('trc', lambda content: isinstance(content, Cells) and texts.is_trc(content), texts.parse_trc),
    Format('ultralytics_txt', lambda content: isinstance(content, Cells) and texts.are_labels(content),
           texts.parse_labels),
    Format('csv', lambda content: isinstance(content, Cells), tables.parse),
    Format('coco_dataset', named.is_dataset, named.parse_dataset),
    Format('videopose3d', named.is_videopose3d, named.parse_videopose3d),
    Format('detectron2', named.is_detectron2, named.parse_detectron2),
    Format('keypoints', lambda content: True, _parse))}
