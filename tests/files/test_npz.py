"""Reading and writing `.npz`: every layout that NumPy writes is read again, everything else ends in one sentence."""

import pickle
import pickletools
import struct
import zipfile

import numpy as np
import pytest

from common.errors import UserError
from common.files import npz
from common.files.npz import read_npy, read_npz, write_npz
from tests.helpers.make_archives import write_zip
from tests.helpers.make_pickles import ATTACKS
from tests.helpers.same import assert_same

POSES = {'S1': {'Walking': np.arange(12, dtype=np.float32).reshape(2, 2, 3), 'Eating 1': np.zeros((0, 2, 3))}}
HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"


def npy(content=b'\0' * 8, header=HEADER, version=(1, 0)):
    """A `.npy` by hand."""
    text = header if isinstance(header, bytes) else header.encode('latin1')
    return b'\x93NUMPY' + bytes(version) + struct.pack('<H' if version[0] == 1 else '<I', len(text)) + text + content


def pickled(data, shape='()'):
    """A `.npy` of an object array with that pickle."""
    return npy(data, f"{{'descr': '|O', 'fortran_order': False, 'shape': {shape}, }}")


def complaint(path, *arguments):
    with pytest.raises(UserError) as caught:
        read_npz(str(path), *arguments)
    text = str(caught.value)
    assert str(path) in text
    assert text.endswith('.')
    assert len(text) < 1000
    return text


def test_round_trip(tmp_path):
    path = str(tmp_path / 'file.npz')
    write_npz(path, positions_3d=POSES, scale=np.array([1.5]), names=np.array(['a', 'é']), meta=[1, 'x', None])
    found = read_npz(path)
    assert list(found) == ['positions_3d', 'scale', 'names', 'meta']
    assert found['positions_3d'].keys() == POSES.keys()
    for action, poses in POSES['S1'].items():
        np.testing.assert_array_equal(found['positions_3d']['S1'][action], poses, strict=True)
    np.testing.assert_array_equal(found['scale'], [1.5])
    assert found['names'].tolist() == ['a', 'é']
    assert found['meta'].tolist() == [1, 'x', None]
    np.testing.assert_equal(np.load(path, allow_pickle=True)['positions_3d'].item(), POSES)


def arrays_of(spec):
    base = (np.arange(24).reshape(2, 3, 4) % (2 if spec == '?' else 24)).astype(spec)
    return {'c': base, 'fortran': np.asfortranarray(base), 'zero_d': base[1, 2, 3:].reshape(()), 'empty': base[:, :0],
            'strided': base[:, ::2], 'one': base[0, 0, :1]}


OBJECTS = np.empty((2, 2), object)
OBJECTS[:] = [[POSES, None], ['text', np.ones(3)]]


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
@pytest.mark.parametrize('entries', [
    *map(arrays_of, ('?', 'i1', 'u2', '<i4', '>i8', '<f2', '<f4', '>f4', '<f8', '<c8', 'S3', '<U2', '>U2')),
    {'positions_3d': POSES, 'several': OBJECTS, 'none': np.array(None), 'many': np.array([{'a': 1}, {}], object)}])
def test_what_numpy_saves_is_read(tmp_path, save, entries):
    path = str(tmp_path / 'file.npz')
    save(path, **entries)
    assert_same(read_npz(path), {name: array.item() if array.dtype == object and array.shape == () else array
                                 for name, array in np.load(path, allow_pickle=True).items()})


@pytest.mark.parametrize('version', [(1, 0), (2, 0), (3, 0)])
def test_versions_of_the_format(tmp_path, version, recwarn):
    header = HEADER.replace('2', '2L') if version[0] < 3 else HEADER  # as Python 2 wrote it
    path = write_zip(tmp_path / 'a.npz', {'a.npy': npy(np.float32([1, 2]).tobytes(), header, version)})
    np.testing.assert_array_equal(read_npz(path)['a'], np.float32([1, 2]), strict=True)
    assert not recwarn.list


def test_wanted_entries(tmp_path):
    path = write_zip(tmp_path / 'a.npz', {'a.npy': npy(), 'b.npy': b'damaged', 'c.npy': npy()})
    assert list(read_npz(path, ('c', 'a'))) == ['c', 'a']
    assert complaint(path, ('a', 'x', 'y')) == f'{path} has no entry x, y; it has a, b, c.'
    empty = write_zip(tmp_path / 'empty.npz', {})
    assert read_npz(empty) == {}
    assert complaint(empty, ('x',)).endswith('it has none.')
    odd = write_zip(tmp_path / 'odd.npz', {'\x1b[2J.npy': npy(), 'x' * 60_000: npy()})
    assert 'it has ?[2J, xxx' in complaint(odd, ('a',))


