"""BVH: a reader of our own puts the skeleton back where the positions were."""

import re

import numpy as np
import pytest

from common.datasets import h36m
from common.errors import UserError
from common.lifting import bvh
from common.lifting.motion.bones import bone_lengths, with_lengths
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


def joints_of(places):
    """(T, 16, 3) of the joints, ends included."""
    ends = {'Head': 'ThoraxToHead end', 'RFoot': 'RKnee end', 'LFoot': 'LKnee end', 'LWrist': 'LElbow end',
            'RWrist': 'RElbow end'}
    return np.stack([places[ends.get(name, name)] for name in h36m.skeleton().names], axis=1)


@pytest.fixture(scope='module')
def motion():
    """(T, 16, 3) y up: the demo's S9 in all its kinds of action."""
    x, y, z = np.moveaxis(np.concatenate(list(demo_person().values())).astype(float), -1, 0)
    return np.stack([x, z, -y], axis=-1)


def test_forward_kinematics_agree_to_a_millimetre(tmp_path, motion, rng):
    wild = motion[:60] * rng.uniform(0.9, 1.1, (60, 16, 1)) + rng.normal(0, 0.05, (60, 16, 3))
    for number, poses in enumerate([motion[::7], wild, rng.normal(0, 0.3, (40, 16, 3))]):
        path = tmp_path / f'{number}.bvh'
        assert bvh.write_bvh(str(path), poses, 50) == 0
        places, seconds = read(path)
        found = joints_of(places)
        assert seconds == pytest.approx(0.02)
        expected = with_lengths(poses, h36m.skeleton(), bone_lengths(poses, h36m.skeleton())) + poses[:, :1]
        assert np.linalg.norm(found - expected, axis=-1).max() < 1e-3


def test_real_motion_of_one_body_comes_back_as_it_was(tmp_path, motion):
    bvh.write_bvh(str(tmp_path / 'a.bvh'), motion[:50], 50)
    found = joints_of(read(tmp_path / 'a.bvh')[0])
    away = np.linalg.norm(found - motion[:50], axis=-1)
    assert np.delete(away, 9, axis=1).max() < 1e-3
    assert away.max() < 5e-3  # the head: a neck that bends lies between it and the thorax


def test_the_rest_pose_is_a_t_pose_of_median_lengths(tmp_path, motion):
    bvh.write_bvh(str(tmp_path / 'a.bvh'), motion[:50], 50)
    lines = (tmp_path / 'a.bvh').read_text().split('MOTION')[0]
    assert len(re.findall('JOINT|ROOT', lines)) == 17 and lines.count('End Site') == 5
    assert lines.count('{') == lines.count('}') and 'CHANNELS 3 Zrotation Xrotation Yrotation' in lines
    thigh = bone_lengths(motion[:50], h36m.skeleton())[2]
    assert f'OFFSET 0.000000 {-thigh:.6f} 0.000000' in lines


def test_frames_without_a_pose_are_put_between(tmp_path, motion):
    gappy = motion[:20].copy()
    gappy[5:8] = np.nan
    gappy[0] = np.nan
    assert bvh.write_bvh(str(tmp_path / 'a.bvh'), gappy, 50) == 4
    found = joints_of(read(tmp_path / 'a.bvh')[0])
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    with pytest.raises(UserError, match='no pose'):
        bvh.write_bvh(str(tmp_path / 'a.bvh'), np.full((3, 16, 3), np.nan), 50)


def test_angles_do_not_jump(tmp_path, motion):
    bvh.write_bvh(str(tmp_path / 'a.bvh'), motion[:80], 50)
    rows = np.loadtxt(tmp_path / 'a.bvh', skiprows=next(
        index for index, line in enumerate((tmp_path / 'a.bvh').read_text().splitlines(), 1) if 'Frame Time' in line))
    assert np.abs(np.diff(rows[:, 3:], axis=0)).max() < 180


def test_degenerate_directions_still_make_rotations():
    units = np.concatenate([np.eye(3), -np.eye(3)])
    for start in units:
        for end in units:
            made = bvh.shortest_turn(start[None], end[None])[0]
            np.testing.assert_allclose(made @ start, end, atol=1e-9)
            assert np.linalg.det(made) == pytest.approx(1)
    for angles in [(10, 90, 0), (30, -90, 0), (20, 50, -170)]:
        made = turn('Z', angles[0]) @ turn('X', angles[1]) @ turn('Y', angles[2])
        z, x, y = np.degrees(bvh.euler(made[None])[0])
        np.testing.assert_allclose(turn('Z', z) @ turn('X', x) @ turn('Y', y), made, atol=1e-6)
    assert bvh.local_rotations(np.zeros((2, 16, 3)))['Hip'].shape == (2, 3, 3)  # no bone has a length
