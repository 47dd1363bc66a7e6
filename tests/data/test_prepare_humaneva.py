"""HumanEva-I, from files as VideoPose3D makes them to a training and an evaluation by action."""

import json
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import main_gcn
from common.datasets.loading import DataOptions, load_dataset
from common.datasets.splits import Data
from data import prepare_data_humaneva
from tests.helpers.make_datasets import FIFTEEN, walkers
from tests.helpers.runs import run_folder

# The 15 joints in VideoPose3D's order, by this program's names.
JOINTS = ['Hip', 'Thorax', 'LShoulder', 'LElbow', 'LWrist', 'RShoulder', 'RElbow', 'RWrist', 'LHip', 'LKnee', 'LFoot',
          'RHip', 'RKnee', 'RFoot', 'Head']
SEQUENCES = {'Train/S1': ('Walking 1 chunk0', 'Walking 1 chunk2', 'Box 1 chunk0'), 'Train/S2': ('Jog 1 chunk0',),
             'Validate/S1': ('Walking 1 chunk0', 'Jog 1 chunk1'), 'Validate/S2': ('Box 1 chunk0', 'Jog 1 chunk0')}
FRAMES = 20
FOCAL, CENTER = np.array([765.8, 765.3]), np.array([299.8, 232.3])
RADIAL = np.array([-0.289, 0.106])


def people():
    """{subject: {action: (20, 15, 3) float32 metres, z up}}."""
    return {subject: {action: walkers((subject,), ('Walking',), FIFTEEN.names)[subject]['Walking'][
        5 * number:5 * number + FRAMES, [FIFTEEN.names.index(name) for name in JOINTS]] * (1 + 0.02 * index)
        for number, action in enumerate(actions)} for index, (subject, actions) in enumerate(SEQUENCES.items())}


def to_world(orientation):
    return Rotation.from_quat(np.roll(orientation, -1)).as_matrix()


def in_camera(poses, person, camera):
    """(T, 15, 3) metres in the axes of a camera: R (X - place)."""
    orientation, place = prepare_data_humaneva.PLACES[person][camera]
    return (poses.astype(np.float64) - np.array(place) / 1000) @ to_world(orientation)


def pixels(poses, person, camera):
    seen = in_camera(poses, person, camera)
    points = seen[..., :2] / seen[..., 2:]
    square = (points ** 2).sum(-1, keepdims=True)
    return (points * (1 + RADIAL[0] * square + RADIAL[1] * square ** 2) * FOCAL + CENTER).astype(np.float32)


@pytest.fixture
def source(tmp_path):
    """A folder of VideoPose3D's files of 3D and of 2D, which has corrupted chunks as unlabelled subjects too."""
    positions = people()
    keypoints = {subject: {action: [pixels(take, subject[-2:], camera) for camera in range(3)]
                           for action, take in actions.items()} for subject, actions in positions.items()}
    keypoints['Unlabeled/Train/S1'] = {'Walking 1 chunk1': [np.zeros((7, 15, 2), np.float32)] * 3}
    metadata = {'layout_name': 'humaneva15', 'num_joints': 15,
                'keypoints_symmetry': [[2, 3, 4, 8, 9, 10], [5, 6, 7, 11, 12, 13]]}
    np.savez_compressed(tmp_path / 'data_3d_humaneva15.npz', positions_3d=positions)
    np.savez_compressed(tmp_path / 'data_2d_humaneva15_gt.npz', positions_2d=keypoints, metadata=metadata)
    return tmp_path


def write_calibration(folder):
    for person in ('S1', 'S2', 'S3'):
        (folder / person / 'Calibration_Data').mkdir(parents=True)
        for name, (orientation, place) in zip(('C1', 'C2', 'C3'), prepare_data_humaneva.PLACES[person], strict=True):
            rotation = to_world(orientation).T
            numbers = [*FOCAL, *CENTER, 0, *RADIAL, 0, 0, 0, *rotation.ravel(), *(-rotation @ np.array(place))]
            (folder / person / 'Calibration_Data' / f'{name}.cal').write_text('\n'.join(map(repr, map(float, numbers))))


def prepare(script, source, *arguments):
    return script(prepare_data_humaneva.main, '--output', source / 'data', '--from-source',
                  source / 'data_3d_humaneva15.npz', *arguments)


