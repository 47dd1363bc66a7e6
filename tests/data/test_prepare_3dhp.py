"""MPI-INF-3DHP, from files of its layouts to a training and an evaluation."""

import json
import math

import h5py
import numpy as np
import pytest
import scipy.io

import main_gcn
from common.datasets import h36m
from common.datasets.loading import DataOptions, load_dataset
from common.datasets.splits import Data
from common.geometry.camera import world_to_camera
from data import prepare_data_3dhp
from data.sources_3dhp import CAMERAS, JOINTS
from tests.helpers import make_3dhp as make
from tests.helpers.make_checkpoints import checkpoint_of, trained
from tests.helpers.runs import run_folder

RUNS = make.RUNS


@pytest.fixture
def source(tmp_path):
    """A folder of two test files as MATLAB writes them, and the people in them: (12, 17, 3) mm in camera axes."""
    return tmp_path / 'source', make.write_test_set(tmp_path / 'source')


@pytest.fixture
def training(tmp_path):
    """A folder of three training sequences."""
    make.write_training_set(tmp_path / 'training')
    return tmp_path / 'training'


def prepare(script, output, *arguments):
    return script(prepare_data_3dhp.main, '--output', output, *arguments)


def entries(folder):
    with np.load(folder / 'data_3d_3dhp.npz', allow_pickle=True) as three, \
            np.load(folder / 'data_2d_3dhp_gt.npz', allow_pickle=True) as two:
        return {**three, **two}


def test_runs_of_valid_frames_become_sequences(source, tmp_path, script):
    folder, poses = source
    status, out, err = prepare(script, tmp_path, '--from-source', folder)
    assert status == 0, err
    assert 'has 22 frames to test, the test set has 2,929' in err
    assert out.splitlines()[2].split() == ['Standing', '7', '0', '0', '0', '0', '0', '7']
    positions = entries(tmp_path)['positions_3d'].item()
    assert {subject: {action: len(take) for action, take in takes.items()} for subject, takes in positions.items()} == {
        subject: {action: len(numbers) for action, numbers in runs.items()} for subject, runs in RUNS.items()}
    order = [JOINTS.index(name) for name in h36m.skeleton().names]
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
    assert prepare(script, tmp_path, '--from-source', folder, '--scale', 'measured', '--joints', 17)[0] == 0
    dataset = load_dataset('3dhp', str(tmp_path))
    assert dataset.skeleton.names == h36m.skeleton_17().names
    size = np.ptp(dataset.positions['TS6']['Miscellaneous'][0], axis=0)
    np.testing.assert_allclose(sorted(size), sorted(np.ptp(poses[0], axis=0) * 1.1e-3), rtol=1e-4)


@pytest.mark.parametrize(('scale', 'factor'), [('universal', make.SCALE), ('measured', 1)])
def test_every_training_camera_sees_what_its_annotations_hold(scale, factor, training, tmp_path, script):
    status, out, err = prepare(script, tmp_path, '--train', training, '--scale', scale)
    assert (status, err.count('Warning')) == (0, 0), err
    assert out.splitlines()[1].split() == ['S1/Seq1', '12', 'frames', '8', 'cameras', '96', 'poses']
    dataset, content = load_dataset('3dhp', str(tmp_path)), entries(tmp_path)
    assert dataset.train_subjects == ('S1/Seq1', 'S1/Seq2', 'S8/Seq1')
    assert json.loads(content['frame_numbers'].item())['S1/Seq2'] == {'Seq2': [0, 2]}  # 50 frames a second
    order = [JOINTS.index(name) for name in h36m.skeleton().names]
    for number, (subject, action) in enumerate(make.TRAINING):
        seen, pixels = make.seen_by_cameras(5 * number)
        step = 2 if action == 'Seq2' else 1
        take = dataset.positions[f'{subject}/{action}'][action]
        views = content['positions_2d'].item()[f'{subject}/{action}'][action]
        for camera, index, view in zip(dataset.cameras[f'{subject}/{action}'], CAMERAS, views, strict=True):
            assert camera.name == str(index) and camera.is_calibrated
            np.testing.assert_allclose(world_to_camera(take, camera), seen[index, ::step][:, order] * factor / 1000,
                                       atol=2e-5)
            np.testing.assert_allclose(view, pixels[index, ::step][:, order], atol=1e-3)
        upright = make.person(5 * number)[::step, order, 2] * factor
        np.testing.assert_allclose(np.ptp(take[..., 2], axis=1), np.ptp(upright, axis=1), atol=1e-5)  # z is vertical


