"""The conversions to .bvh: kinematics against SciPy's rotations, the same trial as .asf/.amc, misfits."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from common.datasets.loading import load_dataset
from common.errors import UserError
from data import asfamc, bvh, cmu, prepare_data_cmu, prepare_data_free

# The hierarchy of the MotionBuilder-friendly conversion: {joint: its parent}, and the .asf bone that turns with each.
SIDES = ('Left', 'Right')
TREE = {'Hips': '', **{joint: parent for side in SIDES for joint, parent in (
            (f'{side[0]}HipJoint', 'Hips'), (f'{side}UpLeg', f'{side[0]}HipJoint'), (f'{side}Leg', f'{side}UpLeg'),
            (f'{side}Foot', f'{side}Leg'), (f'{side}ToeBase', f'{side}Foot'))},
        'LowerBack': 'Hips', 'Spine': 'LowerBack', 'Spine1': 'Spine', 'Neck': 'Spine1', 'Neck1': 'Neck',
        'Head': 'Neck1',
        **{joint: parent for side in SIDES for joint, parent in (
            (f'{side}Shoulder', 'Spine1'), (f'{side}Arm', f'{side}Shoulder'), (f'{side}ForeArm', f'{side}Arm'),
            (f'{side}Hand', f'{side}ForeArm'), (f'{side}FingerBase', f'{side}Hand'),
            (f'{side}HandIndex1', f'{side}FingerBase'), (f'{side[0]}Thumb', f'{side}Hand'))}}
BONES = {'LowerBack': 'lowerback', 'Spine': 'upperback', 'Spine1': 'thorax', 'Neck': 'lowerneck', 'Neck1': 'upperneck',
         'Head': 'head', **{joint: bone for side, s in (('Left', 'l'), ('Right', 'r')) for joint, bone in (
             (f'{side[0]}HipJoint', f'{s}hipjoint'), (f'{side}UpLeg', f'{s}femur'), (f'{side}Leg', f'{s}tibia'),
             (f'{side}Foot', f'{s}foot'), (f'{side}ToeBase', f'{s}toes'), (f'{side}Shoulder', f'{s}clavicle'),
             (f'{side}Arm', f'{s}humerus'), (f'{side}ForeArm', f'{s}radius'), (f'{side}FingerBase', f'{s}hand'),
             (f'{side}HandIndex1', f'{s}fingers'), (f'{side[0]}Thumb', f'{s}thumb'))}}
LOST = ('thorax', 'lwrist', 'rwrist')  # bones without length in the conversion
ORDER = ('Zrotation', 'Yrotation', 'Xrotation')


def make_bvh(tree, offsets, rows, seconds=0.0083333, orders=None) -> str:
    """A file of joints {name: parent}, their offsets, where the limbs end, and the numbers of each frame."""
    lines = ['HIERARCHY']

    def add(name, depth):
        channels = (orders or {}).get(name, ORDER)
        channels = channels if depth else ('Xposition', 'Yposition', 'Zposition', *channels)
        offset = ' '.join(f'{value:.9f}' for value in offsets[name])
        lines.extend([f'{"JOINT" if depth else "ROOT"} {name}', '{', f'\tOFFSET {offset}',
                      f'\tCHANNELS {len(channels)} {" ".join(channels)} '])
        children = [child for child, parent in tree.items() if parent == name]
        for child in children:
            add(child, depth + 1)
        if not children:
            lines.extend(['End Site', '{', f'OFFSET {" ".join(map(str, offsets[name + " end"]))}', '}'])
        lines.append('}')

    add(next(iter(tree)), 0)
    lines += ['MOTION', f'Frames:\t{len(rows)}', f'Frame Time: {seconds}']
    return '\n'.join([*lines, *(' '.join(f'{value:.9f}' for value in row) for row in rows), ''])


def converted(asf: str, amc: str, thigh: float = 1.0) -> str:
    """A trial as the conversion writes it: a T-pose in front, the thorax's length lost."""
    skeleton = asfamc.read_asf(asf)
    motion = asfamc.read_amc(amc, skeleton)
    bones = {bone.name: bone for bone in skeleton.bones}
    frames = len(motion['root'])

    def end(name):
        return np.zeros(3) if BONES.get(name) is None or BONES[name] in LOST else bones[BONES[name]].offset * thigh

    offsets = {**{name: end(parent) for name, parent in TREE.items()}, **{f'{name} end': end(name) for name in TREE}}
    columns = [motion['root'][:, :3], motion['root'][:, 5:2:-1]]
    for name in list(TREE)[1:]:
        bone = bones.get(BONES.get(name, ''))
        values = motion.get(BONES.get(name, ''), np.zeros((frames, 0)))
        turn = asfamc.rotations([channel[1] for channel in bone.channels], values) if bone else np.eye(3)
        turn = np.broadcast_to(bone.axes @ turn @ bone.axes.T if bone else turn, (frames, 3, 3))
        columns.append(Rotation.from_matrix(turn).as_euler('ZYX', degrees=True))
    rows = np.concatenate(columns, axis=1)
    return make_bvh(TREE, offsets, np.concatenate([rows[:1] * 0, rows]))


