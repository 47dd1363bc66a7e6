"""Reading archives: nothing outside them is touched, no size is believed, and damage ends in one sentence."""

import gzip
import io
import zipfile

import h5py
import numpy as np
import pytest

from common.errors import UserError
from data import archives, prepare_data_h36m
from tests.helpers import make_archives as make

MEMBER = 'h36m/S1/MyPoses/3D_positions/Walking.h5'


@pytest.fixture(scope='module')
def few():
    """Members of a small archive, to be damaged."""
    return make.position_members(make.make_positions(3, ('S1',)))


def refusal(members, tmp_path):
    """The sentence about an archive of these members."""
    with pytest.raises(UserError) as caught:
        prepare_data_h36m.read_archive(make.write_zip(tmp_path / 'h36m.zip', members))
    return str(caught.value)


def test_wrong_dataset(few, tmp_path):
    message = refusal(few | {MEMBER: make.h5_bytes('poses', np.zeros((96, 2)))}, tmp_path)
    assert message.endswith(f"member '{MEMBER}' has no dataset '3D_positions'; it has poses.")


@pytest.mark.parametrize(('array', 'sentence'), [
    (np.zeros((32, 5)), 'holds float64 of shape (32, 5), but numbers of (96, frames) belong there'),
    (np.zeros((96, 0)), 'holds float64 of shape (96, 0)'),
    (np.full((96, 2), np.nan), 'holds values that are not finite'),
    (np.full((96, 2), 1e30), 'absurdly large'), (np.full((96, 2), 1j), 'holds no numbers')])
def test_wrong_values(array, sentence, few, tmp_path):
    message = refusal(few | {MEMBER: make.h5_bytes('3D_positions', array)}, tmp_path)
    assert sentence in message and f"h36m.zip: member '{MEMBER}'" in message


def test_the_same_sequence_twice(few, tmp_path):
    photo = 'h36m/S1/MyPoses/3D_positions/Photo.h5'  # the archive has TakingPhoto
    message = refusal(few | {photo: make.h5_bytes('3D_positions', np.zeros((96, 2)))}, tmp_path)
    assert f"'{photo}' is S1 'Photo' a second time" in message


@pytest.mark.parametrize('kind', ['external link', 'soft link', 'external storage', 'virtual', 'group', 'bomb',
                                  'large chunk'])
def test_hdf5_reads_no_other_file(kind, tmp_path):
    secret = tmp_path / 'secret.h5'
    secret.write_bytes(make.h5_bytes('3D_positions', np.zeros((96, 2))))
    content, name, shape = io.BytesIO(), '3D_positions', (96, 2)
    with h5py.File(content, 'w') as file:
        if kind == 'external link':
            file[name] = h5py.ExternalLink(str(secret), name)
        elif kind == 'soft link':
            file['other'] = np.zeros(shape)
            file[name] = h5py.SoftLink('/other')
        elif kind == 'external storage':
            file.create_dataset(name, shape, 'f8', external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
        elif kind == 'virtual':
            layout = h5py.VirtualLayout(shape, 'f8')
            layout[:] = h5py.VirtualSource(str(secret), name, shape)
            file.create_virtual_dataset(name, layout)
        elif kind == 'group':
            file.create_group(name)
        elif kind == 'bomb':
            file.create_dataset(name, (96, 1 << 30), 'f8', chunks=(96, 1000), compression='gzip')
        else:
            file.create_dataset(name, shape, 'f8', maxshape=(96, None), chunks=(96, 1 << 20), compression='gzip')
    message = refusal({MEMBER: content.getvalue()}, tmp_path)
    assert f"h36m.zip: member '{MEMBER}' is refused" in message


@pytest.mark.parametrize('name', ['../outside.h5', '/etc/outside.h5', 'h36m/../../x.h5', 'C:/x.h5', 'h36m\\..\\x.h5'])
def test_unsafe_members(name, few, tmp_path):
    assert f'member {name!r} points outside the archive' in refusal(few | {name: b''}, tmp_path)


def test_link_in_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / 'h36m.zip', 'w') as archive:
        info = zipfile.ZipInfo(MEMBER)
        info.external_attr = 0o120777 << 16
        archive.writestr(info, '/etc/passwd')
    with pytest.raises(UserError, match='is a link or a device'):
        prepare_data_h36m.read_archive(str(tmp_path / 'h36m.zip'))


def test_a_member_that_is_too_large(tmp_path):
    message = refusal({MEMBER: bytes(archives.MAX_BYTES + 1)}, tmp_path)
    assert f"'{MEMBER}' is refused: it claims 67,108,865 bytes" in message


def test_more_than_an_archive_has(few, tmp_path, monkeypatch):
    """Each member may be small, and all of them together endless."""
    wanted = few | {'h36m/S1/readme.txt': bytes(1000)}  # which is not read, so its size does not count
    monkeypatch.setattr(archives, 'MAX_UNPACKED', sum(map(len, few.values())))
    path = make.write_zip(tmp_path / 'h36m.zip', wanted)
    assert len(prepare_data_h36m.read_archive(path)['S1']) == len(few)
    monkeypatch.setattr(archives, 'MAX_UNPACKED', archives.MAX_UNPACKED - 1)
    assert 'h36m.zip is refused: it has more than' in refusal(wanted, tmp_path)
    monkeypatch.setattr(archives, 'MAX_UNPACKED', 1 << 30)
    monkeypatch.setattr(archives, 'MAX_MEMBERS', len(few))
    assert f'it has more than {len(few)} members' in refusal(wanted, tmp_path)


def test_damaged_archives(few, tmp_path):
    archive = tmp_path / 'h36m.zip'
    make.write_zip(archive, few)
    whole = archive.read_bytes()
    archive.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(UserError, match=r'h36m\.zip is damaged or cut short'):
        prepare_data_h36m.read_archive(str(archive))
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xff
    archive.write_bytes(flipped)
    with pytest.raises(UserError, match=r"h36m\.zip: member 'h36m/S\d+/MyPoses.*' is damaged or cut short"):
        prepare_data_h36m.read_archive(str(archive))
    archive.write_bytes(gzip.compress(whole))
    with pytest.raises(UserError, match=r'h36m\.zip is damaged or cut short'):
        prepare_data_h36m.read_archive(str(archive))
    archive.unlink()
    with pytest.raises(UserError, match=r'h36m\.zip is missing'):
        prepare_data_h36m.read_archive(str(archive))
    assert 'has nothing like h36m/S1/MyPoses/3D_positions/Directions.h5' in refusal({'readme.txt': b''}, tmp_path)
