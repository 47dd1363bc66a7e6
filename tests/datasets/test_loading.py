"""Reading, checking and pairing: what comes out is what was put in, and what is wrong is named."""

import numpy as np
import pytest
import torch

from common.datasets import h36m, loading
from common.datasets.mocap import kind_of
from common.datasets.poses import pair
from common.errors import UserError
from common.files import npz
from common.geometry.camera import normalize_screen, project, world_to_camera
from data.prepare_data_demo import make_if_missing
from tests.conftest import moving_people, pixels_of

CAMERAS = h36m.cameras()


def load(folder, name='tiny'):
    return loading.load_dataset(name, str(folder))


def write_2d(folder, content, name='data_2d_tiny_det', **metadata):
    metadata = metadata or {'num_joints': 16,
                            'keypoints_symmetry': [[4, 5, 6, 10, 11, 12], [1, 2, 3, 13, 14, 15]]}
    npz.write_npz(str(folder / f'{name}.npz'), positions_2d=content, metadata=metadata)


def test_kinds_are_words_not_prefixes():
    assert [kind_of(action) for action in ('Sitting', 'SittingDown 2', 'Walking 1')] == ['Sitting', 'SittingDown',
                                                                                         'Walking']


def test_dataset_has_its_subjects_and_splits(data_dir):
    dataset = load(data_dir)
    assert dataset.train_subjects == ('S1', 'S5') and dataset.test_subjects == ('S9',)
    assert dataset.kinds == ['Eating', 'Walking']  # in the order of the published tables
    assert dataset.positions['S1']['Walking'].shape == (12, 16, 3)
    assert not dataset.synthetic


def test_pairs_are_camera_coordinates_relative_to_the_hip(data_dir):
    dataset = load(data_dir)
    keypoints = loading.load_keypoints(dataset, 'gt', str(data_dir))
    poses = pair(dataset, keypoints, ['S9'], dataset.kinds)
    assert len(poses) == 3 * 12 * 4 and poses.keypoints.dtype == poses.positions.dtype == torch.float32
    sequence, camera = moving_people()['S9']['Walking'][:, h36m.KEPT_JOINTS], CAMERAS['S9'][0]
    in_camera = world_to_camera(sequence.astype(np.float64), camera)
    np.testing.assert_allclose(poses.positions[:12], in_camera - in_camera[:, :1], atol=2e-6)
    np.testing.assert_allclose(poses.keypoints[:12], project(in_camera, camera), atol=2e-6)
    assert not poses.positions[:, 0].any()
    assert torch.bincount(poses.kinds).tolist() == [48, 96]
    for view, camera in enumerate(poses.cameras):
        mine = poses.views == view
        again = project((poses.positions + poses.roots[:, None])[mine].double().numpy(), camera)
        np.testing.assert_allclose(again, poses.keypoints[mine], atol=2e-6)


def test_projected_keypoints_equal_the_file_of_pixels(data_dir):
    dataset = load(data_dir)
    projected = loading.load_keypoints(dataset, 'gt', str(data_dir))
    write_2d(data_dir, pixels_of(moving_people()), 'data_2d_tiny_gt')
    read = loading.load_keypoints(dataset, 'gt', str(data_dir))
    for subject in dataset.subjects:
        for action in dataset.positions[subject]:
            for one, two in zip(projected[subject][action], read[subject][action], strict=True):
                np.testing.assert_allclose(one, two, atol=1e-6)


def test_files_of_17_joints_lose_the_neck_and_scores_are_dropped(data_dir):
    people = pixels_of(moving_people())
    write_2d(data_dir, {subject: {action: [np.insert(np.dstack([view, np.ones(view.shape[:2])]), 9, -1, axis=1)
                                           for view in views] for action, views in actions.items()}
                        for subject, actions in people.items()},
             num_joints=17, keypoints_symmetry=[[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]])
    dataset = load(data_dir)
    read = loading.load_keypoints(dataset, 'det', str(data_dir))['S1']['Eating'][2]
    camera = CAMERAS['S1'][2]
    assert read.shape == (12, 16, 2) and read.dtype == np.float32
    expected = normalize_screen(people['S1']['Eating'][2], camera.width, camera.height)
    np.testing.assert_allclose(read, expected, atol=1e-6)


