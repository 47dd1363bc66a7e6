"""The home of the body: names and numbers of its joints agree, and knees and elbows of humans bend one way."""

import ast

import numpy as np
import pytest

from common.datasets import h36m
from common.files import npz
from common.geometry import body
from common.geometry.detector_layouts import LAYOUTS, layout_of_names
from data.prepare_data_demo import make_demo
from tests.conftest import ROOT


def test_constants_and_names_of_joints_agree():
    words = {'R': 'RIGHT_', 'L': 'LEFT_'}
    for joint, name in enumerate(body.NAMES):
        constant = words[name[0]] + name[1:] if name[0] in words and name[1].isupper() else name
        assert getattr(body, constant.upper()) == joint
    for joints in body.LEGS + body.ARMS:
        right, left = (body.NAMES[joint] for joint in joints)
        assert (right[0], left[0], right[1:]) == ('R', 'L', left[1:])


def test_the_16_joints_are_kept_from_the_32_of_human36m():
    kept = h36m.SKELETON_32.keep(h36m.KEPT_JOINTS, new_parents={17: 13, 25: 13})
    assert (kept.names, kept.parents) == (body.SKELETON.names, body.SKELETON.parents)
    assert set(zip(kept.left, kept.right)) == set(zip(body.SKELETON.left, body.SKELETON.right))
    assert set(body.BONE_LENGTHS) == {child for _, child in body.SKELETON.bones}


@pytest.mark.parametrize('layout', LAYOUTS.values(), ids=str)
def test_a_layout_pairs_its_sides_and_is_found_by_its_names(layout):
    left, right = layout.sides
    names = layout.joint_names
    assert len(left) == len(right) == sum(name.startswith('right_') for name in names)
    assert all(names[a].replace('left', 'right') == names[b] for a, b in zip(left, right))
    assert set(layout_of_names(names)[0].joint_names) == set(names)


def walking() -> np.ndarray:
    return np.concatenate([take[:, h36m.KEPT_JOINTS] for take in make_demo()['S9'].values()]).astype(np.float64)


def test_humans_bend_their_limbs_one_way_and_mirrored_bodies_the_other():
    poses = walking()
    signs = body.bend_signs(poses)
    assert min(signs) > 0.02
    down = poses[..., [0, 2, 1]] * (1, -1, 1)  # x right, y down, z forward: right-handed too
    np.testing.assert_allclose(body.bend_signs(down * 1000 + 5), signs)
    exchanged = poses.copy()
    exchanged[:, list(body.SKELETON.left + body.SKELETON.right)] = poses[:, list(body.SKELETON.right
                                                                                 + body.SKELETON.left)]
    for wrong in (poses * (-1, 1, 1), poses[..., [0, 2, 1]], exchanged):
        assert max(body.bend_signs(wrong)) < -0.02


def test_frames_without_a_limb_do_not_count():
    poses = walking()
    poses[::2, body.LEFT_KNEE] = np.nan
    poses[:, body.WRISTS] = np.nan
    poses[:, (body.SPINE, body.HEAD)] = np.nan
    knees, elbows = body.bend_signs(poses)
    assert knees > 0.02 and np.isnan(elbows)


def test_knees_of_real_motion_bend_forward_in_every_sequence(shared):
    subjects = npz.read_npz(str(shared('mocap/data_3d_cmu.npz')))['positions_3d']
    for actions in subjects.values():
        takes = [take[:, h36m.KEPT_JOINTS].astype(np.float64) for take in actions.values()]
        assert min(body.bend_signs(take)[0] for take in takes) > 0.05
        assert body.bend_signs(np.concatenate(takes))[1] > 0.02


# Of equations, of the demo's own 32 joints, and of cameras.
OTHER_TABLES = {'bands', 'table', 'frame_of', 'BUTTOCKS', 'CONTACTS', 'CAMERAS'}
BY_JOINT = {'names', 'parents', 'sources', 'poses', 'pose', 'positions', 'keypoints', 'joints', 'points', 'scores'}


def numbers_in(node: ast.AST) -> list[int]:
    if isinstance(node, ast.List | ast.Tuple):
        return [number for part in node.elts for number in numbers_in(part)]
    return [node.value] if isinstance(node, ast.Constant) and type(node.value) is int else []


def joint_numbers(source: str) -> list[str]:
    """Code that seems to number joints: an index above 3 or before a slice, or a table of numbers."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript):
            name = ast.unparse(node.value).split('.')[-1]
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            highest = [max(numbers_in(part), default=0) for part in parts]
            before = any(number > 0 and isinstance(after, ast.Slice) for number, after in zip(highest[1:], parts[2:]))
            above = max(highest, default=0) > 3 and (len(parts) > 1 or name in BY_JOINT)
            if name not in OTHER_TABLES and (before or above):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Assign) and not {ast.unparse(target) for target in node.targets} & OTHER_TABLES:
            numbers = numbers_in(node.value)
            if len(numbers) > 3 and 3 < max(numbers) < 40 and len(set(numbers)) == len(numbers):
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize('line', [
    'poses[:, 10] - poses[:, 13]', 'points[..., [3, 6], 1]', 'points[:, 2, :]', 'keypoints[..., (11, 14)]', 'names[9]',
    'layout.sources[9]', 'ELBOWS, WRISTS = (11, 14), (12, 15)', 'HIP, NECK, HEAD, TOP = 0, 8, 9, 10', 'poses[5]'])
def test_the_search_finds_joints_by_number(line):
    assert joint_numbers(line)


@pytest.mark.parametrize('line', ['poses[:, :1]', 'poses[:, 0]', 'points[..., 1]', 'points[..., :2] / points[..., 2:]',
                                  'turn[:, 1, 2]', 'points[:, body.KNEES]', 'sizes = (1, 2)'])
def test_the_search_leaves_the_root_and_coordinates(line):
    assert not joint_numbers(line)


def test_joints_have_names_everywhere():
    files = [*(path for room in ('common', 'models', 'data') for path in (ROOT / room).rglob('*.py')),
             *(ROOT / name for name in ('predict.py', 'viz.py', 'export.py'))]
    found = {str(path.relative_to(ROOT)): numbers for path in files if path.name != 'body.py'
             and (numbers := joint_numbers(path.read_text(encoding='utf-8')))}
    assert len(files) > 80 and not found