@pytest.mark.parametrize('array', [np.asfortranarray(np.ones((2, 3))), np.array(['é']), np.zeros((0, 3))])
def test_read_npy(tmp_path, array):
    path = str(tmp_path / 'a.npy')
    np.save(path, array)
    np.testing.assert_array_equal(read_npy(path), array, strict=True)
    np.save(path, np.array({'a': array}), allow_pickle=True)
    np.testing.assert_array_equal(read_npy(path)['a'], array, strict=True)


def test_what_is_written_is_whole_or_absent(tmp_path, monkeypatch):
    path = tmp_path / 'a.npz'
    write_npz(str(path), a=np.ones(3))
    before = path.read_bytes()

    def fail(*_, **__):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(npz.np.lib.format, 'write_array', fail)
    with pytest.raises(UserError, match=r'a\.npz cannot be written: No space left on device'):
        write_npz(str(path), a=np.zeros(3))
    assert path.read_bytes() == before


# What is refused.

def test_files_that_are_none(tmp_path):
    path = tmp_path / 'a.npz'
    assert complaint(path) == f'{path} is missing.'
    with pytest.raises(UserError, match='is missing'):
        read_npy(str(path))
    assert 'cannot be read: Is a directory' in complaint(tmp_path)
    with pytest.raises(UserError, match='cannot be read: Is a directory'):
        read_npy(str(tmp_path))
    for content in (b'', b'PK', b'text\n' * 100, npy(), pickle.dumps(POSES), b'PK\3\4' + bytes(100), b'\x89HDF\r\n'):
        path.write_bytes(content)
        assert 'is not a readable .npz file' in complaint(path)
    for content in (b'', b'\x93NUMPY', b'text\n' * 100, b'\x93NUMPY\1\0\xff\xff'):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r'is not a readable \.npy file'):
            read_npy(str(path))


@pytest.mark.parametrize('member', [
    b'', b'text', npy()[:-1], npy() + b'x', npy(b''), npy(version=(4, 0)), npy(version=(0, 0)), npy(version=(1, 1)),
    npy(version=(2, 0))[:10] + b'\xff\xff\xff\xff', npy(header=''), npy(header='{'), npy(header='1'), npy(header='{}'),
    npy(header='(' * 5000), npy(header='-' * 9000 + '1'), npy(header=b'\xff\0' * 8), npy(header='x' * 9000),
    npy(header='{**{}}'), npy(header='"' * 3), npy(header='\n \n  x\n y'),
    npy(header='__import__("os").system("exit 7")'), npy(header=HEADER.replace('(2,)', '(2')),
    *(npy(header=HEADER.replace('(2,)', shape)) for shape in (
        '(-2,)', '(-1, -2)', '2', '[2]', '(2.0,)', '(True, 2)', '(1 << 1,)', '(9999999999999,)', 'None',
        '(2, 99999999999999999999)', '(0,)', '()', f'({"1," * 65}2)')),
    *(npy(header=HEADER.replace("'<f4'", descr)) for descr in (
        "'<f3'", "'O'", "'|V4'", "'<M8[ns]'", "'2<f4'", "'<f4,<f4'", "[('a', '<f4')]", "[('a', '|O')]", 'None', '1',
        "('<f4', (99999, 99999))", "{'names': ['a'], 'formats': ['<f4']}", "'S0'", "'|S9999999999'", "''", "'float'")),
    npy(b'', HEADER.replace('<f4', '|S0').replace('(2,)', '(4611686018427387904,)')),
    npy(b'', HEADER.replace('(2,)', '(0, 4611686018427387904)')), npy(b'', HEADER.replace('(2,)', '(0, 99999999999)')),
    npy(b'\2\1', HEADER.replace('<f4', '|b1')), npy(b'\xff' * 8, HEADER.replace('<f4', '<U1')),
    npy(header=HEADER.replace('False', '2')), npy(header=HEADER.replace("'descr'", "'x'")),
    npy(header=HEADER[:-2] + "'more': 1}"), npy(header=HEADER + ' ' * 20_000),
    pickled(b''), pickled(b'.'), pickled(pickle.dumps(POSES)), pickled(pickle.dumps(np.ones(2))),
    pickled(pickle.dumps(np.array([POSES, None], object)), '(3,)'), pickled(pickle.dumps(np.array([1], object))[:-9]),
    *(pickled(attack) for attack in ATTACKS.values()),
])
def test_damaged_and_forged_members(tmp_path, member, recwarn):
    """Both readers refuse each in a sentence, and NumPy prints no warning."""
    text = complaint(write_zip(tmp_path / 'a.npz', {'a.npy': member}))
    assert 'is not a readable .npz file' in text or 'is refused' in text
    path = tmp_path / 'a.npy'
    path.write_bytes(member)
    with pytest.raises(UserError, match=r'is not a readable \.npy file|is refused'):
        read_npy(str(path))
    assert not recwarn.list
    assert ('asks for posix.system, which is not plain data. Only' in text) == (ATTACKS['call'] in member)


