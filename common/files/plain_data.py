"""What files from strangers may hold: plain data, of which every claim is checked before NumPy believes it.

Shapes and type codes in a file are claims. NumPy's own `__setstate__` believes some of them: an object dtype with
forged flags makes it take raw bytes for pointers.
"""

import collections
import math
import pickle
import re
from types import NoneType
from typing import Any

import numpy as np

from common.errors import printable

_PLAIN_DTYPE = re.compile(r'[<>|=]?([biufc][1-9]\d?|[SU]\d{1,6}|O8?)')
_NDARRAY = object()  # stands for the class numpy.ndarray: a name to pass on, not a thing to call


class RefusedPickle(pickle.UnpicklingError):
    """The pickle asks for something that is not plain data; the text names it."""


def check_dtype(dtype: np.dtype) -> None:
    """Refuse the element types of NumPy that are not plain: records, dates, raw memory, empty strings."""
    if not _PLAIN_DTYPE.fullmatch(dtype.str) or dtype.itemsize == 0:
        raise RefusedPickle(f'it holds an array of type {printable(dtype)}, which is not a plain one')


def count(shape: Any) -> int:
    """How many elements an array of that shape has, where the shape is only a claim."""
    if type(shape) is not tuple or len(shape) > 32 or not all(type(n) is int and 0 <= n < 1 << 48 for n in shape):
        raise RefusedPickle('it holds an array whose shape is none')
    if 0 in shape and math.prod(n or 1 for n in shape) > 1 << 24:
        raise RefusedPickle('it holds an empty array of absurd shape')
    return math.prod(shape)


def check_content(array: np.ndarray) -> None:
    """Refuse bytes that are no booleans and no characters, with which NumPy miscounts and crashes."""
    if array.dtype.kind == 'b':
        wrong = (array.view(np.uint8) > 1).any()
    elif array.dtype.kind == 'U':
        codes = np.frombuffer(array.tobytes('A'), np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        wrong = (codes > 0x10ffff).any()
    else:
        return
    if wrong:
        raise RefusedPickle(f'it holds an array of type {array.dtype} with values that this type has not')


def check_dtype_state(dtype, state):
    """State of a plain dtype: (version, byte order, None, None, None, size, alignment, flags)."""
    sizes = (dtype.itemsize, dtype.alignment) if dtype.kind in 'SU' else (-1, -1)
    orders = '|' if dtype.byteorder == '|' else '<>='
    if (type(state) is not tuple or [type(item) for item in state] != [int, str, *[NoneType] * 3, int, int, int]
            or state[0] != 3 or state[5:7] != sizes or state[7] != dtype.flags
            or state[1] not in tuple(orders)):
        raise RefusedPickle('it holds an array whose type is not a plain one')


def check_array_state(state):
    """State of an array: ([version,] shape, dtype, Fortran order, its bytes or its objects)."""
    if type(state) is not tuple or len(state) not in (4, 5):
        raise RefusedPickle('it holds an array in a form that is not known')
    version, shape, dtype, fortran, content = (1, *state)[-5:]
    if (type(version), type(fortran)) not in ((int, bool), (int, int)) or not isinstance(dtype, np.dtype):
        raise RefusedPickle('it holds an array in a form that is not known')
    check_dtype(dtype)
    if dtype.hasobject:
        fits = type(content) is list and len(content) == count(shape)
    else:
        fits = type(content) in (bytes, str) and len(content) == count(shape) * dtype.itemsize
    if not fits:
        raise RefusedPickle('it holds an array whose shape and content do not agree')


def checked_items(pairs):
    """Key and value, where the keys are such as hash at once (tuples of tuples do not) and differ in their hashes."""
    for key, value in pairs:
        if not (isinstance(key, str | bytes | float | NoneType)
                or (isinstance(key, int | np.integer) and -1 << 63 <= key < 1 << 63)):
            raise RefusedPickle('it has a dict whose keys are not strings or numbers')
        yield key, value


def _dtype(spec, align=False, copy=False):
    if type(spec) is not str or not _PLAIN_DTYPE.fullmatch(spec):
        name = printable(spec) if type(spec) is str else f'a {type(spec).__name__}'
        raise RefusedPickle(f'it holds an array of type {name}, which is not a plain one')
    return np.dtype(spec, copy=True)  # a copy: its state may be set, and NumPy's own are shared


def _reconstruct(cls, shape, code):
    if cls is not _NDARRAY or shape != (0,) or code not in (b'b', 'b'):
        raise RefusedPickle('it makes an array in a way that is not known')
    return np.ndarray((0,), 'b')


def _frombuffer(buffer, dtype, shape, order):
    """Arrays of pickle protocol 5."""
    if type(buffer) not in (bytes, bytearray) or not isinstance(dtype, np.dtype) or order not in ('C', 'F'):
        raise RefusedPickle('it holds an array in a form that is not known')
    check_dtype(dtype)
    if dtype.hasobject or len(buffer) != count(shape) * dtype.itemsize:
        raise RefusedPickle('it holds an array whose shape and content do not agree')
    return np.ndarray(shape, dtype, bytearray(buffer), order=order)


def _scalar(dtype, content):
    if not isinstance(dtype, np.dtype) or dtype.hasobject or type(content) not in (bytes, str):
        raise RefusedPickle('it holds a number in a form that is not known')
    data = content.encode('latin1') if type(content) is str else content
    if len(data) != dtype.itemsize:
        raise RefusedPickle('it holds a number whose type and content do not agree')
    return np.frombuffer(data, dtype)[0] if data else dtype.type()


def _encode(text, encoding):
    """How Python 3 writes bytes for Python 2 to read."""
    if type(text) is not str or encoding not in ('latin1', 'latin-1'):
        raise RefusedPickle('it encodes text in a way that is not known')
    return text.encode('latin1')


def _ordered_dict(*arguments):
    if len(arguments) > 1 or (arguments and type(arguments[0]) is not list):
        raise RefusedPickle('it makes an ordered dict in a way that is not known')
    return collections.OrderedDict(checked_items(*arguments) if arguments else ())


def _bytes(*arguments):
    """Python 3 writes the empty `bytes` as a call without arguments."""
    if arguments:
        raise RefusedPickle('it makes bytes in a way that is not known')
    return b''


FUNCTIONS: dict[tuple[str, str], Any] = {
    ('collections', 'OrderedDict'): _ordered_dict,
    ('_codecs', 'encode'): _encode,
    ('__builtin__', 'bytes'): _bytes, ('builtins', 'bytes'): _bytes,
    ('numpy', 'ndarray'): _NDARRAY,
    ('numpy', 'dtype'): _dtype,
    **{(f'numpy.{core}.multiarray', name): function
       for core in ('core', '_core') for name, function in (('_reconstruct', _reconstruct), ('scalar', _scalar))},
    **{(f'numpy.{core}.numeric', '_frombuffer'): _frombuffer for core in ('core', '_core')},
}