def test_the_poses_in_each_camera_are_those_of_the_file(source, script):
    status, out, err = prepare(script, source, '--keypoints', source / 'data_2d_humaneva15_gt.npz')
    assert (status, err.count('Warning')) == (0, 0), err
    table = [line.split()[:2] for line in out.splitlines()[1:]]
    assert table == [['frames', 'Train/S1'], ['Box', '20'], ['Jog', '0'], ['Walking', '40']]
    options = DataOptions(dataset='humaneva', data_dir=str(source / 'data'))
    data = Data(options)
    assert (data.skeleton.names, data.spec.fps) == (tuple(JOINTS), 60)
    assert (data.spec.train_subjects, data.test_subjects) == (('Train/S1', 'Train/S2'), ('Validate/S1', 'Validate/S2'))
    test, positions = data.test(), people()
    expected = [in_camera(positions[subject][action], subject[-2:], camera)
                for subject in ('Validate/S1', 'Validate/S2') for action in SEQUENCES[subject] for camera in range(3)]
    expected = np.concatenate([seen - seen[:, :1] for seen in expected])
    np.testing.assert_allclose(test.positions, expected, atol=1e-5)
    assert [(each.subject, each.camera) for each in test.sequences[:3]] == [('Validate/S1', f'C{n}') for n in (1, 2, 3)]


def test_a_calibration_projects_what_the_file_of_2d_holds(source, script):
    write_calibration(source / 'HumanEva_I')
    assert prepare(script, source, '--calibration', source / 'HumanEva_I')[0] == 0  # no 2D
    projected = Data(DataOptions(dataset='humaneva', data_dir=str(source / 'data'))).test()
    status, _, err = prepare(script, source, '--calibration', source / 'HumanEva_I', '--force', '--keypoints',
                             source / 'data_2d_humaneva15_gt.npz')
    assert status == 0, err
    read = Data(DataOptions(dataset='humaneva', data_dir=str(source / 'data'))).test()
    np.testing.assert_allclose(projected.keypoints, read.keypoints, atol=2e-4)  # of an image that is 2 wide


def test_frames_that_are_not_valid_end_a_run(source, script):
    positions = people()
    positions['Validate/S1']['Walking 1 chunk0'][[0, 5, 6], 3] = np.nan
    positions['Train/S1']['Box 1 chunk0'][:] = np.inf
    np.savez_compressed(source / 'data_3d_humaneva15.npz', positions_3d=positions)
    with np.load(source / 'data_2d_humaneva15_gt.npz', allow_pickle=True) as file:
        keypoints, metadata = file['positions_2d'].item(), file['metadata'].item()
    keypoints['Validate/S1']['Walking 1 chunk0'][2][[0, 5, 6]] = np.nan
    np.savez_compressed(source / 'data_2d_humaneva15_gt.npz', positions_2d=keypoints, metadata=metadata)
    status, _, err = prepare(script, source, '--keypoints', source / 'data_2d_humaneva15_gt.npz')
    assert status == 0, err
    dataset = load_dataset('humaneva', str(source / 'data'))
    takes = dataset.positions['Validate/S1']
    assert {name: len(take) for name, take in takes.items()} == {
        'Walking 1 chunk0': 4, 'Walking 1 chunk0 part1': 13, 'Jog 1 chunk1': 20}
    np.testing.assert_array_equal(takes['Walking 1 chunk0 part1'], people()['Validate/S1']['Walking 1 chunk0'][7:])
    assert dataset.frame_numbers['Validate/S1']['Walking 1 chunk0 part1'] == [7, 1]
    assert 'Box 1 chunk0' not in dataset.positions['Train/S1']
    assert len(Data(DataOptions(dataset='humaneva', data_dir=str(source / 'data'))).test()) == 3 * (17 + 3 * FRAMES)


