"""Data sets that describe themselves: skeletons, cameras and splits of any kind, from the file to a rendered clip."""

import glob
import re
import runpy
import shlex

import numpy as np
import pytest
import torch

import main_gcn
import main_linear
import predict
import viz
from common.datasets import h36m, loading
from common.datasets.loading import DataOptions
from common.datasets.splits import Data
from common.errors import UserError
from common.files import npz
from common.geometry.camera import image_coordinates, project, world_to_camera
from common.training.augmentation import AugmentedSamples
from common.training.recipe import Recipe
from tests.conftest import ROOT
from tests.helpers.make_datasets import FIFTEEN, camera_entry, skeleton_entries, walkers, write_set
from tests.helpers.runs import run_folder

PAGE = (ROOT / 'docs' / 'datasets.md').read_text()
SMALL = ['--device', 'cpu', '-z', '8', '-l', '1', '--non_local']
CAMERAS = h36m.cameras()['S1']


def seen_by(camera, positions):
    return image_coordinates(project(world_to_camera(positions, camera), camera), camera.width, camera.height)


def test_the_page_goes_from_nothing_to_a_clip(tmp_path, monkeypatch, script):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'write_mine.py').write_text(re.search(r'```python\n(.*?)```', PAGE, re.S)[1])
    commands = re.findall(r'^    python (\S+\.py)(.*)$', PAGE, re.M)
    assert [name for name, _ in commands] == ['write_mine.py', 'main_gcn.py', 'main_gcn.py', 'viz.py']
    runpy.run_path('write_mine.py')
    for name, arguments in commands[1:]:
        words = [match for word in shlex.split(arguments) for match in (glob.glob(word) if '*' in word else [word])]
        status, out, err = script({'main_gcn.py': main_gcn, 'viz.py': viz}[name].main, *words)
        assert status == 0, err
    assert '25 frames of Ben Walking, camera 0, 1.00 s' in out and (tmp_path / 'ben.gif').stat().st_size > 10_000
    dataset = loading.load_dataset('mine', 'data')
    assert [camera.width for views in dataset.cameras.values() for camera in views] == [1280, 640]


def test_people_of_other_joints_train_resume_evaluate_and_render(tmp_path, monkeypatch, script):
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path, 'own', walkers(joints=FIFTEEN.names), **skeleton_entries(FIFTEEN))

    def run(main, *arguments):
        status, out, err = script(main, '-d', 'own', '--data_dir', '.', '--device', 'cpu', *arguments)
        assert status == 0, err
        return out

    run(main_gcn.main, *SMALL[2:], '-e', '1', '-c', 'runs', '--flip', '--rotate', '20')
    path = f'{run_folder("runs")}/ckpt_last.pth.tar'
    run(main_gcn.main, '--resume', path, '-e', '2')
    run(main_gcn.main, *SMALL[2:], '-e', '2', '-c', 'whole', '--flip', '--rotate', '20')
    states = [torch.load(name, weights_only=True)['state_dict']
              for name in (path, f'{run_folder("whole")}/ckpt_last.pth.tar')]
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())
    assert 'Eating' in run(main_gcn.main, '--evaluate', path, '--tta', 'flip')
    run(viz.main, '--evaluate', path, '--viz_subject', 'S9', '--viz_action', 'Walking', '--viz_limit', '3',
        '--viz_output', 'clip.gif')
    run(main_linear.main, '-e', '1')
    seen = {'keypoints': seen_by(CAMERAS[0], walkers(joints=FIFTEEN.names)['S1']['Walking'])}
    np.savez('k.npz', joint_names=np.array(FIFTEEN.names), **seen)
    status, _, err = script(predict.main, '--checkpoint', path, '--input', 'k.npz', '--size', '1000x1002', '--output',
                            'out.npz')
    assert status == 0 and np.isfinite(np.load('out.npz')['positions_3d']).all(), err


def hand(frames=12):
    """(T, 21, 3) a hand whose fingers bend: wrist, then four joints of each finger."""
    time = np.linspace(0, 1, frames)[:, None, None]
    fingers = [(finger - 2, 5 + step, -step * time[:, 0, 0]) for finger in range(5) for step in range(4)]
    points = [np.zeros((frames, 3))] + [np.stack([np.full(frames, x), np.full(frames, y), z], 1) for x, y, z in fingers]
    return (0.02 * np.stack(points, axis=1) + (0, 0, 1)).astype(np.float32)


HAND = {'joints': np.array(['Wrist', *(f'Finger{finger}{step}' for finger in range(5) for step in range(4))]),
        'parents': np.array([-1, *(0 if step == 0 else 4 * finger + step for finger in range(5) for step in range(4))])}


