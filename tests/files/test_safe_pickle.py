"""The unpickler: plain data of every protocol and of Python 2 comes through, nothing else does, and nothing runs."""

import base64
import collections
import io
import os
import pickle
import subprocess
import zlib

import numpy as np
import pytest

from common.files import plain_data, safe_pickle
from tests.helpers.make_pickles import EMPTY_ARRAY, array, call, dtype, lit, name

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
ORDERED_DICT, ENCODE = name('collections', 'OrderedDict'), name('_codecs', 'encode')


def refusal(data):
    with pytest.raises(safe_pickle.RefusedPickle) as caught:
        safe_pickle.loads(data + b'.')
    return str(caught.value)


def assert_same(found, expected):
    """Equal in value, type, element type and memory layout, all the way down."""
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.flags.f_contiguous == expected.flags.f_contiguous
        assert found.flags.writeable
        if expected.dtype == object:
            assert_same(list(found.flat), list(expected.flat))
        else:
            assert found.tobytes() == expected.tobytes()
    elif isinstance(expected, dict):
        assert_same(list(found.items()), list(expected.items()))
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected):
            assert_same(mine, theirs)
    elif isinstance(expected, float):
        assert np.float64(found).tobytes() == np.float64(expected).tobytes()  # -0.0 and nan too
    else:
        assert found == expected


# What must come through.

PLAIN = {
    'dict': {'a': {'b': {}}, 1: None, 2.5: True, None: False, b'k': 'v', -7: 1, 0: 0},
    'list': [[], [1, [2, [3]]], list(range(3000))],
    'tuple': ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    'str': ['', 'plain', 'é', '日本', '\U0001f483', "it's", 'a\nb\\c\0', 'x' * 70_000],
    'int': [0, 1, -1, 255, 256, 65536, 2 ** 31, -2 ** 31 - 1, 2 ** 63, 2 ** 200, -2 ** 200],
    'float': [0.0, -0.0, 1e-300, 1.5, float('inf'), float('-inf'), float('nan')],
    'bytes': [b'', b'\0', b'\xff' * 300, bytes(range(256)), b'x' * 70_000],
    'bool': [True, False, None],
    'ordered': collections.OrderedDict([('z', 1), ('a', collections.OrderedDict())]),
    'shared': [[1, 2]] * 3,
    'scalars': [kind(1) for kind in (np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64,
                                     np.uint64, np.float16, np.float32, np.float64, np.complex64, np.complex128)],
    'text scalars': [np.str_('é'), np.bytes_(b'ab'), np.str_(''), np.bytes_(b'')],
    'scalar keys': {np.int64(5): 1, np.str_('a'): 2},
    'nested': {'positions_3d': {'S1': {'Walking': np.ones((2, 3), np.float32)}}, 'list': [np.zeros(2)] * 2},
}


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize('kind', PLAIN)
def test_plain_data(kind, protocol):
    assert_same(safe_pickle.loads(pickle.dumps(PLAIN[kind], protocol)), PLAIN[kind])


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize('spec', [*'?bBhHiIlLqQefdgFD', '>i2', '>u4', '>f4', '>f8', '>c16', 'S1', 'S7', '<U3', '>U3'])
def test_arrays(spec, protocol):
    base = (np.arange(24).reshape(2, 3, 4) % (2 if spec == '?' else 24)).astype(spec)
    one = base[0, 0, :1]
    variants = [base, np.asfortranarray(base), base[:, ::2], base.T, one, one.reshape(()), base[:0]]
    data = pickle.dumps(variants, protocol)
    found = safe_pickle.loads(data)
    assert_same(found, pickle.loads(data))  # NumPy itself turns the byte order in some protocols
    for mine, theirs in zip(found, variants):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_object_arrays(protocol):
    inner = np.empty(2, object)
    inner[:] = [np.arange(3.0), {'a': np.ones(2, np.int8)}]
    outer = np.empty((2, 2), object)
    outer[0, 0], outer[0, 1], outer[1, 0], outer[1, 1] = inner, None, 'text', [inner, (1, 2)]
    zero = np.empty((), object)
    zero[()] = {'S1': outer}
    value = [outer, zero, np.asfortranarray(outer), np.empty(0, object)]
    assert_same(safe_pickle.loads(pickle.dumps(value, protocol)), value)


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_arrays_are_their_own(protocol):
    """To fill a loaded array changes no other, and no constant of the interpreter."""
    first, second = safe_pickle.loads(pickle.dumps([np.array([5], np.uint8), np.array([5], np.uint8)], protocol))
    first[0] = 9
    assert second[0] == 5
    assert bytes([5]) == b'\5'


