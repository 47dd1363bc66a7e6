"""Human3.6M as papers have it: with 17 joints, and without the three sequences of S9 whose 3D is shifted."""

import json
from dataclasses import replace

import numpy as np
import pytest

import main_gcn
from common.datasets import cache, h36m
from common.datasets.loading import DataOptions
from common.datasets.splits import Data
from common.errors import UserError
from common.files import npz
from tests.conftest import moving_people, pixels_of
from tests.helpers.runs import run_folder

KEPT_17 = [joint for joint, name in enumerate(h36m.SKELETON_32.names) if name]
NECK = h36m.skeleton_17().names.index('Neck/Nose')
SYMMETRY = [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]


@pytest.fixture
def people(tmp_path):
    """Human3.6M's 3D file and a 2D file of VideoPose3D's 17 joints in `tmp_path`."""
    people = moving_people(('S1', 'S9', 'S11'), ('Directions', 'Walking', 'Walking 1'))
    npz.write_npz(str(tmp_path / 'data_3d_h36m.npz'), positions_3d=people)
    npz.write_npz(str(tmp_path / 'data_2d_h36m_cpn.npz'), positions_2d=pixels_of(people, joints=KEPT_17),
                  metadata={'layout_name': 'h36m', 'num_joints': 17, 'keypoints_symmetry': SYMMETRY})
    return people


@pytest.mark.parametrize('keypoints', ['gt', 'cpn'])
def test_17_joints_of_the_same_files(keypoints, people, tmp_path):
    data = {name: Data(DataOptions(name, keypoints, data_dir=str(tmp_path))) for name in ('h36m', 'h36m17')}
    assert data['h36m17'].skeleton == h36m.skeleton_17() and data['h36m'].skeleton == h36m.skeleton()
    assert ('S11', 'Directions') in data['h36m17'].spec.left_out
    wide, narrow = (data[name].test() for name in ('h36m17', 'h36m'))
    without_neck = [joint for joint in range(17) if joint != NECK]
    for name in ('keypoints', 'positions'):
        np.testing.assert_array_equal(getattr(wide, name)[:, without_neck], getattr(narrow, name))
    neck = people['S9']['Directions'][:, 14] - people['S9']['Directions'][:, 0]
    found = wide.positions[:len(neck), NECK].norm(dim=-1)
    np.testing.assert_allclose(found, np.linalg.norm(neck, axis=-1), atol=1e-5)


def test_17_joints_train_and_evaluate(people, tmp_path, monkeypatch, script):
    monkeypatch.chdir(tmp_path)
    data = '-d', 'h36m17', '-k', 'cpn', '--data_dir', '.'
    assert script(main_gcn.main, *data, '-z', 8, '-l', 1, '--non_local', '-e', 1, '--device', 'cpu')[0] == 0
    path = f'{run_folder()}/ckpt_last.pth.tar'
    status, _, err = script(main_gcn.main, *data, '--evaluate', path, '--report', 'r.json')
    assert status == 0, err
    assert list(json.loads((tmp_path / 'r.json').read_text())['per_joint']) == list(h36m.skeleton_17().names)
    assert script(main_gcn.main, '-d', 'h36m', '--data_dir', '.', '--evaluate', path)[0] == 2  # another skeleton


def test_files_of_16_joints_lack_one(people, tmp_path):
    npz.write_npz(str(tmp_path / 'data_2d_h36m_few.npz'), positions_2d=pixels_of(people))
    with pytest.raises(UserError, match=r'data_2d_h36m_few\.npz.*16'):
        Data(DataOptions('h36m17', 'few', data_dir=str(tmp_path))).test()
    with pytest.raises(UserError, match=r'data_2d_h36m_none\.npz is missing.*gt, cpn, few'):
        Data(DataOptions('h36m17', 'none', data_dir=str(tmp_path))).test()


@pytest.mark.parametrize('name', ['h36m', 'h36m17'])
def test_the_shifted_sequences_are_left_out_by_a_flag_and_said(name, tmp_path, monkeypatch, script):
    actions = ('Greeting', 'Greeting 1', 'SittingDown', 'Waiting', 'Waiting 1', 'Walking')
    npz.write_npz(str(tmp_path / 'data_3d_h36m.npz'), positions_3d=moving_people(('S1', 'S9', 'S11'), actions))
    monkeypatch.chdir(tmp_path)
    data = '-d', name, '--data_dir', '.'
    assert script(main_gcn.main, *data, '-z', 8, '-l', 1, '-e', 1, '--device', 'cpu')[0] == 0
    evaluation = *data, '--evaluate', f'{run_folder()}/ckpt_last.pth.tar', '--predictions', 'p.npz'
    used = {}
    for flags in ((), ('--skip_shifted_s9',)):
        status, _, err = script(main_gcn.main, *evaluation, *flags)
        assert status == 0, err
        assert err.count('S9 Greeting, SittingDown, Waiting 1 are left out') == len(flags)
        arrays = np.load('p.npz')
        used[flags] = set(zip(arrays['subject'].tolist(), arrays['action'].tolist()))
    (all_of_them, fewer) = used.values()
    assert all_of_them == {(subject, action) for subject in ('S9', 'S11') for action in actions}
    assert all_of_them - fewer == {('S9', 'Greeting'), ('S9', 'SittingDown'), ('S9', 'Waiting 1')}


def test_the_cache_keeps_both_choices_apart_and_repeats_the_warning(tmp_path, monkeypatch, capsys):
    npz.write_npz(str(tmp_path / 'data_3d_h36m.npz'), positions_3d=moving_people(('S1', 'S9'), ('Greeting', 'Walking')))
    monkeypatch.setattr(cache, 'SMALL', 0)
    monkeypatch.setattr(cache, 'SETTLED', -1e9)
    options = DataOptions('h36m', data_dir=str(tmp_path), test_subjects=('S9',))
    for _ in range(2):
        for skip, poses in ((False, 96), (True, 48)):
            assert len(Data(replace(options, skip_shifted_s9=skip)).test()) == poses
            assert capsys.readouterr().err.count('are left out, because their 3D is shifted') == skip


def test_other_data_sets_have_no_such_sequences(data_dir):
    with pytest.raises(UserError, match=r'leaves out sequences of Human3\.6M, and --dataset is tiny'):
        Data(DataOptions('tiny', data_dir=str(data_dir), skip_shifted_s9=True)).test()
