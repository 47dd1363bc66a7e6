"""Layouts: the 16 joints of every detector's, limbs exact, and what happens to joints that are missing."""

import numpy as np
import pytest

from common.datasets import h36m
from common.errors import UserError
from common.geometry import body
from common.geometry.detector_layouts import LAYOUTS, choose_layout, to_h36m
from tests.helpers.layouts import spread

LIMBS = [joint for pair in body.LEGS + body.ARMS for joint in pair]


def convert(joints, name, trained_on='gt'):
    return to_h36m(joints, np.ones(joints.shape[:-1]), LAYOUTS[name], trained_on)[0]


def test_limbs_are_named_as_the_skeleton_names_them():
    names = h36m.skeleton().names
    for right, left in body.LEGS + body.ARMS:
        assert names[right][0] == 'R' and names[left] == 'L' + names[right][1:]
    middle = (body.HIP, body.SPINE, body.THORAX, body.HEAD)
    assert [names[joint] for joint in middle] == ['Hip', 'Spine', 'Thorax', 'Head']


@pytest.mark.parametrize('name', LAYOUTS)
@pytest.mark.parametrize('trained_on', ['gt', 'sh'])
def test_limbs_come_back_exactly_through_every_layout(rng, name, trained_on):
    poses = rng.uniform(100, 900, (5, 16, 2))
    back = convert(spread(poses, name, trained_on), name, trained_on)
    np.testing.assert_array_equal(back[:, LIMBS], poses[:, LIMBS])
    if name.startswith('h36m'):
        np.testing.assert_array_equal(back, poses)


def numbered(count):
    """(J, 2): joint n lies at (n, 100 n), so that a mean shows its joints."""
    return np.arange(count)[:, None] * np.array([1.0, 100.0])


@pytest.mark.parametrize('name, hip, spine, thorax, head', [
    ('coco17', 11.5, 8.5, 5.5, None), ('body25', 8, 4.5, 1, 15.5), ('mediapipe33', 23.5, 17.5, 11.5, 7.5),
    ('halpe26', 19, 18.5, 18, 17), ('mpii16', 6, 7.5, 7, 9), ('h36m17', 0, 7, 8, 10), ('h36m16', 0, 7, 8, 9),
])
def test_middle_joints_are_what_the_table_of_layouts_states(name, hip, spine, thorax, head):
    made = convert(numbered(LAYOUTS[name].joints), name)
    assert made[body.HIP, 0] == hip and made[body.SPINE, 0] == spine and made[body.THORAX, 0] == thorax
    if head is None:  # the eyes' height raised by as much as they lie above the nose
        assert made[body.HEAD].tolist() == [1.5, 2 * 150.0 - 0.0]
    else:
        assert made[body.HEAD, 0] == head


def test_models_trained_on_stacked_hourglass_get_its_mislabelled_thorax_and_neck():
    made = convert(numbered(16), 'mpii16', 'sh')
    assert made[:, 0].tolist() == [6, 2, 1, 0, 3, 4, 5, 7, 8, 9, 13, 14, 15, 12, 11, 10]


def test_a_missing_joint_makes_those_of_it_missing_and_a_hidden_eye_does_not():
    joints = numbered(17)
    joints[[1, 5]] = np.nan  # an eye, the left shoulder
    made = convert(joints, 'coco17')
    missing = np.flatnonzero(np.isnan(made[:, 0])).tolist()
    assert missing == [body.SPINE, body.THORAX, body.LEFT_SHOULDER]
    assert made[body.HEAD].tolist() == [2, 400]  # of the other eye and the nose
    joints[2] = np.nan
    assert np.isnan(convert(joints, 'coco17')[body.HEAD]).all()


def test_scores_are_the_lowest_of_the_joints():
    scores = np.linspace(0.1, 0.9, 17)
    _, made = to_h36m(numbered(17), scores, LAYOUTS['coco17'])
    assert made[body.HIP] == scores[11] and made[body.THORAX] == scores[5] and made[body.HEAD] == scores[0]
    assert made[body.RIGHT_FOOT] == scores[16]


def test_the_number_of_joints_decides_the_layout_or_asks():
    assert choose_layout(25).name == 'body25' and choose_layout(33).name == 'mediapipe33'
    assert choose_layout(17, hint='coco17').name == 'coco17' and choose_layout(17, 'h36m17').name == 'h36m17'
    for joints, name, sentence in ((17, None, 'coco17 and h36m17 have: say which it is with --layout'),
                                   (16, None, 'mpii16 and h36m16'), (19, None, 'the known layouts have other numbers'),
                                   (17, 'body25', 'the layout body25 has 25'), (17, 'smpl', 'no layout smpl')):
        with pytest.raises(UserError, match=sentence):
            choose_layout(joints, name)