def test_type_codes_change_no_dtype_of_numpy():
    found = safe_pickle.loads(array((1,), dtype('i4', (3, '>', None, None, None, -1, -1, 0)), b'\0\0\0\1') + b'.')
    assert found[0] == 1
    assert np.dtype('i4').byteorder == '='


def test_reads_from_where_the_file_stands_and_stops_behind():
    file = io.BytesIO(b'skip' + pickle.dumps([1], 4) + pickle.dumps('two', 4) + b'rest')
    file.seek(4)
    assert safe_pickle.load(file) == [1]
    assert safe_pickle.load(file) == 'two'
    assert file.read() == b'rest'


# Written by Python 2.7.18 with NumPy 1.16.6, protocols 0, 1 and 2:
# base64.b64encode(zlib.compress(pickle.dumps(value, protocol))), with `value` as `expected` below.
PYTHON2 = [
    'eJyNVctu2zAQvPNH7EsDLt8EiiaHooAvDlCj6aVAQcmK6ka2CFkG6qI/3L/oLinFsoPEPfjB5ZKcGQ535+vI2Wr2u+ra9YxFYOXusI3Hm7Lt'
    'qpvtoek3oevCkX3vqrLd7fvuUPYsCjbPeWy3zvNRsvmCsz4q3K3AnTT+N+xztBgHNu+H/HV/jBWLjs1Xs0eHeZ7hMszoI3BMB8xdSNzjPaER'
    'bLlcLt4BSx/aHiQrFpwgf/vF+Ssfd0eLFaVrVuxXs9juN/0G8X+XiaVh83UEi7usgMYujT2Ov4bmabOrMSg4q5FnPRITwGoiJQTCFDLTWgiG'
    'aDGoWJ05KVqqn0kJ0kDYCSnhXpAS/jopx2+ngbvnP3fTnMkgcFJB0v4SUIU96vBIEXHOS8rMSypEKvWJl6CgGXht6K6kfeYlHWX7CS/FX/BS'
    'QLzg7csaP+LKPFyZl2/NEz7io2TyQ9utq64iKyjFyrJtmqpM/mD3eebjhmyuUI15ExXaBb8t6RSQfQg0dEgr0A4egwKDfdTkYA0MT9iG/RO9'
    'ggux9SC2JrH1SWyMjEoX5Eh9UlqT0npU+g9OmpdKG5g4CAbGhvY1mXGxIU8bdQ7H6AzHkEuNncAxbrx4QetOr9QSRzu+0g84aV++UvvaKyVu'
    'lh6mzQ9z11LAMErG4WEXttWeQvYcqHUZqPV4uuMToA4GoF8IqBPPQJ2kVDVxqNMJqGMLxfAbU8wIM0xxFuegK3/FWc7SXi4R6g+xqSjmE8Ya'
    '3dFHn8gVxz5x8/lBPD4Oy72gWSyPRdXRULKFpUjTpjrkESxw7zWAEdaiWDi3L0MTUrZ+rWLnFMxA99bCnt1FyW9pLeH2ZC/vadO2+InPgCAC'
    'vyh+wIfqB5zKH3A5uQLgY/W7d2mxntR0k9LtxL7AzyugkSlxqIH4tAAuT4fxdEinw9npWOhr6dnVrvBfhYTwQT4KzRHo/gINbLbrYE/AjnGB'
    '0A8IRepiAqYIsWVkfVYidTV50keolK6n+mDPIH0EpeTd8fpGoxblCFO4NIW67R8Ou03ZrrGxAhb8h7/0m8rQj9BQzQcs+p/4jU5Ga3dVCkm2'
    'pJbQhDoNUcVkFe2HKpKiiZNMlyiTK49ZAKz/VNkxUG1jf0whf6EJdoSsCfYBXI8FOGvCc88ELMY1wHBxqWOnlq2oNNz8A1zAMEw=',
    'eJx1lHt31EQYxpPsbncNF1FQ7lDxQlApzQK9cOlWQbFEtzp1pCq1ZLKzTWg22SeZBRZaqCBeUFG/Af/6LTyHL+K/fgqcZLJnD/Y4ZydzTpJ9'
    'nt/zvjNZh2bRym2exC3oXtTrdPtjXpzwsU4vFIGbJG7fXE64F0epSHqeMGFY6jUzaqnHKFmOJlCmOkNFYISgajn6seKtluh3uYmaRY32FF5w'
    'NEcXMAm2WE6J6uewtdlsXn4mR37JhLaxufFxk9a0fNRmsV3gRUa3duM0EIEEWT7Zwo51vESNBRsvr2MnrV5xw9UgWsEu37B8xfOKL2FeJdgt'
    'YSzHcEoCe/wc4xT2Kox9BPsLjAObMA4qjD0KY6MhL7PyJ+eGnE9mcUjgMEtTqrcxOrR9LbM9QvB6YWsIvJHbBlN4U9m+RXC0sLU22R6TtrZJ'
    'R7ViGMWqF2upWPG2wDuMVuOkxRPewrueF4ch9/IKmfPq7sUg69hxawljcp6w/Iqj8yWMW1R3YTsG5wJ1gpO03HHTVZwaxjidxZggmFQxBKby'
    'EMzGtApxhuBsHmIN5zaFOK9qZ+gaZgQajJZYsILZofx7mfz7BBcG8hdVjer4QMl/SHApl5/BR5vk55R8OSsLLgs4jBpRjI/zuyO9yO3wFJ8M'
    '3ZqZ2zzBpwO3z3I3WgdRbgsEnxcdodLNqTllpybwhfLZ4UojJuc/g9pfEVhktCJ63ZDjS6nq2wJf0QrrC+n8NTWeabhKR+QJYDzBklOl5TCW'
    '2/ObOXt8evq0bU/UJycnJyRs6rmhm2D5f46eemzimuXvz/L+1YArwAg82Xl2XbY7RWsYlGdB2wQrg6B+HnR+CoEKep1gteha+HxZGwKdPO4S'
    'ImuoGGeKXQIMFBP/qCqK9p+NiVRAMN+WW6ona6OacGOodDNTukXQHyjdztkW6rij2NYI1gu2u1kTDEfP/nevaLbLPA0bAt+yxaq060WBF7c4'
    '7i9mJ+Tpn3hAy74btvHdpcbfioiWozjieNik5XboruB7X5bxLNV1/CDwI8FPtNSXjI/yA1fhna7o4+ch8C8Z8K8Ej3NgLfuA/OZvyWE0/C7w'
    'B+uN/QvbqpP0',
    'eJx1k+ty00YcxSXZjo2BAqWltNByBwdKig3kUi5OC+USFafdsBAoJmjldSQiSz7Suq0pgbQ0Tky59Q34ylsw0xfhK09Bdy3pQ8l0R6udkXbO'
    '7/zPf3fJWIRWorl7PAwa0G2/02p3R+wg5COtjidcKwytbnEu5HbgRyLs2KIII95V9BvxX2RMbRlZqjPkVjBEkC+Z+nCyqSG6bV5EgRrNcawz'
    'NVNfQZFgfcnMUP00NtRqtal3cgxepiawkfVpQRuMwiQ+ENjE6IZ2ELnClRbmjjeweRFbqDFTxoeL2Erz1y1vwfXn8ZFjOAMnHzvSxjaCT6QN'
    '0zAzPWx3FP8EPo35nxHsSPg71/A/l/ztMX+pKl+T8pFzSc6Xk/hCYBeLIqo3sTvl7VG8vQT7Yp7Rw37Fc8dxIOYdJDiU8EpreMNsle7WkmEk'
    'q56smWTFYYEjjOaDsMFD3sCXth14HrcHmRSn46/nXdWdo3WMlOr4quTkTJ3XcaxEdQtl0+B8GRWC4zTbsqIFnEjtn1T2RwnGBvaXMa7MszIm'
    'YvNfE5wamL+P02vMn5FhGbqGswJVRjPMncdkqvuN0v2W4Fyie34QSgXfxboXCC4OdM/i0hrdy1I3q3LAlIDJqOEH+L5Phzq+1eIRrqSMmmJM'
    'E/yQMH5UDFoBiRkzBFeT4KlkmAUzaxYErkn1zZaUZ3K+TSO+LjDLaE502h7HDVN3yj3cpDnWFZL4EzXeabhFh+SpZjxE3czTrBfIY3f7cvnY'
    'xMTJcnm0MjY2NlqkQ5FteVaIuf+5TPHvIu44O1SNr6uwemAEtmwvuyt7GqGR1sdVfU2C+aQ+R9U3PQ43ru8uwULSG++/GVYFWqxfh19KpQIl'
    '1SZAIhU6h2QK2nsHDpGAYE6ZC3RkGHHcP6cavyiNXwm6icY9ZWemgt9iO/cJFhM7D1Tchtwlm/lQNdNitoYlgd/ZbF5yOr5rBw2OP2bVkf/n'
    'FR7RrGN5Tfx5sfomtkKzfuBzLNdotulZ8+g5d5xTVNex0sMqQZ9mutLb41Wa46226OKv1OUT5fIpwTPlUlP3/7mzvk81vBD4m3VG/gUWAI71',
]


