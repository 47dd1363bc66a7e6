"""Pickles that were made to harm: forged arrays, small files that grow, values that hang or crash who reads them."""

import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from common.files import safe_pickle
from tests.helpers.make_pickles import (
    ATTACKS,
    BIG,
    EMPTY_ARRAY,
    array,
    call,
    doubled,
    dtype,
    get,
    lit,
    name,
    nested_arrays,
    object_array,
    put,
    tup,
)

ORDERED_DICT, ENCODE = name('collections', 'OrderedDict'), name('_codecs', 'encode')


def refusal(data):
    with pytest.raises(safe_pickle.RefusedPickle) as caught:
        safe_pickle.loads(data + b'.')
    return str(caught.value)


# Arrays: every claim is checked.

PLAIN_STATE = (3, '<', None, None, None, -1, -1, 0)
U3 = (3, '<', None, None, None, 12, 4, np.dtype('U3').flags)


def test_states_of_the_next_test_are_wrong_in_one_thing_only():
    objects = (3, '|', None, None, None, -1, -1, np.dtype('O').flags)
    for spec, state, content in (('f8', PLAIN_STATE, ''), ('U3', U3, ''), ('O8', objects, [])):
        assert safe_pickle.loads(array((0,), dtype(spec, state), content) + b'.').dtype == spec


@pytest.mark.parametrize(('spec', 'state'), [
    ('O8', (3, '|', None, None, None, -1, -1, 0)),                       # bytes would be taken for pointers
    ('f8', (3, '<', None, None, None, -1, -1, 63)),
    ('O8', (3, '>', None, None, None, -1, -1, np.dtype('O').flags)),     # pointers would be byte-swapped
    ('i4', (3, '|', None, None, None, -1, -1, 0)), ('b1', (3, '>', None, None, None, -1, -1, 0)),
    ('f8', (3, '<', None, ('a',), {'a': (0, 0)}, -1, -1, 0)), ('f8', (3, '<', None, ('a',), None, -1, -1, 0)),
    ('f8', (3, '<', None, None, {}, -1, -1, 0)), ('f8', (3, '<', (1, (BIG,)), None, None, -1, -1, 0)),
    ('f8', (3, '<', None, None, None, 1 << 30, 8, 0)), ('f8', (3, '<', None, None, None, -1, 0, 0)),
    ('U3', (*U3[:5], 1 << 30, 4, U3[7])), ('U3', (*U3[:6], 0, U3[7])), ('U3', (*U3[:6], 1 << 20, U3[7])),
    ('U3', (*U3[:5], -1, -1, U3[7])), ('S3', (3, '|', None, None, None, 4, 1, 0)),
    *(('f8', (version, *PLAIN_STATE[1:])) for version in (4, '3', None)), ('f8', (*PLAIN_STATE, {})),
    *(('f8', (3, order, *PLAIN_STATE[2:])) for order in (None, 'x', '', '<>', 3)),
    ('f8', [3]), ('f8', {}), ('f8', 3), ('f8', list(PLAIN_STATE)), ('f8', PLAIN_STATE[:7]),
])
def test_forged_dtypes(spec, state):
    assert 'type is not a plain one' in refusal(dtype(spec, state))


@pytest.mark.parametrize('spec', [
    'V8', 'V', 'M8', 'M8[ns]', 'm8', 'i4,i4', 'i4,O', '(2,)f4', '(1000000,1000000)f4', '3f4', 'object', 'float', 'a5',
    'O4', 'S9999999', 'U2000000000', 'T', '', ' f4', 'f4 ', 'f4\n', 1, None, ('f4', (2,)), [('a', 'f4')], {'a': 'f4'}])
def test_dtypes_that_are_not_plain(spec):
    assert 'not a plain one' in refusal(dtype(spec))


def test_bytes_are_not_taken_for_pointers():
    """NumPy's own unpickling believes this one, and crashes."""
    assert 'not a plain one' in refusal(ATTACKS['forged objects'][:-1])


