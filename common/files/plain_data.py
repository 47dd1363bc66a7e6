"""The functions that a pickle may call. Each checks its arguments: shapes and type codes in a file are only claims.

NumPy does not check all of them: an object dtype with forged flags makes it use raw bytes as pointers.
"""

import collections
import math
import pickle
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from common.errors import printable

_PLAIN_DTYPE = re.compile(r'[<>|=]?([biufc][1-9]\d?|[SU]\d{1,6}|O8?)')
_NDARRAY = object()  # stands for the class numpy.ndarray, a name that pickles pass on


class RefusedPickle(pickle.UnpicklingError):
    """The pickle asks for something that is not plain data; the text names it."""


def check_dtype(dtype: np.dtype) -> None:
    """Refuse the element types of NumPy that are not plain: records, dates, raw memory, empty strings."""
    if not _PLAIN_DTYPE.fullmatch(dtype.str) or dtype.itemsize == 0:
        raise RefusedPickle(f'it holds an array of type {printable(dtype)}, which is not a plain one')


def count(shape: Any) -> int:
    """Return how many elements an array of the claimed shape has."""
    if type(shape) is not tuple or len(shape) > 32 or not all(type(n) is int and 0 <= n < 1 << 48 for n in shape):
        raise RefusedPickle('it holds an array without a valid shape')
    if 0 in shape and math.prod(n or 1 for n in shape) > 1 << 24:
        raise RefusedPickle('it holds an empty array of absurd shape')
    return math.prod(shape)


def check_content(array: np.ndarray) -> None:
    """Refuse bytes that are neither booleans nor characters: with them NumPy miscounts or crashes."""
    most = {'b': ('u1', 1), 'U': (f'{array.dtype.byteorder}u4', 0x10ffff)}.get(array.dtype.kind)
    if most and (np.frombuffer(array.tobytes('A'), most[0]) > most[1]).any():
        raise RefusedPickle(f'it holds an array of type {array.dtype} with values that this type does not have')


def check_keys(keys: Iterable[Any]) -> None:
    """Refuse keys that take long to hash: n nested tuples can take 2^n steps."""
    if not all(key is None or isinstance(key, str | bytes | int | float | np.generic) for key in keys):
        raise RefusedPickle('it has a dict whose keys are not strings or numbers')


class Dtype:
    """Stands for a dtype while its pickle is read; of the dtype's state only the byte order is used."""

    def __init__(self, spec: Any, *_: Any) -> None:
        if type(spec) is not str or not _PLAIN_DTYPE.fullmatch(spec):
            name = printable(spec) if type(spec) is str else f'a {type(spec).__name__}'
            raise RefusedPickle(f'it holds an array of type {name}, which is not a plain one')
        self.dtype = np.dtype(spec)

    def set_byte_order(self, state: Any) -> None:
        """Set the byte order from NumPy's state, (version, byte order, no subtype, no names, no fields, ...)."""
        if type(state) is not tuple or len(state) < 8 or state[1] not in tuple('<>=|') or state[2:5] != (None,) * 3:
            raise RefusedPickle('it holds an array whose type is not a plain one')
        self.dtype = self.dtype.newbyteorder(state[1])


def set_array(array: np.ndarray, state: Any) -> None:
    """Give an array its state, ([version,] shape, dtype, Fortran order, content)."""
    if type(state) is not tuple or len(state) not in (4, 5) or not isinstance(state[-3], Dtype):
        raise RefusedPickle('it holds an array in a form that is not known')
    shape, dtype, fortran, content = state[-4], state[-3].dtype, state[-2], state[-1]
    check_dtype(dtype)
    if dtype.hasobject:
        fits = type(content) is list and len(content) == count(shape)
    else:  # a string of Python 2 is bytes
        content = content.encode('latin1') if type(content) is str else content
        fits = type(content) is bytes and len(content) == count(shape) * dtype.itemsize
    if not fits:
        raise RefusedPickle('it holds an array whose shape and content do not agree')
    array.__setstate__((1, shape, dtype, bool(fortran), content))  # type: ignore[arg-type]
    check_content(array)


def _reconstruct(cls: Any, shape: Any, code: Any) -> np.ndarray:
    if cls is not _NDARRAY or shape != (0,) or code not in (b'b', 'b'):
        raise RefusedPickle('it makes an array in a way that is not known')
    return np.ndarray((0,), 'b')


def _scalar(dtype: Any, content: Any) -> Any:
    content = content.encode('latin1') if type(content) is str else content
    if not isinstance(dtype, Dtype) or dtype.dtype.hasobject or type(content) is not bytes:
        raise RefusedPickle('it holds a number in a form that is not known')
    if len(content) != dtype.dtype.itemsize:
        raise RefusedPickle('it holds a number whose type and content do not agree')
    if not content:  # an empty string
        return dtype.dtype.type()
    array = np.frombuffer(content, dtype.dtype)
    check_content(array)
    return array[0]


def _encode(text: Any, encoding: Any) -> bytes:
    """Bytes, as Python 3 writes them for Python 2."""
    if type(text) is not str or encoding not in ('latin1', 'latin-1'):
        raise RefusedPickle('it encodes text in a way that is not known')
    return text.encode('latin1')


def _ordered_dict(pairs: Any = ()) -> collections.OrderedDict:
    check_keys(key for key, _ in pairs)
    return collections.OrderedDict(pairs)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Any:
    import torch
    return torch._utils._rebuild_tensor(storage, offset, size, stride)


FUNCTIONS: dict[tuple[str, str], Any] = {
    ('collections', 'OrderedDict'): _ordered_dict,
    ('_codecs', 'encode'): _encode,
    **{(module, 'bytes'): lambda: b'' for module in ('builtins', '__builtin__')},
    ('numpy', 'ndarray'): _NDARRAY,
    ('numpy', 'dtype'): Dtype,
    **{(f'numpy.{core}.multiarray', '_reconstruct'): _reconstruct for core in ('core', '_core')},
    **{(f'numpy.{core}.multiarray', 'scalar'): _scalar for core in ('core', '_core')},
    ('torch._utils', '_rebuild_tensor'): _tensor,
    ('torch._utils', '_rebuild_tensor_v2'): _tensor,
    ('torch._utils', '_rebuild_parameter'): lambda data, *_: data,
}
