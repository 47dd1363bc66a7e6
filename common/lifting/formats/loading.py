"""Loads the content of detectors' files: JSON values, arrays by name, or the cells of a table; memory is limited."""

from __future__ import annotations

import csv
import json
import os
from typing import Any

from common.errors import UserError
from common.files import npz
from common.lifting.formats.format import ARRAYS, JSON, TEXT

MAX_BYTES = 512 << 20  # an hour of video at 30 frames a second takes about a quarter
# A byte of JSON can take thirty bytes in Python: `{"a":1},` is a dict of 232 bytes (Python 3.10) and a pointer of 8.
# Upper bounds:
_LIST_BYTES, _VALUE_BYTES, MAX_MEMORY = 192, 64, 2 << 30
KINDS = (ARRAYS, JSON, TEXT)


def kind_of(path: str) -> tuple[str, ...] | None:
    """The group of suffixes that contains the path's suffix; None: detectors write no such files."""
    return next((suffixes for suffixes in KINDS if path.lower().endswith(suffixes)), None)


def load(path: str, suffixes: tuple[str, ...]) -> Any:
    """The content of a file of one of these suffixes.

    Returns:
        {name: array}, JSON values, or a list of rows, each a list of cells.
    Raises:
        UserError: the file cannot be read, is damaged, or is too large.
    """
    if suffixes is ARRAYS:
        return {'keypoints': npz.read_npy(path)} if path.lower().endswith('.npy') else npz.read_npz(path)
    content = _read(path)
    if suffixes is JSON:
        _check_memory(path, content.count(b'[') + content.count(b'{'), content.count(b','))
        return _json(path, content)
    _check_memory(path, content.count(b'\n') + content.count(b'\r'), sum(map(content.count, (b',', b';', b'\t', b' '))))
    return _cells(path, content)


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


def _json(path: str, content: bytes) -> Any:
    """JSON values; NaN and infinities are accepted and count as missing later."""
    try:
        return json.loads(content.decode('utf-8-sig'))
    except RecursionError:
        raise UserError(f'{path} is nested too deep to be a detector\'s file.') from None
    except ValueError as error:  # among them bad UTF-8 and numbers of thousands of digits
        raise UserError(f'{path} is not readable JSON: {str(error)[:120]}; let the detector write it again.') from None


def _cells(path: str, content: bytes) -> list[list[str]]:
    """Rows of cells, separated by commas, semicolons, tabs or spaces; empty rows are dropped."""
    try:
        lines = content.decode('utf-8-sig').splitlines()
    except UnicodeDecodeError:
        raise UserError(f'{path} is no text in UTF-8; let the detector write it again.') from None
    start = '\n'.join(lines[:8])
    delimiter = max('\t,;', key=start.count)
    if not start.count(delimiter):
        return [line.split() for line in lines if line.strip()]
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise UserError(f'{path} is no readable table: {error}; let the detector write it again.') from None
