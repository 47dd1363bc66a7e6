"""The error of the root against poses whose place is known, and joints that are hidden at random."""

import json

import numpy as np
import pytest
import torch

import main_gcn
from common.checkpoint import Checkpoint
from common.datasets.loading import DataOptions
from common.datasets.splits import Data
from common.errors import UserError
from common.evaluation.further import root_errors, with_hidden_joints
from models.config import ModelConfig, build_model
from tests.helpers.networks import SKELETON


@pytest.fixture
def poses(data_dir):
    return Data(DataOptions('tiny', data_dir=str(data_dir))).test()


def test_poses_that_are_right_are_placed_where_they_are_through_lenses_too(poses):
    """Human3.6M's cameras distort; the rays of their keypoints are found again."""
    assert any(camera.radial_distortion.any() for camera in poses.cameras)
    assert root_errors(poses.positions, poses).max() < 1.0  # mm, at 5 m
    half = root_errors(poses.positions / 2, poses)  # a body of half the size is placed at half the distance
    torch.testing.assert_close(half, poses.roots.norm(dim=1).double() * 500, rtol=2e-3, atol=0)


def test_hidden_joints_are_the_same_share_and_always_the_same_ones(poses):
    hidden = with_hidden_joints(poses, 0.1, 0.5)
    assert len(hidden) == len(poses) and torch.equal(hidden.keypoints.isnan(),
                                                     with_hidden_joints(poses, 0.1, 0.5).keypoints.isnan())
    assert hidden.keypoints.isnan().float().mean().item() == pytest.approx(0.1, abs=0.02)
    with pytest.raises(UserError, match='trained with --hide'):
        with_hidden_joints(poses, 0.1, 1.0)


def test_the_flags_of_an_evaluation(data_dir, monkeypatch, script):
    monkeypatch.chdir(data_dir.parent)
    torch.manual_seed(0)
    config = ModelConfig('gcn', hid_dim=8, num_layers=1, window=3)
    Checkpoint(1, 1e-3, 1, build_model(config, SKELETON).state_dict(), None, 0.0, config, normalization='person',
               recipe={'hide': 0.5}).save('m.pth.tar')
    status, out, err = script(main_gcn.main, '-d', 'tiny', '--device', 'cpu', '--evaluate', 'm.pth.tar', '--root',
                              '--missing', '0.1', '--pck', '100', '500', '--report', 'r.json', '--by', 'sequence',
                              '--predictions', 'p.npz')
    assert status == 0, err
    report, arrays = json.loads((data_dir.parent / 'r.json').read_text()), np.load('p.npz')
    errors = 1000 * np.linalg.norm(arrays['predicted'].astype(float) - arrays['true'], axis=-1)
    for threshold in (100, 500):
        inside = 100 * (errors[:, 1:] < threshold).mean()
        assert report['pose_wise_average'][f'pck_{threshold}_percent'] == pytest.approx(inside, abs=1e-9)
    walking = errors[(arrays['subject'] == 'S9') & (arrays['action'] == 'Walking 1')]
    assert report['per_sequence']['S9 Walking 1']['mpjpe_mm'] == pytest.approx(walking.mean(), abs=1e-9)
    assert 'S9 Walking 1' in out and '10% of the joints hidden: MPJPE' in out and 'MRPE' in out
    assert report['pose_wise_average']['mrpe_mm'] > 0 and 'mpjpe_mm' in report['missing']['0.1']
    assert 'mrpe_mm' not in report['per_joint']['LWrist']
    status, _, err = script(main_gcn.main, '-d', 'tiny', '--root')
    assert status == 2 and '--root is for --evaluate' in err
