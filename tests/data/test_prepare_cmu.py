"""Preparing the Carnegie Mellon motions: the shared conversion matched, kinematics by hand, the table, damage."""

import os

import numpy as np
import pytest

from common.datasets.h36m import TEST_SUBJECTS
from common.errors import UserError
from common.files.npz import read_npz
from data import asfamc, prepare_data_cmu
from tests.helpers import make_archives as make

TRIALS, CONVERTED = 'mocap/asfamc/02', 'mocap/data_3d_cmu.npz'  # of ../shared


def make_database(folder, trials: dict[str, str]) -> str:
    """{'02_01': motion}, each actor with a skeleton."""
    for name, motion in trials.items():
        actor = folder / name[:name.index('_')]
        actor.mkdir(parents=True, exist_ok=True)
        (actor / f'{actor.name}.asf').write_text(make.make_asf())
        (actor / f'{name}.amc').write_text(motion)
    return str(folder)


def positions_of(folder, rows: str = '', fps: int = 60):
    table = os.path.join(folder, 'table.csv')
    with open(table, 'w', encoding='utf-8') as file:
        file.write(f'actor,trial,subject,action\n{rows}')
    return prepare_data_cmu.read_database(str(folder), prepare_data_cmu.read_table(table), fps)


def test_the_shared_conversion_is_matched(shared, tmp_path, script):
    status, _, err = script(prepare_data_cmu.main, '--from-asfamc', shared(TRIALS), '--output', tmp_path)
    assert status == 0, err
    converted = read_npz(str(shared(CONVERTED)))['positions_3d']['S9']
    with np.load(tmp_path / 'data_3d_cmu.npz', allow_pickle=True) as file:
        prepared = file['positions_3d'].item()
    assert [(subject, list(actions)) for subject, actions in prepared.items()] == [('S9', ['Walking', 'Jogging'])]
    for action, frames in (('Walking', 172), ('Jogging', 87)):
        poses = prepared['S9'][action]
        assert (poses.shape, poses.dtype) == ((frames, 32, 3), np.float32)
        np.testing.assert_allclose(poses, converted[action], rtol=0, atol=1e-6)


def test_50_hz_is_the_same_motion(shared, tmp_path, script):
    """50 and 60 Hz have moments in common, every 5th and every 6th frame, and are near each other between them."""
    status, _, err = script(prepare_data_cmu.main, '--from-asfamc', shared(TRIALS), '--output', tmp_path, '--fps', 50)
    assert status == 0, err
    converted = read_npz(str(shared(CONVERTED)))['positions_3d']['S9']
    for action, poses in read_npz(str(tmp_path / 'data_3d_cmu.npz'))['positions_3d']['S9'].items():
        slow, fast = (motion.astype(float) - motion[:, :1] for motion in (poses, converted[action]))
        assert abs(len(slow) / 50 - len(fast) / 60) < 1 / 50
        np.testing.assert_allclose(slow[::5], fast[::6], atol=1e-6)
        near = (np.arange(len(slow)) * 60 / 50).astype(int)
        after = np.minimum(near + 1, len(fast) - 1)
        step = np.abs(fast[after] - fast[near]).max(axis=(1, 2))
        assert (np.abs(slow - fast[near]).max(axis=(1, 2)) <= step + 0.02).all()


def test_kinematics_by_hand(tmp_path):
    """A straight body an inch a bone; the left forearm bent by 90 degrees about its own x, which is the world's -z."""
    make_database(tmp_path, {'02_01': make.make_amc(5, bend=90)})
    skeleton = asfamc.read_asf(str(tmp_path / '02' / '02.asf'))
    ends = asfamc.far_ends(skeleton, asfamc.read_amc(str(tmp_path / '02' / '02_01.amc'), skeleton))
    inches = {name: (end[0] / asfamc.INCH).round(9).tolist() for name, end in ends.items()}
    assert inches['root'] == [0, 20, 0]
    assert inches['head'] == [0, 23, 0]
    assert inches['lhumerus'] == [0, 23, 0]
    assert inches['lradius'] == [1, 23, 0]
    assert inches['lthumb'] == [2, 23, 0]
    assert inches['rthumb'] == [0, 25, 0]


def test_rotations_turn_about_x_first():
    turned = asfamc.rotation('xyz', [90, 0, 90]).apply([0, 1, 0])
    np.testing.assert_allclose(turned, [0, 0, 1], atol=1e-12)  # y to z by X, and Z leaves it there
    turned = asfamc.rotation('zx', [90, 90]).apply([1, 0, 0])
    np.testing.assert_allclose(turned, [0, 0, 1], atol=1e-12)


