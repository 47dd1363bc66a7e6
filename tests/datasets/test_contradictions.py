"""What a file says of itself, or shows, against what it is used for: order of joints, rate, axis and unit."""

import numpy as np
import pytest

import main_gcn
import viz
from common.checkpoint import Checkpoint
from common.datasets import h36m, loading
from common.errors import UserError
from common.files import npz
from common.geometry.camera import world_to_camera
from common.geometry.detector_layouts import LAYOUTS
from data import prepare_data_h36m
from models.config import ModelConfig, build_model
from tests.conftest import moving_people, pixels_of
from tests.helpers.make_datasets import FIFTEEN, SEVENTEEN, skeleton_entries, walkers, write_set

NAMES = h36m.SKELETON_32.names
SIXTEEN, MPII, COCO = (LAYOUTS[name].names_as_in_h36m for name in ('h36m16', 'mpii16', 'coco17'))
STAND_INS = {'UpperNeck': 'Neck/Nose', 'Neck': 'Thorax', 'Chest': 'Spine',
             **dict.fromkeys(('Nose', 'LEye', 'REye', 'LEar', 'REar'), 'Head'),
             **{f'{side}{toe}': f'{side}Foot' for side in 'LR' for toe in ('BigToe', 'SmallToe', 'Heel')}}
EXCHANGED = tuple({'L': 'R', 'R': 'L'}.get(name[0], name[0]) + name[1:] for name in SIXTEEN)
SYMMETRY = {'h36m': [[4, 5, 6, 10, 11, 12], [1, 2, 3, 13, 14, 15]],
            'h36m17': [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]],
            'mpii': [[3, 4, 5, 13, 14, 15], [0, 1, 2, 10, 11, 12]],
            'coco': [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]]}


@pytest.fixture
def people(tmp_path):
    """The data set `own` of walking people; its motion."""
    motion = walkers()
    write_set(tmp_path, 'own', motion)
    return motion


def write_2d(folder, people, names, metadata=None, change=lambda views: views):
    joints = [NAMES.index(STAND_INS.get(name, name)) for name in names]
    views = {subject: {action: change(views) for action, views in actions.items()}
             for subject, actions in pixels_of(people, joints=joints).items()}
    entries = {} if metadata is None else {'metadata': metadata}
    npz.write_npz(str(folder / 'data_2d_own_det.npz'), positions_2d=views, **entries)


def read(folder):
    dataset = loading.load_dataset('own', str(folder))
    return loading.load_keypoints(dataset, 'det', str(folder)), loading.load_keypoints(dataset, 'gt', str(folder))


@pytest.mark.parametrize('names, metadata', [
    (SIXTEEN, {'num_joints': 16, 'keypoints_symmetry': SYMMETRY['h36m']}), (SIXTEEN, None), (SIXTEEN, {}),
    (SIXTEEN, {'keypoints_symmetry': SYMMETRY['h36m'][::-1]}),
    (SEVENTEEN.names, {'layout_name': 'h36m', 'num_joints': 17, 'keypoints_symmetry': SYMMETRY['h36m17']}),
    (SEVENTEEN.names, None)])
def test_files_in_the_order_of_human36m_are_read(people, tmp_path, capsys, names, metadata):
    write_2d(tmp_path, people, names, metadata)
    found, truth = read(tmp_path)
    np.testing.assert_allclose(found['S9']['Eating'], truth['S9']['Eating'], atol=1e-6)
    assert not capsys.readouterr().err


WRONG_2D = [
    (MPII, {'keypoints_symmetry': SYMMETRY['h36m']}, 'seems to be MPII order'),
    (COCO, {'layout_name': 'h36m', 'keypoints_symmetry': SYMMETRY['h36m17']}, 'seems to be COCO order'),
    (COCO, {'layout_name': 'posetrack17', 'keypoints_symmetry': SYMMETRY['coco']}, 'in no order that is known'),
    (EXCHANGED, {'keypoints_symmetry': SYMMETRY['h36m']}, 'left and right exchanged'),
    (SIXTEEN, {'keypoints_symmetry': [[1, 2], [3, 4]]}, 'are in no order that is known for own'),
    (SIXTEEN, {'num_joints': 17}, 'states 17 joints, its arrays have 16'),
    (SIXTEEN, {'num_joints': np.array([16, 16])}, 'states .* joints, its arrays have 16'),
    (SIXTEEN, {'keypoints_symmetry': 5}, 'keypoints_symmetry is not a pair of lists'),
]


