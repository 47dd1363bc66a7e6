"""The only unpickler in the project: an allow-list, so that a downloaded file is data and never code.

A pickle is a program that names the functions it wants called. Here it may name only those of `plain_data`, none of
which does more than build an array or an ordered dict, those of `torch_file` which build tensors, and each checks its
arguments.

A pickle may also be small and what it makes endless: values that hold each other again and again, one buffer copied
a million times, keys that take 2^40 steps to hash, arrays in arrays so deep that to free them overflows the stack. So
its steps are counted, what its calls make is charged to an account that its size opens, and the result is walked once.

The pure Python `pickle._Unpickler` is used on purpose. Its memo is a dict, where the C one allocates what the file's
highest memo index asks for, and its handlers can be replaced. Files hold few opcodes and large buffers, so it costs
little.
"""

import collections
import io
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, ClassVar

import numpy as np

from common.errors import printable
from common.files.plain_data import (
    FUNCTIONS,
    RefusedPickle,
    check_array_state,
    check_content,
    check_dtype_state,
    checked_items,
)

MAX_STEPS = 3_000_000  # opcodes: some seconds of work; a data set of arrays has thousands
MAX_DEPTH = 64
ROOM_PER_BYTE, FREE_ROOM = 8, 64 << 20  # what the values of a pickle may weigh, in bytes


def _no_objects_outside(pid):
    raise RefusedPickle('it refers to objects outside itself')


@dataclass
class Surroundings:
    """What the file around a pickle adds to plain data.

    Attributes:
        size: of the file in bytes.
        persistent_load: answers the pickle's references to objects outside itself.
        functions: further globals, by (module, name).
        types: further types that the result may hold.
    """

    size: int
    persistent_load: Callable[[Any], Any] = _no_objects_outside
    functions: dict[tuple[str, str], Any] = field(default_factory=dict)
    types: tuple[type, ...] = ()


def loads(data: bytes, surroundings: Surroundings | None = None) -> Any:
    """Unpickle plain data: dicts, lists, tuples, strings, numbers, NumPy arrays, ordered dicts.

    Python 2 strings are read as Latin-1, as NumPy's arrays from there need it.

    Args:
        data: the pickle; what follows its end is ignored.
        surroundings: of pickles in torch files.
    Raises:
        RefusedPickle: it names a global outside the allow-list, misuses an allowed one, or grows far beyond its size.
        pickle.UnpicklingError: it is not a whole pickle.
    """
    return load(io.BytesIO(data), surroundings)


def load(file: io.BytesIO, surroundings: Surroundings | None = None) -> Any:
    """As `loads`, from the place where `file` stands, leaving it behind the pickle."""
    unpickler = _Unpickler(file, surroundings or Surroundings(len(file.getbuffer()) - file.tell()))
    reached: set[int] = set()
    try:
        value = unpickler.load()
        reached = unpickler.check_plain(value)
    except RefusedPickle:
        raise
    except Exception as error:  # a damaged pickle can make every step of its making fail
        raise pickle.UnpicklingError(f'it is damaged or cut short ({type(error).__name__}: {printable(error)})'
                                     ) from error
    finally:
        for array in unpickler.object_arrays:  # NumPy frees nested arrays by recursion, which a deep nest overflows
            if id(array) not in reached:
                array.fill(None)
    return value


