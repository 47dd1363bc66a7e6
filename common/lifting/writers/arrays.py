"""Writes the entries of a lifted person as `.npz`, plain arrays, or the same as `.json`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from common.files import npz
from common.files.atomic import atomic_write
from common.progress import progress_bar

ROWS = 4096  # that become text at a time


def write_npz(path: str, entries: dict[str, Any]) -> None:
    """Write plain arrays."""
    npz.write_npz(path, **entries)


def write_json(path: str, entries: dict[str, Any]) -> None:
    """Write lists and numbers, with null for NaN and infinity."""
    rows = sum(len(value) for value in map(np.asarray, entries.values()) if value.ndim)
    with atomic_write(path, 'w') as file, progress_bar('writing', rows) as bar:
        for place, (name, value) in enumerate(entries.items()):
            file.write(f'{", " if place else "{"}{json.dumps(name)}: ')
            file.writelines(_parts(np.asarray(value), bar.update))
        file.write('}\n')


def _parts(value: np.ndarray, report: Callable[[int], object]) -> Iterator[str]:
    """The text of an array, in parts, so that a long clip is never all text and objects at once."""
    if not value.ndim:
        yield json.dumps(_plain(value))
        return
    for first in range(0, len(value), ROWS):
        yield (', ' if first else '[') + json.dumps(_plain(value[first:first + ROWS]))[1:-1]
        report(len(value[first:first + ROWS]))
    yield ']' if len(value) else '[]'


def _plain(value: np.ndarray) -> Any:
    if value.dtype.kind != 'f':
        return value.tolist()
    rounded = np.asarray(np.round(value.astype(np.float64), 6))
    if np.isfinite(rounded).all():
        return rounded.tolist()
    known: Any = rounded.astype(object)
    known[~np.isfinite(rounded)] = None
    return known.tolist()
