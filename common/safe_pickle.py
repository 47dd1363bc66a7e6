"""The only unpickler in the project: an allow-list, so that a downloaded file is data and never code.

A pickle is a program that names the functions it wants called. Here it may name only those below, none of which does
more than build an array, an ordered dict or a tensor, and each of which checks its arguments: the shapes and type codes
in a pickle are claims, and NumPy's own `__setstate__` believes some of them (an object dtype with forged flags makes it
take raw bytes for pointers).

The pure Python `pickle._Unpickler` is used on purpose. Its memo is a dict, where the C one allocates what the file's
highest memo index asks for, and its handlers can be replaced. Files hold few opcodes and large buffers, so it costs
little.
"""

import collections
import io
import math
import pickle
import re
import struct
from typing import Any, ClassVar

import numpy as np

_PLAIN_DTYPE = re.compile(r'[<>|=]?([biufc][1-9]\d?|S\d{1,6}|U\d{1,6}|O8?)')
_NDARRAY = object()  # stands for the class numpy.ndarray: a name to pass on, not a thing to call


class RefusedPickle(pickle.UnpicklingError):
    """The pickle asks for something that is not plain data; the text names it."""


def loads(data: bytes, persistent_load=None, tensors: dict[tuple[str, str], Any] | None = None) -> Any:
    """Unpickle plain data: dicts, lists, tuples, strings, numbers, NumPy arrays, ordered dicts.

    Python 2 strings are read as Latin-1, as NumPy's arrays from there need it.

    Args:
        data: the pickle; what follows its end is ignored.
        persistent_load: called for the persistent ids of torch files.
        tensors: further globals that `common.torch_file` allows, by (module, name).
    Raises:
        RefusedPickle: it names a global outside the allow-list, or misuses an allowed one.
        pickle.UnpicklingError: it is not a whole pickle.
    """
    return load(io.BytesIO(data), persistent_load, tensors)


def load(file: io.BytesIO, persistent_load=None, tensors=None) -> Any:
    """As `loads`, from the place where `file` stands, leaving it behind the pickle."""
    try:
        return _Unpickler(file, persistent_load, tensors or {}).load()
    except RefusedPickle:
        raise
    except RecursionError as error:
        raise pickle.UnpicklingError('its values are nested too deep') from error
    except (EOFError, ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, UnicodeError,
            MemoryError, AssertionError, RuntimeError, pickle.UnpicklingError) as error:
        raise pickle.UnpicklingError(f'it is damaged or cut short ({type(error).__name__}: {error})') from error


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined]
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, file, persistent_load, tensors):
        super().__init__(file, encoding='latin1')
        self._allowed = _GLOBALS | tensors
        self._persistent = persistent_load

    def find_class(self, module, name):
        try:
            return self._allowed[module, name]
        except KeyError:
            raise RefusedPickle(f'it asks for {module}.{name}, which is not plain data') from None

    def get_extension(self, code):
        raise RefusedPickle(f'it asks for the registered extension {code}, which is not plain data')

    def persistent_load(self, pid):
        if self._persistent is None:
            raise RefusedPickle('it refers to objects outside itself')
        return self._persistent(pid)

    def load_build(self):
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is np.ndarray:
            _check_array_state(state)
            target.__setstate__(state)
        elif isinstance(target, np.dtype):
            _check_dtype_state(target, state)
            target.__setstate__(state)
        elif type(target) is not collections.OrderedDict:  # theirs is torch's `_metadata`, which nobody needs
            raise RefusedPickle(f'it sets the state of a {type(target).__name__}')

    dispatch[pickle.BUILD[0]] = load_build

    def load_reduce(self):
        arguments = self.stack.pop()
        function = self.stack[-1]
        if not callable(function) or function not in self._allowed.values():
            raise RefusedPickle('it calls something that is not a function of the allow-list')
        self.stack[-1] = function(*arguments)

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_bytearray8(self):  # Python's own allocates what the file claims before it reads
        (size,) = struct.unpack('<Q', self.read(8))
        content = self.read(size)
        if len(content) != size:
            raise EOFError('a buffer is cut short')
        self.append(bytearray(content))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def _refuse(self):
        raise RefusedPickle('it makes an object that is not plain data')

    for _opcode in (pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX):
        dispatch[_opcode[0]] = _refuse


