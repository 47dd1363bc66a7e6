"""The home of the body: names and numbers of its joints agree, and knees and elbows of humans bend one way."""

import numpy as np
import pytest

from common.datasets import h36m
from common.files import npz
from common.geometry import body
from common.geometry.detector_layouts import LAYOUTS, layout_of_names
from data.prepare_data_demo import make_demo


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
