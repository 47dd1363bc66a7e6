"""Preparing Human3.6M's 3D: every source gives the same published file, and damage ends in one sentence."""

import os
import re
import time

import cdflib.cdfwrite
import numpy as np
import pytest
import scipy.io

from common.errors import UserError
from data import preparation, prepare_data_h36m
from tests.helpers import make_archives as make

MEMBER = 'h36m/S1/MyPoses/3D_positions/Walking.h5'


@pytest.fixture(scope='module')
def positions():
    return make.make_positions()


@pytest.fixture(scope='module')
def members(positions):
    return make.position_members(positions)


def expected(positions):
    """Metres, float32, without the corrupted sequence."""
    return {subject: {action: (poses / 1000).astype(np.float32) for action, poses in actions.items()
                      if (subject, action) != ('S11', 'Directions')} for subject, actions in positions.items()}


def assert_same(prepared, wanted):
    assert list(prepared) == [subject for subject in preparation.SUBJECTS if subject in wanted]
    for subject, actions in wanted.items():
        assert prepared[subject].keys() == actions.keys()
        for action, poses in actions.items():
            assert prepared[subject][action].dtype == np.float32
            np.testing.assert_array_equal(prepared[subject][action], poses)


def test_archive_gives_the_published_file(positions, members, tmp_path, script):
    archive = make.write_zip(tmp_path / 'h36m.zip', members)
    status, out, err = script(prepare_data_h36m.main, '--from-archive', archive, '--output', tmp_path)
    assert status == 0, err
    with np.load(tmp_path / 'data_3d_h36m.npz', allow_pickle=True) as file:  # as the published code reads it
        assert_same(file['positions_3d'].item(), expected(positions))
    for row in (r'S11 +29 +29 +348', r'train +150 +150 +1,800 +1,559,752', r'test +59 +59 +708 +543,344'):
        assert re.search(f'^{row}$', out, re.MULTILINE)
    assert err.count('Warning') == 2
    assert 'the test subjects have 708 poses, Human3.6M has 543,344.' in err
    assert script(prepare_data_h36m.main, '--check', '--output', tmp_path)[:2] == (0, out)
    assert script(prepare_data_h36m.main, '--check', '--output', tmp_path / 'nowhere')[0] == 2
    assert prepare_data_h36m.get_args_parser().parse_args(['--check']).output == preparation.DATA_FOLDER


@pytest.mark.parametrize(('name', 'change', 'warnings'), [
    ('3d_h36m', 0, 0), ('3d_h36m', 1, 2), ('2d_h36m_gt', 40, 2), ('2d_h36m_sh_pt_mpii', 40, 0),
    ('2d_h36m_sh_pt_mpii', -40, 0)])
def test_frames_are_counted_beside_human36m_s(name, change, warnings, tmp_path, capsys):
    """Detections differ from the 3D by some frames; ground truth must not."""
    frames = {subject: dict.fromkeys(make.h36m_names(), 1) for subject in preparation.SUBJECTS}
    del frames['S11']['Directions']
    for subjects, poses in preparation.POSES.values():
        frames[subjects[0]]['Walking'] += poses // 4 - sum(len(frames[subject]) for subject in subjects) + change
    content = {subject: {action: np.zeros((count, 1, 1), bool) if '3d' in name else [np.zeros((count, 1), bool)] * 4
                         for action, count in actions.items()} for subject, actions in frames.items()}
    np.savez_compressed(tmp_path / f'data_{name}.npz', **{f'positions_{name[:2]}': content})
    preparation.check_files(str(tmp_path))
    printed = capsys.readouterr()
    assert printed.err.count('poses, Human3.6M has') == printed.err.count('Warning') == warnings
    assert re.search(rf'^train +150 +150 +{1_559_752 + 4 * change:,} +1,559,752$', printed.out, re.MULTILINE)


def test_the_folder_of_an_unpacked_archive(positions, members, tmp_path):
    for name, content in (members | {'h36m/S1/readme.txt': b''}).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for folder in (tmp_path, tmp_path / 'h36m'):
        assert_same(prepare_data_h36m.read_archive(str(folder)), expected(positions))
    (tmp_path / MEMBER).write_bytes(b'no HDF5')
    with pytest.raises(UserError, match=r'S1/MyPoses/3D_positions/Walking\.h5 is damaged or cut short'):
        prepare_data_h36m.read_archive(str(tmp_path))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='has nothing like h36m/S1/MyPoses'):
        prepare_data_h36m.read_archive(str(tmp_path / 'empty'))


@pytest.mark.parametrize(('place', 'ending', 'write'), [
    ('{}/MyPoseFeatures/D3_Positions', '.cdf', make.write_cdf),
    ('{}/MyPoseFeatures/D3_Positions', '.cdf.mat', make.write_mat),
    ('{}/Poses_D3_Positions', '.cdf', make.write_cdf),  # of h36m-fetch
    ('extracted/{}/Poses_D3_Positions', '.cdf', make.write_cdf)])
def test_original_release(place, ending, write, positions, tmp_path):
    for subject, actions in positions.items():
        folder = tmp_path / place.format(subject)
        folder.mkdir(parents=True)
        for action, poses in actions.items():
            write(folder / (make.source_name(action) + ending), poses)
        write(folder / f'_ALL{ending}', np.zeros((1, 32, 3)))  # the release has such files, which are not sequences
    assert_same(prepare_data_h36m.read_source(str(tmp_path)), expected(positions))


