"""Preparing Stacked Hourglass detections: values, order of joints and cameras, damage, links that are not followed."""

import gzip
import os
import re
import tarfile

import numpy as np
import pytest

from common.datasets.h36m import skeleton
from common.errors import UserError
from data import archives, preparation, prepare_data_2d_h36m_sh
from tests.helpers import make_archives as make

FOLDER = '{subject}/StackedHourglassFineTuned240'
MEMBER = 'S1/StackedHourglassFineTuned240/Walking.54138969.h5'


@pytest.fixture(scope='module')
def detections():
    return make.make_detections()


@pytest.fixture(scope='module')
def few():
    """Members of a small archive, to be damaged."""
    detections = {'S1': {'Walking': list(np.random.default_rng(0).uniform(0, 1000, (4, 3, 16, 2)))}}
    return make.detection_members(detections, FOLDER)


def refusal(path):
    """The sentence about an archive."""
    with pytest.raises(UserError) as caught:
        prepare_data_2d_h36m_sh.read_tar(str(path))
    return str(caught.value)


@pytest.mark.parametrize(('flag', 'name'), [('-pt', 'sh_pt_mpii'), ('--fine-tuned', 'sh_ft_h36m')])
def test_archives_give_the_published_files(flag, name, detections, tmp_path, script):
    """The file has the published layout, its joints are ours by name, and S11 `Directions` is missing."""
    archive = (make.make_h36m_zip(tmp_path / 'x', make.make_positions(1, ('S1',)), detections) if flag == '-pt'
               else make.make_sh_tar(tmp_path / 'x', detections))
    status, out, err = script(prepare_data_2d_h36m_sh.main, flag, archive, '--output', tmp_path)
    assert status == 0 and 'Warning' in err, err
    assert re.search(r'^test +59 +59 +708 +543,344$', out, re.MULTILINE)
    assert sorted(os.listdir(tmp_path)) == [f'data_2d_h36m_{name}.npz', 'x']
    with np.load(tmp_path / f'data_2d_h36m_{name}.npz', allow_pickle=True) as file:
        metadata, prepared = file['metadata'].item(), file['positions_2d'].item()
    assert metadata == {'num_joints': 16, 'keypoints_symmetry': [[4, 5, 6, 10, 11, 12], [1, 2, 3, 13, 14, 15]]}
    order = [make.SH_JOINTS.index(joint) for joint in skeleton().names]
    assert list(prepared) == list(preparation.SUBJECTS)
    for subject, actions in detections.items():
        assert prepared[subject].keys() == actions.keys() - ({'Directions'} if subject == 'S11' else set())
        for action, views in prepared[subject].items():
            assert isinstance(views, list)
            for view, detected in zip(views, actions[action], strict=True):
                assert view.dtype == np.float32
                np.testing.assert_array_equal(view, detected[:, order].astype(np.float32))


@pytest.mark.parametrize(('kind', 'name'), [
    (tarfile.SYMTYPE, 'S1/link'), (tarfile.LNKTYPE, 'S1/link'), (tarfile.CHRTYPE, 'S1/device'),
    (tarfile.FIFOTYPE, 'S1/pipe'), (tarfile.REGTYPE, '../outside'), (tarfile.REGTYPE, '/outside')])
def test_unsafe_members(kind, name, few, tmp_path):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, '/etc/passwd'
    message = refusal(make.write_tar(tmp_path / 'sh.tar.gz', few, (info,)))
    assert f"sh.tar.gz: member '{name}' " in message
    assert 'so the archive is refused' in message
    assert os.listdir(tmp_path) == ['sh.tar.gz']


def test_sizes_are_not_believed(tmp_path):
    """A member of 4 GB, and a header for long names that claims as much."""
    for kind, sentence in ((tarfile.REGTYPE, 'claims 4,294,967,296 bytes'), (tarfile.XHDTYPE, 'claims 4,294,967,296')):
        info = tarfile.TarInfo(MEMBER)
        info.type, info.size = kind, 1 << 32
        path = tmp_path / 'sh.tar.gz'
        path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))
        assert sentence in refusal(path)


