"""Which reading of a file is human, in 2D and in 3D, and by a face whether coordinates are y, x."""

import re
import warnings

import numpy as np
import pytest

from common.errors import UserError
from common.geometry.camera import default_focal
from common.geometry.detector_layouts import LAYOUTS, to_h36m
from common.lifting.formats.people import Detections, Person
from common.lifting.lifter import Lifter
from common.lifting.motion.root import CameraView, misfit
from common.lifting.plausibility import faults_2d, faults_3d, faults_of_fit, infer_layout, not_human
from tests.helpers.layouts import spread
from tests.helpers.make_detections import demo_person, demo_walking

VIEW = CameraView((1000, 1000), default_focal((1000, 1000)), 30)


def detections(joints, layout=None, format='array', score=0.9):
    people = {frame: [Person(points, np.full(len(points), score))] for frame, points in enumerate(joints)}
    return Detections('x.npy', format, people, layout, joined=True)


@pytest.fixture(scope='module')
def walking():
    return demo_walking(2)


@pytest.mark.parametrize('name', ['h36m16', 'mpii16', 'coco17', 'h36m17', 'body25', 'body25b'])
@pytest.mark.parametrize('every', [1, 6])
def test_of_layouts_with_as_many_joints_the_human_one_is_taken(walking, name, every):
    joints = with_feet(spread(walking, name), walking, name)[::every]
    _, layout, notes = infer_layout(detections(joints))
    assert layout.name == name and (name in ''.join(notes) or name == 'body25')


def with_feet(joints, poses, name):
    """Toes and heels stand at the feet instead of in the middle of the body."""
    for place, joint in enumerate(LAYOUTS[name].joint_names):
        if joint.endswith(('toe', 'heel')):
            joints[:, place] = poses[:, 6 if joint.startswith('left') else 3] + (8.0, 10.0)
    return joints


def test_what_few_poses_do_not_show_is_asked(walking):
    few = spread(walking, 'coco17')[:3]
    with pytest.raises(UserError, match='coco17 and h36m17 have: say which it is with --layout'):
        infer_layout(detections(few))
    assert infer_layout(detections(few, 'coco17'))[1].name == 'coco17'
    assert infer_layout(detections(np.full((9, 25, 2), 500.0)))[1].name == 'body25'  # the usual one


# Somebody who faces the camera: nose, eyes, ears, and left and right shoulders to ankles.
STANDING = [(500, 316), (508, 308), (492, 308), (518, 312), (482, 312), (544, 368), (456, 368), (560, 436), (440, 436),
            (568, 500), (432, 500), (524, 500), (476, 500), (526, 596), (474, 596), (528, 692), (472, 692)]


def test_coordinates_in_the_order_y_x_are_found_where_a_face_shows_them():
    facing = np.array(STANDING) + np.arange(8.0)[:, None, None]
    found, _, notes = infer_layout(detections(facing[..., ::-1]), 'coco17')
    np.testing.assert_array_equal(found.people[4][0].keypoints, facing[4])
    assert 'read as y, x they stand' in notes[0] and '--axes xy' in notes[0]
    kept, _, notes = infer_layout(detections(facing[..., ::-1]), 'coco17', 'xy')
    assert kept.people[4][0].keypoints[0, 0] == facing[4, 0, 1] and not notes
    asked, _, _ = infer_layout(detections(facing[..., ::-1]), 'coco17', 'yx')
    np.testing.assert_array_equal(asked.people[4][0].keypoints, facing[4])
    lying = (facing - 500) @ np.array([[0, -1], [1, 0]]) + 500  # really lies: turned, not mirrored
    assert not infer_layout(detections(lying), 'coco17')[2] and not infer_layout(detections(facing), 'coco17')[2]


def test_what_is_not_human_is_said_with_numbers(walking):
    assert faults_2d(walking) == [] and faults_2d(walking[:2]) == []
    wrong, _ = to_h36m(spread(walking, 'body25b'), np.ones((len(walking), 25)), LAYOUTS['body25'])
    assert 'human proportions by a factor of' in faults_2d(wrong)[0]
    without = walking.copy()
    without[:, 9:] = without[:, 8:9]  # head and arms folded into a point
    assert 'human proportions by a factor of' in faults_2d(without)[0]