def test_a_hand_of_21_joints_trains(tmp_path, monkeypatch, script):
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path, 'hand', {'a': hand(), 'b': hand()}, cameras={'a': 'S1', 'b': 'S9'}, train_subjects=['a'],
              test_subjects=['b'], **HAND)
    groups = loading.load_dataset('hand', '.').skeleton.groups
    assert sorted(map(len, groups)) == [1] + [2] * 10 and (0,) in groups and (3, 4) in groups
    status, out, err = script(main_gcn.main, '-d', 'hand', '--data_dir', '.', *SMALL, '-e', '1')
    assert status == 0 and re.search(r'^all +48 ', out, re.M), err


def test_cameras_of_a_file_project_as_those_they_were_written_from(tmp_path):
    people = walkers(('Ada', 'Ben'))
    write_set(tmp_path, 'own', people, cameras={'Ada': [camera_entry(camera) for camera in CAMERAS[:3]],
                                                'Ben': [camera_entry(CAMERAS[3])]})
    dataset = loading.load_dataset('own', str(tmp_path))
    found = loading.load_keypoints(dataset, 'gt', str(tmp_path))
    assert [len(found[subject]['Walking']) for subject in ('Ada', 'Ben')] == [3, 1]
    for subject, index, camera in (('Ada', 1, CAMERAS[1]), ('Ben', 0, CAMERAS[3])):
        expected = project(world_to_camera(people[subject]['Walking'][:, h36m.KEPT_JOINTS], camera), camera)
        np.testing.assert_allclose(found[subject]['Walking'][index], expected, atol=1e-5)


def test_a_camera_on_its_side_is_warned_of(tmp_path, capsys):
    right = [camera_entry(camera) for camera in CAMERAS]
    write_set(tmp_path, 'own', walkers(), cameras=right)
    loading.load_dataset('own', str(tmp_path))
    assert not capsys.readouterr().err
    write_set(tmp_path, 'own', walkers(), cameras=[{**view, 'R': np.transpose(view['R']).tolist()} for view in right])
    loading.load_dataset('own', str(tmp_path))
    warnings = capsys.readouterr().err.splitlines()
    turned = [CAMERAS[1].name, CAMERAS[3].name]  # the other two happen to stand upright
    assert [f'camera {name} of' in warning and 'is R the transposed matrix?' in warning
            for name, warning in zip(turned * 2, warnings, strict=True)] == [True] * 4


def test_positions_in_camera_coordinates_need_no_camera(tmp_path):
    camera = CAMERAS[0]
    local = {name: {kind: world_to_camera(take, camera) for kind, take in takes.items()}
             for name, takes in walkers(('Ada', 'Ben')).items()}
    write_set(tmp_path, 'own', local, image_size=[1000, 1002], train_subjects=['Ada'], test_subjects=['Ben'])
    with pytest.raises(UserError, match='without a focal length the cameras of Ada, Ben cannot project'):
        Data(DataOptions('own', 'gt', data_dir=str(tmp_path))).train()
    seen = {name: {kind: [image_coordinates(project(take[:, h36m.KEPT_JOINTS], camera), 1000, 1002)]
                   for kind, take in takes.items()} for name, takes in local.items()}
    npz.write_npz(str(tmp_path / 'data_2d_own_det.npz'), positions_2d=seen)
    poses = Data(DataOptions('own', 'det', data_dir=str(tmp_path))).train()
    with pytest.raises(UserError, match=r'--rotate and --scale .* no focal length'):
        AugmentedSamples(poses, h36m.skeleton(), Recipe(1, 1, rotate=10.0))
    expected = local['Ada']['Walking'][:, h36m.KEPT_JOINTS]
    np.testing.assert_allclose(poses.positions[:len(expected)], expected - expected[:, :1], atol=1e-6)


def test_the_root_moves_to_the_front_and_2d_follows(tmp_path):
    skeleton = h36m.skeleton()
    back = skeleton.keep([*range(1, 16), 0])
    people = walkers(joints=back.names)
    write_set(tmp_path, 'own', people, **skeleton_entries(back))
    dataset = loading.load_dataset('own', str(tmp_path))
    assert dataset.skeleton.names == skeleton.names and dataset.skeleton.parents == skeleton.parents
    assert {frozenset(group) for group in dataset.skeleton.groups} == {frozenset(group) for group in skeleton.groups}
    projected = loading.load_keypoints(dataset, 'gt', str(tmp_path))['S1']['Walking']
    views = {name: {kind: [seen_by(camera, take) for camera in h36m.cameras()[name]] for kind, take in takes.items()}
             for name, takes in people.items()}
    npz.write_npz(str(tmp_path / 'data_2d_own_det.npz'), positions_2d=views)
    read = loading.load_keypoints(dataset, 'det', str(tmp_path))['S1']['Walking']
    np.testing.assert_allclose(read, projected, atol=1e-5)


