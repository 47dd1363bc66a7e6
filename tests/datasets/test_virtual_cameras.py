"""Virtual cameras and bodies: perspective as `geometry.camera` draws it, rigid turns, symmetric bones."""

import numpy as np
import pytest
import torch

from common.datasets import h36m
from common.datasets.virtual.bodies import CHILDREN, Bones, mirrored_at_random, with_others_limbs
from common.datasets.virtual.cameras import (
    EXTREME_NEAR,
    EXTREME_PITCH,
    FAR,
    NEAR,
    OFF_AXIS,
    PITCH_RANGE,
    about,
    draw_cameras,
    random_rotations,
)
from common.geometry import body
from common.geometry.body import HEAD, RIGHT_FOOT, RIGHT_KNEE
from common.geometry.camera import Camera, project, world_to_camera
from common.geometry.mirror import Mirror
from tests.helpers.make_detections import demo_person

CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def bodies():
    """(B, 1, 16, 3) poses of the demo, relative to the hip, z up."""
    poses = torch.from_numpy(demo_person()['Walking'][:64].copy())
    return (poses - poses[:, :1]).unsqueeze(1)


def test_perspective_is_a_cameras(bodies):
    torch.manual_seed(0)
    cameras = draw_cameras(8, 20.0, CPU)
    image = cameras.projected(cameras.to_person_axes(bodies[:8, 0]))
    for index in range(8):
        turn = (cameras.looking[index] @ cameras.pointing[index]).double().numpy()     # world to camera
        hip = cameras.looking[index].double().numpy() @ [0, 0, float(cameras.distance[index])]
        camera = Camera(_quaternion(turn.T), -turn.T @ hip, np.ones(2), np.zeros(2), np.zeros(3), np.zeros(2), 1, 1)
        expected = project(world_to_camera(bodies[index, 0].double().numpy(), camera), camera)
        np.testing.assert_allclose(image[index].numpy(), expected, atol=1e-5)


def _quaternion(rotation):
    """w, x, y, z of a rotation matrix whose angle is not near 180 degrees."""
    w = np.sqrt(1 + np.trace(rotation)) / 2
    axis = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    return np.array([w, *axis / (4 * w)])


def test_cameras_stand_where_they_are_said_to(bodies):
    torch.manual_seed(1)
    cameras = draw_cameras(20_000, 20.0, CPU)
    assert cameras.distance.min() >= NEAR and cameras.distance.max() <= FAR
    down = torch.rad2deg(torch.asin(-cameras.pointing[:, 2, 2]))                       # of the axis against the ground
    assert down.min() >= PITCH_RANGE[0] - 0.1 and down.max() <= PITCH_RANGE[1] + 0.1
    assert down.mean() == pytest.approx(8, abs=1) and down.std() == pytest.approx(19, abs=1)
    heading = torch.atan2(cameras.pointing[:, 2, 1], cameras.pointing[:, 2, 0])
    assert torch.histc(heading, 8).min() > 2000
    axis = cameras.looking[:, :, 2]                                                    # where the hip is seen
    assert (axis[:, :2].abs() / axis[:, 2:]).max() <= np.tan(np.radians(OFF_AXIS)) / np.cos(np.radians(OFF_AXIS))
    # an upright body stands upright: y points down
    seen = cameras.to_person_axes(bodies[:1, 0].expand(20_000, -1, -1))
    assert (seen[:, 9, 1] < seen[:, 3, 1]).all()


def test_a_share_of_the_views_is_extreme():
    torch.manual_seed(5)
    cameras = draw_cameras(20_000, 0.0, CPU, extreme=0.4)
    down = torch.rad2deg(torch.asin(-cameras.pointing[:, 2, 2]))
    extreme = (down - 8).abs() > 0.1                                                   # all others have the mean pitch
    assert extreme.float().mean() == pytest.approx(0.4, abs=0.02)
    assert down.min() < EXTREME_PITCH[0] + 5 and down.max() > EXTREME_PITCH[1] - 5
    assert cameras.distance.min() >= EXTREME_NEAR and (cameras.distance[~extreme] < NEAR).float().mean() < 0.01
    assert cameras.distance[extreme].mean() < 0.5 * cameras.distance[~extreme].mean()
    tilt = torch.rad2deg(torch.asin(cameras.pointing[:, 0, 2].abs()))
    assert tilt[extreme].mean() > 2 * tilt[~extreme].mean()