@pytest.mark.parametrize('protocol', [0, 1, 2])
def test_python2(protocol):
    objects = np.empty(2, object)
    objects[:] = [np.arange(2), 'a']
    expected = {
        'positions_3d': {'S1': {'Walking': np.arange(6, dtype='f4').reshape(2, 3)}}, 'unicode': 'é', 'yes': True,
        'no': False, 'number': 7, 'long': 2 ** 40, 'half': .5, 'none': None, 'tuple': (1, 'a'), 'bytes': '\xff\0',
        'scalar': np.float32(1.5), 'flag': np.bool_(True), 'objects': objects, 'names': np.array([b'ab', b'c']),
        'unames': np.array(['ab', 'é']), 'mask': np.array([True, False]), 'big': np.arange(2, dtype='i2'),
        'f': np.asfortranarray(np.arange(4).reshape(2, 2)), 'ordered': collections.OrderedDict([('b', 1), ('a', 2)]),
        'empty': np.zeros((0, 3)), 'zerod': np.array(3.)}
    found = safe_pickle.loads(zlib.decompress(base64.b64decode(PYTHON2[protocol])))
    assert found.keys() == expected.keys()
    assert_same({key: found[key] for key in expected}, expected)


@pytest.mark.parametrize(('data', 'expected'), [
    (b'I01\n', True), (b'I00\n', False), (b'I1\n', 1), (b'I-7\n', -7), (b'L4294967296L\n', 4294967296),
    (b"S'a\\'b\\xe9'\n", "a'bé"), (b'S"x"\n', 'x'), (b'T\x02\0\0\0\xe9\0', 'é\0'), (b'U\x01\xff', 'ÿ'),
    (b'V\\u65e5\n', '日'), (b'F1.5\n', 1.5), (b'(lp0\nI1\naI2\na', [1, 2]), (b'(dp0\nS"k"\nI1\ns', {'k': 1}),
    (b'(I1\nI2\ntp0\n0g0\n', (1, 2)), (b'ccollections\nOrderedDict\n((l(I1\nI2\nlatR', collections.OrderedDict({1: 2})),
    (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n(S'f4'\nI0\n"
     b"I1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x00\\x00\\x80?\\x00\\x00\\x00\\xc0'\ntb",
     np.array([1, -2], np.float32)),
])
def test_opcodes_of_python2(data, expected):
    assert_same(safe_pickle.loads(data + b'.'), expected)


# What must not.

class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize(('function', 'argument'), [
    (os.system, 'touch {}'), (os.mkdir, '{}'), (subprocess.check_call, ['touch', '{}']),
    (eval, '__import__("pathlib").Path("{}").touch()'), (exec, 'open("{}", "w")'),
])
def test_calls_are_refused_by_name_and_not_made(function, argument, protocol, tmp_path):
    marker = tmp_path / 'marker'
    if isinstance(argument, list):
        argument = [part.format(marker) for part in argument]
    else:
        argument = argument.format(marker)
    data = pickle.dumps({'innocent': np.zeros(2), 'x': Call(function, argument)}, protocol)
    pickle.loads(data)
    assert marker.exists(), 'the attack itself does not work, so that the test says nothing'
    marker.rmdir() if marker.is_dir() else marker.unlink()

    with pytest.raises(safe_pickle.RefusedPickle) as caught:
        safe_pickle.loads(data)
    assert not marker.exists()
    assert f'.{function.__name__}, which is not plain data' in str(caught.value)


@pytest.mark.parametrize(('module', 'attribute'), [
    ('builtins', 'getattr'), ('__builtin__', 'getattr'), ('builtins', '__import__'), ('builtins', 'bytearray'),
    ('builtins', 'range'), ('builtins', 'type'), ('__builtin__', 'set'), ('importlib', 'import_module'),
    ('operator', 'attrgetter'), ('functools', 'partial'), ('collections', 'namedtuple'), ('collections', 'defaultdict'),
    ('collections', 'OrderedDict.update'), ('copyreg', '_reconstructor'), ('copy_reg', '_reconstructor'),
    ('_codecs', 'decode'), ('pickle', 'loads'), ('numpy', 'load'), ('numpy', 'frombuffer'), ('numpy', 'memmap'),
    ('numpy', 'dtype.newbyteorder'), ('numpy.core.multiarray', 'fromfile'), ('numpy._core.numeric', 'sys'),
    ('numpy.core.multiarray', '_reconstruct.__globals__'), ('numpy.f2py', 'compile'), ('torch', 'load'),
    ('torch.hub', 'load'), ('torch._utils', '_rebuild_tensor_v2'), ('torch', 'FloatStorage'),
    ('common.files.safe_pickle', 'load'), ('', ''), ('__main__', '__builtins__'), ('Numpy', 'dtype'),
    ('timeit', 'timeit'),
])
def test_globals_outside_the_list_are_named(module, attribute):
    for data in (name(module, attribute), b'\x80\x04' + lit(module) + lit(attribute) + b'\x93',
                 b'(I1\n' + f'i{module}\n{attribute}\n'.encode(), b'(' + name(module, attribute) + b'I1\no',
                 name(module, attribute) + b')\x81', name(module, attribute) + b')}\x92'):
        assert f'asks for {module}.{attribute},' in refusal(data)


def test_names_reach_the_terminal_harmless_and_short():
    assert refusal(name('\x1b[2Jos', 'system\x07')) == 'it asks for ?[2Jos.system?, which is not plain data'
    assert len(refusal(name('x' * 100_000, 'y'))) < 300


@pytest.mark.parametrize('data', [
    b'(' + ORDERED_DICT + b'o', b'(icollections\nOrderedDict\n', name('numpy', 'ndarray') + b')\x81',
    ORDERED_DICT + b')\x81', name('numpy', 'dtype') + lit(('f4',)) + b'}\x92', lit(1) + b')\x81',
    b'(' + lit('f4') + lit(1) + b'o', b'\x8f', b'(\x91', b'](I1\n\x90', b'\x97', lit('a') + b'\x98',
    pickle.dumps({1, 2}, 4)[:-1], pickle.dumps(frozenset([1]), 4)[:-1],
])
def test_objects_are_not_made_even_of_allowed_names(data):
    assert 'makes an object that is not plain data' in refusal(data)


@pytest.mark.parametrize('data', [b'\x82\x01', b'\x83\x01\x01', b'\x84\x01\x01\x01\x01'])
def test_registered_extensions_are_refused(data):
    assert 'registered extension' in refusal(data)


@pytest.mark.parametrize('function', [
    lit('text'), lit(1), lit(None), EMPTY_ARRAY, name('numpy', 'ndarray'), dtype('f4'), call(ORDERED_DICT)])
def test_only_functions_of_the_list_are_called(function):
    assert 'calls something' in refusal(function + b')R')
    assert 'calls something' in refusal(ORDERED_DICT + b']R')  # with something else than a tuple of arguments


@pytest.mark.parametrize(('target', 'kind'), [
    (ORDERED_DICT, 'function'), (ENCODE, 'function'), (name('numpy', 'ndarray'), 'object'), (lit({}), 'dict'),
    (lit([]), 'list'), (lit('a'), 'str'), (lit(1), 'int'),
    (call(name('numpy.core.multiarray', 'scalar'), dtype('f4'), lit('abcd')), 'float32')])
@pytest.mark.parametrize('state', [lit({'__code__': 1}), lit((None, {'__code__': 1})), lit(({'a': 1}, {'b': 2}))])
def test_state_is_set_of_arrays_only(target, kind, state):
    assert f'sets the state of a {kind}' in refusal(target + state + b'b')


def test_state_of_ordered_dicts_is_dropped():
    found = safe_pickle.loads(call(ORDERED_DICT) + lit({'_metadata': 1}) + b'b.')
    assert found == {}
    assert not hasattr(found, '_metadata')


@pytest.mark.parametrize('data', [
    EMPTY_ARRAY + b'I0\nI1\ns', EMPTY_ARRAY + b'(I0\nI1\nu', lit('a') + b'I0\nI1\ns', lit(()) + b'I0\nI1\ns',
    ENCODE + lit('__doc__') + b'I1\ns', b']I0\nI1\ns', EMPTY_ARRAY + b'I1\na', EMPTY_ARRAY + b'(I1\ne', b'}I1\na',
    lit(()) + b'I1\na', ENCODE + b'(I1\ne', b'\x96\1\0\0\0\0\0\0\0x(I1\ne'])
def test_items_are_set_in_dicts_and_lists_only(data):
    assert 'sets items of' in refusal(data) or 'appends to' in refusal(data)


@pytest.mark.parametrize('data', [b'P1\n', lit('id') + b'Q', lit(('storage', 1)) + b'Q'])
def test_persistent_ids_are_refused_where_none_are_expected(data):
    assert 'objects outside itself' in refusal(data)


@pytest.mark.parametrize('data', [
    ORDERED_DICT, name('numpy', 'ndarray'), dtype('f4'), b'](' + name('numpy', 'dtype') + b'e',
    lit('k') + dtype('i8') + b'\x86', b'}' + lit('k') + ENCODE + b's'])
def test_helpers_are_not_left_in_the_result(data):
    assert 'not plain data' in refusal(data)


def test_values_that_break_whoever_prints_them():
    with pytest.raises(pickle.UnpicklingError):
        safe_pickle.loads(pickle.dumps({'half a character': '\ud800'}, 2))
    assert '100,001 bits' in refusal(lit([1 << 100_000]))


# Damage: every cut and every flipped byte of a pickle ends in data or in one exception.

SAMPLE = {'S1': {'Walking': np.arange(6, dtype=np.float32).reshape(2, 3)}, 'n': [1, 2.5, 'é', None, True],
          'objects': np.array([{'a': 1}, None], object), 's': np.float32(2), 'o': collections.OrderedDict(a=1)}


@pytest.mark.parametrize('protocol', [0, 2, 5])
def test_cut_and_flipped(protocol):
    data = pickle.dumps(SAMPLE, protocol)
    for end in range(len(data)):
        with pytest.raises(pickle.UnpicklingError):
            safe_pickle.loads(data[:end])
    for place in range(len(data)):
        for flip in (1, 0x80):
            damaged = bytearray(data)
            damaged[place] ^= flip
            try:
                safe_pickle.loads(bytes(damaged))
            except pickle.UnpicklingError as error:
                assert len(str(error)) < 400


@pytest.mark.parametrize('data', [
    b'', b'.', b'\x80', b'\x80\x06.', b'K', b'J\1', b'G\0', b'(', b'0.', b'h\0.', b'g1\n.', b'gx\n.', b'p-1\n.',
    b'Ix\n.', b'L\n.', b'Fx\n.', b'Sx\n.', b'\xff.', b't.', b'a.', b's.', b'R.', b'b.', b'I' + b'9' * 10_000 + b'\n.',
    b'\x8a\xff.', b'\x8b\xff\xff\xff\xff.', b'T\xff\xff\xff\xff.', b'2.', b'1.', b'}(I1\nu.'])
def test_no_pickle(data):
    with pytest.raises(pickle.UnpicklingError) as caught:
        safe_pickle.loads(data)
    assert len(str(caught.value)) < 400


def test_every_opcode_is_known():
    """A new version of Python must not bring a handler that nobody has looked at."""
    known = set(b'(.012BCFGIJKLMNPQRSTUVX]abcdeghijlopqrstu})') | set(range(0x80, 0x99))
    assert set(safe_pickle._Unpickler.dispatch) <= known


def test_nothing_of_the_list_is_a_library_s_own():
    for function in plain_data.FUNCTIONS.values():
        assert getattr(function, '__module__', 'common.files.plain_data') == 'common.files.plain_data'