def test_chosen_subjects_take_the_place_of_the_splits(tmp_path, capsys):
    write_set(tmp_path, 'own', walkers(('S1', 'S9', 'S5')))
    data = Data(DataOptions('own', data_dir=str(tmp_path), train_subjects=('S9',), test_subjects=('S5',)))
    assert data.subjects('train') == ('S9',) and data.test_subjects == ('S5',)
    assert len(data.train()) and len(data.test())
    twice = Data(DataOptions('own', data_dir=str(tmp_path), train_subjects=('S9', 'S9')))
    assert len(twice.train()) == len(data.train())
    with pytest.raises(UserError, match='--train_subjects Eve: own has the subjects S1, S9, S5'):
        Data(DataOptions('own', data_dir=str(tmp_path), train_subjects=('Eve',))).train()
    Data(DataOptions('own', data_dir=str(tmp_path), test_subjects=('S1',))).test()
    assert 'S1 of the test subjects are training subjects' in capsys.readouterr().err
    write_set(tmp_path, 'named', walkers(('Ada', 'Ben')), cameras={'Ada': 'S1', 'Ben': 'S9'})
    with pytest.raises(UserError, match='names no subjects to test: choose some of Ada, Ben with --test_subjects'):
        Data(DataOptions('named', data_dir=str(tmp_path))).test()


WRONG = {
    'joints need': {'joints': np.array(['a', 'b'])},
    'must name each joint differently': {'joints': np.array(['a'] * 32), 'parents': np.full(32, -1)},
    'parents do not lead every joint': {**skeleton_entries(h36m.skeleton()), 'parents': np.array([-1, *[15] * 15])},
    'is called RHip, and joints_left': {**skeleton_entries(h36m.skeleton()), 'joints_right': np.array([4])},
    'joints_left and joints_right do not say so': {
        **skeleton_entries(h36m.skeleton()), 'joints_left': np.array([], int), 'joints_right': np.array([], int)},
    'groups must name every joint once': {**skeleton_entries(h36m.skeleton()), 'groups': [[0, 1]]},
    'groups are 5 instead of a list': {**skeleton_entries(h36m.skeleton()), 'groups': 5},
    'R of a camera is not a rotation': {'cameras': [{**camera_entry(CAMERAS[0]), 'R': np.ones((3, 3)).tolist()}]},
    'a camera has fov': {'cameras': [{'width': 10, 'height': 10, 'fov': 3}]},
    'of the 2 cameras of S1, each needs R and t': {'cameras': [{'width': 10, 'height': 10}] * 2},
    r'S1 has \[\] where a list of cameras belongs': {'cameras': {'S1': [], 'S9': 'S9'}},
    'S1 has S77 where a list of cameras belongs': {'cameras': {'S1': 'S77'}},
    'cameras is 5 instead of cameras by subject': {'cameras': 5},
    'a camera has no height': {'cameras': [{'width': 10}]},
    'a camera has no t': {'cameras': [{'width': 10, 'height': 10, 'R': np.eye(3).tolist()}]},
    'a camera has wide where a number belongs': {'cameras': [{'width': 'wide', 'height': 10}]},
    'where 3 x 3 numbers belong': {'cameras': [{**camera_entry(CAMERAS[0]), 'R': [[1], [1, 2], [3]]}]},
    'focal length that is not positive': {'cameras': [{**camera_entry(CAMERAS[0]), 'focal_length': 0}]},
    'shows people 0.3 pixels large: R and t must': {'cameras': [{
        **camera_entry(CAMERAS[0]), 't': [1000 * value for value in camera_entry(CAMERAS[0])['t']]}]},
    'of S1 never shows anybody: R and t must': {'cameras': [{
        **camera_entry(CAMERAS[0]), 't': CAMERAS[0].translation.tolist()}]},  # the place of the camera in the world
    'image_size is .1000, 1002, 3. instead of width': {'image_size': [1000, 1002, 3]},
    'its splits name Eve': {'train_subjects': ['Eve']},
    'fps must be one number': {'fps': np.array([25, 30])},
    r'frame_numbers has \[-1, 1\] where': {'frame_numbers': '{"S1": {"Walking": [-1, 1]}}'},
    r'frame_numbers has \[0, 0\] where': {'frame_numbers': '{"S1": {"Walking": [0, 0]}}'},
    'frame_numbers has None where': {'frame_numbers': '{"S1": [0, 1]}'},
    'Expecting value': {'cameras': 'no JSON'},
}


@pytest.mark.parametrize('sentence', WRONG)
def test_wrong_entries_are_named(sentence, tmp_path):
    entries = WRONG[sentence]
    if entries.get('cameras') == 'no JSON':
        npz.write_npz(str(tmp_path / 'data_3d_own.npz'), positions_3d=walkers(), **entries)
    else:
        write_set(tmp_path, 'own', walkers(), **entries)
    with pytest.raises(UserError, match=sentence) as caught:
        loading.load_dataset('own', str(tmp_path))
    assert 'data_3d_own.npz' in str(caught.value) and 'docs/datasets.md' in str(caught.value)