def test_cdf_is_taken_before_its_copy(positions, tmp_path):
    folder = tmp_path / 'S1' / 'MyPoseFeatures' / 'D3_Positions'
    folder.mkdir(parents=True)
    make.write_cdf(folder / 'Walking.cdf', positions['S1']['Walking'])
    make.write_mat(folder / 'Walking.cdf.mat', positions['S5']['Walking'])
    assert_same(prepare_data_h36m.read_source(str(tmp_path)),
                {'S1': {'Walking': expected(positions)['S1']['Walking']}})


@pytest.mark.parametrize('name', ['Walking.cdf', 'Walking.cdf.mat'])
@pytest.mark.parametrize('content', [b'', b'nothing of the kind' * 20])
def test_damaged_original(name, content, tmp_path):
    folder = tmp_path / 'S1' / 'MyPoseFeatures' / 'D3_Positions'
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=rf'{name}.* is damaged or cut short'):
        prepare_data_h36m.read_source(str(tmp_path))


@pytest.mark.parametrize('write', [make.write_cdf, make.write_mat])
def test_truncated_original(write, tmp_path):
    path = tmp_path / f'Walking.{write.__name__[6:]}'
    write(path, np.random.default_rng(0).normal(size=(20, 32, 3)))
    read = prepare_data_h36m.read_cdf if write is make.write_cdf else prepare_data_h36m.read_mat
    whole = path.read_bytes()
    for size in (*range(0, len(whole), len(whole) // 25), len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match=re.escape(str(path))):
            read(str(path))


def test_original_of_another_kind(tmp_path):
    path = str(tmp_path / 'Walking.cdf.mat')
    for data in (np.zeros((5, 96)), np.zeros((1, 1)), np.array([['text']], object), {'field': 1}):
        scipy.io.savemat(path, {'data': data})
        with pytest.raises(UserError, match=r'Walking\.cdf\.mat'):
            prepare_data_h36m.read_mat(path)
    make.write_mat(path, np.full((2, 32, 3), np.nan))
    with pytest.raises(UserError, match=r'Walking\.cdf\.mat holds values that are not finite'):
        prepare_data_h36m.read_mat(path)
    path = str(tmp_path / 'Walking.cdf')
    file = cdflib.cdfwrite.CDF(path)
    file.write_var({'Variable': 'Other', 'Data_Type': 45, 'Num_Elements': 1, 'Rec_Vary': True, 'Dim_Sizes': [2]},
                   var_data=np.zeros((1, 2)))
    file.close()
    with pytest.raises(UserError, match='has no variable Pose; it has Other'):
        prepare_data_h36m.read_cdf(path)


def never_ends(path):
    time.sleep(60)


def crashes(path):
    os._exit(11)


def takes_all_memory(path):
    return len(bytearray(2 * prepare_data_h36m.MEMORY))


@pytest.mark.parametrize(('reader', 'reason'), [
    (never_ends, 'reading it crashes, or takes longer'), (crashes, 'reading it crashes, or takes longer'),
    (takes_all_memory, 'MemoryError')])
def test_a_reader_that_crashes_or_never_ends(reader, reason, tmp_path, monkeypatch):
    """All of it happens to the libraries on damaged files, which another process reads."""
    folder = tmp_path / 'S1' / 'MyPoseFeatures' / 'D3_Positions'
    folder.mkdir(parents=True)
    (folder / 'Walking.cdf').touch()
    monkeypatch.setattr(prepare_data_h36m, 'PATIENCE', 1)
    monkeypatch.setattr(prepare_data_h36m, 'read_cdf', reader)
    with pytest.raises(UserError, match=rf'Walking\.cdf is damaged or cut short \({reason}'):
        prepare_data_h36m.read_source(str(tmp_path))


def test_damage_leaves_the_old_file_and_nothing_else(tmp_path, script):
    output = tmp_path / 'data_3d_h36m.npz'
    output.write_bytes(b'precious')
    archive = make.write_zip(tmp_path / 'h36m.zip', {MEMBER: b'no HDF5'})
    assert script(prepare_data_h36m.main, '--from-archive', archive, '--output', tmp_path, '--force')[0] == 2
    assert output.read_bytes() == b'precious'
    assert sorted(os.listdir(tmp_path)) == ['data_3d_h36m.npz', 'h36m.zip']


def test_an_incomplete_archive_is_warned_of(positions, tmp_path, script):
    incomplete = {subject: dict(actions) for subject, actions in positions.items() if subject != 'S7'}
    del incomplete['S5']['Eating 1']
    archive = make.make_h36m_zip(tmp_path / 'h36m.zip', incomplete)
    _, _, err = script(prepare_data_h36m.main, '--from-archive', archive, '--output', tmp_path)
    assert 'S7 is missing.' in err and 'S5 has 1 of 2 Eating.' in err
    assert_same(prepare_data_h36m.read_archive(archive), expected(incomplete))


@pytest.mark.parametrize('content', [3, [1], {'S1': 4}, {'S1': {'Walking': 5}}])
def test_checking_a_file_that_is_not_a_dataset(content, tmp_path):
    np.savez_compressed(tmp_path / 'data_3d_h36m.npz', positions_3d=content)
    with pytest.raises(UserError, match=r'data_3d_h36m\.npz'):
        preparation.check_files(str(tmp_path))