@pytest.mark.parametrize('calibrated', [False, True])
def test_from_the_files_through_training_to_a_report(calibrated, source, script, monkeypatch):
    if calibrated:
        write_calibration(source / 'HumanEva_I')
    given = ['--calibration', source / 'HumanEva_I'] if calibrated else ['--keypoints',
                                                                         source / 'data_2d_humaneva15_gt.npz']
    assert prepare(script, source, *given)[0] == 0
    monkeypatch.chdir(source)
    status, _, err = script(main_gcn.main, '-d', 'humaneva', '-z', 8, '-l', 1, '-e', 1, '-b', 32, '--device', 'cpu',
                            '--flip', '--lr', 0.02, *(['--rotate', 10] if calibrated else []))
    assert (status, err.count('Warning')) == (0, 0), err
    status, out, err = script(main_gcn.main, '-d', 'humaneva', '--evaluate', f'{run_folder()}/ckpt_last.pth.tar',
                              '--report', 'r.json', '--predictions', 'p.npz')
    assert (status, err.count('Warning')) == (0, 0), err
    report, arrays = json.loads((source / 'r.json').read_text()), np.load('p.npz')
    assert set(report['per_action']) == {'Walking', 'Jog', 'Box'} and 'Walking' in out
    positions, errors = people(), {'all': []}  # mm, of all joints but the hip
    for subject, action, camera, frame, guess in zip(*(arrays[name] for name in (
            'subject', 'action', 'camera', 'frame', 'predicted'))):
        seen = 1000 * in_camera(positions[subject][action][frame], subject[-2:], int(camera[1]) - 1)
        off = [math.dist(1000.0 * guess[joint], seen[joint] - seen[0]) for joint in range(1, 15)]
        errors['all'] += off
        errors.setdefault(action.split(' ')[0], []).extend(off)
    assert len(errors['all']) == 4 * FRAMES * 3 * 14 and set(report['per_subject']) == {'Validate/S1', 'Validate/S2'}
    for name, found in {'all': report['pose_wise_average'], **report['per_action']}.items():
        shares = [100 * sum(error < limit for error in errors[name]) / len(errors[name]) for limit in range(0, 151, 5)]
        assert 0 < shares[-1] < 100
        assert found['pck_150_percent'] == pytest.approx(shares[-1], abs=1e-9)
        assert found['auc_percent'] == pytest.approx(sum(shares) / len(shares), abs=1e-9)


TAKE = np.zeros((4, 15, 3), np.float32)


@pytest.mark.parametrize(('positions', 'sentence'), [
    ([TAKE], 'is not a file of subjects and their actions'),
    ({'Train/S1': {'Walking 1 chunk0': np.zeros((4, 20, 3))}}, 'is not an array of (frames, 15, 3) numbers'),
    ({'Train/S1': {'Walking 1 chunk0': TAKE * np.nan}}, 'has no valid frame of Train/S1'),
    ({'S9': {'Walking 1': TAKE}}, 'has no valid frame of Train/S1'),
])
def test_files_that_do_not_fit(positions, sentence, tmp_path, script):
    np.savez(tmp_path / 'data_3d_humaneva15.npz', positions_3d=positions)
    status, _, err = prepare(script, tmp_path)
    assert (status, sentence in err.splitlines()[-1]) == (2, True), err
    assert not (tmp_path / 'data' / 'data_3d_humaneva.npz').exists()


def test_2d_and_calibrations_that_do_not_fit(source, script):
    two = source / 'data_2d_humaneva15_few.npz'
    np.savez(two, positions_2d={'Train/S1': {'Walking 1 chunk0': [TAKE]}})
    (source / 'none_2d.npz').touch()
    np.savez(source / 'data_2d_humaneva15_other.npz', positions_2d={'S9': {}})
    write_calibration(source / 'HumanEva_I')
    (source / 'HumanEva_I' / 'S2' / 'Calibration_Data' / 'C3.cal').write_text('1\n2\n3')
    for arguments, sentence in (
            (('--keypoints', two), 'is not a list of an array for each of C1, C2, C3'),
            (('--keypoints', source / 'none_2d.npz'), 'is not called like data_2d_humaneva15_gt.npz'),
            (('--keypoints', source / 'data_2d_humaneva15_other.npz'), 'has 2D of no sequence of the 3D'),
            (('--calibration', source), 'C1.cal is missing'),
            (('--calibration', source / 'HumanEva_I'), 'C3.cal has 3 numbers')):
        status, _, err = prepare(script, source, *arguments)
        assert (status, err.count('\n'), sentence in err) == (2, 1, True), err
