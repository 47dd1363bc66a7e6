"""Reading and writing `.npz` and `.npy`: pickled dicts by the allow-list, sizes checked before allocation."""

import math
import os
import pickle
import zipfile
import zlib
from typing import Any

import numpy as np

from common import safe_pickle
from common.errors import UserError, listing
from common.files import atomic_write

# What a compressed member may grow to. Poses compress to about a third; deflate's limit is a thousandfold, so a member
# that claims far more than poses ever would is a bomb or damage.
MAX_MEMBER_BYTES = 8 << 30
MAX_RATIO = 100
RATIO_FREE_BYTES = 64 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, TypeError, SyntaxError, KeyError, OverflowError,
            NotImplementedError, RuntimeError, RecursionError, pickle.UnpicklingError)


def read_npz(path: str, wanted: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Read the entries of an `.npz` file; an entry of one pickled object is given as that object.

    Args:
        path: the file.
        wanted: read these entries only; each must be there.
    Returns:
        {name: array, or the Python object that a 0-d object array holds}.
    Raises:
        UserError: the file is missing, is no `.npz`, is damaged, lacks an entry, or holds more than plain data.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix('.npy'): info for info in archive.infolist()}
            missing = [name for name in wanted or () if name not in members]
            if missing:
                raise UserError(f'{path} has no entry {listing(missing)}; it has {listing(members) or "none"}.')
            return {name: _read_member(path, archive, members[name]) for name in wanted or members}
    except FileNotFoundError:
        raise UserError(f'{path} is not there.') from None
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror or error}.') from error
    except safe_pickle.RefusedPickle as error:
        raise UserError(f'{path} is refused: {error}. Only plain data is read from files.') from error
    except _DAMAGED as error:
        raise UserError(f'{path} is not a readable .npz file: {error}. Fetch or make it again.') from error


def read_npy(path: str) -> Any:
    """Read one `.npy` file, under the rules of `read_npz`."""
    try:
        with open(path, 'rb') as file:
            return _read_array(file, os.path.getsize(path))
    except FileNotFoundError:
        raise UserError(f'{path} is not there.') from None
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror or error}.') from error
    except safe_pickle.RefusedPickle as error:
        raise UserError(f'{path} is refused: {error}. Only plain data is read from files.') from error
    except _DAMAGED as error:
        raise UserError(f'{path} is not a readable .npy file: {error}. Fetch or make it again.') from error


def write_npz(path: str, **entries: Any) -> None:
    """Write a compressed `.npz` in whole or not at all; dicts are pickled as the published files have them."""
    with atomic_write(path) as file:
        np.savez_compressed(file, **entries)


def _read_member(path, archive, info):
    ceiling = min(MAX_MEMBER_BYTES, max(RATIO_FREE_BYTES, MAX_RATIO * info.compress_size))
    if info.file_size > ceiling:
        raise UserError(f'{path} is refused: its entry {info.filename} claims to unpack to {info.file_size:,} bytes, '
                        f'more than the {ceiling:,} that its size on disk makes believable.')
    if info.flag_bits & 1:
        raise ValueError(f'its entry {info.filename} is encrypted')
    with archive.open(info) as file:
        return _read_array(file, info.file_size)


def _read_array(file, size):
    """Read one array in NumPy's format of `size` bytes, header included."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version in ((2, 0), (3, 0)):  # 3.0 differs in the encoding of field names, which plain arrays have none of
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f'NumPy format {version} is not known')
    content = file.read(size + 1)
    if dtype.hasobject:
        if dtype != np.dtype(object):
            raise ValueError('an array of records that hold objects is not plain data')
        array = safe_pickle.loads(content)
        if not isinstance(array, np.ndarray) or array.shape != shape:
            raise ValueError('its object array and its header do not agree')
        return array.item() if shape == () else array
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f'its header claims an array of {shape}, its content has {len(content):,} bytes')
    return np.ndarray(shape, dtype, bytearray(content), order='F' if fortran else 'C')