def set_field(content, signature, offset, value):
    """Overwrite a field of every zip header with that signature."""
    content, place = bytearray(content), -1
    while (place := content.find(signature, place + 1)) >= 0:
        content[place + offset:place + offset + len(value)] = value
    return bytes(content)


LOCAL, CENTRAL = b'PK\3\4', b'PK\1\2'


def test_members_as_numpy_never_writes_them(tmp_path):
    path = tmp_path / 'a.npz'
    write_zip(path, {'a.npy': npy()})
    path.write_bytes(set_field(set_field(path.read_bytes(), LOCAL, 6, b'\1\0'), CENTRAL, 8, b'\1\0'))
    assert 'its entry a.npy is encrypted' in complaint(path)
    write_zip(path, {'a.npy': npy()}, zipfile.ZIP_LZMA)
    assert 'compressed as NumPy never does' in complaint(path)


def test_bombs_are_refused(tmp_path):
    """By what they claim to unpack to, 100 MB in 100 kB; one that claims less is read as far as it claims."""
    path = tmp_path / 'a.npz'
    zeros = npy(bytes(100 << 20), f"{{'descr': '|i1', 'fortran_order': False, 'shape': ({100 << 20},), }}")
    write_zip(path, {'zeros.npy': zeros})
    text = complaint(path)
    assert 'claims to unpack to more than the 67,108,864 bytes' in text
    assert 'zeros.npy to 104,857,' in text
    path.write_bytes(set_field(path.read_bytes(), CENTRAL, 24, struct.pack('<I', 1 << 16)))
    assert 'is not a readable .npz file' in complaint(path)


def test_large_honest_files_are_read(tmp_path, monkeypatch):
    """Poses compress to about a third: that is far from the limit, also above the size that is free."""
    monkeypatch.setattr(npz, 'RATIO_FREE_BYTES', 1000)
    path = str(tmp_path / 'a.npz')
    write_npz(path, poses=np.random.default_rng(0).normal(size=(1000, 16, 3)).astype(np.float32), still=np.ones(20_000))
    assert read_npz(path)['poses'].shape == (1000, 16, 3)


def test_old_numpy_reads_what_is_written(tmp_path):
    """NumPy 2 pickles arrays under names that NumPy 1 does not know."""
    path = str(tmp_path / 'a.npz')
    write_npz(path, positions_3d=POSES, scalar={'x': np.float32(1)}, metadata=[{'a': np.array(['é'])}, None])
    for name in ('positions_3d', 'scalar', 'metadata'):
        pickled = zipfile.ZipFile(path).read(f'{name}.npy').partition(b'\n')[2]
        assert b'numpy._core' not in pickled
        assert {opcode.proto for opcode, _, _ in pickletools.genops(pickled)} <= set(range(4))
    np.testing.assert_equal(read_npz(path)['positions_3d'], POSES)


def test_bit_flips_in_stored_content_are_noticed(tmp_path):
    """Zip archives carry checksums; a wrong number must not pass for a pose."""
    path = tmp_path / 'a.npz'
    np.savez(path, poses=np.ones((50, 3), np.float32))
    content = path.read_bytes()
    place = content.index(np.float32(1).tobytes() * 3)
    for offset in range(0, 600, 37):
        damaged = bytearray(content)
        damaged[place + offset] ^= 1
        path.write_bytes(damaged)
        assert 'Bad CRC-32' in complaint(path)
