"""BVH: a reader of our own puts the skeleton back where the positions were."""

import dataclasses
import re

import numpy as np
import pytest

from common.errors import UserError
from common.geometry import body
from common.lifting.motion.bones import bone_lengths, with_lengths
from common.lifting.writers import bvh
from data.bvh import positions, read_bvh
from tests.helpers.make_detections import demo_person


def turn(axis, degrees):
    angle = np.radians(degrees)
    first, second = [(1, 2), (2, 0), (0, 1)]['XYZ'.index(axis)]
    made = np.eye(3)
    made[first, first] = made[second, second] = np.cos(angle)
    made[second, first], made[first, second] = np.sin(angle), -np.sin(angle)
    return made


def read(path):
    """{joint: (T, 3)} by forward kinematics, ends as `<joint> end`, and the frame time; knows nothing of the writer."""
    text = path.read_text()
    head, motion = text.split('MOTION\n')
    tokens = iter(head.split())
    assert next(tokens) == 'HIERARCHY'
    nodes, stack = [], []  # name, parent, offset, channels
    for token in tokens:
        if token in ('ROOT', 'JOINT'):
            nodes.append([next(tokens), stack[-1] if stack else None, None, []])
        elif token == 'End':
            assert next(tokens) == 'Site'
            nodes.append([nodes[stack[-1]][0] + ' end', stack[-1], None, []])
        elif token == '{':
            stack.append(len(nodes) - 1)
        elif token == '}':
            stack.pop()
        elif token == 'OFFSET':
            nodes[stack[-1]][2] = np.array([float(next(tokens)) for _ in range(3)])
        elif token == 'CHANNELS':
            nodes[stack[-1]][3] = [next(tokens) for _ in range(int(next(tokens)))]
    count, seconds = re.match(r'Frames: (\d+)\nFrame Time: ([\d.]+)\n', motion).groups()
    rows = np.array([[float(value) for value in line.split()] for line in motion.splitlines()[2:]])
    assert len(rows) == int(count) and rows.shape[1] == sum(len(node[3]) for node in nodes)
    places = {node[0]: [] for node in nodes}
    for row in rows:
        values, frames = iter(row), []
        for name, parent, offset, channels in nodes:
            at, whole = (np.zeros(3), np.eye(3)) if parent is None else frames[parent]
            at = at + whole @ offset
            for channel in channels:
                value = next(values)
                if channel.endswith('position'):
                    at = at + value * np.eye(3)['XYZ'.index(channel[0])]
                else:
                    whole = whole @ turn(channel[0], value)
            frames.append((at, whole))
            places[name].append(at)
    return {name: np.array(path) for name, path in places.items()}, float(seconds)


OWN = {'Hip': 'Hips', 'Spine': 'Spine1', 'Thorax': 'Neck', 'Head': 'Head', 'LShoulder': 'LeftArm',
       'LElbow': 'LeftForeArm', 'LWrist': 'LeftHand', 'LHip': 'LeftUpLeg', 'LKnee': 'LeftLeg', 'LFoot': 'LeftFoot'}
OWN |= {'R' + name[1:]: other.replace('Left', 'Right') for name, other in OWN.items() if name[0] == 'L'}


def joints_of(places, names=OWN):
    """(T, 16, 3) of the joints."""
    return np.stack([places[names[name]] for name in body.SKELETON.names], axis=1)


def middle_hip(poses):
    """The poses with the hip between the hip joints, as in all training data, and the trunk with it."""
    poses = poses.copy()
    away = poses[:, [1, 4]].mean(1) - poses[:, 0]
    poses[:, [1, 2, 3, 4, 5, 6]] -= away[:, None]
    return poses


@pytest.fixture(scope='module')
def motion():
    """(T, 16, 3) y up: the demo's S9 in all its kinds of action."""
    x, y, z = np.moveaxis(np.concatenate(list(demo_person().values())).astype(float), -1, 0)
    return middle_hip(np.stack([x, z, -y], axis=-1))


