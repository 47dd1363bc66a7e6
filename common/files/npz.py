"""Reading and writing `.npz` and `.npy`: pickled dicts by the allow-list, sizes checked before allocation."""

import errno
import io
import os
import pickle
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from common.errors import UserError, listing, printable
from common.files import safe_pickle
from common.files.atomic import atomic_write
from common.files.plain_data import RefusedPickle, check_content, check_dtype, count

# Limits of the unpacked size of a file's entries together. Poses compress to about a third, deflate can reach a
# thousandth: a file that claims far more than poses need is damaged, or crafted to fill the memory.
MAX_BYTES = 8 << 30
MAX_RATIO = 100
RATIO_FREE_BYTES = 64 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, EOFError, ValueError, TypeError,
            SyntaxError, KeyError, IndexError, OverflowError, RuntimeError, MemoryError, pickle.UnpicklingError)


def read_npz(path: str, wanted: tuple[str, ...] | None = None, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the entries of an `.npz` file.

    Args:
        path: the file.
        wanted: read these entries only; a missing one is an error.
        optional: read these too where the file has them.
    Returns:
        {name: array, or the Python object that a 0-d object array holds}.
    Raises:
        UserError: the file is missing or damaged, is not an `.npz`, lacks an entry, or holds more than plain data.
    """
    with _errors_as_sentences(path, '.npz'), zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix('.npy'): info for info in archive.infolist()}
        missing = [name for name in wanted or () if name not in members]
        if missing:
            raise UserError(f'{path} has no entry {listing(missing)}; it has {listing(members) or "none"}.')
        names = [*(wanted or members), *(name for name in optional if wanted and name in members)]
        _check_sizes(path, [members[name] for name in names])
        return {name: _read_member(archive, members[name]) for name in names}


def read_npy(path: str) -> Any:
    """Return the array, or the object, of an `.npy` file; raises as `read_npz` does."""
    with _errors_as_sentences(path, '.npy'), open(path, 'rb') as file:
        return _read_array(file, os.path.getsize(path))


@contextmanager
def _errors_as_sentences(path: str, kind: str) -> Iterator[None]:
    """Turn every error of reading a file into one sentence about the file."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f'{path} is missing.') from None
    except RefusedPickle as error:
        raise UserError(f'{path} is refused: {error}. Only plain data is read from files.') from error
    except (OSError, *_DAMAGED) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a seek to before the file's start
            raise UserError(f'{path} cannot be read: {error.strerror or error}.') from error
        reason = 'it is cut short' if isinstance(error, OSError) else printable(error)
        raise UserError(f'{path} is not a readable {kind} file: {reason}. Fetch or make it again.') from error


def write_npz(path: str, **entries: Any) -> None:
    """Write a compressed `.npz` atomically; dicts are pickled, as in the published files.

    Every NumPy from 1.16 on reads the file.
    """
    with atomic_write(path) as file, zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, value in entries.items():
            array = np.asanyarray(value)
            with archive.open(f'{name}.npy', 'w', force_zip64=True) as member:
                if array.dtype.hasobject:
                    np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(array))
                    _Pickler(member, protocol=3).dump(array)
                else:
                    np.lib.format.write_array(member, array, allow_pickle=False)


_PythonPickler: Any = pickle._Pickler  # type: ignore[attr-defined]


class _Pickler(_PythonPickler):
    """A pickler that writes the module names of NumPy 1, which NumPy 2 reads too."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if obj.__module__ == 'numpy._core.multiarray':
            self.write(pickle.GLOBAL + f'numpy.core.multiarray\n{name or obj.__qualname__}\n'.encode())
            self.memoize(obj)
        else:
            super().save_global(obj, name)


def _check_sizes(path: str, infos: list[zipfile.ZipInfo]) -> None:
    """Refuse entries that claim to unpack to more than the size of the file on disk makes believable."""
    ceiling = min(MAX_BYTES, max(RATIO_FREE_BYTES, MAX_RATIO * os.path.getsize(path)))
    if sum(info.file_size for info in infos) > ceiling:
        largest = max(infos, key=lambda info: info.file_size)
        raise UserError(f'{path} is refused: it claims to unpack to more than the {ceiling:,} bytes that its size on '
                        f'disk makes believable, its entry {printable(largest.filename)} to {largest.file_size:,}.')


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:
    if info.flag_bits & 1:
        raise ValueError(f'its entry {printable(info.filename)} is encrypted')
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f'its entry {printable(info.filename)} is compressed as NumPy never does')
    with archive.open(info) as file:
        return _read_array(file, info.file_size)


def _read_array(file: IO[bytes], size: int) -> Any:
    """Return the array of a file in NumPy's format of `size` bytes, header included."""
    content = file.read(size)
    buffer = io.BytesIO(content)
    shape, fortran, dtype = _read_header(buffer)
    check_dtype(dtype)
    if dtype.hasobject:
        array = safe_pickle.load_plain(buffer)
        if not isinstance(array, np.ndarray) or array.shape != shape:
            raise ValueError('its object array and its header do not agree')
        return array.item() if shape == () else array
    numbers = bytearray(memoryview(content)[buffer.tell():])
    if len(numbers) != count(shape) * dtype.itemsize:
        raise ValueError(f'its header claims an array of {shape}, its content has {len(numbers):,} bytes')
    array = np.ndarray(shape, dtype, numbers, order='F' if fortran else 'C')
    check_content(array)
    return array


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # NumPy's, about headers written by Python 2
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(file)
        if version in ((2, 0), (3, 0)):  # 3.0 differs in the encoding of field names, which plain arrays lack
            return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f'NumPy format {version} is not known')