CONVERTED = [
    (MPII, {'num_joints': 16, 'keypoints_symmetry': SYMMETRY['mpii']}, 'MPII order'), (MPII, None, 'MPII order'),
    (COCO, {'layout_name': 'coco', 'num_joints': 17, 'keypoints_symmetry': SYMMETRY['coco']}, 'COCO order'),
    (COCO, None, 'COCO order'), (LAYOUTS['body25'].names_as_in_h36m, None, 'the order of body25'),
    (LAYOUTS['halpe26'].names_as_in_h36m, None, 'the order of halpe26'),
    (LAYOUTS['mpi15'].names_as_in_h36m, {'layout_name': 'mpi15'}, 'the order of mpi15')]


@pytest.mark.parametrize('joints', [SIXTEEN, FIFTEEN.names])
@pytest.mark.parametrize('names, metadata, title', CONVERTED)
def test_layouts_of_detectors_are_converted_and_said(tmp_path, capsys, joints, names, metadata, title):
    """To the joints of 16 and of 15: limbs are the detector's own, Hip, Spine, Thorax and Head the means of joints."""
    motion = walkers()
    write_2d(tmp_path, motion, names, metadata)
    kept = [NAMES.index(name) for name in joints]
    write_set(tmp_path, 'own', {subject: {action: take[:, kept] for action, take in takes.items()}
                                for subject, takes in motion.items()},
              **skeleton_entries(h36m.skeleton_17().keep([SEVENTEEN.names.index(name) for name in joints])))
    found, truth = read(tmp_path)
    (said,) = capsys.readouterr().err.splitlines()
    assert title in said and 'converted to the joints of own' in said
    limbs = [joint for joint, name in enumerate(joints) if name[0] in 'LR']
    for subject, action in (('S1', 'Walking'), ('S9', 'Eating')):
        for one, two in zip(found[subject][action], truth[subject][action], strict=True):
            np.testing.assert_allclose(one[:, limbs], two[:, limbs], atol=1e-5)
            assert np.linalg.norm(one - two, axis=2).max() < 0.25  # of an image that is 2 wide


def test_where_two_orders_fit_alike_the_file_must_state_one(people, tmp_path):
    """MPII's thorax lies between Spine and Thorax, and may stand for either."""
    joints = [NAMES.index(STAND_INS.get(name, name)) for name in MPII]
    views = pixels_of(people, joints=joints)
    for actions in views.values():
        for each in (view for takes in actions.values() for view in takes):
            each[:, MPII.index('Thorax')] += 35 * np.array([0, 1])
    for metadata, words in (({}, 'alike: state layout_name in its metadata'), ({'layout_name': 'mpii'}, 'alike'),
                            ({'layout_name': 'mpii16'}, ''), ({'layout_name': 'mpii16_sh'}, '')):
        npz.write_npz(str(tmp_path / 'data_2d_own_det.npz'), positions_2d=views, metadata=metadata)
        if words:
            with pytest.raises(UserError, match=words):
                read(tmp_path)
        else:
            read(tmp_path)


@pytest.mark.parametrize('names, metadata, sentence', WRONG_2D)
def test_other_orders_of_joints_are_refused(people, tmp_path, names, metadata, sentence):
    write_2d(tmp_path, people, names, metadata)
    with pytest.raises(UserError, match=sentence) as caught:
        read(tmp_path)
    assert 'data_2d_own_det.npz' in str(caught.value)


@pytest.mark.parametrize('change, sentence', [
    (lambda views: [views[1], views[0], *views[2:]], 'S1 in camera 0 does not show the 3D'),
    (lambda views: [view / 2 for view in views], 'does not show the 3D'),
    (lambda views: [view[::5] for view in views], r'has \d+ frames of 2D and \d+ of 3D .*2D looks like every 5th'),
    (lambda views: [view.repeat(2, 0) for view in views], '3D looks like every 2nd frame'),
    (lambda views: [view[:-6] for view in views], 'a ratio of 1[.]'),
])
def test_other_cameras_frames_and_rates_are_refused(people, tmp_path, change, sentence):
    write_2d(tmp_path, people, SIXTEEN, change=change)
    with pytest.raises(UserError, match=sentence):
        read(tmp_path)


