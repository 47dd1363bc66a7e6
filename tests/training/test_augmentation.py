"""Changed samples: invariants hold, and re-projected poses agree with the cameras' own projection."""

import math

import numpy as np
import pytest
import torch

from common.datasets import h36m, loading
from common.datasets.poses import pair
from common.geometry.camera import camera_to_world, project, world_to_camera
from common.geometry.mirror import Mirror
from common.training.augmentation import AugmentedSamples, CameraBatch
from common.training.recipe import Recipe

SKELETON = h36m.skeleton()
CPU = torch.device('cpu')
MIRROR = Mirror(SKELETON, CPU)


@pytest.fixture
def poses(data_dir):
    dataset = loading.load_dataset('tiny', str(data_dir))
    keypoints = loading.load_keypoints(dataset, 'gt', str(data_dir))
    return pair(dataset, keypoints, ['S1', 'S5'], dataset.kinds)


def lengths(positions):
    return torch.stack([(positions[:, child] - positions[:, parent]).norm(dim=1) for parent, child in SKELETON.bones])


def test_without_flags_samples_are_the_poses(poses):
    batch = torch.tensor([5, 0, 17])
    keypoints, positions = AugmentedSamples(poses, SKELETON, Recipe(1, 1))(batch)
    assert torch.equal(keypoints, poses.keypoints[batch]) and torch.equal(positions, poses.positions[batch])


def test_a_mirror_image_exchanges_left_and_right(poses):
    again = MIRROR(poses.positions)
    left, right = (SKELETON.names.index(name) for name in ('LFoot', 'RFoot'))
    assert torch.equal(again[:, left, 0], -poses.positions[:, right, 0])
    assert torch.equal(again[:, left, 1:], poses.positions[:, right, 1:])
    assert torch.equal(again[:, 0, 1:], poses.positions[:, 0, 1:])
    assert torch.equal(MIRROR(again), poses.positions)
    assert torch.equal(MIRROR(poses.keypoints)[:, left, 0], -poses.keypoints[:, right, 0])


def test_flip_mirrors_2d_and_3d_of_about_half_the_samples_together(poses):
    torch.manual_seed(0)
    batch = torch.arange(len(poses))
    keypoints, positions = AugmentedSamples(poses, SKELETON, Recipe(1, 1, flip=True))(batch)
    turned = (keypoints == MIRROR(poses.keypoints, poses.centers())).flatten(1).all(1)
    assert 0.35 < turned.float().mean() < 0.65
    assert torch.equal(positions[turned], MIRROR(poses.positions)[turned])
    assert torch.equal(positions[~turned], poses.positions[~turned])
    assert torch.equal(keypoints[~turned], poses.keypoints[~turned])


def test_turning_is_turning_in_the_world_seen_by_the_same_camera(poses):
    """Against the world: to world coordinates, about the vertical through the hip, back to the camera."""
    angles = torch.linspace(-3, 3, len(poses))
    turned = CameraBatch(poses.cameras, CPU).turn(poses.positions, poses.views, angles)
    for index in range(0, len(poses), 7):
        camera, angle = poses.cameras[poses.views[index]], angles[index].item()
        world = camera_to_world((poses.positions + poses.roots[:, None])[index].double().numpy(), camera)
        rotation = np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
        expected = world_to_camera((world - world[0]) @ rotation.T + world[0], camera)
        np.testing.assert_allclose(turned[index], expected - expected[0], atol=1e-5)


@pytest.mark.parametrize('flags', [{'rotate': 180.0}, {'scale': 0.2}, {'rotate': 30.0, 'scale': 0.1}])
def test_changed_poses_are_what_their_camera_would_see(poses, flags):
    torch.manual_seed(0)
    keypoints, positions = AugmentedSamples(poses, SKELETON, Recipe(1, 1, **flags))(torch.arange(len(poses)))
    assert (positions - poses.positions).abs().amax((1, 2)).median() > 0.02
    ratio = lengths(positions) / lengths(poses.positions)
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-4, atol=0)  # one size a body
    assert (ratio - 1).abs().max() <= flags.get('scale', 0) + 1e-4
    for view, camera in enumerate(poses.cameras):
        mine = poses.views == view
        expected = project((positions + poses.roots[:, None])[mine].double().numpy(), camera)
        np.testing.assert_allclose(keypoints[mine], expected, atol=1e-5)


def test_the_error_of_a_detector_is_kept(poses):
    found = torch.randn_like(poses.keypoints) * 0.01
    poses.keypoints = poses.keypoints + found
    torch.manual_seed(0)
    keypoints, positions = AugmentedSamples(poses, SKELETON, Recipe(1, 1, rotate=90.0))(torch.arange(len(poses)))
    seen = CameraBatch(poses.cameras, CPU).project(positions + poses.roots[:, None], poses.views)
    torch.testing.assert_close(keypoints - seen, found, rtol=0, atol=1e-5)


def test_noise_has_its_standard_deviation_and_leaves_positions_alone(poses):
    torch.manual_seed(0)
    keypoints, positions = AugmentedSamples(poses, SKELETON, Recipe(1, 1, noise=0.02))(torch.arange(len(poses)))
    assert torch.equal(positions, poses.positions)
    assert (keypoints - poses.keypoints).std().item() == pytest.approx(0.02, rel=0.05)
