"""The unpickler: plain data of every protocol and of Python 2 comes through, nothing else does, and nothing runs."""

import base64
import collections
import io
import os
import pickle
import zlib

import numpy as np
import pytest

from common.files import safe_pickle
from tests.helpers.make_pickles import EMPTY_ARRAY, array, call, dtype, lit, name
from tests.helpers.same import assert_same

PROTOCOLS = range(5)  # NumPy and PyTorch write 2 to 4
ORDERED_DICT, ENCODE = name('collections', 'OrderedDict'), name('_codecs', 'encode')


def loads(data):
    return safe_pickle.load_plain(io.BytesIO(data))


def refusal(data):
    with pytest.raises(pickle.UnpicklingError) as caught:
        loads(data + b'.')
    assert len(str(caught.value)) < 400
    return str(caught.value)


def object_array(*content):
    boxed = np.empty(len(content), object)
    boxed[:] = content
    return boxed


# What must come through.

PLAIN = {
    'dict': {'a': {'b': {}}, 1: None, 2.5: True, None: False, b'k': 'v', np.int64(5): 1, np.str_('a'): 2},
    'sequences': [[], [1, [2, [3]]], list(range(3000)), (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [[1, 2]] * 3],
    'text': ['', 'plain', 'é', '日本', '\U0001f483', "it's", 'a\nb\\c\0', 'x' * 70_000, b'', b'\xff' * 300],
    'numbers': [0, -1, 255, 65536, -2 ** 31 - 1, 2 ** 200, 0.0, -0.0, 1e-300, float('inf'), float('nan'), True, None],
    'ordered': collections.OrderedDict([('z', 1), ('a', collections.OrderedDict())]),
    'scalars': [*(kind(1) for kind in (np.bool_, np.int8, np.uint16, np.int64, np.float16, np.float32, np.complex64)),
                np.str_('é'), np.bytes_(b'ab'), np.str_(''), np.bytes_(b'')],
    'poses': {'positions_3d': {'S1': {'Walking': np.ones((2, 3), np.float32)}}, 'list': [np.zeros(2)] * 2},
    'object arrays': [object_array(np.arange(3.0), {'a': object_array(None, 'text')}), np.empty(0, object),
                      np.asfortranarray(object_array(1, (2,), [3], 4).reshape(2, 2)), np.array({'S1': 1}, object)],
    'arrays': [made for spec in (*'?bBhiqQefdFD', '>i2', '>f4', '>c16', 'S7', '<U3', '>U3')
               for base in [(np.arange(24).reshape(2, 3, 4) % (2 if spec == '?' else 24)).astype(spec)]
               for made in (base, np.asfortranarray(base), base[:, ::2], base[0, 0, 0:1].reshape(()), base[:0])],
}


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize('kind', PLAIN)
def test_plain_data(kind, protocol):
    data = pickle.dumps(PLAIN[kind], protocol)
    assert_same(loads(data), pickle.loads(data))  # NumPy itself turns the byte order in some protocols


# Written by Python 2.7.18 with NumPy 1.16.6: base64.b64encode(zlib.compress(pickle.dumps(expected, 2))).
PYTHON2 = (
    'eJx1k+ty00YcxSXZjo2BAqWltNByBwdKig3kUi5OC+USFafdsBAoJmjldSQiSz7Suq0pgbQ0Tky59Q34ylsw0xfhK09Bdy3pQ8l0R6udkXbO'
    '7/zPf3fJWIRWorl7PAwa0G2/02p3R+wg5COtjidcKwytbnEu5HbgRyLs2KIII95V9BvxX2RMbRlZqjPkVjBEkC+Z+nCyqSG6bV5EgRrNcawz'
    'NVNfQZFgfcnMUP00NtRqtal3cgxepiawkfVpQRuMwiQ+ENjE6IZ2ELnClRbmjjeweRFbqDFTxoeL2Erz1y1vwfXn8ZFjOAMnHzvSxjaCT6QN'
    '0zAzPWx3FP8EPo35nxHsSPg71/A/l/ztMX+pKl+T8pFzSc6Xk/hCYBeLIqo3sTvl7VG8vQT7Yp7Rw37Fc8dxIOYdJDiU8EpreMNsle7WkmEk'
    'q56smWTFYYEjjOaDsMFD3sCXth14HrcHmRSn46/nXdWdo3WMlOr4quTkTJ3XcaxEdQtl0+B8GRWC4zTbsqIFnEjtn1T2RwnGBvaXMa7MszIm'
    'YvNfE5wamL+P02vMn5FhGbqGswJVRjPMncdkqvuN0v2W4Fyie34QSgXfxboXCC4OdM/i0hrdy1I3q3LAlIDJqOEH+L5Phzq+1eIRrqSMmmJM'
    'E/yQMH5UDFoBiRkzBFeT4KlkmAUzaxYErkn1zZaUZ3K+TSO+LjDLaE502h7HDVN3yj3cpDnWFZL4EzXeabhFh+SpZjxE3czTrBfIY3f7cvnY'
    'xMTJcnm0MjY2NlqkQ5FteVaIuf+5TPHvIu44O1SNr6uwemAEtmwvuyt7GqGR1sdVfU2C+aQ+R9U3PQ43ru8uwULSG++/GVYFWqxfh19KpQIl'
    '1SZAIhU6h2QK2nsHDpGAYE6ZC3RkGHHcP6cavyiNXwm6icY9ZWemgt9iO/cJFhM7D1Tchtwlm/lQNdNitoYlgd/ZbF5yOr5rBw2OP2bVkf/n'
    'FR7RrGN5Tfx5sfomtkKzfuBzLNdotulZ8+g5d5xTVNex0sMqQZ9mutLb41Wa46226OKv1OUT5fIpwTPlUlP3/7mzvk81vBD4m3VG/gUWAI71')


def test_a_pickle_of_python2():
    objects = np.empty(2, object)
    objects[:] = [np.arange(2), 'a']
    expected = {
        'positions_3d': {'S1': {'Walking': np.arange(6, dtype='f4').reshape(2, 3)}}, 'unicode': 'é', 'yes': True,
        'no': False, 'number': 7, 'long': 2 ** 40, 'half': .5, 'none': None, 'tuple': (1, 'a'), 'bytes': '\xff\0',
        'scalar': np.float32(1.5), 'flag': np.bool_(True), 'objects': objects, 'names': np.array([b'ab', b'c']),
        'unames': np.array(['ab', 'é']), 'mask': np.array([True, False]), 'big': np.arange(2, dtype='i2'),
        'f': np.asfortranarray(np.arange(4).reshape(2, 2)), 'ordered': collections.OrderedDict([('b', 1), ('a', 2)]),
        'empty': np.zeros((0, 3)), 'zerod': np.array(3.)}
    found = loads(zlib.decompress(base64.b64decode(PYTHON2)))
    assert found.keys() == expected.keys()
    assert_same({key: found[key] for key in expected}, expected)


@pytest.mark.parametrize(('data', 'expected'), [
    (b'I01\n', True), (b'I00\n', False), (b'I-7\n', -7), (b'L4294967296L\n', 4294967296), (b"S'a\\'b\\xe9'\n", "a'bé"),
    (b'T\x02\0\0\0\xe9\0', 'é\0'), (b'U\x01\xff', 'ÿ'), (b'V\\u65e5\n', '日'), (b'F1.5\n', 1.5),
    (b'(lp0\nI1\naI2\na', [1, 2]), (b'(dp0\nS"k"\nI1\ns', {'k': 1}), (b'(I1\nI2\ntp0\n0g0\n', (1, 2)),
    (b'ccollections\nOrderedDict\n((l(I1\nI2\nlatR', collections.OrderedDict({1: 2})),
])
def test_opcodes_of_python2(data, expected):
    assert_same(loads(data + b'.'), expected)


# What must not.

class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize(('function', 'argument'), [
    (os.system, 'touch {}'), (os.mkdir, '{}'), (eval, '__import__("pathlib").Path("{}").touch()'),
    (exec, 'open("{}", "w")')])
def test_calls_are_refused_by_name_and_not_made(function, argument, protocol, tmp_path):
    marker = tmp_path / 'marker'
    data = pickle.dumps({'innocent': np.zeros(2), 'x': Call(function, argument.format(marker))}, protocol)
    pickle.loads(data)
    assert marker.exists(), 'the attack itself does not work, so that the test shows nothing'
    marker.rmdir() if marker.is_dir() else marker.unlink()
    assert f'.{function.__name__}, which is not plain data' in refusal(data[:-1])
    assert not marker.exists()


@pytest.mark.parametrize(('module', 'attribute'), [
    ('builtins', 'getattr'), ('__builtin__', 'getattr'), ('builtins', '__import__'), ('builtins', 'bytearray'),
    ('importlib', 'import_module'), ('operator', 'attrgetter'), ('functools', 'partial'), ('collections', 'namedtuple'),
    ('collections', 'OrderedDict.update'), ('copyreg', '_reconstructor'), ('_codecs', 'decode'), ('pickle', 'loads'),
    ('numpy', 'load'), ('numpy', 'memmap'), ('numpy.core.multiarray', 'fromfile'), ('numpy.f2py', 'compile'),
    ('numpy.core.multiarray', '_reconstruct.__globals__'), ('torch', 'load'), ('torch.hub', 'load'),
    ('torch.storage', '_load_from_bytes'), ('common.files.safe_pickle', 'load'), ('__main__', '__builtins__'), ('', ''),
])
def test_globals_outside_the_list_are_named(module, attribute):
    for data in (name(module, attribute), b'\x80\x04' + lit(module) + lit(attribute) + b'\x93',
                 b'(I1\n' + f'i{module}\n{attribute}\n'.encode(), b'(' + name(module, attribute) + b'I1\no',
                 name(module, attribute) + b')\x81', name(module, attribute) + b')}\x92'):
        assert f'asks for {module}.{attribute},' in refusal(data)
    assert refusal(name('\x1b[2Jos', 'a' * 10_000)).startswith('it asks for ?[2Jos.aaa')


@pytest.mark.parametrize('data', [
    b'(' + name('numpy', 'ndarray') + b'o', name('numpy', 'ndarray') + b')\x81', name('numpy', 'dtype') + b')\x81',
    ENCODE + b')\x81', lit(1) + b')\x81', b'\x8f', b'(\x91', b'](I1\n\x90', b'\x97', b'\x82\x01', b'P1\n',
    lit('id') + b'Q', lit(('storage', 1)) + b'Q', EMPTY_ARRAY + b')R', lit('text') + b')R', dtype('f4') + b')R',
    ORDERED_DICT, name('numpy', 'ndarray'), dtype('f4'), b'](' + name('numpy', 'dtype') + b'e',
    pickle.dumps({1, 2}, 4)[:-1], pickle.dumps(bytearray(b'x'), 5)[:-1], lit({'half a character': '\ud800'}),
    lit([1 << 100_000]), *(target + lit(state) + b'b' for state in ({'__code__': 1}, (None, {'__code__': 1})) for target
                           in (ORDERED_DICT, ENCODE, name('numpy', 'ndarray'), lit({}), lit([]), lit(1)))])
def test_what_is_not_plain_data(data):
    refusal(data)


def test_state_of_ordered_dicts_is_dropped():
    found = loads(call(ORDERED_DICT) + lit({'items': 1}) + b'b.')
    assert found == {}
    assert list(found.items()) == []


STATE = (3, '<', None, None, None, -1, -1, 0)


@pytest.mark.parametrize('spec', [
    'V8', 'M8[ns]', 'm8', 'i4,O', '(2,)f4', '3f4', 'object', 'float', 'O4', 'S9999999', 'T', '', ' f4', 'f4\n', 1, None,
    ('f4', (2,)), [('a', 'f4')], {'a': 'f4'}])
def test_dtypes_that_are_not_plain(spec):
    assert 'not a plain one' in refusal(dtype(spec))


@pytest.mark.parametrize('state', [
    (3, '<', None, ('a',), {'a': (0, 0)}, -1, -1, 0), (3, '<', (1, (1 << 40,)), None, None, -1, -1, 0), [3], {}, 3,
    *((3, order, *STATE[2:]) for order in (None, 'x', '', '<>', 3)), list(STATE), STATE[:7]])
def test_forged_states_of_dtypes(state):
    assert loads(array((0,), dtype('f8', STATE), '') + b'.').dtype == 'f8'
    assert 'not a plain one' in refusal(dtype('f8', state))


@pytest.mark.parametrize('data', [
    *(array(shape, 'f4', b'1234') for shape in (
        (3,), (0,), (-1,), (-1, -1), (1.0,), (True,), [1], 1, None, ('1',), ((1,),), (1 << 40,) * 2, (1,) * 33)),
    array((-2, -2), 'i1', b'1234'), array((1,), 'f4', b'12345'), array((), 'f4', b''), array((1 << 62, 4), 'f4', b''),
    array((1 << 62,), 'S0', b''), array((5,), 'U0', b''), array((0, 1 << 47), 'f4', b''), array((1,), 'f4', [1]),
    array((1,), 'f4', None), array((1,), 'O8', b'12345678'), array((1,), 'O8', 'x'), array((2,), 'O8', [1]),
    *(EMPTY_ARRAY + state + b'b' for state in (lit((1, (1,), 'f4', False, 'abcd')), b')', b']', b'N', lit((1,) * 6))),
    array((1,), 'b1', b'\2'), array((2,), 'b1', b'\1\xff'),  # no booleans: NumPy counts by adding them up
    array((1,), 'U1', b'\xff\xff\xff\x7f'), array((1,), dtype('U1', (3, '>', None, None, None, 4, 4, 8)), b'A\0\0\0'),
    array((1,), dtype('O8', (3, '|', None, None, None, -1, -1, 0)), b'12345678'),  # bytes that would become pointers
])
def test_forged_arrays(data):
    refusal(data)


@pytest.mark.parametrize(('function', 'arguments'), [
    ('numpy.core.multiarray _reconstruct', (name('numpy', 'dtype'), lit((0,)), lit('b'))),
    ('numpy.core.multiarray _reconstruct', (name('numpy', 'ndarray'), lit((1 << 40,)), lit('b'))),
    ('numpy.core.multiarray _reconstruct', (name('numpy', 'ndarray'), lit((0,)), lit('O'))),
    ('numpy.core.multiarray _reconstruct', ()), ('numpy dtype', ()),
    ('numpy.core.multiarray scalar', (dtype('O8'), lit('12345678'))),
    ('numpy.core.multiarray scalar', (dtype('f4'), lit('123'))), ('numpy.core.multiarray scalar', (dtype('f4'),)),
    ('numpy.core.multiarray scalar', (lit('f4'), lit('1234'))),
    ('numpy.core.multiarray scalar', (dtype('U1'), lit('\x7f\x7f\x7f\x7f'))),
    ('_codecs encode', (lit('a'), lit('rot13'))), ('_codecs encode', (lit([]), lit('latin1'))),
    ('_codecs encode', (lit('日'), lit('latin1'))), ('builtins bytes', (lit(1 << 40),)),
    ('collections OrderedDict', (lit(1),)), ('collections OrderedDict', (lit([[(1, 2), 1]]),)),
    ('torch._utils _rebuild_tensor_v2', (lit('x'), lit(0), lit((1,)), lit((1,)))),
])
def test_misused_functions(function, arguments):
    refusal(call(name(*function.split()), *arguments))


def test_every_opcode_is_known():
    """A new version of Python must not bring a handler that nobody has looked at."""
    known = set(b'(.012BCFGIJKLMNPQRSTUVX]abcdeghijlopqrstu})') | set(range(0x80, 0x99))
    assert set(safe_pickle.Unpickler.dispatch) <= known