def test_scripts_refuse_alike(people, tmp_path, monkeypatch, script):
    monkeypatch.chdir(tmp_path)
    write_2d(tmp_path, people, EXCHANGED)
    for kind in ('data_3d_{}.npz', 'data_2d_{}_det.npz'):
        (tmp_path / kind.format('h36m')).write_bytes((tmp_path / kind.format('own')).read_bytes())
    status, _, err = script(prepare_data_h36m.main, '--check', '--output', tmp_path)
    assert status == 2 and 'left and right exchanged' in err
    config = ModelConfig('gcn', hid_dim=8, num_layers=1)
    state = build_model(config, h36m.skeleton()).state_dict()
    Checkpoint(0, 1e-3, 0, state, None, 0.0, config).save('net.pth.tar')
    data = ['-d', 'own', '--data_dir', '.', '-k', 'det']
    for main, flags in ((main_gcn.main, []), (main_gcn.main, ['--evaluate', 'net.pth.tar']),
                        (viz.main, ['--evaluate', 'net.pth.tar', '--viz_subject', 'S9', '--viz_action', 'Walking',
                                    '--viz_output', 'a.gif'])):
        status, _, err = script(main, *data, *flags)
        assert status == 2 and 'left and right exchanged' in err and len(err.splitlines()) == 1


TURNS = {'y': (lambda x, y, z: (x, z, -y), r'stand along y, .* as \(x, -z, y\)'),
         '-y': (lambda x, y, z: (x, -z, y), r'stand along -y, .* as \(x, z, -y\)'),
         'x': (lambda x, y, z: (z, y, -x), r'stand along x, .* as \(-z, y, x\)'),
         '-x': (lambda x, y, z: (-z, y, x), r'stand along -x, .* as \(z, y, -x\)'),
         '-z': (lambda x, y, z: (x, -y, -z), r'stand along -z, .* as \(x, -y, -z\)')}
UNITS = {'feet': (1 / 0.3048, 'feet, multiply them by 0.3048'), 'decimetres': (5.0, r'.* tall'),
         'ASF': (0.45 / 0.0254, "CMU's ASF units"), 'centimetres': (100, 'centimetres, multiply them by 0.01'),
         'millimetres': (1000, 'are they in millimetres.* multiply them by 0.001')}
WRONG_3D = {**{f'{axis} up': (lambda take, turn=turn: np.stack(turn(*np.moveaxis(take, -1, 0)), -1), sentence)
               for axis, (turn, sentence) in TURNS.items()},
            **{unit: (lambda take, factor=factor: take * np.float32(factor), sentence)
               for unit, (factor, sentence) in UNITS.items()}}


@pytest.mark.parametrize('case', WRONG_3D)
@pytest.mark.parametrize('joints', [NAMES, SEVENTEEN.names])
def test_wrong_axes_and_units_are_refused(tmp_path, case, joints):
    change, sentence = WRONG_3D[case]
    own = skeleton_entries(SEVENTEEN) if joints is SEVENTEEN.names else {}
    write_set(tmp_path, 'own', {subject: {action: change(take) for action, take in takes.items()}
                                for subject, takes in walkers(joints=joints).items()}, **own)
    with pytest.raises(UserError, match=sentence):
        loading.load_dataset('own', str(tmp_path))


def test_in_camera_coordinates_only_people_upside_down_are_refused(tmp_path):
    def write(change):
        local = {name: {kind: change(world_to_camera(take, h36m.cameras()[name][0])) for kind, take in takes.items()}
                 for name, takes in walkers().items()}
        write_set(tmp_path, 'own', local, image_size=[1000, 1002])
        return loading.load_dataset('own', str(tmp_path))

    write(lambda take: take)
    write(lambda take: take[..., [1, 0, 2]] * np.float32((1, -1, 1)))  # a camera on its side
    with pytest.raises(UserError, match='stand on their heads'):
        write(lambda take: take * np.float32((1, -1, -1)))


def test_people_on_the_floor_and_bodies_that_are_none_are_not_judged(tmp_path):
    takes = walkers()
    lying = np.concatenate(list(takes['S1'].values()))[..., [2, 1, 0]] * np.float32((1, 1, -1))
    takes['S1'] = {'Lying': lying, **takes['S1']}
    for motion in (takes, moving_people()):
        write_set(tmp_path, 'own', motion)
        loading.load_dataset('own', str(tmp_path))