@pytest.fixture
def trial(shared, tmp_path):
    """(folder of 02_03.bvh, path of 02_03.amc)."""
    source = shared('mocap/asfamc/02')
    (tmp_path / 'bvh').mkdir()
    (tmp_path / 'bvh' / '02_03.bvh').write_text(converted(str(source / '02.asf'), str(source / '02_03.amc')))
    return tmp_path / 'bvh', source / '02_03.amc'


def test_kinematics_agree_with_scipy(rng, tmp_path):
    """A chain with another order of rotations at each joint, and a branch."""
    tree = {'a': '', 'b': 'a', 'c': 'b', 'd': 'a'}
    orders = {'a': ORDER, 'b': ('Xrotation', 'Yrotation', 'Zrotation'), 'c': ('Yrotation', 'Zrotation', 'Xrotation'),
              'd': ('Zrotation', 'Xrotation')}
    offsets = {name: rng.normal(0, 1, 3) for name in (*tree, 'c end', 'd end')}
    rows = rng.uniform(-180, 180, (5, 14))
    path = tmp_path / 'a.bvh'
    path.write_text(make_bvh(tree, offsets, rows, 0.04, orders))
    motion = bvh.read_bvh(str(path))
    found = bvh.positions(motion)
    assert motion.fps == 25 and [joint.name for joint in motion.joints] == ['a', 'b', 'c', 'c end', 'd', 'd end']
    for frame, row in enumerate(rows):
        a, b, c, d = (Rotation.from_euler(''.join(axis[0] for axis in orders[name]), row[at:at + len(orders[name])],
                                          degrees=True) for name, at in (('a', 3), ('b', 6), ('c', 9), ('d', 12)))
        place = offsets['a'] + row[:3]
        expected = {'a': place, 'b': place + a.apply(offsets['b']),
                    'c end': place + a.apply(offsets['b'] + b.apply(offsets['c'] + c.apply(offsets['c end']))),
                    'd end': place + a.apply(offsets['d'] + d.apply(offsets['d end']))}
        for name, point in expected.items():
            np.testing.assert_allclose(found[name][frame], point, atol=1e-6)


def test_a_trial_is_the_same_from_both_files(trial):
    """Legs to a tenth of a millimetre; what hangs on the thorax, whose length is estimated, to 5 mm."""
    folder, amc = trial
    made, expected = (cmu.joints(str(path), 60) for path in (folder / '02_03.bvh', amc))
    assert made.shape == expected.shape
    distances = np.linalg.norm(made - expected, axis=-1).max(0)
    assert distances[:11].max() < 1e-4
    assert 1e-4 < distances[[13, 15, 17, 18, 19, 25, 26, 27]].max() < 5e-3


