"""predict.py with checkpoints of other skeletons than the 16 joints, which lift keypoints of their own joints."""

import numpy as np
import pytest
import torch

import predict
from common.checkpoint import Checkpoint
from common.lifting.lifter import Lifter
from common.lifting.motion.bones import with_lengths
from models.config import ModelConfig, build_model
from tests.helpers.networks import OTHER_SKELETONS

SIZE = ('--size', '640x480')
RANGE = {'height': [0.001, 0.5, 3.0], 'hip_x': [-1.0, 0.0, 1.0], 'hip_y': [-1.0, 0.0, 1.0]}


@pytest.fixture
def lift(tmp_path, monkeypatch, script):
    """A function that runs predict.py with a checkpoint of a skeleton: (status, out, err)."""
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        torch.manual_seed(0)
        config = ModelConfig('gcn', hid_dim=8, num_layers=1, non_local=True)
        network = build_model(config, OTHER_SKELETONS[name])
        Checkpoint(1, 1e-3, 1, network.state_dict(), None, 50.0, config, recipe={'keypoints': 'gt'},
                   keypoints_range=RANGE, skeleton=OTHER_SKELETONS[name]).save('m.pth.tar')
        return script(predict.main, '--checkpoint', 'm.pth.tar', *SIZE, *arguments)
    return run


def moving(name, frames=12):
    """(T, J, 2) pixels of joints that move smoothly."""
    place = np.random.default_rng(3).uniform(150, 330, (1, len(OTHER_SKELETONS[name]), 2))
    return place + 20 * np.sin(np.linspace(0, 2, frames))[:, None, None]


def write_deeplabcut(path, names, keypoints):
    header = [['scorer', *['net'] * 3 * len(names)], ['bodyparts', *np.repeat(names, 3)],
              ['coords', *['x', 'y', 'likelihood'] * len(names)]]
    rows = [[frame, *np.concatenate([pose, np.full((len(names), 1), 0.9)], 1).ravel()]
            for frame, pose in enumerate(keypoints)]
    path.write_text('\n'.join(','.join(map(str, row)) for row in header + rows))


@pytest.mark.parametrize('name', OTHER_SKELETONS)
def test_keypoints_of_the_own_joints_are_lifted_and_drawn(name, lift, tmp_path):
    keypoints, joints = moving(name), OTHER_SKELETONS[name].names
    np.save(tmp_path / 'k.npy', keypoints)
    status, out, err = lift(name, '--input', 'k.npy', '--layout', 'own', '--no_smooth', '--output', 'o.npz',
                            '--render', 'o.png', '--viz_size', '1')
    assert status == 0 and 'Warning' not in err, err
    assert 'own: swapped sides, standing feet and what is human are not looked for' in out
    assert f'metres from the {joints[0].lower()}' in out and (tmp_path / 'o.png').stat().st_size > 1000
    made = np.load('o.npz')
    np.testing.assert_allclose(made['positions_3d'], Lifter('m.pth.tar')(keypoints, (640, 480)), atol=1e-5)
    assert tuple(made['joint_names']) == joints and made['bones'].shape == (len(joints) - 1, 2)
    status, _, err = lift(name, '--input', 'k.npy', '--layout', 'own', '--output', 'o.json', '--up', '10')
    assert status == 0, err


def test_joints_are_matched_by_their_names(lift, tmp_path):
    """Files in another order with further joints: a table, and what predict.py itself writes."""
    names, keypoints = OTHER_SKELETONS['hand of 21'].names, moving('hand of 21')
    order = np.random.default_rng(0).permutation(21)
    write_deeplabcut(tmp_path / 'dlc.csv', [*(names[joint] for joint in order), 'Elbow'],
                     np.concatenate([keypoints[:, order], keypoints[:, :1]], 1))
    status, out, err = lift('hand of 21', '--input', 'dlc.csv', '--output', 'o.npz', '--no_smooth')
    assert status == 0 and 'csv, layout own' in out, err
    made = np.load('o.npz')
    np.testing.assert_allclose(made['keypoints_2d'], keypoints, atol=1e-4)
    np.testing.assert_allclose(made['positions_3d'], Lifter('m.pth.tar')(keypoints, (640, 480)), atol=1e-5)
    status, _, err = lift('hand of 21', '--input', 'o.npz', '--output', 'again.npz', '--no_smooth')
    assert status == 0, err
    np.testing.assert_allclose(np.load('again.npz')['positions_3d'], made['positions_3d'], atol=1e-4)


def test_bones_keep_their_lengths_whatever_the_order_of_the_joints(lift, tmp_path):
    skeleton = OTHER_SKELETONS['BODY_25']
    np.save(tmp_path / 'k.npy', moving('BODY_25', 40))
    assert lift('BODY_25', '--input', 'k.npy', '--layout', 'own', '--output', 'o.npz')[0] == 0
    positions = np.load('o.npz')['positions_3d']
    bones = np.stack([np.linalg.norm(positions[:, child] - positions[:, parent], axis=1)
                      for parent, child in skeleton.bones], axis=1)
    np.testing.assert_allclose(bones, np.broadcast_to(bones[0], bones.shape), atol=1e-5)
    lengths = np.linspace(0, 1, 25)
    made = with_lengths(np.random.default_rng(0).normal(size=(2, 25, 3)), skeleton, lengths)
    for parent, child in skeleton.bones:
        np.testing.assert_allclose(np.linalg.norm(made[:, child] - made[:, parent], axis=1), lengths[child])


@pytest.mark.parametrize('arguments, sentence', [
    ((), 'has 21 joints without names; m.pth.tar lifts its own 21, and with --layout own they are taken in this order: '
         'Wrist, Thumb1'),
    (('--layout', 'coco17'), '--layout coco17 is for checkpoints of the 16 joints'),
    (('--layout', 'own', '--bvh', 'o.bvh'), '--bvh is for checkpoints of the 16 joints'),
    (('--layout', 'own', '--height', '1.7'), '--height is for checkpoints'),
    (('--layout', 'own', '--up'), '--up without a number is for checkpoints'),
    (('--layout', 'own', '--axes', 'yx'), '--axes yx is for checkpoints'),
])
def test_what_needs_the_16_joints_gets_one_sentence(lift, tmp_path, arguments, sentence):
    np.save(tmp_path / 'k.npy', moving('hand of 21'))
    status, _, err = lift('hand of 21', '--input', 'k.npy', '--output', 'o.npz', *arguments)
    assert status == 2 and sentence in err and err.count('\n') == 1
    assert not (tmp_path / 'o.npz').exists()


def test_other_joints_are_refused(lift, tmp_path):
    np.save(tmp_path / 'k.npy', moving('BODY_25'))
    status, _, err = lift('hand of 21', '--input', 'k.npy', '--layout', 'own', '--output', 'o.npz')
    assert status == 2 and 'has 25 joints' in err and 'lifts its own 21' in err
    write_deeplabcut(tmp_path / 'dlc.csv', OTHER_SKELETONS['hand of 21'].names[:20], moving('hand of 21')[:, :20])
    status, _, err = lift('hand of 21', '--input', 'dlc.csv', '--output', 'o.npz')
    assert status == 2 and 'lack Pinky4 of the checkpoint' in err
    status, _, err = lift('hand of 21', '--video', 'none.mp4', '--output', 'o.npz')
    assert status == 2 and 'a --video without --input is for checkpoints of the 16 joints' in err
