"""Bodies that are mirrored, in another unit, or whose left and right joints are not pairs."""

import numpy as np
import pytest
import torch

from common.datasets import h36m, loading
from common.datasets.checking.sides import pairs_of_names
from common.errors import UserError
from common.geometry import body
from common.geometry.camera import world_to_camera
from common.geometry.mirror import Mirror
from common.geometry.skeleton import Skeleton
from tests.helpers.make_datasets import FIFTEEN, SEVENTEEN, skeleton_entries, walkers, write_set

SIXTEEN = h36m.skeleton()
EXCHANGED = tuple({'L': 'R', 'R': 'L'}.get(name[0], name[0]) + name[1:] for name in SIXTEEN.names)
BARE = {name: value for name, value in skeleton_entries(SIXTEEN).items() if name in ('joints', 'parents')}
# What other programs call the 16 joints, with `*` for the side.
SPELLINGS = {
    'hip_r': ('l', 'r', '{part}_{side}'), 'Hip.R': ('L', 'R', '{Part}.{side}'), 'r_hip': ('l', 'r', '{side}_{part}'),
    'hip_right': ('left', 'right', '{part}_{side}'), 'rightHip': ('left', 'right', '{side}{Part}'),
    'RIGHT_HIP': ('LEFT', 'RIGHT', '{side}_{PART}'), 'mixamorig:RightHip': ('Left', 'Right', 'mixamorig:{side}{Part}'),
    'Bip01 R Hip': ('L', 'R', 'Bip01 {side} {Part}'), 'rhip': ('l', 'r', '{side}{part}'),
    'HipR': ('L', 'R', '{Part}{side}'), 'hip.R.001': ('L', 'R', '{part}.{side}.001'),
    'Right Hip': ('Left', 'Right', '{side} {Part}')}


def motion(change=lambda take: take, joints=SIXTEEN.names, names=('S1', 'S9')):
    return {subject: {action: np.float32(change(take)) for action, take in takes.items()}
            for subject, takes in walkers(names, joints=joints).items()}


def load(folder, positions, **entries):
    write_set(folder, 'own', positions, **entries)
    return loading.load_dataset('own', str(folder))


def axes(*order):
    """A function that writes axis `abs(k) - 1` with the sign of k as each axis."""
    return lambda take: np.stack([np.sign(axis) * take[..., abs(axis) - 1] for axis in order], -1)


MIRRORED = {
    'z up, left-handed': (axes(1, -2, 3), r'knees bend backwards in 4 of 4 sequences \(S1, S9\)'),
    'x mirrored': (axes(-1, 2, 3), r'\(S1, S9\).* write \(x, y, z\) as \(x, -y, z\), in the cameras, too'),
    'Unity: y up': (axes(1, 3, 2), r'stand along y, .* as \(x, z, y\) \(the axes are left-handed\)'),
    'y down': (axes(1, -3, -2), r'stand along -y, .* as \(x, -z, -y\) \(the axes are left-handed\)'),
    'x up': (axes(3, 2, 1), r'stand along x, .* as \(z, y, x\) \(the axes are left-handed\)'),
    'y up, right-handed': (axes(1, 3, -2), r'stand along y, .* as \(x, -z, y\)\.'),
}


@pytest.mark.parametrize('joints', [SIXTEEN.names, FIFTEEN.names, SEVENTEEN.names])
@pytest.mark.parametrize('case', MIRRORED)
def test_mirrored_bodies_are_refused_with_the_right_rewriting(tmp_path, case, joints):
    change, sentence = MIRRORED[case]
    skeleton = SEVENTEEN.keep([SEVENTEEN.names.index(name) for name in joints])
    with pytest.raises(UserError, match=sentence):
        load(tmp_path, motion(change, joints), **skeleton_entries(skeleton))
    load(tmp_path, motion(joints=joints), **skeleton_entries(skeleton))


@pytest.mark.parametrize('case', MIRRORED)
def test_the_proposed_rewriting_gives_the_bodies_back(tmp_path, case):
    change, _ = MIRRORED[case]
    with pytest.raises(UserError) as caught:
        load(tmp_path, motion(change), **skeleton_entries(SIXTEEN))
    words = str(caught.value).split('as (')[1].split(')')[0].split(', ')
    back = axes(*('xyz'.index(word[-1]) * (-1 if word[0] == '-' else 1) + (-1 if word[0] == '-' else 1)
                  for word in words))
    load(tmp_path, motion(lambda take: back(change(take))), **skeleton_entries(SIXTEEN))


def test_exchanged_names_and_one_mirrored_sequence_are_named(tmp_path):
    with pytest.raises(UserError, match=r'knees bend backwards in 4 of 4 sequences .*left and right joints are exch'):
        load(tmp_path, motion(joints=EXCHANGED), **skeleton_entries(SIXTEEN))
    people = motion()
    people['S9']['Walking'] = axes(1, -2, 3)(people['S9']['Walking'])
    with pytest.raises(UserError, match=r'knees bend backwards in 1 of 4 sequences \(S9 Walking\)'):
        load(tmp_path, people, **skeleton_entries(SIXTEEN))