def turned(poses, rng):
    """Each bone turned by itself at random, its length kept: what the network may answer for one body."""
    skeleton = body.SKELETON
    wild = poses + rng.normal(0, 0.08, poses.shape)
    wild = with_lengths(wild, skeleton, bone_lengths(poses, skeleton)) + poses[:, :1]
    return with_hips(wild)


def with_hips(poses):
    """The poses with a rigid pelvis: the hips opposite each other."""
    half = (poses[:, 4] - poses[:, 1]) / 2
    half *= np.median(np.linalg.norm(half, axis=-1)) / np.linalg.norm(half, axis=-1, keepdims=True)
    moved = poses.copy()
    for sign, leg in ((-1, [1, 2, 3]), (1, [4, 5, 6])):
        moved[:, leg] += (poses[:, 0] + sign * half - poses[:, leg[0]])[:, None]
    return moved


def test_every_joint_is_where_it_was_to_a_millimetre(tmp_path, motion, rng):
    skeleton = body.SKELETON
    constant = with_hips(with_lengths(motion, skeleton, bone_lengths(motion, skeleton)) + motion[:, :1])
    for number, poses in enumerate([constant[::7], turned(constant[::7], rng)]):
        path = tmp_path / f'{number}.bvh'
        between, away = bvh.write_bvh(str(path), poses, 50)
        places, seconds = read(path)
        measured = np.linalg.norm(joints_of(places) - poses, axis=-1).max()
        assert between == 0 and seconds == pytest.approx(0.02)
        assert measured < 1e-3 and away == pytest.approx(measured, abs=1e-4)


def test_errors_do_not_add_up_where_a_body_is_not_one_of_constant_bones(tmp_path, motion, rng):
    poses = motion[:60] * rng.uniform(0.9, 1.1, (60, 1, 1))
    _, away = bvh.write_bvh(str(tmp_path / 'a.bvh'), poses, 50)
    measured = np.linalg.norm(joints_of(read(tmp_path / 'a.bvh')[0]) - poses, axis=-1)
    assert away == pytest.approx(measured.max(), abs=1e-4) and 1e-3 < away < 0.1


def test_the_names_and_the_hierarchy_are_those_of_animation_programs(tmp_path, motion):
    path = tmp_path / 'a.bvh'
    bvh.write_bvh(str(path), motion[:5], 50)
    parents = {joint.name: joint.parent for joint in read_bvh(str(path)).joints}
    legs = {'UpLeg': 'Hips', 'Leg': 'UpLeg', 'Foot': 'Leg', 'Shoulder': 'Spine1', 'Arm': 'Shoulder', 'ForeArm': 'Arm',
            'Hand': 'ForeArm', 'Foot end': 'Foot', 'Hand end': 'Hand'}
    sides = {side + name: parent if parent in ('Hips', 'Spine1') else side + parent
             for side in ('Left', 'Right') for name, parent in legs.items()}
    assert parents == {'Hips': '', 'Spine': 'Hips', 'Spine1': 'Spine', 'Neck': 'Spine1', 'Head': 'Neck',
                       'Head end': 'Head', **sides}
    assert 'CHANNELS 3 Zrotation Xrotation Yrotation' in path.read_text()


def test_the_joints_own_names(tmp_path, motion):
    path = tmp_path / 'a.bvh'
    bvh.write_bvh(str(path), motion[:5], 50, 'own')
    names = body.SKELETON.names
    places = read(path)[0]
    assert np.linalg.norm(joints_of(places, dict(zip(names, names))) - motion[:5], axis=-1).max() < 5e-3
    assert {name for name in places if not name.endswith(' end')} - set(names) == {
        'HipToSpine', 'ThoraxToLShoulder', 'ThoraxToRShoulder'}