class _Steps(dict):
    """The handlers of opcodes, handed out only so many times."""

    left = MAX_STEPS

    def __getitem__(self, opcode):
        self.left -= 1
        if self.left < 0:
            raise RefusedPickle(f'it has more than {MAX_STEPS:,} steps')
        return super().__getitem__(opcode)


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined]
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, file, surroundings):
        super().__init__(file, encoding='latin1')
        self.dispatch = _Steps(type(self).dispatch)
        self.persistent_load = surroundings.persistent_load
        self.object_arrays = []
        self._functions = FUNCTIONS | surroundings.functions
        self._types = surroundings.types
        self._room = self._left = surroundings.size * ROOM_PER_BYTE + FREE_ROOM

    def check_plain(self, value: Any) -> set[int]:
        """Refuse values that are not plain data, and values that grow endless when walked.

        Returns:
            the ids of the containers and arrays in it.
        """
        known: dict[int, tuple[int, int]] = {}  # id: (weight of all that hangs below, levels below)

        def walk(value, depth):
            if type(value) is int and value.bit_length() > 512:
                raise RefusedPickle(f'it holds a number of {value.bit_length():,} bits')
            if type(value) in (int, float, bool, NoneType):
                return 1, 0
            if type(value) in (bytes, bytearray) or (type(value) is str and value.isascii()):
                return len(value) + 1, 0
            if type(value) in self._types or isinstance(value, np.generic):
                return value.nbytes + 1, 0
            if id(value) not in known:
                if depth > MAX_DEPTH:
                    raise RefusedPickle('its values are nested too deep, or hold themselves')
                parts = [walk(part, depth + 1) for part in _parts(value)]
                own = len(value) if type(value) is str else getattr(value, 'nbytes', 0)
                weight = sum((part[0] for part in parts), own + 1)
                known[id(value)] = weight, 1 + max((part[1] for part in parts), default=0)
            if known[id(value)][0] > self._room or known[id(value)][1] > MAX_DEPTH:
                raise RefusedPickle('its values hold each other again and again')
            return known[id(value)]

        walk(value, 0)
        return set(known)

    def find_class(self, module, name):
        try:
            return self._functions[module, name]
        except KeyError:
            raise RefusedPickle(f'it asks for {printable(f"{module}.{name}")}, which is not plain data') from None

    def get_extension(self, code):
        raise RefusedPickle(f'it asks for the registered extension {code}, which is not plain data')

    def load_reduce(self):
        arguments = self.stack.pop()
        function = self.stack[-1]
        if type(arguments) is not tuple or not callable(function) or function not in self._functions.values():
            raise RefusedPickle('it calls something that is not a function of the allow-list')
        for argument in arguments:
            if type(argument) in (str, bytes, bytearray, list):
                self._charge(len(argument) * (64 if type(argument) is list else 1))
        self.stack[-1] = made = function(*arguments)
        self._charge(getattr(made, 'nbytes', 0))

    def load_build(self):
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is np.ndarray:
            check_array_state(state)
            target.__setstate__(state)
            if target.dtype.hasobject:
                self.object_arrays.append(target)
            self._charge(target.nbytes)
        elif isinstance(target, np.dtype):
            check_dtype_state(target, state)
            target.__setstate__(state)
        elif type(target) is not collections.OrderedDict:  # theirs is torch's `_metadata`, which nobody needs
            raise RefusedPickle(f'it sets the state of a {type(target).__name__}')

    def _charge(self, size):
        self._left -= size
        if self._left < 0:
            raise RefusedPickle('it makes far more data than it holds')

    def load_append(self):
        self._extend([self.stack.pop()])

    def load_appends(self):
        self._extend(self.pop_mark())

    def _extend(self, items):
        if type(self.stack[-1]) is not list:
            raise RefusedPickle(f'it appends to a {type(self.stack[-1]).__name__}')
        self.stack[-1].extend(items)

    def load_setitem(self):
        self._update([self.stack.pop(), self.stack.pop()][::-1])

    def load_setitems(self):
        self._update(self.pop_mark())

    def load_dict(self):
        items = self.pop_mark()
        self.append({})
        self._update(items)

    def _update(self, items):
        if type(self.stack[-1]) not in (dict, collections.OrderedDict):
            raise RefusedPickle(f'it sets items of a {type(self.stack[-1]).__name__}')
        self.stack[-1].update(checked_items(zip(items[::2], items[1::2], strict=True)))

    def load_bytearray8(self):  # Python's own allocates what the file claims before it reads
        (size,) = struct.unpack('<Q', self.read(8))
        content = self.read(size)
        if len(content) != size:
            raise EOFError('a buffer is cut short')
        self.append(bytearray(content))

    def load_inst(self):
        module, name = (self.readline()[:-1].decode('latin1') for _ in range(2))
        self.find_class(module, name)
        self.refuse()

    def refuse(self):
        raise RefusedPickle('it makes an object that is not plain data')

    dispatch.update({opcode[0]: handler for opcode, handler in {
        pickle.REDUCE: load_reduce, pickle.BUILD: load_build, pickle.APPEND: load_append,
        pickle.APPENDS: load_appends, pickle.SETITEM: load_setitem, pickle.SETITEMS: load_setitems,
        pickle.DICT: load_dict, pickle.BYTEARRAY8: load_bytearray8, pickle.INST: load_inst, pickle.OBJ: refuse,
        pickle.NEWOBJ: refuse, pickle.NEWOBJ_EX: refuse, pickle.EMPTY_SET: refuse, pickle.FROZENSET: refuse,
        pickle.ADDITEMS: refuse, pickle.NEXT_BUFFER: refuse, pickle.READONLY_BUFFER: refuse}.items()})


def _parts(value):
    """What a container holds; nothing for strings and arrays of numbers, whose content is checked."""
    if type(value) is str:
        value.encode()  # half characters, which no terminal can print, fail here
        return ()
    if type(value) in (list, tuple):
        return value
    if type(value) in (dict, collections.OrderedDict):
        return [*value, *value.values()]
    if type(value) is not np.ndarray:
        raise RefusedPickle(f'it holds a {type(value).__name__}, which is not plain data')
    if value.dtype.hasobject:
        return value.flat
    check_content(value)
    return ()
