"""Reading the files of `torch.save`, old and new, by the project's own unpickler.

Two containers hold the same kind of pickle. The legacy one (up to PyTorch 1.5, and what this project writes, so that
the published code can read it) is four pickles, a list of keys, and each storage as its length and its bytes. The newer
one is a zip archive with the pickle as `data.pkl` and each storage as an uncompressed member. `torch.load` is not used:
with `weights_only=True` it refuses the pickles of Python 2, without it it runs what they ask for, and for the legacy
container it allocates what the pickle claims before it looks at the file.
"""

import errno
import io
import os
import pickle
import struct
import zipfile
from typing import Any

import torch
from torch import Tensor

from common.errors import printable
from common.files import safe_pickle
from common.files.plain_data import RefusedPickle, count

_MAGIC = 0x1950a86a20f9469cfc6c
_PROTOCOL = 1001
_DTYPES = {
    'DoubleStorage': torch.float64, 'FloatStorage': torch.float32, 'HalfStorage': torch.float16,
    'BFloat16Storage': torch.bfloat16, 'LongStorage': torch.int64, 'IntStorage': torch.int32,
    'ShortStorage': torch.int16, 'CharStorage': torch.int8, 'ByteStorage': torch.uint8, 'BoolStorage': torch.bool,
}


class _StorageType:
    """Stands for a storage class of torch in a pickle; nothing can be called."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _Storages:
    """The storages that a pickle refers to, each a flat tensor whose size the file has room for."""

    def __init__(self, size: int) -> None:
        self.room = size
        self.tensors: dict[str, Tensor] = {}
        self.surroundings = safe_pickle.Surroundings(size, self.persistent_load, _FUNCTIONS, (Tensor,))

    def persistent_load(self, pid: Any) -> Tensor:
        if not (type(pid) is tuple and len(pid) in (5, 6) and pid[0] == 'storage' and type(pid[1]) is _StorageType
                and type(pid[2]) in (str, int) and type(pid[4]) is int and pid[4] >= 0):
            raise RefusedPickle('it refers to something that is not a tensor\'s storage')
        storage_type, key, length = pid[1], str(pid[2]), pid[4]
        if key not in self.tensors:
            self.room -= length * storage_type.dtype.itemsize
            if self.room < 0:
                raise ValueError('it claims more numbers than the file holds')
            self.tensors[key] = torch.zeros(length, dtype=storage_type.dtype)
        storage = self.tensors[key]
        if storage.dtype != storage_type.dtype or len(storage) != length:
            raise ValueError('two descriptions of a storage do not agree')
        if len(pid) == 6 and pid[5] is not None:  # a view of a storage, in files of PyTorch 0.x
            _, offset, size = pid[5]
            return storage.narrow(0, offset, size)
        return storage

    def fill(self, key: str, content: bytes) -> None:
        storage = self.tensors[key]
        if len(content) != storage.nbytes:
            raise ValueError(f'storage {key} has {len(content):,} bytes instead of {storage.nbytes:,}')
        if storage.dtype == torch.bool and content.translate(None, b'\0\1'):
            raise ValueError(f'storage {key} has bytes that are no booleans')
        if content:
            storage.copy_(torch.frombuffer(bytearray(content), dtype=storage.dtype))


def read(path: str) -> Any:
    """Read what `torch.save` wrote, tensors on the CPU.

    Raises:
        pickle.UnpicklingError: the file is damaged, or is no such file, or holds more than plain data and tensors.
        OSError: it cannot be read.
    """
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        zipped = file.read(4) == b'PK\x03\x04'
        file.seek(0)
        try:
            return _read_zip(file, size) if zipped else _read_legacy(io.BytesIO(file.read()), size)
        except pickle.UnpicklingError:
            raise
        except OSError as error:
            if error.errno != errno.EINVAL:  # a seek to before the file's start
                raise
            raise pickle.UnpicklingError('it is damaged or cut short') from error
        except (zipfile.BadZipFile, ValueError, KeyError, IndexError, TypeError, RuntimeError, EOFError, OverflowError,
                MemoryError, struct.error) as error:
            raise pickle.UnpicklingError(f'it is damaged or cut short ({printable(error)})') from error


def _read_legacy(file, size):
    if safe_pickle.load(file) != _MAGIC or safe_pickle.load(file) != _PROTOCOL:
        raise pickle.UnpicklingError('it was not written by torch.save')
    system = safe_pickle.load(file)
    if not isinstance(system, dict) or system.get('little_endian') is not True:
        raise pickle.UnpicklingError('it was written by a big-endian machine')
    storages = _Storages(size)
    content = safe_pickle.load(file, storages.surroundings)
    keys = safe_pickle.load(file)
    if (type(keys) is not list or any(type(key) not in (str, int) for key in keys)
            or sorted(map(str, keys)) != sorted(storages.tensors)):
        raise ValueError('its list of storages is not that of its tensors')
    for key in map(str, keys):
        (length,) = struct.unpack('<q', file.read(8))
        if length != len(storages.tensors[key]):
            raise ValueError(f'storage {key} has {length:,} numbers instead of {len(storages.tensors[key]):,}')
        storages.fill(key, file.read(storages.tensors[key].nbytes))
    if file.read(1):
        raise ValueError('it goes on behind its end')
    return content


def _read_zip(file, size):
    with zipfile.ZipFile(file) as archive:
        members = {info.filename.split('/', 1)[-1]: info for info in archive.infolist()}
        if len(members) != len(archive.infolist()):
            raise ValueError('it has two members of one name')
        for info in members.values():
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                raise ValueError('its members are compressed or encrypted, which torch.save never does')
            if not info.file_size == info.compress_size <= size:
                raise ValueError('it claims a member larger than itself')
        if 'data.pkl' not in members:
            raise pickle.UnpicklingError('it was not written by torch.save')
        if 'byteorder' in members and archive.read(members['byteorder']) != b'little':
            raise pickle.UnpicklingError('it was written by a big-endian machine')
        storages = _Storages(size)
        content = safe_pickle.loads(archive.read(members['data.pkl']), storages.surroundings)
        for key in storages.tensors:
            storages.fill(key, archive.read(members[f'data/{key}']))
        return content


def _rebuild_tensor(storage, offset, size, stride, *_):
    """A tensor on its storage: inside it, and without numbers repeated, so that it is no larger."""
    if (not isinstance(storage, Tensor) or storage.ndim != 1 or type(offset) is not int
            or type(stride) is not tuple or not all(type(step) is int and 0 <= step < 1 << 48 for step in stride)):
        raise RefusedPickle('it holds a tensor in a form that is not known')
    numbers = count(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if numbers > len(storage) or not 0 <= offset <= len(storage) or (numbers and last >= len(storage)):
        raise RefusedPickle('it holds a tensor larger than its storage')
    return storage.as_strided(size, stride, storage.storage_offset() + offset)


def _rebuild_parameter(data, *_):
    if not isinstance(data, Tensor):
        raise RefusedPickle('it holds a parameter that is not a tensor')
    return data


_FUNCTIONS: dict[tuple[str, str], Any] = {
    ('torch._utils', '_rebuild_tensor'): _rebuild_tensor,
    ('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
    ('torch._utils', '_rebuild_parameter'): _rebuild_parameter,
    **{(module, name): _StorageType(dtype) for name, dtype in _DTYPES.items()
       for module in ('torch', 'torch.cuda')},
}
