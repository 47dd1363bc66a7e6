"""Unpickling that returns plain data and runs nothing.

A pickle is a program that names the functions it calls. Here it may name only the functions of `plain_data.py`, which
build arrays, ordered dicts and tensors, and check their arguments. `npz.py` reads pickled dicts with this module, and
`torch_file.py` the checkpoints of Python 2: `torch.load` takes it as its `pickle_module`.

The base class is deliberately the pure Python unpickler. Its memo is a dict, where the C version allocates a list as
long as the highest index in the file, and its handlers can be replaced. Speed does not matter: files hold few opcodes
and large buffers.
"""

import collections
import pickle
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar

import numpy as np

from common.errors import printable
from common.files.plain_data import FUNCTIONS, Dtype, RefusedPickle, check_keys, set_array

MAX_DEPTH, MAX_STEPS = 64, 5_000_000  # limits of plain data: levels; values, where a container counts as ten
MAX_OBJECT_ARRAYS = 2000  # NumPy frees an array in an array by recursion: 8,000 such levels overflow the stack
# Neither NumPy nor PyTorch writes these. Sets hash what is nested in them; byte arrays allocate what the file claims.
_NEVER_WRITTEN = pickle.EMPTY_SET + pickle.FROZENSET + pickle.ADDITEMS + pickle.BYTEARRAY8


_PythonUnpickler: Any = pickle._Unpickler  # type: ignore[attr-defined]


class Unpickler(_PythonUnpickler):
    """An unpickler that calls the functions of `plain_data.FUNCTIONS` and no others."""

    dispatch: ClassVar[dict[int, Any]] = {
        code: handler for code, handler in _PythonUnpickler.dispatch.items() if code not in _NEVER_WRITTEN}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in FUNCTIONS:
            raise RefusedPickle(f'it asks for {printable(f"{module}.{name}")}, which is not plain data')
        return FUNCTIONS[module, name]

    def load_build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Dtype):
            target.set_byte_order(state)
        elif type(target) is np.ndarray:
            set_array(target, state)
            self.object_arrays = getattr(self, 'object_arrays', 0) + target.dtype.hasobject
            if self.object_arrays > MAX_OBJECT_ARRAYS:
                raise RefusedPickle(f'it has more than {MAX_OBJECT_ARRAYS:,} arrays of objects')
        elif type(target) is not collections.OrderedDict:  # its state is torch's `_metadata`, which is not needed
            raise RefusedPickle(f'it sets the state of a {type(target).__name__}')

    def load_setitem(self) -> None:
        check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        check_keys(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        check_keys(self.stack[::2])
        super().load_dict()

    def load_binpersid(self) -> None:
        if type(self.stack[-1]) is not tuple or self.stack[-1][:1] != ('storage',):
            raise RefusedPickle('it refers to objects outside itself that are not the storages of tensors')
        super().load_binpersid()

    dispatch.update({pickle.BUILD[0]: load_build, pickle.SETITEM[0]: load_setitem, pickle.SETITEMS[0]: load_setitems,
                     pickle.DICT[0]: load_dict, pickle.BINPERSID[0]: load_binpersid})


def load(file: BinaryIO, encoding: str = 'latin1') -> Any:
    """Return what the next pickle of a file holds; `encoding` decodes the strings of Python 2."""
    return Unpickler(file, encoding=encoding).load()


def load_plain(file: BinaryIO) -> Any:
    """Return the next pickle of a file: dicts, lists, tuples, strings, numbers, NumPy arrays, ordered dicts.

    Raises:
        RefusedPickle: it holds or asks for anything else.
        pickle.UnpicklingError: it is not a whole pickle.
    """
    try:
        value = load(file)
        for other in others(value):
            raise RefusedPickle(f'it holds a {type(other).__name__}, which is not plain data')
    except RefusedPickle:
        raise
    except Exception as error:  # a damaged pickle can raise any exception
        reason = f'{type(error).__name__}: {printable(error)}'
        raise pickle.UnpicklingError(f'it is damaged or cut short ({reason})') from error
    return value


def others(value: Any) -> Iterator[Any]:
    """Walk nested data and yield every value that is not plain.

    Raises:
        RefusedPickle: the data contain themselves or grow without end, or a number in them is too long to print.
        UnicodeError: a string in them holds half of a surrogate pair.
    """
    left = MAX_STEPS
    pending: list[tuple[Any, int]] = [((value,), 0)]
    while pending:
        parts, depth = pending.pop()
        left -= 10 + len(parts)
        if left < 0 or depth > MAX_DEPTH:
            raise RefusedPickle('its values are too many or nested too deep, or hold themselves')
        for part in parts:
            if part is None or type(part) in (float, bool, bytes):
                continue
            if type(part) in (dict, collections.OrderedDict):
                pending.append(((*part, *part.values()), depth + 1))
            elif type(part) in (list, tuple):
                pending.append((part, depth + 1))
            elif type(part) is np.ndarray:
                if part.dtype.hasobject:
                    pending.append((part.ravel(), depth + 1))
            elif type(part) is str:
                part.isascii() or part.encode()
            elif type(part) is int and part.bit_length() > 512:
                raise RefusedPickle(f'it holds a number of {part.bit_length():,} bits')
            elif not isinstance(part, int | float | bytes | np.generic):
                yield part