def in_camera(folder):
    """{subject: [positions of each camera in its axes]}, and the keypoints."""
    dataset = load_dataset('3dhp', str(folder))
    return {subject: [world_to_camera(take, camera) for camera in dataset.cameras[subject]]
            for subject, takes in dataset.positions.items() for take in [np.concatenate(list(takes.values()))]}


NPZ = {'P-STMO': ('data_train_3dhp.npz', 'data_test_3dhp.npz'), 'GraphMLP': ('data_3d_3dhp.npz', 'data_3d_3dhp.npz')}


@pytest.mark.parametrize('layout', NPZ)
def test_the_files_of_other_programs_hold_the_same(layout, source, training, tmp_path, script):
    folder, poses = source
    assert prepare(script, tmp_path / 'raw', '--train', training, '--from-source', folder)[0] == 0
    make.write_npz_files(tmp_path, poses)
    train, test = (tmp_path / name for name in NPZ[layout])
    status, _, err = prepare(script, tmp_path / 'npz', '--train', train, '--from-source', test)
    assert status == 0, err
    one, two = in_camera(tmp_path / 'raw'), in_camera(tmp_path / 'npz')
    assert list(one) == list(two) == ['S1/Seq1', 'S1/Seq2', 'S8/Seq1', 'TS1', 'TS6']
    for subject in one:
        for view, other in zip(one[subject], two[subject], strict=True):
            np.testing.assert_allclose(view, other, atol=2e-5)
    frames = json.loads(entries(tmp_path / 'npz')['frame_numbers'].item())
    assert frames['S1/Seq2'] == {'Seq2': [0, 2]}
    if layout == 'P-STMO':
        assert frames['TS1'] == {'TS1': [1, 1], 'TS1 1': [7, 1]}
    heights = [np.ptp(take[..., 2], axis=1) for folder in ('raw', 'npz')
               for take in [load_dataset('3dhp', str(tmp_path / folder)).positions['S1/Seq1']['Seq1']]]
    np.testing.assert_allclose(*heights, atol=1e-3)  # the vertical without a calibration


def count_by_hand(arrays, poses, frame_of):
    """{kind: [PCK, AUC]} of the 14 joints relative to the hip, against the poses in the files, mm."""
    ours, errors = arrays['joints'].tolist(), {'all': []}
    for subject, action, frame, guess in zip(*(arrays[name] for name in ('subject', 'action', 'frame', 'predicted'))):
        pose = poses[frame_of(subject, action, frame)]
        off = [math.dist(1000.0 * guess[ours.index(joint)], pose[JOINTS.index(joint)] - pose[JOINTS.index('Hip')])
               for joint in JOINTS[:14]]
        errors['all'] += off
        errors.setdefault(action.split(' ')[0], []).extend(off)
    assert len(errors['all']) == 22 * 14 and np.array_equal(arrays['predicted'][:, 0], np.zeros((22, 3)))
    shares = {kind: [100 * sum(error < limit for error in off) / len(off) for limit in range(0, 151, 5)]
              for kind, off in errors.items()}
    return {kind: [share[-1], sum(share) / len(share)] for kind, share in shares.items()}


def assert_same_counts(report, counted):
    for name, found in {'all': report['pose_wise_average'], **report['per_action']}.items():
        assert 0 < counted[name][0] < 100
        assert found['pck_150_percent'] == pytest.approx(counted[name][0], abs=1e-9)
        assert found['auc_percent'] == pytest.approx(counted[name][1], abs=1e-9)