def test_turns_are_rotations_and_go_everywhere():
    torch.manual_seed(2)
    for turns in (random_rotations(5000, CPU), about(0, torch.rand(9)), about(2, torch.rand(9))):
        torch.testing.assert_close(turns @ turns.transpose(1, 2), torch.eye(3).expand_as(turns), atol=1e-5, rtol=0)
        torch.testing.assert_close(torch.linalg.det(turns), torch.ones(len(turns)))
    assert random_rotations(5000, CPU).mean(0).abs().max() < 0.05
    torch.testing.assert_close(about(2, torch.tensor([np.pi / 2]))[0] @ torch.tensor([1.0, 0, 0]),
                               torch.tensor([0.0, 1, 0]), atol=1e-6, rtol=0)


def test_bones_change_by_symmetric_groups(bodies):
    torch.manual_seed(3)
    bones, skeleton = Bones(CPU), h36m.skeleton()
    usual = bones.lengths(bodies[:, 0])
    vectors = bones.vectors(bodies)
    bodies = bones.chains @ (vectors / vectors.norm(dim=-1, keepdim=True) * usual[:, None])  # symmetric ones
    rebuilt = bones.rebuilt(bodies.expand(-1, 5, -1, -1), usual, 0.12)
    lengths = bones.vectors(rebuilt).norm(dim=-1)                                      # (B, 5, 15)
    torch.testing.assert_close(lengths, lengths[:, :1].expand_as(lengths))
    for left, right in zip(skeleton.left, skeleton.right):
        torch.testing.assert_close(lengths[..., left - 1], lengths[..., right - 1], atol=1e-4, rtol=0)
    torch.testing.assert_close(lengths[..., 6], lengths[..., 7])                       # the Spine stays in the middle
    spread = (lengths[:, 0] / usual).log().std(0)
    assert spread.min() > 0.05 and spread.max() < 0.25
    stature = [lengths[:, 0] @ bones.stature, usual @ bones.stature]
    torch.testing.assert_close(stature[0], stature[1].expand(len(lengths)))
    cosines = torch.cosine_similarity(bones.vectors(rebuilt), bones.vectors(bodies), dim=-1)
    assert cosines.min() > 0.9999


def test_half_of_the_bodies_are_mirrored(bodies):
    torch.manual_seed(4)
    mirror = Mirror(h36m.skeleton(), CPU)
    changed = mirrored_at_random(bodies.expand(-1, 3, -1, -1), mirror)
    same = (changed == bodies).all(-1).all(-1)                                         # (B, 3)
    assert 16 < same[:, 0].sum() < 48 and (same == same[:, :1]).all()
    torch.testing.assert_close(changed[~same[:, 0], 0], mirror(bodies[~same[:, 0], 0]))


def test_some_bodies_have_the_proportions_of_children(bodies):
    torch.manual_seed(6)
    bones = Bones(CPU)
    usual = bones.lengths(bodies[:, 0])
    lengths = bones.vectors(bones.rebuilt(bodies[:1].expand(4000, -1, -1, -1), usual, 1e-4)).norm(dim=-1)[:, 0]
    head_to_leg = lengths[:, HEAD - 1] / (lengths[:, RIGHT_KNEE - 1] + lengths[:, RIGHT_FOOT - 1])
    child = head_to_leg > 1.25 * head_to_leg.median()
    assert child.float().mean() == pytest.approx(CHILDREN, abs=0.02)
    stature = lengths @ bones.stature
    torch.testing.assert_close(stature, (usual @ bones.stature).expand(4000))


def test_limbs_are_exchanged_relative_to_the_trunk_and_keep_their_lengths(bodies):
    torch.manual_seed(7)
    windows = bodies[:, :1].expand(-1, 3, -1, -1)
    changed = with_others_limbs(windows, 0.5)
    trunk = [body.HIP, *body.HIPS, body.SPINE, body.THORAX, body.HEAD, *body.SHOULDERS]
    assert torch.equal(changed[:, :, trunk], windows[:, :, trunk])
    bones = Bones(CPU)
    torch.testing.assert_close(bones.vectors(changed).norm(dim=-1), bones.vectors(windows).norm(dim=-1))
    moved = (changed - windows).norm(dim=-1)[:, 0] > 1e-3                               # (B, 16)
    legs, arms = moved[:, body.KNEES].any(1), moved[:, body.ELBOWS].any(1)
    assert 16 < legs.sum() < 48 and 16 < arms.sum() < 48 and (legs & ~arms).any() and (arms & ~legs).any()
    # bodies that differ by their heading alone exchange nothing: the limbs are seen from the trunk
    turned = windows[:1].expand(64, -1, -1, -1) @ about(2, torch.rand(64) * 6).unsqueeze(1)
    torch.testing.assert_close(with_others_limbs(turned, 1.0), turned, atol=1e-5, rtol=0)