def test_what_is_not_human_in_3d_is_said_with_numbers():
    poses = demo_person()['Walking'][..., [0, 2, 1]] * (1, -1, 1)
    poses = poses - poses[:, :1]
    assert faults_3d(poses) == [] and faults_3d(np.full((3, 16, 3), np.nan)) == []
    assert re.match(r'a trunk of \d\.\d\d m, where humans have 0.30 to 0.75', faults_3d(3 * poses)[0])
    uneven = poses.copy()
    uneven[:, 5:7] += 0.6 * (uneven[:, 5:6] - uneven[:, 4:5])  # a longer left thigh
    assert any('a left thigh of' in sentence for sentence in faults_3d(uneven))
    assert re.match(r'knees that bend backward, by \d+% of', faults_3d(poses * (1, 1, -1))[0])  # in a mirror


@pytest.mark.parametrize('name, other', [('coco17', 'h36m17'), ('h36m17', 'coco17'), ('mpii16', 'h36m16'),
                                         ('h36m16', 'mpii16'), ('body25b', 'body25')])
def test_what_is_read_in_a_wrong_layout_is_not_human_in_2d_or_3d(walking, name, other):
    joints = spread(walking, name)
    wrong, _ = to_h36m(joints, np.ones(joints.shape[:2]), LAYOUTS[other])
    positions = Lifter()(wrong, (1000, 1000), 'h36m16')
    assert 'not human' in not_human(wrong, positions, VIEW)[0]
    assert re.match(r'poses that are (3[1-9]|[4-9]\d|1\d\d)% of the size of a person away from their keypoints',
                    faults_of_fit(wrong, positions, VIEW)[0])
    right, _ = to_h36m(joints, np.ones(joints.shape[:2]), LAYOUTS[name])
    assert faults_of_fit(right, Lifter()(right, VIEW.size, 'h36m16'), VIEW) == []


def test_a_pose_fits_its_projection_and_is_off_by_what_the_keypoints_moved():
    rng = np.random.default_rng(0)
    positions, place = rng.normal(size=(6, 16, 3)) * 0.4, np.array([0.5, -0.3, 6.0])
    seen = positions + place
    directions = seen[..., :2] / seen[..., 2:]
    assert misfit(positions, directions).max() < 1e-5                                  # the place is found
    moved = directions.copy()
    moved[:, 5, 0] += 0.05
    spread = np.sqrt(((moved - moved.mean(1, keepdims=True)) ** 2).sum((1, 2)))
    off = misfit(positions, moved) * spread / 0.05
    assert (off < 1).all() and (off > 0.75).all()                                      # the place gives way a little
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        one_place = np.full((9, 16, 2), 500.0)
        faults_of_fit(one_place, np.tile(positions[:1], (9, 1, 1)), VIEW)              # no division by zero is shown


def turned_around_x(poses, degrees):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return poses @ np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])


@pytest.mark.parametrize('degrees, possible', [
    (0, None), (40, None), (-40, None),  # a cyclist, somebody who leans back
    (82, 'the trunk lies'), (180, 'the head is below the hip'), (135, 'the head is below the hip')])
def test_who_lies_or_stands_on_the_hands_is_human_and_may_be_turned(degrees, possible):
    upright = demo_person()['Walking'][..., [0, 2, 1]] * (1, -1, 1)
    poses = turned_around_x(upright - upright[:, :1], degrees)[..., [2, 1, 0]] * (1, 1, -1)  # from the side
    keypoints = 500 + 200 * poses[..., :2]
    assert faults_2d(keypoints) == faults_3d(poses) == []
    sentences = not_human(keypoints, poses, VIEW)
    assert len(sentences) == (possible is not None)
    for sentence in sentences:
        assert possible in sentence and 'not human' not in sentence
        assert 'That is right for somebody who lies' in sentence