def test_a_checkpoint_is_evaluated_by_activity_as_a_loop_over_the_files_counts(source, tmp_path, script):
    folder, poses = source
    assert prepare(script, tmp_path, '--from-source', folder)[0] == 0
    path = str(tmp_path / 'a.pth.tar')
    checkpoint_of(*trained()).save(path)
    status, out, err = script(main_gcn.main, '-d', '3dhp', '--data_dir', tmp_path, '--evaluate', path, '--report',
                              tmp_path / 'r.json', '--predictions', tmp_path / 'p.npz')
    assert status == 0, err
    for words in ('Standing', 'Exercise', 'Miscellaneous', 'PCK', 'AUC', 'count 14 joints: Head, Thorax, RShoulder'):
        assert words in out
    report, arrays = json.loads((tmp_path / 'r.json').read_text()), np.load(tmp_path / 'p.npz')
    assert set(report['pck_joints']) == set(JOINTS[:14])
    for subject, runs in RUNS.items():  # frames keep the numbers of the video
        for action, numbers in runs.items():
            mine = (arrays['subject'] == subject) & (arrays['action'] == action)
            assert arrays['frame'][mine].tolist() == numbers
    assert_same_counts(report, count_by_hand(arrays, poses, lambda subject, action, frame: frame))


@pytest.mark.parametrize('layout', ['raw', 'P-STMO', 'GraphMLP'])
def test_from_the_files_through_training_to_a_report(layout, source, training, tmp_path, script, monkeypatch):
    folder, poses = source
    make.write_npz_files(tmp_path, poses)
    train, test = (training, folder) if layout == 'raw' else (tmp_path / name for name in NPZ[layout])
    assert prepare(script, tmp_path / 'data', '--train', train, '--from-source', test)[0] == 0
    monkeypatch.chdir(tmp_path)
    status, _, err = script(main_gcn.main, '-d', '3dhp', '-z', 8, '-l', 1, '-e', 1, '-b', 32, '--device', 'cpu',
                            '--flip', '--lr', 0.02)
    assert (status, err.count('Warning')) == (0, 0), err
    status, out, err = script(main_gcn.main, '-d', '3dhp', '--evaluate', f'{run_folder()}/ckpt_last.pth.tar',
                              '--report', 'r.json', '--predictions', 'p.npz')
    assert (status, err.count('Warning')) == (0, 0), err
    assert ('TS1' if layout != 'raw' else 'Standing') in out

    def frame_of(subject, action, frame):
        return np.delete(np.arange(12), make.INVALID[subject])[frame] if layout == 'GraphMLP' else frame
    arrays = np.load('p.npz')
    assert_same_counts(json.loads((tmp_path / 'r.json').read_text()), count_by_hand(arrays, poses, frame_of))


@pytest.mark.parametrize(('change', 'sentence'), [
    (lambda file: file.__delitem__('univ_annot3'), "has no dataset 'univ_annot3'"),
    (lambda file: file['activity_annotation'].__setitem__(3, 9), 'activities that are none of 1 to 7'),
    (lambda file: file['valid_frame'].__setitem__(..., 0), 'has no valid frame'),
    (lambda file: file['annot2'].__setitem__(0, np.nan), 'annot2 holds values that are not finite'),
])
def test_files_that_do_not_fit(source, tmp_path, script, change, sentence):
    with h5py.File(source[0] / 'TS1' / 'annot_data.mat', 'r+') as file:
        change(file)
    status, _, err = prepare(script, tmp_path, '--from-source', source[0])
    assert status == 2
    assert sentence in err and 'annot_data.mat' in err
    assert not (tmp_path / 'data_3d_3dhp.npz').exists()


ANNOTATIONS = 'annot2', 'annot3', 'univ_annot3'


def other_cameras(place):
    places = make.extrinsics()
    places[[0, 1]] = places[[1, 0]]
    make.write_calibration(place / 'camera.calibration', places)


def other_motion(place):
    content = scipy.io.loadmat(place / 'annot.mat')
    content['univ_annot3'][2, 0] = content['univ_annot3'][2, 0][::-1]
    scipy.io.savemat(place / 'annot.mat', {name: content[name] for name in content if name[0] != '_'})