def test_the_rest_pose_is_a_t_pose_of_median_lengths(tmp_path, motion):
    bvh.write_bvh(str(tmp_path / 'a.bvh'), motion[:50], 50)
    file = read_bvh(str(tmp_path / 'a.bvh'))
    offsets = {joint.name: joint.offset for joint in file.joints}
    rest = positions(dataclasses.replace(file, values=np.zeros_like(file.values[:1])))
    lengths = dict(zip(body.SKELETON.names, bone_lengths(motion[:50], body.SKELETON)))
    for side, x in (('Left', 1), ('Right', -1)):
        np.testing.assert_allclose(offsets[f'{side}Leg'], [0, -lengths['LKnee'], 0], atol=1e-6)
        np.testing.assert_allclose(offsets[f'{side}ForeArm'], [x * lengths['LElbow'], 0, 0], atol=1e-6)
        arm = np.concatenate([rest[side + name] for name in ('Arm', 'ForeArm', 'Hand', 'Hand end')])
        assert (np.diff(arm[:, 0]) * x > 0.1).all() and np.ptp(arm[:, 1:], axis=0).max() < 1e-6
        toe = rest[f'{side}Foot end'] - rest[f'{side}Foot']
        assert toe[0, 2] > 0.1 and abs(toe[0, 1]) < 1e-6
    assert all(np.linalg.norm(offset) > 0.02 for name, offset in offsets.items() if name != 'Hips')
    assert rest['Head end'][0, 1] > rest['Head'][0, 1] > rest['Neck'][0, 1] > rest['Spine1'][0, 1] > 0.1


@pytest.mark.parametrize('turn_of_all', [(0, 0), (90, 0), (180, 0), (90, 90), (-90, 30)])
def test_hands_feet_and_the_head_end_above_the_floor(tmp_path, motion, turn_of_all):
    poses = motion[:40] @ (turn('X', turn_of_all[0]) @ turn('Y', turn_of_all[1])).T  # stands, lies, on its hands ...
    poses[..., 1] -= poses[..., 1].min()
    bvh.write_bvh(str(tmp_path / 'a.bvh'), poses, 50)
    places = read(tmp_path / 'a.bvh')[0]
    ends = {name: place for name, place in places.items() if name.endswith(' end')}
    assert len(ends) == 5 and min(place[:, 1].min() for place in ends.values()) > -5e-3


def test_frames_without_a_pose_are_put_between(tmp_path, motion):
    gappy = motion[:20].copy()
    gappy[5:8] = np.nan
    gappy[0] = np.nan
    assert bvh.write_bvh(str(tmp_path / 'a.bvh'), gappy, 50)[0] == 4
    found = joints_of(read(tmp_path / 'a.bvh')[0])
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    with pytest.raises(UserError, match='no pose'):
        bvh.write_bvh(str(tmp_path / 'a.bvh'), np.full((3, 16, 3), np.nan), 50)


def test_angles_do_not_jump(tmp_path, motion):
    bvh.write_bvh(str(tmp_path / 'a.bvh'), motion[:80], 50)
    assert np.abs(np.diff(read_bvh(str(tmp_path / 'a.bvh')).values[:, 3:], axis=0)).max() < 180


def test_degenerate_poses_are_written(tmp_path, motion):
    """Bones that point against their rest direction, or have no length."""
    upside = motion[:3].copy()
    upside[:, 2:4] = upside[:, 1:2] + (upside[:, 1:2] - upside[:, 2:4])  # the right leg points up
    for poses in (upside, np.zeros((2, 16, 3))):
        bvh.write_bvh(str(tmp_path / 'a.bvh'), poses, 50)
        assert all(np.isfinite(place).all() for place in read(tmp_path / 'a.bvh')[0].values())
    turns = bvh._shortest(np.array([[0, -1.0, 0], [1, 0, 0]]), np.array([[0, 1.0, 0], [-1, 0, 0]]))
    np.testing.assert_allclose(turns.apply([[0, -1.0, 0], [1, 0, 0]]), [[0, 1, 0], [-1, 0, 0]], atol=1e-9)