def test_both_scripts_read_it(trial, tmp_path, script):
    folder, amc = trial
    table = prepare_data_cmu.Table({2: 'S9'}, {(2, 3): 'Jogging'})
    poses = prepare_data_cmu.read_database(str(folder), table, 60)['S9']['Jogging']
    assert poses.shape == (87, 32, 3) and poses[..., 2].min() > -0.1
    status, out, err = script(prepare_data_free.main, '--from-bvh', folder, '--output', tmp_path)
    assert status == 0 and '44 frames of 1 subjects' in out, err
    status, _, err = script(prepare_data_free.main, '--from-asfamc', amc.parent, '--output', tmp_path / 'amc')
    assert status == 0, err
    one, other = (load_dataset('free', str(where)).positions['cmu_002'] for where in (tmp_path, tmp_path / 'amc'))
    assert set(one) < set(other)  # 02_01 too
    for action, clip in one.items():
        assert clip.shape == (44, 16, 3)
        np.testing.assert_allclose(clip, other[action], atol=5e-3)
        np.testing.assert_allclose(clip[:, 0], clip[:, [1, 4]].mean(1), atol=1e-6)
        np.testing.assert_allclose(clip[:, 7], clip[:, [0, 8]].mean(1), atol=1e-6)


def simple(tree=TREE, length=7.5, frames=3, seconds=0.0083333) -> str:
    offsets = {name: (0, length, 0) for joint in tree for name in (joint, f'{joint} end')}
    return make_bvh(tree, offsets, np.zeros((frames, 3 + 3 * len(tree))), seconds)


@pytest.mark.parametrize('text, sentence', [
    (simple({name: parent for name, parent in TREE.items() if name != 'Head'}), 'has no joint Head, Head end: it is'),
    (simple({'hip': '', 'abdomen': 'hip'}), 'has no joint .* The ones for Daz and 3dsMax are not read'),
    (simple(length=43), r'has thighs of 2\.43 m in units of 0\.0564 m'),
    (simple(frames=1), 'has nothing behind its first frame, the T-pose'),
    (simple(seconds=0.0333333), 'has 30 frames a second, fewer than the 60 that are asked for'),
    (simple(seconds=0), r'line \d+: a frame time of 0 seconds cannot be'),
    (simple().replace('Frames:', 'Frame:'), r"line \d+: 'Frame: 3' stands where Frames: belongs"),
    (simple().replace('Frames:\t3', 'Frames:\t4'), r'line \d+: the file ends after 3 of 4 frames'),
    (simple().replace('JOINT Spine1', 'JOINT Spine'), r"line \d+: 'Spine' is the name of a second joint"),
    (simple().replace('Xrotation', 'Wrotation', 1), r"line \d+: .* are not positions and rotations about x, y and z"),
    (simple().replace('CHANNELS 3', 'CHANNELS -3', 1), r"line \d+: 'Zrotation' has no place here"),
    (simple().replace('}', '', 1), r'line \d+: .*'),
    (simple().replace('OFFSET 0', 'OFFSET zero', 1), r'line \d+: .* is not made of numbers'),
    ('', 'line 0: the file ends before its MOTION'),
    ('MOTION\n', 'line 1: the hierarchy is not complete'),
    ('version https://git-lfs.github.com/spec/v1\n', "line 1: 'version' has no place here in a hierarchy"),
])
def test_files_that_do_not_fit_get_one_sentence(text, sentence, tmp_path):
    (tmp_path / '02_01.bvh').write_text(text)
    with pytest.raises(UserError, match=rf'02_01\.bvh,? {sentence}'):
        cmu.joints(str(tmp_path / '02_01.bvh'), 60)


def test_cut_anywhere(tmp_path):
    path = tmp_path / '02_01.bvh'
    lines = simple().splitlines(keepends=True)
    for count in range(0, len(lines) - 1, 5):
        path.write_text(''.join(lines[:count]))
        with pytest.raises(UserError, match=rf'02_01\.bvh, line {count}: '):
            bvh.read_bvh(str(path))