def one_array_short(place):
    content = scipy.io.loadmat(place / 'annot.mat')
    content['annot2'][2, 0] = content['annot2'][2, 0][1:]
    scipy.io.savemat(place / 'annot.mat', {name: content[name] for name in content if name[0] != '_'})


@pytest.mark.parametrize(('change', 'sentence'), [
    (lambda place: (place / 'camera.calibration').unlink(), 'camera.calibration is missing'),
    (lambda place: (place / 'camera.calibration').write_text('name 0\n  size 2048\n'), 'line 2: there are 1 numbers'),
    (lambda place: make.write_calibration(place / 'camera.calibration', make.extrinsics()[:3]), 'cameras 4, 5, 6'),
    (other_cameras, 'S1/Seq1: camera.calibration turns camera 1 by'),
    (other_motion, 'the 3D of camera 2 is up to'),
    (one_array_short, 'has arrays of different lengths'),
    (lambda place: (place / 'annot.mat').write_bytes((place / 'annot.mat').read_bytes()[:5000]), 'is damaged or cut'),
    (lambda place: scipy.io.savemat(place / 'annot.mat', dict.fromkeys(ANNOTATIONS, 1)), 'int64 of shape ()'),
    (lambda place: scipy.io.savemat(place / 'annot.mat', {'other': 1}), 'has no annot2, annot3, univ_annot3'),
])
def test_training_files_that_do_not_fit(training, tmp_path, script, change, sentence):
    change(training / 'S1' / 'Seq1')
    status, _, err = prepare(script, tmp_path, '--train', training)
    assert (status, err.count('\n')) == (2, 1), err
    assert sentence in err
    assert not (tmp_path / 'data_3d_3dhp.npz').exists()


@pytest.mark.parametrize(('content', 'sentence'), [
    ({'other': np.zeros(3)}, 'neither an entry data nor positions_3d'),
    ({'data': {'S1 Seq9': 1}}, "names like 'S1 Seq1', 'TS1' belong"),
    ({'data': {'S1 Seq1': [{}, 25]}}, 'has cameras with different numbers of frames, or none'),
    ({'data': {'S1 Seq1': [{'0': {'data_2d': np.zeros((2, 17, 2))}}, 25]}}, 'is not a dict with data_3d, data_2d'),
    ({'data': {'S1 Seq1': [{'0': {'data_2d': np.zeros((2, 17, 2)), 'data_3d': np.zeros((3, 17, 3))}}, 25]}},
     'has 3 frames of 3D and 2 of 2D'),
    ({'data': {'S1 Seq1': [{}, 30]}}, '25 or 50 frames a second'),
    ({'data': {}}, 'has no sequence of S1 to S8'),
    ({'data': np.array([3])}, 'is not a dict'),
    ({'positions_3d': {'S1': {'Seq1': []}}}, 'is missing'),
])
def test_npz_files_that_do_not_fit(tmp_path, script, content, sentence):
    np.savez(tmp_path / 'train_3d.npz', **content)
    status, _, err = prepare(script, tmp_path, '--train', tmp_path / 'train_3d.npz')
    assert (status, err.count('\n')) == (2, 1), err
    assert sentence in err


def test_flags_that_do_not_fit(training, source, tmp_path, script):
    for arguments, sentence in ((('--train', training, '--fps', 30), 'S1/Seq1 was recorded at 25 frames a second'),
                                ((), '--from-source or --train must name'),
                                (('--train', source[0]), 'has nothing like S1/Seq1/annot.mat'),
                                (('--train', 'no.npz', '--scale', 'measured'), 'needs the files of the set')):
        status, _, err = prepare(script, tmp_path, *arguments)
        assert (status, err.count('\n'), sentence in err) == (2, 1, True), err


def test_folders_without_the_set(tmp_path, script):
    (tmp_path / 'TS7').mkdir()
    status, _, err = prepare(script, tmp_path, '--from-source', tmp_path)
    assert (status, 'has nothing like TS1/annot_data.mat' in err) == (2, True)