@pytest.mark.parametrize('extra', [3, -4])
def test_different_lengths_are_cut_to_the_shorter_with_one_warning(data_dir, capsys, extra):
    people = moving_people()
    content = pixels_of(people, extra=max(extra, 0))
    if extra < 0:
        content = {subject: {action: [view[:extra] for view in views] for action, views in actions.items()}
                   for subject, actions in content.items()}
    write_2d(data_dir, content)
    dataset = load(data_dir)
    poses = pair(dataset, loading.load_keypoints(dataset, 'det', str(data_dir)), ['S1', 'S5'],
                            dataset.kinds)
    assert len(poses) == 2 * 3 * 4 * (12 + min(extra, 0))
    warnings = capsys.readouterr().err.strip().splitlines()
    assert len(warnings) == 1 and '24 sequences' in warnings[0]


def test_sequences_without_2d_are_left_out_and_counted(data_dir, capsys):
    content = pixels_of(moving_people())
    del content['S1']['Walking'], content['S5']
    write_2d(data_dir, content)
    dataset = load(data_dir)
    poses = pair(dataset, loading.load_keypoints(dataset, 'det', str(data_dir)), ['S1', 'S5'],
                            dataset.kinds)
    assert len(poses) == 2 * 12 * 4
    assert '4 sequences have no 2D' in capsys.readouterr().err


def test_downsampling_takes_every_nth_frame_of_each_sequence(data_dir):
    dataset = load(data_dir)
    keypoints = loading.load_keypoints(dataset, 'gt', str(data_dir))
    every, fifth = (pair(dataset, keypoints, ['S1'], dataset.kinds, n) for n in (1, 5))
    assert torch.equal(fifth.positions[:3], every.positions[0:12:5]) and len(fifth) == 3 * 4 * 3


def test_the_corrupted_sequence_is_left_out_of_human36m_only(tmp_path):
    people = moving_people(subjects=('S1', 'S11'), actions=('Directions', 'Directions 1'))
    for name in ('h36m', 'other'):
        npz.write_npz(str(tmp_path / f'data_3d_{name}.npz'), positions_3d=people)
    assert list(load(tmp_path, 'h36m').positions['S11']) == ['Directions 1']
    assert list(load(tmp_path, 'h36m').positions['S1']) == ['Directions', 'Directions 1']
    assert list(load(tmp_path, 'other').positions['S11']) == ['Directions', 'Directions 1']


def test_subjects_without_cameras_are_left_out_with_a_warning(tmp_path, capsys):
    people = moving_people(subjects=('S1', 'S9'))
    npz.write_npz(str(tmp_path / 'data_3d_x.npz'), positions_3d={**people, 'Alice': people['S1']})
    assert load(tmp_path, 'x').subjects == ['S1', 'S9']
    assert 'Alice' in capsys.readouterr().err


def test_demo_is_made_at_first_use_and_read_afterwards(tmp_path, capsys):
    make_if_missing('demo', str(tmp_path))
    assert 'Making' in capsys.readouterr().out
    make_if_missing('demo', str(tmp_path))
    assert not capsys.readouterr().out
    dataset = load(tmp_path, 'demo')
    assert dataset.synthetic and set(dataset.kinds) == set(h36m.ACTIONS)


def broken_3d(**change):
    people = moving_people()
    people['S5']['Walking'] = change['sequence']
    return people


GOOD = moving_people()['S5']['Walking']
NAN = GOOD.copy()
NAN[7, 3, 1] = np.nan
ONE_AFAR = GOOD.copy()
ONE_AFAR[-1, 3] = GOOD[-1, 0] + (0, 50, 0)


@pytest.mark.parametrize('content, sentence', [
    (broken_3d(sequence=GOOD[:, :17]), r'S5 Walking must be an array \(frames, 32, 3\), not float32 \(12, 17, 3\)'),
    (broken_3d(sequence=[1, 2]), r'S5 Walking must be an array .* not list'),
    (broken_3d(sequence=NAN), r'S5 Walking holds a number that is not finite, first in frame 7'),
    (broken_3d(sequence=GOOD * 1000), r'S5 Walking has poses .* millimetres'),
    (broken_3d(sequence=ONE_AFAR), r'S5 Walking has poses 50 m across'),
    (broken_3d(sequence=GOOD.astype(float) * 1e300), r'S5 Walking holds a number that is not finite, first in frame 0'),
    (broken_3d(sequence=GOOD[:0]), r'S5 Walking is empty'),
    (broken_3d(sequence=GOOD.astype(object)), r'S5 Walking must hold numbers, not object'),
    ({'S5': {5: GOOD}}, r'S5 5 is not named by a text'),
    (broken_3d(sequence=GOOD.astype(str)), r'S5 Walking must hold numbers'),
    ({'Alice': {'Walking': GOOD}}, r'no subject of the splits .* it has Alice'),
    ({}, r'no subject of the splits .* it has none'),
    ({'S5': {}}, r'subjects without a single sequence: S5'),
    ([GOOD], r'not a dict of subjects and actions'),
])
def test_wrong_3d_is_named(tmp_path, content, sentence, recwarn):
    npz.write_npz(str(tmp_path / 'data_3d_x.npz'), positions_3d=content)
    with pytest.raises(UserError, match=sentence) as caught:
        load(tmp_path, 'x')
    assert 'data_3d_x.npz' in str(caught.value) and not recwarn


