"""The conversions to .bvh: kinematics against SciPy's rotations, the same trial as .asf/.amc, misfits."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from common.datasets.loading import load_dataset
from common.errors import UserError
from data import asfamc, bvh, cmu, prepare_data_cmu, prepare_data_free
from tests.helpers.make_bvh import ORDER, TREE, make_bvh, small_bvh

# The .asf bone that turns with each joint.
BONES = {'LowerBack': 'lowerback', 'Spine': 'upperback', 'Spine1': 'thorax', 'Neck': 'lowerneck', 'Neck1': 'upperneck',
         'Head': 'head', **{joint: bone for side, s in (('Left', 'l'), ('Right', 'r')) for joint, bone in (
             (f'{side[0]}HipJoint', f'{s}hipjoint'), (f'{side}UpLeg', f'{s}femur'), (f'{side}Leg', f'{s}tibia'),
             (f'{side}Foot', f'{s}foot'), (f'{side}ToeBase', f'{s}toes'), (f'{side}Shoulder', f'{s}clavicle'),
             (f'{side}Arm', f'{s}humerus'), (f'{side}ForeArm', f'{s}radius'), (f'{side}FingerBase', f'{s}hand'),
             (f'{side}HandIndex1', f'{s}fingers'), (f'{side[0]}Thumb', f'{s}thumb'))}}
LOST = ('thorax', 'lwrist', 'rwrist')  # bones without length in the conversion


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
        turn = Rotation.identity(frames)
        if bone:
            own = asfamc.rotation(''.join(channel[1].lower() for channel in bone.channels), values)
            turn = turn * bone.axes * own * bone.axes.inv()
        columns.append(turn.as_euler('ZYX', degrees=True))
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


@pytest.mark.parametrize('text, sentence', [
    (small_bvh({name: parent for name, parent in TREE.items() if name != 'Head'}), 'has no joint Head, Head end: '),
    (small_bvh({'hip': '', 'abdomen': 'hip'}), 'has no joint .* The ones for Daz and 3dsMax are not read'),
    (small_bvh(length=43), r'has thighs of 2\.43 m in units of 0\.0564 m'),
    (small_bvh(frames=1), 'has nothing behind its first frame, the T-pose'),
    (small_bvh(seconds=0.0333333), 'has 30 frames a second, fewer than the 60 that are asked for'),
    (small_bvh(seconds=0), r'line \d+: a frame time of 0 seconds cannot be'),
    (small_bvh().replace('Frames:', 'Frame:'), r"line \d+: 'Frame: 3' stands where Frames: belongs"),
    (small_bvh().replace('Frames:\t3', 'Frames:\t4'), r'line \d+: the file ends after 3 of 4 frames'),
    (small_bvh().replace('JOINT Spine1', 'JOINT Spine'), r"line \d+: 'Spine' is the name of a second joint"),
    (small_bvh().replace('Xrotation', 'Wrotation', 1), r'line \d+: .* are not positions and rotations'),
    (small_bvh().replace('CHANNELS 3', 'CHANNELS -3', 1), r"line \d+: 'Zrotation' has no place here"),
    (small_bvh().replace('}', '', 1), r'line \d+: .*'),
    (small_bvh().replace('OFFSET 0', 'OFFSET zero', 1), r'line \d+: .* is not made of numbers'),
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
    lines = small_bvh().splitlines(keepends=True)
    for count in range(0, len(lines) - 1, 5):
        path.write_text(''.join(lines[:count]))
        with pytest.raises(UserError, match=rf'02_01\.bvh, line {count}: '):
            bvh.read_bvh(str(path))