@pytest.mark.parametrize('bend, right', [(0.04, True), (0.02, True), (0.07, False)])
def test_people_may_stand_with_their_knees_a_little_back(tmp_path, bend, right):
    people = motion()
    take = people['S9']['Walking'] = people['S9']['Walking'].copy()
    across, up = take[:, body.LEFT_HIP] - take[:, body.RIGHT_HIP], take[:, body.THORAX] - take[:, body.HIP]
    forward = np.cross(across, up)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    for hip, knee, foot in zip(*body.LEGS, strict=True):
        length = np.linalg.norm(take[:, hip] - take[:, foot], axis=1, keepdims=True)
        take[:, foot] = take[:, hip] - length * (0, 0, 1)
        take[:, knee] = (take[:, hip] + take[:, foot]) / 2 - bend * length * forward
    if right:
        load(tmp_path, people, **skeleton_entries(SIXTEEN))
    else:
        with pytest.raises(UserError, match=r'1 of 4 sequences \(S9 Walking\)'):
            load(tmp_path, people, **skeleton_entries(SIXTEEN))


def test_in_camera_coordinates_mirrored_bodies_are_seen_too(tmp_path):
    camera = h36m.cameras()['S1'][0]
    local = motion(lambda take: world_to_camera(take, camera) * np.float32((-1, 1, 1)))
    with pytest.raises(UserError, match=r'mirrored: .* write \(x, y, z\) as \(-x, y, z\);'):
        load(tmp_path, local, image_size=[1000, 1002], **skeleton_entries(SIXTEEN))


def spelled(spelling):
    left, right, pattern = SPELLINGS[spelling]

    def one(name):
        if name[0] not in 'LR':
            return name.lower()
        part = name[1:].lower()
        return pattern.format(side=left if name[0] == 'L' else right, part=part, Part=part.title(), PART=part.upper())
    return tuple(map(one, SIXTEEN.names))


@pytest.mark.parametrize('spelling', SPELLINGS)
def test_sides_are_recognised_in_names_and_said(tmp_path, capsys, spelling):
    names = spelled(spelling)
    assert spelling in names and len(set(names)) == 16
    skeleton = load(tmp_path, motion(), **{**BARE, 'joints': np.array(names)}).skeleton
    said = capsys.readouterr().err
    assert set(zip(skeleton.left, skeleton.right)) == set(zip(SIXTEEN.left, SIXTEEN.right))
    assert 'sides are taken from the names' in said and f' and {spelling},' in said
    with pytest.raises(UserError, match='joints_left and joints_right do not say so'):
        load(tmp_path, motion(), **BARE | {'joints': np.array(names), 'joints_left': np.array([], int)})


def test_names_without_sides_have_none():
    hand = ['Wrist', *(f'{finger}{step}' for finger in ('Thumb', 'Index', 'Middle', 'Ring', 'Little')
                       for step in range(1, 5))]
    assert not pairs_of_names(hand) and not pairs_of_names(['lowerback', 'collar', 'RHip', 'Spine', 'root'])


PAIRS = {
    'another order': ([4, 5, 6, 10, 11, 12], [3, 2, 1, 13, 14, 15], 'pair LHip with RFoot: list both sides in the'),
    'an arm for a leg': ([4, 5, 6, 10, 11, 12], [13, 14, 15, 1, 2, 3], 'pair LHip with RShoulder'),
    'one left out': ([4, 5, 6, 10, 11], [1, 2, 3, 13, 14], 'joint 12 is called LWrist'),
}


@pytest.mark.parametrize('case', PAIRS)
def test_sides_in_another_order_are_refused(tmp_path, case):
    left, right, sentence = PAIRS[case]
    with pytest.raises(UserError, match=sentence):
        load(tmp_path, motion(), **BARE, joints_left=np.array(left), joints_right=np.array(right))


@pytest.mark.parametrize('case, sentence', [
    ('another order', 'pair j4 with j3, whose ancestors are not pairs'),
    ('an arm for a leg', 'pair j5 with j14, whose bones are 0.[0-9]+ and 0.[0-9]+ long')])
def test_pairs_without_names_are_checked_on_the_tree_and_the_bones(tmp_path, case, sentence):
    left, right, _ = PAIRS[case]
    parents = np.where(SIXTEEN.parents == np.array(8), 0, SIXTEEN.parents)  # arms and legs hang on the same joint
    entries = {'joints': np.array([f'j{joint}' for joint in range(16)]), 'parents': parents}
    with pytest.raises(UserError, match=sentence):
        moved = motion(lambda take: np.concatenate([take[:, :10], take[:, 10:] - take[:, 8:9] + take[:, :1]], 1))
        load(tmp_path, moved, **entries, joints_left=np.array(left), joints_right=np.array(right))


def test_a_flip_without_sides_is_refused():
    with pytest.raises(UserError, match='no joint of this data set is a left or right one: leave --flip'):
        Mirror(Skeleton(('Wrist', 'Index1'), (-1, 0)), torch.device('cpu'))


def test_one_sequence_in_another_unit_is_named(tmp_path, capsys):
    people = motion()
    people['S9']['Eating'] = people['S9']['Eating'] / np.float32(0.3048)
    with pytest.raises(UserError, match=r'people of 1 of 4 sequences \(S9 Eating\) are .* tall.* feet, multiply'):
        load(tmp_path, people, **skeleton_entries(SIXTEEN))
    people = motion(names=('S1', 'S9', 'S5'))
    people['S5'] = {action: axes(1, 3, -2)(take) for action, take in people['S5'].items()}
    load(tmp_path, people, **skeleton_entries(SIXTEEN))
    assert 'stand along z, which must point up, but S5 along y' in capsys.readouterr().err