@pytest.mark.parametrize('data', [
    *(array(shape, 'f4', b'1234') for shape in (
        (3,), (0,), (-1,), (-1, -1), (1.0,), (True,), [1], 1, None, ('1',), ((1,),), (BIG, BIG), (1,) * 33)),
    array((1 << 200,), 'f4', b''), array((-2, -2), 'i1', b'1234'), array((1,), 'f4', b'12345'),
    array((), 'f4', b''), array((1 << 62, 4), 'f4', b''),
    array((1 << 62,), 'S0', b''), array((5,), 'U0', b''), array((0, 1 << 47), 'f4', b''),
    array((0, 1 << 20, 1 << 20), 'f4', b''), array((1,), 'f4', [1]), array((1,), 'f4', None),
    array((1,), 'O8', b'12345678'), array((1,), 'O8', 'x'), array((2,), 'O8', [1]), array((1,), 'O8', ('x',)),
    array((1,), 'f4', b'1234', fortran=None), array((1,), 'f4', b'1234', fortran=[]),
    *(array((1,), 'f4', b'1234', version=version) for version in (2, -1, '1', (1,), None)),
    *(EMPTY_ARRAY + state + b'b' for state in (
        lit((1, (1,), 'f4', False, 'abcd')), b')', b']', b'N', b'}', lit((1,) * 6))),
    EMPTY_ARRAY + tup(EMPTY_ARRAY, lit((1,)), dtype('f4'), lit(False), lit('abcd')) + b'b',
    array((1,), 'b1', b'\2'), array((2,), 'b1', b'\1\xff'),              # no booleans: NumPy counts by adding them up
    array((1,), 'U1', b'\xff\xff\xff\x7f'), array((1,), dtype('U1', (3, '>', *U3[2:5], 4, 4, U3[7])), b'\x41\0\0\0'),
])
def test_forged_arrays(data):
    with pytest.raises(pickle.UnpicklingError):
        safe_pickle.loads(data + b'.')


def test_text_is_checked_when_the_pickle_has_ended():
    """The byte order of its type could be turned after an array has taken that type."""
    text = EMPTY_ARRAY + tup(lit(1), lit((1,)), get(7), lit(False), lit('\x41\0\0\0')) + b'b'
    turn = get(7) + lit((3, '>', None, None, None, 4, 4, U3[7])) + b'b'
    assert safe_pickle.loads(put(dtype('U1'), 7) + text + b'.')[0] == 'A'
    with pytest.raises(pickle.UnpicklingError):
        safe_pickle.loads(put(dtype('U1'), 7) + b'(' + text + turn + b'0t.')


EIGHT = b'C\x0812345678'


@pytest.mark.parametrize(('function', 'arguments'), [
    ('numpy.core.multiarray _reconstruct', (name('numpy', 'dtype'), lit((0,)), lit('b'))),
    ('numpy.core.multiarray _reconstruct', (name('numpy', 'ndarray'), lit((BIG,)), lit('b'))),
    ('numpy.core.multiarray _reconstruct', (name('numpy', 'ndarray'), lit((0,)), lit('O'))),
    ('numpy.core.multiarray _reconstruct', (name('numpy', 'ndarray'), lit(0), lit('b'))),
    ('numpy.core.multiarray _reconstruct', ()), ('numpy dtype', ()),
    ('numpy.core.multiarray scalar', (dtype('O8'), lit('12345678'))),
    ('numpy.core.multiarray scalar', (dtype('f4'), lit('123'))), ('numpy.core.multiarray scalar', (dtype('f4'),)),
    ('numpy.core.multiarray scalar', (lit('f4'), lit('1234'))),
    ('numpy.core.multiarray scalar', (dtype('f4'), lit([1]))),
    ('numpy.core.multiarray scalar', (dtype('U1'), lit('\x7f\x7f\x7f\x7f'))),
    ('numpy.core.numeric _frombuffer', (lit('1234'), dtype('f4'), lit((1,)), lit('C'))),
    ('numpy.core.numeric _frombuffer', (object_array((1,), b'](Ne'), dtype('i8'), lit((1,)), lit('C'))),  # an address
    ('numpy.core.numeric _frombuffer', (object_array((8,), lit([None] * 8)), dtype('i1'), lit((8,)), lit('C'))),
    ('numpy.core.numeric _frombuffer', (array((1,), 'i8', b'12345678'), dtype('i8'), lit((1,)), lit('C'))),
    ('numpy.core.numeric _frombuffer', (EIGHT, dtype('O8'), lit((1,)), lit('C'))),
    ('numpy.core.numeric _frombuffer', (EIGHT, dtype('f4'), lit((3,)), lit('C'))),
    ('numpy.core.numeric _frombuffer', (EIGHT, dtype('f4'), lit((-1,)), lit('C'))),
    ('numpy.core.numeric _frombuffer', (EIGHT, dtype('f4'), lit((BIG, BIG, 0)), lit('C'))),
    ('numpy.core.numeric _frombuffer', (EIGHT, dtype('f4'), lit((2,)), lit('K'))),
    ('numpy.core.numeric _frombuffer', (b'C\0', dtype('S0'), lit((BIG,)), lit('C'))),
    ('_codecs encode', (lit('a'), lit('rot13'))), ('_codecs encode', (lit('a'), lit('utf-7'))),
    ('_codecs encode', (lit('a'),)), ('_codecs encode', (lit([]), lit('latin1'))),
    ('_codecs encode', (lit('日'), lit('latin1'))), ('builtins bytes', (lit(BIG),)), ('__builtin__ bytes', (lit([1]),)),
    ('collections OrderedDict', (lit(1),)), ('collections OrderedDict', (lit([1]),)),
    ('collections OrderedDict', (b']', b']')), ('collections OrderedDict', (lit([[(1, 2), 1]]),)),
])
def test_misused_functions(function, arguments):
    with pytest.raises(pickle.UnpicklingError):
        safe_pickle.loads(call(name(*function.split()), *arguments) + b'.')


