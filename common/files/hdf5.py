"""Reads HDF5 as nested dicts of arrays: own datasets alone, no links, sizes checked before they are read."""

from __future__ import annotations

import io
from typing import Any

import h5py
import numpy as np

from common.errors import UserError, printable
from common.files import safe_pickle

_MAX_BYTES, _MAX_RATIO, _FREE = 1 << 30, 200, 1 << 20  # of a dataset; of its size to its size in the file
_MAX_ITEMS, _MAX_DEPTH, _MAX_TEXTS = 1000, 6, 1000


def read_hdf5(path: str) -> dict[str, Any]:
    """{name: array, list of texts, or dict of a group}; the table of pandas becomes {bodies' columns}.

    Raises:
        UserError: the file is damaged, or claims more than it holds.
    """
    try:
        with h5py.File(path, 'r') as file:
            return _group(file, [_MAX_ITEMS], 0)
    except ValueError as error:
        raise UserError(f'{path} is refused: {printable(error)}.') from error
    except Exception as error:  # h5py raises any exception for damage
        raise UserError(
            f'{path} is not a readable HDF5 file: {printable(error)}; let the detector write it again.') from error


def _group(group: Any, left: list[int], depth: int) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name in group:
        left[0] -= 1
        if left[0] < 0 or depth > _MAX_DEPTH:
            raise ValueError('it has too many groups and datasets for a detector\'s file')
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        entry = group[name]
        if isinstance(entry, h5py.Group):
            inner = _group(entry, left, depth + 1)
            content.update({name: inner} if inner else {})
        elif isinstance(entry, h5py.Dataset):
            content[name] = _dataset(entry)
    return content


def _dataset(entry: Any) -> Any:
    size = entry.size * entry.dtype.itemsize if entry.shape is not None else 0
    stored = entry.id.get_storage_size()
    if entry.external or entry.is_virtual:
        raise ValueError('it refers to data in other files')
    if size > _MAX_BYTES or size > max(_FREE, _MAX_RATIO * stored):
        raise ValueError(f'its dataset {printable(entry.name)} claims {size:,} bytes, and {stored:,} are in the file')
    if entry.dtype.kind in 'iufb':
        return entry[()]
    texts = entry.dtype.kind == 'O' and h5py.check_string_dtype(entry.dtype) and 'name' in entry.name
    if entry.dtype.kind == 'S' or (texts and entry.ndim == 1 and entry.size <= _MAX_TEXTS):
        # Others of variable length are not read: a damaged length takes seconds.
        return [bytes(entry[index]).decode(errors='replace') for index in np.ndindex(entry.shape)]
    if entry.dtype.names and 'values_block_0' in entry.dtype.names:
        return _pandas(entry)
    return None


def _pandas(entry: Any) -> dict[str, Any]:
    """DeepLabCut's table: pandas keeps the columns' names, (scorer, individual, bodypart, coordinate), pickled."""
    if entry.attrs.get_id('values_block_0_kind').dtype.kind != 'S':
        raise ValueError('the names of its columns are not a text of fixed length')
    kind = entry.attrs['values_block_0_kind']
    columns = safe_pickle.load_plain(io.BytesIO(bytes(kind) if isinstance(kind, bytes | np.bytes_)
        else str(kind).encode()))
    values = entry['values_block_0']
    if not isinstance(columns, list) or len(columns) != values.shape[-1]:
        raise ValueError('the names of its columns do not fit its table')
    people: dict[str, dict[str, list[int]]] = {}
    for index, column in enumerate(columns):
        parts = [str(part) for part in column] if isinstance(column, list | tuple) else []
        if len(parts) > 2 and parts[-1] in ('x', 'y', 'likelihood'):
            people.setdefault(parts[-3] if len(parts) > 3 else 'pose', {}).setdefault(parts[-2], []).append(index)
    widths = {len(places) for joints in people.values() for places in joints.values()}
    if len(widths) != 1:
        raise ValueError('its table has no x, y and likelihood of each body part')
    return {who: {'bodyparts': list(joints), 'keypoints': values[:, list(joints.values())]}
            for who, joints in people.items()}
