"""Loads the content of detectors' files as plain data: JSON, JSON lines, pickles, NumPy, HDF5, and tables of text.

Nothing in a file can run, and memory and time are limited before they are spent.
"""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
from typing import Any

from common.errors import UserError, printable
from common.files import npz, safe_pickle
from common.files.hdf5 import read_hdf5

MAX_BYTES = 512 << 20  # an hour of video at 30 frames a second takes about a quarter
# A byte of JSON can take thirty bytes in Python: `{"a":1},` is a dict of 232 bytes (Python 3.10) and a pointer of 8.
# Upper bounds:
_LIST_BYTES, _VALUE_BYTES, MAX_MEMORY = 192, 64, 2 << 30
SUFFIXES = ('.json', '.jsonl', '.ndjson', '.npz', '.npy', '.pkl', '.pickle', '.h5', '.hdf5', '.csv', '.tsv', '.trc',
    '.txt')


class Cells(list):
    """Rows of a table, each a list of texts."""


def load(path: str) -> Any:
    """The content of a file: nested dicts, lists, arrays and values, or `Cells`.

    Raises:
        UserError: the file cannot be read, is damaged, or is too large.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise UserError(f'{path} is not read here. Read are {", ".join(SUFFIXES)} files.')
    if suffix == '.npy':
        return npz.read_npy(path)
    if suffix == '.npz':
        return npz.read_npz(path)
    content = _read(path)
    if suffix in ('.h5', '.hdf5'):
        return read_hdf5(path)
    if suffix in ('.pkl', '.pickle'):
        return _pickled(path, content)
    if suffix in ('.json', '.jsonl', '.ndjson'):
        _check_memory(path, content.count(b'[') + content.count(b'{'), content.count(b','))
        return _json(path, content)
    _check_memory(path, content.count(b'\n') + content.count(b'\r'), sum(map(content.count, (b',', b';', b'\t', b' '))))
    return _cells(path, _text(path, content))


def _read(path: str) -> bytes:
    try:
        size = os.path.getsize(path)
        if size > MAX_BYTES:
            raise UserError(f'{path} has {size >> 20} MiB, more than the {MAX_BYTES >> 20} that are read: give it in '
                            f'parts.')
        with open(path, 'rb') as file:
            return file.read()
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror or error}.') from error


def _check_memory(path: str, lists: int, values: int) -> None:
    if _LIST_BYTES * lists + _VALUE_BYTES * values > MAX_MEMORY:
        raise UserError(f'{path} is refused: it is made of too many lists and values for its size to be read in '
                        f'{MAX_MEMORY >> 30} GiB of memory; give it in parts.')


def _pickled(path: str, content: bytes) -> Any:
    try:
        return safe_pickle.load_plain(io.BytesIO(content))
    except pickle.UnpicklingError as error:
        raise UserError(f'{path} is refused: {printable(error)}. Only plain data is read from files.') from error


def _json(path: str, content: bytes) -> Any:
    """JSON values, or a list of the values of all lines; NaN and infinities are accepted and count as missing later."""
    try:
        text = content.decode('utf-16' if content[:2] in (b'\xff\xfe', b'\xfe\xff') else 'utf-8-sig')
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            lines = text.splitlines()
            if not error.msg.startswith('Extra data') or len(lines) < 2:
                raise
            return [json.loads(line) for line in lines if line.strip()]
    except RecursionError:
        raise UserError(f'{path} is nested too deep to be a detector\'s file.') from None
    except ValueError as error:  # among them bad UTF-8 and numbers of thousands of digits
        raise UserError(f'{path} is not readable JSON: {str(error)[:120]}; let the detector write it again.') from None


def _text(path: str, content: bytes) -> str:
    """Text in UTF-8, UTF-16 or Latin-1."""
    wide = content[:2] in (b'\xff\xfe', b'\xfe\xff') or content[:200].count(b'\0') > len(content[:200]) / 4
    for encoding in (['utf-16' if content[:2] in (b'\xff\xfe', b'\xfe\xff') else 'utf-16-le'] if wide else
                     ['utf-8-sig', 'latin-1']):
        try:
            text = content.decode(encoding)
            if '\0' not in text:
                return text
        except UnicodeDecodeError:
            pass
    raise UserError(f'{path} is not text; let the detector write it again.')


def _cells(path: str, text: str) -> Cells:
    """Rows of cells, separated by tabs, semicolons, commas or spaces; empty rows are dropped."""
    lines = [line for line in text.splitlines() if line.strip(' ,;\t') and not line.lower().startswith('sep=')]
    start = '\n'.join(lines[:8])
    delimiter = next((sign for sign in '\t;,' if start.count(sign) >= len(lines[:8])), None)
    if delimiter is None:
        return Cells(line.split() for line in lines)
    try:
        rows = Cells([cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter))
    except csv.Error as error:
        raise UserError(f'{path} is no readable table: {error}; let the detector write it again.') from None
    while rows and all(len(row) == len(rows[0]) and not row[-1] for row in rows) and len(rows[0]) > 1:
        rows = Cells(row[:-1] for row in rows)
    return rows
