"""MPI-INF-3DHP's test set, from files of its form to an evaluation."""

import json
import math

import h5py
import numpy as np
import pytest

import main_gcn
from common.datasets import h36m
from common.datasets.loading import DataOptions, load_dataset
from common.datasets.splits import Data
from data import prepare_data_3dhp
from tests.helpers.make_checkpoints import checkpoint_of, trained
from tests.helpers.make_detections import demo_person

ACTIVITY = {'TS1': [1] * 4 + [2] * 4 + [1] * 4, 'TS6': [7] * 12}
INVALID = {'TS1': [0, 6], 'TS6': []}
RUNS = {'TS1': {'Standing': [1, 2, 3], 'Exercise': [4, 5], 'Exercise 1': [7], 'Standing 1': [8, 9, 10, 11]},
        'TS6': {'Miscellaneous': list(range(12))}}  # frames of each sequence


@pytest.fixture
def source(tmp_path):
    """A folder of two files as MATLAB writes them, and the people in them: (12, 17, 3) mm in camera coordinates."""
    person = demo_person()['Walking'][:12]  # 16 joints, metres, z up
    x, y, z = np.moveaxis(person, -1, 0)
    seen = dict(zip(h36m.skeleton().names, np.moveaxis(np.stack([x, 1.2 - z, y + 4], -1) * 1000, 1, 0)))
    seen['Neck/Nose'] = (seen['Thorax'] + seen['Head']) / 2
    poses = np.stack([seen[name] for name in prepare_data_3dhp.JOINTS], 1)
    for subject, activity in ACTIVITY.items():
        width, height = prepare_data_3dhp.SIZES[subject]
        pixels = poses[..., :2] / poses[..., 2:] * 1500 + np.array([width, height]) / 2
        folder = tmp_path / 'source' / subject
        folder.mkdir(parents=True)
        valid = np.ones(12)
        valid[INVALID[subject]] = 0
        with h5py.File(folder / 'annot_data.mat', 'w', userblock_size=512) as file:
            file['annot2'], file['annot3'], file['univ_annot3'] = pixels[:, None], poses[:, None] * 1.1, poses[:, None]
            file['valid_frame'], file['activity_annotation'] = valid[:, None], np.array(activity, float)[:, None]
    return tmp_path / 'source', poses


def prepare(script, source, output, *arguments):
    return script(prepare_data_3dhp.main, '--from-source', source, '--output', output, *arguments)


def test_runs_of_valid_frames_become_sequences(source, tmp_path, script):
    folder, poses = source
    status, out, err = prepare(script, folder, tmp_path)
    assert status == 0, err
    assert 'has 22 frames, the test set has 2,929' in err
    assert out.splitlines()[2].split() == ['Standing', '7', '0', '0', '0', '0', '0', '7']
    with np.load(tmp_path / 'data_3d_3dhp.npz', allow_pickle=True) as file:
        positions = file['positions_3d'].item()
    assert {subject: {action: len(take) for action, take in takes.items()} for subject, takes in positions.items()} == {
        subject: {action: len(numbers) for action, numbers in runs.items()} for subject, runs in RUNS.items()}
    order = [prepare_data_3dhp.JOINTS.index(name) for name in h36m.skeleton().names]
    for action, numbers in RUNS['TS1'].items():
        np.testing.assert_allclose(positions['TS1'][action], poses[numbers][:, order] / 1000, atol=1e-6)

    dataset = load_dataset('3dhp', str(tmp_path))
    assert (dataset.skeleton, dataset.test_subjects, dataset.train_subjects) == (h36m.skeleton(), ('TS1', 'TS6'), ())
    assert [(camera.width, camera.height) for view in dataset.cameras.values() for camera in view] == [
        (2048, 2048), (1920, 1080)]
    test = Data(DataOptions(dataset='3dhp', data_dir=str(tmp_path))).test()
    assert (len(test), test.kind_names) == (22, ['Standing', 'Exercise', 'Miscellaneous'])
    relative = (poses[1][order] - poses[1][order[0]]) / 1000
    found = test.positions.numpy()
    assert np.abs(found - found[:, :1] - relative).max(axis=(1, 2)).min() < 1e-5  # seen by the camera, as in the file


