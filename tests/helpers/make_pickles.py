"""Pickles made by hand, opcode by opcode: what no honest program would write."""

import io
import pickle

BIG = 1 << 40


def lit(value) -> bytes:
    """The opcodes of plain data: protocol 2, without a memo, without the STOP at the end."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, 2)
    pickler.fast = True
    pickler.dump(value)
    return buffer.getvalue()[2:-1]


def name(module: str, attribute: str) -> bytes:
    return f'c{module}\n{attribute}\n'.encode()


def tup(*parts: bytes) -> bytes:
    return b'(' + b''.join(parts) + b't'


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + tup(*arguments) + b'R'


def dtype(spec, state=None) -> bytes:
    made = call(name('numpy', 'dtype'), lit(spec), lit(0), lit(1))
    return made if state is None else made + lit(state) + b'b'


EMPTY_ARRAY = call(name('numpy.core.multiarray', '_reconstruct'), name('numpy', 'ndarray'), lit((0,)), lit('b'))


def array(shape, spec, content, fortran=False, version=1) -> bytes:
    """An array; `spec` is a type code or the opcodes of a dtype, `content` its bytes, or opcodes after a b'('."""
    if type(content) is bytes:
        content = content.decode('latin1')
    return EMPTY_ARRAY + tup(lit(version), lit(shape), spec if type(spec) is bytes else dtype(spec), lit(fortran),
                             lit(content)) + b'b'


def doubled(start: bytes, opcodes: bytes = b'2\x86', times: int = 60) -> bytes:
    """A value that holds its predecessor twice, `times` over: 2^times of them at the end."""
    return start + opcodes * times


def nested_arrays(depth: int) -> bytes:
    """An array that holds an array that holds an array: NumPy frees them by recursion, on the stack."""
    level = b'h\x02h\x03R' + tup(lit(1), lit((1,)), b'h\x04', lit(False), b'](h\x01e') + b'b'
    arguments = tup(name('numpy', 'ndarray'), lit((0,)), lit('b'))
    start = name('numpy.core.multiarray', '_reconstruct') + b'q\x020' + arguments + b'q\x030' + dtype('O8') + b'q\x040'
    return start + b']q\x01' + (b'0' + level + b'q\x01') * depth


# Pickles that a reader of plain data must survive: {attack: pickle}. None of them runs anything harmful.
ATTACKS = {what: pickled + b'.' for what, pickled in {
    'call': call(name('posix', 'system'), lit('exit 7')),
    'eval': call(name('builtins', 'eval'), lit('1')),
    'instance': b'(I1\nios\nsystem\n',
    'object': b'}' + name('builtins', 'range') + lit((BIG,)) + b'\x81',
    'extension': b'\x82\x01',
    'function state': name('_codecs', 'encode') + lit((None, {'__code__': 1})) + b'b',
    'forged objects': array((1,), dtype('O8', (3, '|', None, None, None, -1, -1, 0)), b'AAAAAAAA'),
    'forged records': dtype('f8', (3, '<', None, ('a',), {'a': (0, 0)}, -1, -1, 0)),
    'forged subtype': dtype('f8', (3, '<', (1, (BIG,)), None, None, -1, -1, 0)),
    'huge array': array((BIG, BIG), 'f4', b''),
    'endless array': array((1 << 62,), 'S0', b''),
    'huge bytes': b'\x80\x05\x96' + BIG.to_bytes(8, 'little') + b'x',
    'huge index': b'Nr\xff\xff\xff\x7f0',
    'hash': b'}' + doubled(b')') + b'Ns',
    'text': call(name('numpy', 'dtype'), doubled(b')')),
    'doubled lists': doubled(b']', b'q\x010](h\x01h\x01e'),
    'nested arrays': nested_arrays(12_000),
    'itself': b']2a',
    'arrays cut short': nested_arrays(12_000)[:-1],
    'lists': b']' * 100_000 + b'a' * 99_999,
    'marks': b'(' * 100_000,
}.items()}
