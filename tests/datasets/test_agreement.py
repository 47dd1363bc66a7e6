"""Every sequence is compared with its 3D by itself: what is wrong in one of many is named."""

import re

import numpy as np
import pytest

from common.datasets import h36m, loading
from common.errors import UserError
from common.files import npz
from common.geometry.camera import world_to_camera
from tests.conftest import pixels_of
from tests.helpers.make_datasets import skeleton_entries, walkers, write_set

KINDS = ('Walking', 'Eating', 'Greeting', 'Posing', 'Phoning')
SIDES = np.arange(16)
SIDES[[1, 2, 3, 4, 5, 6]], SIDES[10:] = [4, 5, 6, 1, 2, 3], [13, 14, 15, 10, 11, 12]


@pytest.fixture(scope='module')
def motion():
    return walkers(kinds=KINDS)


def read(folder, motion, change=lambda views: views, action='Greeting', noise=0.0, **entries):
    """The keypoints of a set of which the 2D of one action of S9 is changed."""
    write_set(folder, 'own', motion, **entries)
    views = pixels_of(motion)
    rng = np.random.default_rng(0)
    bias = rng.normal(0, noise / 2, (16, 2))
    views = {subject: {name: [view + bias + rng.normal(0, noise, view.shape) for view in takes]
                       for name, takes in actions.items()} for subject, actions in views.items()}
    views['S9'][action] = change(views['S9'][action])
    npz.write_npz(str(folder / 'data_2d_own_det.npz'), positions_2d=views)
    return loading.load_keypoints(loading.load_dataset('own', str(folder)), 'det', str(folder))


def late(frames):
    return lambda views: [np.concatenate([view[:1].repeat(frames, 0), view])[:len(view)] for view in views]


def early(frames):
    return lambda views: [np.concatenate([view[frames:], view[-1:].repeat(frames, 0)]) for view in views]


WRONG = {
    'sides': (lambda views: [view[:, SIDES] for view in views], 'S9 {} in camera 0 .left and right are exchanged'),
    'sides in one camera': (lambda views: [*views[:2], views[2][:, SIDES], views[3]],
                            '1 of 40 sequences .* S9 {} in camera 2 .left and right are exchanged'),
    'two cameras': (lambda views: [views[0], views[2], views[1], views[3]],
                    'S9 {} in camera 1 .it shows what camera 2 sees.* S9 {} in camera 2 .it shows what camera 1'),
    '12 late': (late(12), 'S9 {} in camera 0 .the 2D is 12 frames late'),
    '4 late': (late(4), 'S9 {} in camera 0 .the 2D is 4 frames late'),
    '7 early': (early(7), 'S9 {} in camera 0 .the 2D is 7 frames early'),
    'another pose': (lambda views: [view[::-1, ::-1] for view in views], 'S9 {} in camera 0 .*size of the pose away'),
}


@pytest.mark.parametrize('action', ['Walking', 'Greeting'])
@pytest.mark.parametrize('case', WRONG)
def test_one_bad_sequence_is_named(motion, tmp_path, case, action):
    change, sentence = WRONG[case]
    with pytest.raises(UserError, match=re.sub('{}', action, sentence)) as caught:
        read(tmp_path, motion, change, action)
    assert 'data_2d_own_det.npz' in str(caught.value) and 'S1' not in str(caught.value)


@pytest.mark.parametrize('case', ['sides', 'two cameras', '12 late', '7 early'])
def test_detections_with_errors_show_it_too(motion, tmp_path, case):
    change, sentence = WRONG[case]
    about = sentence.replace('12', '1[0-2]').replace('7', '[6-8]')
    with pytest.raises(UserError, match=re.sub('{}', 'Walking', about)):
        read(tmp_path, motion, change, 'Walking', noise=4)


@pytest.mark.parametrize('noise', [0, 3, 12])
def test_detections_with_errors_pass(motion, tmp_path, capsys, noise):
    read(tmp_path, motion, noise=noise)
    assert not capsys.readouterr().err


def test_a_pose_at_another_place_is_warned_of(motion, tmp_path, capsys):
    """As in three sequences of Human3.6M's S9, whose 3D is shifted against the video."""
    read(tmp_path, motion, lambda views: [view + 90 for view in views])
    (warning,) = capsys.readouterr().err.splitlines()
    assert '4 of 40 sequences' in warning and 'S9 Greeting in camera 3 (the pose is right, its place is' in warning


def test_exchanged_sides_of_an_unknown_lens_are_seen(motion, tmp_path):
    """Only the size of the image is known, so that place and size are fitted."""
    camera, names = h36m.cameras()['S1'][0], {'S1': 'Ada', 'S9': 'Ben'}
    local = {names[subject]: {kind: world_to_camera(take[:, h36m.KEPT_JOINTS], camera) for kind, take in takes.items()}
             for subject, takes in motion.items()}
    write_set(tmp_path, 'own', local, image_size=[1000, 1002], train_subjects=['Ada'], test_subjects=['Ben'],
              **skeleton_entries(h36m.skeleton()))
    views = {name: {kind: [take[..., :2] / take[..., 2:] * 1100 + 480] for kind, take in takes.items()}
             for name, takes in local.items()}
    for wrong in (False, True):
        if wrong:
            views['Ben']['Posing'] = [views['Ben']['Posing'][0][:, SIDES]]
        npz.write_npz(str(tmp_path / 'data_2d_own_det.npz'), positions_2d=views)
        dataset = loading.load_dataset('own', str(tmp_path))
        if not wrong:
            loading.load_keypoints(dataset, 'det', str(tmp_path))
    with pytest.raises(UserError, match=r'1 of 10 sequences .*: Ben Posing in camera 0 .left and right'):
        loading.load_keypoints(dataset, 'det', str(tmp_path))