def test_other_scale_and_joints(source, tmp_path, script):
    folder, poses = source
    assert prepare(script, folder, tmp_path, '--scale', 'measured', '--joints', 17)[0] == 0
    dataset = load_dataset('3dhp', str(tmp_path))
    assert dataset.skeleton.names == h36m.skeleton_17().names
    size = np.ptp(dataset.positions['TS6']['Miscellaneous'][0], axis=0)
    np.testing.assert_allclose(sorted(size), sorted(np.ptp(poses[0], axis=0) * 1.1e-3), rtol=1e-4)


def test_a_checkpoint_is_evaluated_by_activity_as_a_loop_over_the_files_counts(source, tmp_path, script):
    folder, poses = source
    assert prepare(script, folder, tmp_path)[0] == 0
    path = str(tmp_path / 'a.pth.tar')
    checkpoint_of(*trained()).save(path)
    status, out, err = script(main_gcn.main, '-d', '3dhp', '--data_dir', tmp_path, '--evaluate', path, '--report',
                              tmp_path / 'r.json', '--predictions', tmp_path / 'p.npz')
    assert status == 0, err
    for words in ('Standing', 'Exercise', 'Miscellaneous', 'PCK', 'AUC', 'count 14 joints: Head, Thorax, RShoulder'):
        assert words in out
    report, arrays = json.loads((tmp_path / 'r.json').read_text()), np.load(tmp_path / 'p.npz')
    assert set(report['pck_joints']) == set(prepare_data_3dhp.JOINTS[:14])
    theirs, ours = prepare_data_3dhp.JOINTS, arrays['joints'].tolist()
    errors = {'all': []}  # mm, of the 14 joints relative to the hip, against the poses in the .mat files
    for subject, action, frame, guess in zip(*(arrays[name] for name in ('subject', 'action', 'frame', 'predicted'))):
        pose = poses[RUNS[subject][action][frame]]
        off = [math.dist(1000.0 * guess[ours.index(joint)], pose[theirs.index(joint)] - pose[theirs.index('Hip')])
               for joint in theirs[:14]]
        errors['all'] += off
        errors.setdefault(action.split(' ')[0], []).extend(off)
    assert len(errors['all']) == 22 * 14 and np.array_equal(arrays['predicted'][:, 0], np.zeros((22, 3)))
    for name, found in {'all': report['pose_wise_average'], **report['per_action']}.items():
        shares = [100 * sum(error < limit for error in errors[name]) / len(errors[name]) for limit in range(0, 151, 5)]
        assert 0 < shares[-1] < 100
        assert found['pck_150_percent'] == pytest.approx(shares[-1], abs=1e-9)
        assert found['auc_percent'] == pytest.approx(sum(shares) / len(shares), abs=1e-9)


@pytest.mark.parametrize(('change', 'sentence'), [
    (lambda file: file.__delitem__('univ_annot3'), "has no dataset 'univ_annot3'"),
    (lambda file: file['activity_annotation'].__setitem__(3, 9), 'activities that are none of 1 to 7'),
    (lambda file: file['valid_frame'].__setitem__(..., 0), 'has no valid frame'),
    (lambda file: file['annot2'].__setitem__(0, np.nan), 'annot2 holds values that are not finite'),
])
def test_files_that_do_not_fit(source, tmp_path, script, change, sentence):
    with h5py.File(source[0] / 'TS1' / 'annot_data.mat', 'r+') as file:
        change(file)
    status, _, err = prepare(script, source[0], tmp_path)
    assert status == 2
    assert sentence in err and 'annot_data.mat' in err
    assert not (tmp_path / 'data_3d_3dhp.npz').exists()


def test_folders_without_the_set(tmp_path, script):
    (tmp_path / 'TS7').mkdir()
    status, _, err = prepare(script, tmp_path, tmp_path)
    assert (status, 'has nothing like TS1/annot_data.mat' in err) == (2, True)