def test_more_than_an_archive_has(few, tmp_path, monkeypatch):
    """Members that nobody wants are skipped, but what goes on for ever has to be gone through."""
    path = tmp_path / 'sh.tar.gz'
    make.write_tar(path, few)
    monkeypatch.setattr(archives, 'MAX_MEMBERS', len(few))
    assert list(prepare_data_2d_h36m_sh.read_tar(str(path))) == ['S1']
    monkeypatch.setattr(archives, 'MAX_MEMBERS', len(few) - 1)
    assert f'sh.tar.gz is refused: it has more than {len(few) - 1} members' in refusal(path)
    readme = tarfile.TarInfo('readme')
    readme.size = 1 << 40
    path.write_bytes(gzip.compress(readme.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))
    assert 'it has more than 2,147,483,648 bytes unpacked' in refusal(path)
    monkeypatch.setattr(archives, 'MAX_UNPACKED', 1 << 20)
    path.write_bytes(gzip.compress(bytes(3 << 20)))
    assert 'it has more than 1,048,576 bytes unpacked' in refusal(path)


def test_damaged_archives(few, tmp_path):
    path = tmp_path / 'sh.tar.gz'
    make.write_tar(path, few)
    whole = path.read_bytes()
    for size in (*range(0, len(whole), len(whole) // 10), len(whole) - 1):
        path.write_bytes(whole[:size])
        assert re.search(r'sh\.tar\.gz(: member .*)? is damaged or cut short', refusal(path))
    path.write_bytes(whole[:-8] + b'\0\0\0\0' + whole[-4:])
    assert 'sh.tar.gz is damaged or cut short (CRC check failed' in refusal(path)
    content = gzip.decompress(whole)
    path.write_bytes(gzip.compress(content[:len(content) // 3]))
    assert re.search(r"sh\.tar\.gz(: member 'S1/.*')? is damaged or cut short", refusal(path))
    path.write_bytes(content)
    assert 'sh.tar.gz is damaged or cut short (Not a gzipped file' in refusal(path)
    path.unlink()
    assert refusal(path) == f'{path} is missing.'


@pytest.mark.parametrize(('content', 'sentence'), [
    (b'no HDF5', 'is damaged or cut short'),
    (b'', 'is damaged or cut short'),
    (make.h5_bytes('poses', np.zeros((3, 17, 2))), r'\(3, 17, 2\), but numbers of \(frames, 16, 2\) belong there'),
    (make.h5_bytes('poses', np.full((3, 16, 2), np.inf)), 'not finite'),
    (make.h5_bytes('joints', np.zeros((3, 16, 2))), "no dataset 'poses'; it has joints"),
])
def test_wrong_members(content, sentence, few, tmp_path):
    message = refusal(make.write_tar(tmp_path / 'sh.tar.gz', few | {MEMBER: content}))
    assert re.search(sentence, message)
    assert f"sh.tar.gz: member '{MEMBER}'" in message


def test_every_sequence_has_four_cameras(few, tmp_path):
    fewer = {name: content for name, content in few.items() if '58860488' not in name}
    message = refusal(make.write_tar(tmp_path / 'sh.tar.gz', fewer))
    assert "lacks S1 'Walking' of camera 58860488, but has it of other cameras" in message


def test_the_other_archive(tmp_path, few):
    message = refusal(make.write_tar(tmp_path / 'sh.tar.gz', {'readme': b''}))
    assert 'has nothing like S1/StackedHourglassFineTuned240/Directions_1.54138969.h5' in message
    with pytest.raises(UserError, match=r'has nothing like S1/StackedHourglass/Directions_1\.54138969\.h5'):
        prepare_data_2d_h36m_sh.read_zip(make.write_zip(tmp_path / 'h36m.zip', few))