@pytest.mark.parametrize('views, sentence', [
    (lambda views: views[:3], r'S1 Eating must have one array for each of 4 cameras, not list of 3'),
    (lambda views: [view[:, :12] for view in views],
     r'S1 Eating camera 0 must be an array \(frames, joints, 2 or 3\) of 15, 16, 17, '),
    (lambda views: [view / 1000 for view in views], r'S1 Eating camera 0 .* normalised already'),
    (lambda views: [*views, views[0]], r'S1 Eating must have one array for each of 4 cameras, not list of 5'),
    (lambda views: [views[0][:, :, :1], *views[1:]], r'S1 Eating camera 0 must be an array .* \(12, 16, 1\)'),
    (lambda views: [views[0], views[1] * 1e4, *views[2:]],
     r'S1 Eating camera 1 has coordinates of up to .* in an image of 1000x100'),
    (lambda views: [*views[:2], views[2][:0], views[3]], r'S1 Eating camera 2 is empty'),
    (lambda views: [*views[:2], views[2] > 5, views[3]], r'S1 Eating camera 2 must hold numbers, not bool'),
    (lambda views: [*views[:3], np.full_like(views[3], np.inf)], r'S1 Eating camera 3 .* not finite, first in frame 0'),
    (lambda views: 'pixels', r'S1 Eating must have one array for each of 4 cameras, not str'),
])
def test_wrong_2d_is_named(data_dir, views, sentence):
    content = pixels_of(moving_people())
    content['S1']['Eating'] = views(content['S1']['Eating'])
    write_2d(data_dir, content)
    with pytest.raises(UserError, match=sentence) as caught:
        loading.load_keypoints(load(data_dir), 'det', str(data_dir))
    assert 'data_2d_tiny_det.npz' in str(caught.value)


def test_dtypes_may_be_mixed(data_dir):
    """Numbers are numbers, whatever their type and byte order; what is computed with is float32."""
    content = pixels_of(moving_people())
    views = [view.round() for view in content['S1']['Eating']]
    content['S1']['Eating'] = views
    write_2d(data_dir, content)
    dataset = load(data_dir)
    expected = loading.load_keypoints(dataset, 'det', str(data_dir))['S1']['Eating']
    mixed = (np.int32, '>f4', np.float64, '>i2')
    content['S1']['Eating'] = [view.astype(dtype) for view, dtype in zip(views, mixed)]
    write_2d(data_dir, content)
    for found, same in zip(loading.load_keypoints(dataset, 'det', str(data_dir))['S1']['Eating'], expected):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, same)
    poses = pair(dataset, loading.load_keypoints(dataset, 'det', str(data_dir)), ['S1'], dataset.kinds)
    assert poses.keypoints.dtype == poses.positions.dtype == torch.float32


def test_a_missing_file_names_how_to_get_it(data_dir):
    with pytest.raises(UserError, match=r'data_3d_h36m\.npz is missing.*data/README\.md.*--dataset demo'):
        load(data_dir, 'h36m')
    write_2d(data_dir, pixels_of(moving_people()))
    with pytest.raises(UserError, match=r'data_2d_tiny_sh_ft_h36m\.npz is missing.*gt, det'):
        loading.load_keypoints(load(data_dir), 'sh_ft_h36m', str(data_dir))


def test_unknown_actions_and_empty_selections_are_errors(data_dir):
    dataset = load(data_dir)
    with pytest.raises(UserError, match=r'no action Flying; it has Eating, Walking'):
        loading.select_kinds(dataset, ['Walking', 'Flying'])
    assert loading.select_kinds(dataset, ['Walking', 'Eating']) == ['Eating', 'Walking']
    with pytest.raises(UserError, match='no frames'):
        pair(dataset, {}, [], dataset.kinds)