def test_centre_floor_and_reach(tmp_path):
    """A glide of 8 m along x: centred on its mean, cut at 2 m from there, the lowest joint on the floor."""
    step = 8 / 400 / asfamc.INCH * 0.45
    motion = make.make_amc(401).splitlines()
    motion = [f'root {int(before) * step} 9 3 0 0 0' if line.startswith('root') else line
              for before, line in zip(['', *motion], motion)]
    make_database(tmp_path, {'02_01': '\n'.join(motion)})
    poses = positions_of(tmp_path, '2,1,S9,Gliding')['S9']['Gliding']
    np.testing.assert_allclose(poses[:, 0, 0], np.arange(-2, 2.01, 0.04), atol=1e-5)
    np.testing.assert_allclose(poses[:, 0, 1], 0, atol=1e-6)
    np.testing.assert_allclose(poses[:, :, 2].min(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(poses[:, 12], (poses[:, 11] + poses[:, 13]) / 2, atol=1e-6)


def test_names_and_subjects(tmp_path):
    """Actors share a subject and their names stay apart; unknown trials are named by number, and can be left out."""
    names = ['02_01', '02_02', '02_03', '07_01', '13_05', '13_06', '120_09']
    make_database(tmp_path, {name: make.make_amc(3) for name in names})
    rows = '# mine\n2,1-2,S9,Walking\n"7",*,S9, Walking\n13,5,S6,-\n13,*,S6,\n'
    positions = positions_of(tmp_path, rows)
    assert {subject: list(actions) for subject, actions in positions.items()} == {
        'S1': ['Trial 120_09'], 'S6': ['Trial 13_06'], 'S9': ['Walking', 'Walking 1', 'Trial 02_03', 'Walking 2']}


def test_the_script_prints_what_it_has_written(tmp_path, script):
    database = make_database(tmp_path / 'cmu', {'02_01': make.make_amc(7), '01_01': make.make_amc(4)})
    status, out, err = script(prepare_data_cmu.main, '--from-asfamc', database, '--output', tmp_path)
    assert (status, 'Warning' in err) == (0, False)
    assert 'S1                 1           2  Playground' in out
    assert 'S9                 1           4  Walking' in out
    assert len(read_npz(str(tmp_path / 'data_3d_cmu.npz'))['positions_3d']) == 2


def test_the_default_table():
    table = prepare_data_cmu.read_table(prepare_data_cmu.TABLE)
    assert [table.subject(actor) for actor in (1, 2, 3)] == ['S1', 'S9', 'S5']  # as in the shared motion
    assert ' '.join(table.kind(2, trial) for trial in range(1, 11)) == (
        'Walking Walking Jogging Jumping Punching Bending Sword Sword Sword Washing')
    assert (table.kind(1, 14), table.kind(3, 4)) == ('Playground', 'Walking')
    assert table.kind(2, 99) == table.kind(150, 1) == ''
    assert all(table.subject(actor) not in TEST_SUBJECTS for actor in range(1, 200) if actor not in (2, 16))


@pytest.mark.parametrize(('row', 'sentence'), [
    ('2,1,S2,Walking', r"line 2: '2,1,S2,Walking' is not understood; .* with a subject out of S1, S5"),
    ('2,1,S9,Walking 1', 'line 2: .* is not understood'),
    ('2,9-1,S9,Walking', 'line 2: .* is not understood'),
    ('2,1,S9', 'line 2: .* is not understood'),
    ('2;1;S9;Walking', 'line 2: .* is not understood'),
    ('2,1,S9,Walking\n2,2,S1,Walking', 'line 3: actor 2 is S9 in a line above and S1 here'),
    ('2,1-5,S9,Walking\n\n2,3,S9,Running', 'line 4: trial 3 of actor 2 is in a line above already'),
    ('2,*,S9,Walking\n2,*,S9,Running', r'line 3: trial \* of actor 2 is in a line above already'),
])
def test_a_table_that_is_not_understood(row, sentence, tmp_path):
    with pytest.raises(UserError, match=rf'table\.csv, {sentence}'):
        positions_of(tmp_path, row)


def test_the_order_of_the_root_s_axes_may_be_left_out(tmp_path):
    (tmp_path / 'a.asf').write_text(make.make_asf())
    (tmp_path / 'b.asf').write_text(make.make_asf().replace('  axis XYZ\n  position', '  position'))
    with_axis, left_out = (asfamc.read_asf(str(tmp_path / name)).bones[0] for name in ('a.asf', 'b.asf'))
    np.testing.assert_array_equal(left_out.axes.as_matrix(), with_axis.axes.as_matrix())


@pytest.mark.parametrize(('old', 'new', 'sentence'), [
    ('lradius 0 0', 'lradius 0', 'line 5: there are 1 numbers where 2 belong'),
    ('lradius 0 0', 'lradius 0 zero', "line 5: '0 zero' is not made of numbers"),
    ('lradius 0 0', 'lradius 0 nan', "line 5: '0 nan' are not finite numbers"),
    ('lradius 0 0', 'lradius 0 1e300', "line 5: '0 1e300' are not finite numbers of a believable size"),
    ('lradius', 'tail', "line 5: 'tail' is not a moving bone of its skeleton"),
    ('lradius', 'rradius', "line 6: 'rradius' a second time in frame 1"),
    ('lradius 0 0\n', '', 'line 6: frame 1 ends here without lradius'),
    ('rradius 0 0\n', '', 'line 6: frame 1 ends here without rradius'),
    ('\n2\n', '\n3\n', 'line 7: frame 3 follows frame 1'),
    ('\n1\n', '\n', "line 3: 'root' stands before the first frame"),
    (':DEGREES', ':RADIANS', 'line 2: its angles are in radians'),
])
def test_damaged_motion(old, new, sentence, tmp_path):
    make_database(tmp_path, {'02_01': make.make_amc(3).replace(old, new, 1)})
    with pytest.raises(UserError, match=rf'02_01\.amc, {sentence}'):
        positions_of(tmp_path)


@pytest.mark.parametrize(('old', 'new', 'sentence'), [
    ('length 0.45\n  angle', 'length 0\n  angle', 'line 5: a unit of length of 0.0 cannot be'),
    ('angle deg', 'angle rad', 'line 6: its angles are not in deg'),
    ('order TX TY', 'order TX TX', "line 10: 'TX TX TZ RX RY RZ' are not translations and rotations"),
    ('axis XYZ', 'axis XYX', "line 11: 'xyx' is not an order of the axes"),
    ('direction 0 1 0', 'direction 0 1', 'line 18: there are 2 numbers where 3 belong'),
    ('    length 0.45\n', '', 'line 20: a bone ends here without its length'),
    ('name rfemur', 'name rhipjoint', "line 28: 'rhipjoint' is the name of a second bone"),
    ('dof rx ry', 'dof rx roll', r"line \d+: 'rx roll' are not translations and rotations"),
    ('root thorax', 'root tail', "line \\d+: 'tail' is attached twice, or is not a bone"),
    ('root thorax', 'root rtoes', "line \\d+: 'rtoes' is attached twice, or is not a bone"),
    ('root thorax', 'head thorax', "line \\d+: 'head' has children before it has a parent"),
    ('    root thorax\n', '    root\n', "line \\d+: 'thorax' has children before it has a parent"),
    ('    rradius rfingers\n', '', 'line \\d+: the file ends without a place in the hierarchy for rfingers'),
])
def test_damaged_skeleton(old, new, sentence, tmp_path):
    make_database(tmp_path, {'02_01': make.make_amc(3)})
    (tmp_path / '02' / '02.asf').write_text(make.make_asf().replace(old, new, 1))
    with pytest.raises(UserError, match=rf'02\.asf, {sentence}'):
        positions_of(tmp_path)


def test_a_skeleton_without_the_bones(tmp_path):
    make_database(tmp_path, {'02_01': make.make_amc(3)})
    asf = tmp_path / '02' / '02.asf'
    asf.write_text(make.make_asf().replace('rfingers', 'rhand'))
    with pytest.raises(UserError, match=r'02\.asf has no bone rfingers, which the 32 joints need'):
        positions_of(tmp_path)
    asf.unlink()
    with pytest.raises(UserError, match=r'02_01\.amc has no 02\.asf beside it'):
        positions_of(tmp_path)


def test_folders_that_do_not_fit(tmp_path):
    with pytest.raises(UserError, match=r'has no \.amc or \.bvh file in it'):
        positions_of(tmp_path)
    make_database(tmp_path, {'02_01': make.make_amc(3)})
    with pytest.raises(UserError, match='has no trial that the table does not leave out'):
        positions_of(tmp_path, '2,*,S9,-')
    make_database(tmp_path / 'copy', {'02_01': make.make_amc(3)})
    with pytest.raises(UserError, match=r'02_01\.amc and .*02_01\.amc are the same trial'):
        positions_of(tmp_path)
    (tmp_path / 'copy' / '02' / '02_01.amc').rename(tmp_path / 'copy' / '02' / 'walk.amc')
    with pytest.raises(UserError, match=r'walk\.amc is not named like 02_01\.amc'):
        positions_of(tmp_path)