def _check_dtype_state(dtype, state):
    """State of a plain dtype: (version, byte order, None, None, None, size, alignment, flags)."""
    if (type(state) is not tuple or len(state) != 8 or state[2:5] != (None, None, None)
            or state[7] != dtype.flags or state[1] not in ('<', '>', '|', '=')
            or (dtype.kind not in 'SU' and state[5:7] != (-1, -1))
            or (dtype.kind in 'SU' and state[5] != dtype.itemsize)):
        raise RefusedPickle('it holds an array whose type is not a plain one')


def _check_array_state(state):
    """State of an array: ([version,] shape, dtype, Fortran order, its bytes or its objects)."""
    if type(state) is not tuple or len(state) not in (4, 5) or (len(state) == 5 and state[0] not in (0, 1)):
        raise RefusedPickle('it holds an array in a form that is not known')
    shape, dtype, _, content = state[-4:]
    if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape) or not isinstance(dtype, np.dtype):
        raise RefusedPickle('it holds an array in a form that is not known')
    if dtype.hasobject:
        fits = type(content) is list and len(content) == math.prod(shape)
    else:
        fits = type(content) in (bytes, str) and len(content) == math.prod(shape) * dtype.itemsize
    if not fits:
        raise RefusedPickle('it holds an array whose shape and content do not agree')


def _dtype(spec, align=False, copy=False):
    if type(spec) is not str or not _PLAIN_DTYPE.fullmatch(spec):
        raise RefusedPickle(f'it holds an array of type {spec!r}, which is not a plain one')
    return np.dtype(spec, copy=True)  # a copy: its state may be set, and NumPy's own are shared


def _reconstruct(cls, shape, code):
    if cls is not _NDARRAY or shape != (0,) or code not in (b'b', 'b'):
        raise RefusedPickle('it makes an array in a way that is not known')
    return np.ndarray((0,), 'b')


def _frombuffer(buffer, dtype, shape, order):
    """Arrays of pickle protocol 5."""
    if not isinstance(dtype, np.dtype) or dtype.hasobject or order not in ('C', 'F') or type(shape) is not tuple:
        raise RefusedPickle('it holds an array in a form that is not known')
    return np.frombuffer(buffer, dtype).reshape(shape, order=order).copy()


def _scalar(dtype, content):
    if not isinstance(dtype, np.dtype) or dtype.hasobject or type(content) not in (bytes, str):
        raise RefusedPickle('it holds a number in a form that is not known')
    data = content.encode('latin1') if type(content) is str else content
    if len(data) != dtype.itemsize:
        raise RefusedPickle('it holds a number whose type and content do not agree')
    return np.frombuffer(data, dtype)[0]


def _encode(text, encoding):
    """How Python 3 writes bytes for Python 2 to read."""
    if type(text) is not str or encoding not in ('latin1', 'latin-1'):
        raise RefusedPickle('it encodes text in a way that is not known')
    return text.encode('latin1')


def _ordered_dict(*arguments):
    if len(arguments) > 1:
        raise RefusedPickle('it makes an ordered dict in a way that is not known')
    return collections.OrderedDict(*([list(map(tuple, arguments[0]))] if arguments else []))


def _bytes(*arguments):
    """Python 3 writes the empty `bytes` as a call without arguments."""
    if arguments:
        raise RefusedPickle('it makes bytes in a way that is not known')
    return b''


_GLOBALS: dict[tuple[str, str], Any] = {
    ('collections', 'OrderedDict'): _ordered_dict,
    ('_codecs', 'encode'): _encode,
    ('__builtin__', 'bytes'): _bytes, ('builtins', 'bytes'): _bytes,
    ('numpy', 'ndarray'): _NDARRAY,
    ('numpy', 'dtype'): _dtype,
    **{(f'numpy.{core}.multiarray', name): function
       for core in ('core', '_core') for name, function in (('_reconstruct', _reconstruct), ('scalar', _scalar))},
    **{(f'numpy.{core}.numeric', '_frombuffer'): _frombuffer for core in ('core', '_core')},
}