# Small files that would grow: memory stays near the size of the file.

def peak_of(data):
    """Peak of Python's and NumPy's memory in bytes, and the complaint."""
    tracemalloc.start()
    try:
        with pytest.raises(pickle.UnpicklingError) as caught:
            safe_pickle.loads(data)
        return tracemalloc.get_traced_memory()[1], str(caught.value)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize('opcode', [
    *(opcode + b'\xff\xff\xff\x7f' for opcode in (b'B', b'X', b'T', b'\x8b', b'Nr')),
    *(opcode + size.to_bytes(8, 'little') for opcode in (b'\x8e', b'\x8d', b'\x96', b'\x95')
      for size in (1 << 30, BIG, 2 ** 64 - 1)),
    b'Np2147483647\n'])
def test_claimed_sizes_are_not_allocated(opcode):
    peak, _ = peak_of(b'\x80\x05' + opcode + b'short')
    assert peak < 1 << 20


K100 = 100_000
TEXT = put(lit('x' * K100), 1)


def again_and_again(opcodes, times=2000):
    return b'](' + opcodes * times + b'e.'


@pytest.mark.parametrize('data', [
    TEXT + put(ENCODE, 2) + put(lit('latin1'), 3) + again_and_again(get(2) + get(1) + get(3) + b'\x86R'),
    TEXT + again_and_again(EMPTY_ARRAY + tup(lit(1), lit((K100,)), dtype('i1'), lit(False), get(1)) + b'b'),
    put(b'\x96' + K100.to_bytes(8, 'little') + b'x' * K100, 1) + again_and_again(
        call(name('numpy.core.numeric', '_frombuffer'), get(1), dtype('i1'), lit((K100,)), lit('C'))),
    put(lit(['k', 1]), 1) + put(b'](' + get(1) * K100 + b'e', 2) + again_and_again(call(ORDERED_DICT, get(2))),
    put(lit([1] * K100), 1) + again_and_again(object_array((K100,), get(1))),
], ids=['encode', 'array', 'frombuffer', 'ordered dict', 'objects'])
def test_one_buffer_copied_again_and_again(data, monkeypatch):
    assert safe_pickle.FREE_ROOM <= 64 << 20
    monkeypatch.setattr(safe_pickle, 'FREE_ROOM', 1 << 20)
    peak, complaint = peak_of(data)
    assert 'more data than it holds' in complaint
    assert peak < 24 << 20


@pytest.mark.parametrize('data', [
    doubled(b')') + b'.', doubled(b']', b'q\x010](h\x01h\x01e') + b'.',
    doubled(b'}', b'q\x010}(I1\nh\x01I2\nh\x01u') + b'.',
    put(lit('x' * K100), 1) + again_and_again(get(1)), put(lit('é' * K100), 1) + again_and_again(get(1)),
    put(array((K100,), 'b1', b'\1' * K100), 1) + again_and_again(get(1)),
    put(object_array((1,), b'](' + lit('x' * K100) + b'e'), 1) + again_and_again(get(1)),
], ids=['tuples', 'lists', 'dicts', 'text', 'text not ASCII', 'array', 'object array'])
def test_values_that_hold_each_other_again_and_again(data):
    peak, complaint = peak_of(data)
    assert 'again and again' in complaint
    assert peak < 4 << 20


@pytest.mark.parametrize('data', [
    b']' * 1000 + b'a' * 999, b')' + b'\x85' * 1000, b']2a', b'}q\x01I1\nh\x01s', b']q\x01(h\x01h\x01e',
    b'](]q\x01' + b''.join(b'](h%c' % i + b'eq%c' % (i + 1) for i in range(1, 200)) + b'e', nested_arrays(100),
    EMPTY_ARRAY + b'q\x01' + tup(lit(1), lit((1,)), dtype('O8'), lit(False), b'](h\x01e') + b'b',
], ids=['lists', 'tuples', 'itself', 'dict in itself', 'twice itself', 'parts known', 'arrays', 'array in itself'])
def test_depth(data):
    assert 'too deep' in refusal(data) or 'again and again' in refusal(data)


def test_depth_and_sharing_that_data_has_are_fine():
    value = array = np.zeros(1 << 16)
    for _ in range(20):
        value = [value, {'k': (1,)}]
    found = safe_pickle.loads(pickle.dumps([value, [array] * 4], 4))
    assert found[1][0] is found[1][3]
    assert safe_pickle.loads(nested_arrays(50) + b'.').shape == (1,)


def test_steps_are_counted(monkeypatch):
    assert safe_pickle.MAX_STEPS <= 3_000_000  # about two microseconds each
    data = pickle.dumps(list(range(5000)))
    assert safe_pickle.loads(data) == list(range(5000))
    monkeypatch.setattr(safe_pickle._Steps, 'left', 4999)
    assert 'steps' in refusal(data[:-1])


@pytest.mark.parametrize('key', [
    b')', b'I1\n\x85', lit(1 << 63), lit(-(1 << 63) - 1), lit((2 ** 61 - 1) * 2 ** 61), EMPTY_ARRAY,
    call(name('numpy.core.multiarray', 'scalar'), dtype('c16'), lit('\0' * 16))])
def test_keys_that_could_collide_or_never_hash(key):
    pairs = b'](](' + key + b'Neee'
    for data in (b'}' + key + b'Ns', b'}(' + key + b'Nu', b'(' + key + b'Nd', call(ORDERED_DICT, pairs)):
        with pytest.raises(pickle.UnpicklingError):
            safe_pickle.loads(data + b'.')


def test_keys_that_share_their_low_bits_are_quick():
    assert len(safe_pickle.loads(b'}(' + b''.join(lit(i << 43) + b'N' for i in range(50_000)) + b'u.')) == 50_000


# What would hang or crash the interpreter is tried in one of its own.

OUTSIDE = '''
import pickle, sys
from common.files import safe_pickle
try:
    safe_pickle.loads(sys.stdin.buffer.read())
    print('read')
except pickle.UnpicklingError as error:
    print('refused')
'''


@pytest.mark.parametrize('data', [
    b'}' + doubled(b')') + b'Ns.',                                       # 2^60 steps to hash
    nested_arrays(12_000) + b'.', nested_arrays(12_000), nested_arrays(12_000) + b'0N.',
    nested_arrays(12_000, b'](h\x01e') + b'0N.',
    b']' * K100 + b'a' * (K100 - 1) + b'.', b')' + b'\x85' * K100 + b'0N.', b'(' * K100,
    ENCODE + doubled(b')') + b'R.',
    call(name('numpy', 'dtype'), doubled(b')')) + b'.', doubled(b')') + b'Q.',   # their text has 2^60 characters
], ids=['hash', 'arrays', 'arrays cut short', 'arrays dropped', 'arrays in lists', 'lists', 'tuples dropped', 'marks',
        'arguments', 'dtype', 'persistent id'])
def test_neither_hangs_nor_crashes(data):
    done = subprocess.run([sys.executable, '-c', OUTSIDE], input=data, capture_output=True, timeout=60,
                          cwd=Path(__file__).parent.parent.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (b'read' if data.endswith(b'0N.') else b'refused')


@pytest.mark.parametrize('what', ATTACKS)
def test_attacks_of_the_fuzzer(what):
    with pytest.raises(pickle.UnpicklingError):
        safe_pickle.loads(ATTACKS[what])
