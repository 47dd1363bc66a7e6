"""From poses to motion: constant bones, smoothing without lag, the place in the room, feet that stand, the floor."""

import numpy as np
import pytest
import torch

from common.datasets import h36m
from common.files import npz
from common.geometry import body
from common.geometry.camera import default_focal
from common.geometry.person import to_camera_axes
from common.geometry.upright import to_upright
from common.lifting.lift_output import LiftedTrack
from common.lifting.motion.bones import body_height, bone_lengths, with_lengths
from common.lifting.motion.feet import planted
from common.lifting.motion.floor import camera_pitch, mean_camera_pitch
from common.lifting.motion.root import CameraView, locate, rays
from common.lifting.motion.smoothing import OneEuro, smooth
from common.lifting.motion.stabilise import stabilise
from common.lifting.placing import in_room
from common.lifting.tracks.tracking import Track

SKELETON, FPS = h36m.skeleton(), 60.0
SHOT = CameraView((1920, 1080), 1500.0, FPS)


def make_track(joints, noise=0.0, rng=None):
    """A track of joints (T, 16, 3) in camera axes, as seen by the camera of `SHOT`."""
    keypoints = joints[..., :2] / joints[..., 2:] * SHOT.focal + np.array(SHOT.size) / 2
    if noise:
        keypoints = keypoints + rng.normal(0, noise, keypoints.shape)
    count = len(joints)
    return Track('0', np.arange(count), keypoints, np.ones((count, 16)), np.zeros((count, 16), bool),
                 np.zeros((count, 2), bool))


def lifted_from(track, positions, guessed=None):
    """A person as the network lifts them, before anything is smoothed."""
    shape = positions.shape[:2]
    return LiftedTrack(track, positions, np.full((shape[0], 3), np.nan),
                       np.zeros(shape, bool) if guessed is None else guessed, np.zeros((shape[0], 2), bool), SKELETON)


@pytest.fixture
def walk(shared):
    """(T, 16, 3) in camera axes: real motion, somebody who walks in front of a level camera 1 m above the floor."""
    world = npz.read_npz(str(shared('mocap/data_3d_cmu.npz')), ('positions_3d',))['positions_3d']['S9']['Walking']
    x, y, z = np.moveaxis(world[:240, h36m.KEPT_JOINTS].astype(float), -1, 0)
    return np.stack([x, 1.0 - z, y - y.min() + 6.0], axis=-1)


def accelerations(path):
    return np.linalg.norm(np.diff(path, 2, axis=0), axis=-1) * FPS ** 2


def test_smoothing_has_no_lag_keeps_gaps_and_halves_its_cutoff(rng):
    times = np.arange(400) / FPS
    for frequency, amplitude in ((0.5, 1.0), (6.0, 0.5), (20.0, 0.02)):
        wave = np.sin(2 * np.pi * frequency * times)[:, None]
        smoothed = smooth(wave, FPS, 6.0)[100:300]
        measured = (smoothed * wave[100:300]).sum() / (wave[100:300] ** 2).sum()  # in phase with the wave
        assert measured == pytest.approx(amplitude, abs=0.02)
        assert np.abs(smoothed - measured * wave[100:300]).max() < 0.02
    line = np.arange(30.0)[:, None, None] * np.ones((16, 3))
    line[7:10] = np.nan
    np.testing.assert_allclose(smooth(line, FPS, 3.0), line, atol=1e-6)
    noise = rng.normal(size=(9, 16, 3))
    np.testing.assert_array_equal(smooth(noise, 10.0, 6.0), noise)  # a clip of ten frames a second has no 6 Hz


def test_one_euro_follows_motion_and_calms_rest(rng):
    def filtered(values):
        euro = OneEuro()
        return np.stack([euro(value, 1 / FPS) for value in values])

    rest = rng.normal(0, 0.01, (300, 16, 3))
    assert filtered(rest)[50:].std() < 0.5 * rest[50:].std()
    ramp = np.arange(300.0)[:, None, None] / FPS * np.ones((16, 3))
    assert np.abs(filtered(ramp) - ramp).max() < 0.1


def test_bones_are_constant_and_symmetric(walk, rng):
    noisy = walk - walk[:, :1] + rng.normal(0, 0.02, walk.shape)
    lengths = bone_lengths(noisy, SKELETON)
    made = with_lengths(noisy, SKELETON, lengths)
    parents = np.array(SKELETON.parents)
    found = np.linalg.norm(made[:, 1:] - made[:, parents[1:]], axis=-1)
    np.testing.assert_allclose(found, np.broadcast_to(lengths[1:], found.shape), atol=1e-9)
    assert (lengths[list(SKELETON.left)] == lengths[list(SKELETON.right)]).all()
    assert np.abs(lengths - bone_lengths(walk, SKELETON)).max() < 0.02
    guessed = np.zeros(noisy.shape[:2], bool)
    guessed[:40, 3], noisy[:40, 3] = True, 5.0
    np.testing.assert_allclose(bone_lengths(noisy, SKELETON, guessed), lengths, atol=0.01)


def test_a_person_is_where_the_rays_meet(walk, rng):
    positions = walk - walk[:, :1]
    for cutoff in (None, 6.0):
        path = locate(positions, rays(make_track(walk).keypoints, SHOT), np.ones((len(walk), 16)), FPS, cutoff)
        np.testing.assert_allclose(path, walk[:, 0], atol=0.02)
    noisy = make_track(walk, 4.0, rng)
    weights = np.ones((len(walk), 16))
    noisy.keypoints[:, 5], weights[:, 5] = 0, 0  # a joint that was not seen does not count
    free, smoothed = (locate(positions, rays(noisy.keypoints, SHOT), weights, FPS, cutoff) for cutoff in (None, 6.0))
    assert np.abs(smoothed - walk[:, 0]).mean() < 0.5 * np.abs(free - walk[:, 0]).mean()
    assert accelerations(smoothed).mean() < 0.05 * accelerations(free).mean()
    positions = positions.copy()
    positions[4:9] = np.nan
    path = locate(positions, rays(noisy.keypoints, SHOT), weights, FPS, 6.0)
    assert np.isnan(path[4:9]).all() and np.isfinite(np.delete(path, range(4, 9), 0)).all()


def test_rotations_to_a_ray():
    for ray in ((0.0, 0.0), (0.4, 0.0), (0.0, -0.3), (-0.5, 0.7)):
        axes = to_camera_axes(torch.eye(3, dtype=torch.float64)[None], torch.tensor([ray], dtype=torch.float64))
        turn = axes[0].numpy().T
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(turn[:, 2], np.array([*ray, 1]) / np.linalg.norm([*ray, 1]))
        assert turn[1, 0] == 0 and turn[1, 1] > 0 and np.linalg.det(turn) == pytest.approx(1)  # no roll


def test_feet_that_stand_stay_still(walk, rng):
    track = make_track(walk, 3.0, rng)
    noisy = walk - walk[:, :1] + rng.normal(0, 0.015, walk.shape)
    lifted = stabilise(lifted_from(track, noisy), SHOT, 6.0)
    feet = (lifted.positions + lifted.root[:, None])[:, body.FEET]
    true_speed = np.linalg.norm(np.diff(walk[:, body.FEET], axis=0), axis=-1) * FPS
    assert 0.2 < lifted.still.mean() < 0.8
    assert np.median(true_speed[lifted.still[1:]]) < 0.2 < np.median(true_speed[~lifted.still[1:]])
    speed = np.linalg.norm(np.diff(feet, axis=0), axis=-1) * FPS
    both = lifted.still[1:] & lifted.still[:-1]
    assert np.median(speed[both]) < 1e-3 and speed[both].mean() < 0.03  # a few frames are out of a leg's reach
    assert accelerations(feet).mean() < 1.5 * accelerations(walk[:, body.FEET]).mean()


def test_planted_legs_keep_their_bones_and_the_rest_of_the_body(walk, rng):
    positions, still = walk - walk[:, :1], np.zeros((len(walk), 2), bool)
    path = walk[:, 0] + rng.normal(0, 0.01, (len(walk), 3))
    np.testing.assert_allclose(planted(positions, path, still, FPS), positions, atol=1e-6)
    still[30:60, 0] = still[50:51, 1] = still[150:, 1] = True
    made = planted(positions, path, still, FPS)
    legs = [*body.KNEES, *body.FEET]
    np.testing.assert_array_equal(np.delete(made, legs, 1), np.delete(positions, legs, 1))
    np.testing.assert_allclose(made[80:130], positions[80:130], atol=1e-12)
    parents = np.array(SKELETON.parents)
    before, after = (np.linalg.norm(poses[:, legs] - poses[:, parents[legs]], axis=-1) for poses in (positions, made))
    np.testing.assert_allclose(after, before, atol=1e-9)
    assert np.abs(made - positions).max() > 0.05  # the feet of the walk move meanwhile
    assert np.linalg.norm(made[:, body.KNEES] - positions[:, body.KNEES], axis=-1).max() < 0.3


def test_jumps_and_the_height_of_a_person(walk):
    standing = np.repeat(walk[:1], 100, 0)
    jump = np.clip(np.sin(np.arange(100) / 100 * 6 * np.pi), 0, None) * 0.3
    jumping = standing - jump[:, None, None] * np.array([0, 1, 0])
    lifted = stabilise(lifted_from(make_track(jumping), jumping - jumping[:, :1]), SHOT, 6.0)
    assert np.ptp(lifted.root[:, 1]) == pytest.approx(0.3, abs=0.04)
    room = in_room(lifted, 0.0)
    assert room[..., 2].min(1).max() == pytest.approx(0.3, abs=0.05)
    assert np.abs(np.percentile(room[..., 2].min(1), 20)) < 0.05
    height = body_height(bone_lengths(standing, SKELETON))
    assert 1.4 < height < 2.0
    small = stabilise(lifted_from(make_track(jumping), jumping - jumping[:, :1]), SHOT, 6.0, height / 2)
    others = [joint for joint in range(16) if joint not in body.KNEES + body.FEET]  # they depend on the size
    np.testing.assert_allclose(small.positions[:, others], lifted.positions[:, others] / 2, atol=1e-5)
    np.testing.assert_allclose(bone_lengths(small.positions, SKELETON), bone_lengths(lifted.positions, SKELETON) / 2,
                               atol=1e-5)
    np.testing.assert_allclose(small.root, lifted.root / 2, atol=0.01)  # half the size at half the distance


@pytest.mark.parametrize('pitch', [-10.0, 0.0, 25.0])
def test_the_pitch_is_measured_from_people_who_stand(walk, pitch):
    down = np.linalg.inv(to_upright(np.eye(3), pitch).T) @ to_upright(np.eye(3), 0.0).T  # upright is the same for both
    tilted = (walk - walk[:, :1]) @ down.T
    np.testing.assert_allclose(to_upright(tilted, pitch), to_upright(walk - walk[:, :1], 0.0), atol=1e-9)
    assert camera_pitch([tilted]) == pytest.approx(pitch, abs=4)
    lying = tilted[..., [1, 0, 2]]
    assert camera_pitch([lying]) == mean_camera_pitch()


def test_the_floor_is_level_where_a_wrong_pitch_tilts_it(walk):
    """Somebody who walks away from the camera stays on the floor."""
    away = walk + np.linspace(0, 4, len(walk))[:, None, None] * np.array([0, 0, 1])
    lifted = stabilise(lifted_from(make_track(away), away - away[:, :1]), SHOT, 6.0)
    for pitch in (0.0, 6.0):
        lowest = in_room(lifted, pitch)[..., body.FEET, 2].min(1)
        assert np.percentile(np.abs(lowest), 90) < 0.1


def test_the_hips_are_one_bone(walk, rng):
    """So that files of rotations (BVH) have every joint where it is."""
    noisy = walk + rng.normal(0, 0.01, walk.shape)
    lifted = stabilise(lifted_from(make_track(walk), noisy - noisy[:, :1]), SHOT, 6.0)
    sides = [np.linalg.norm(np.diff(lifted.positions[:, pair], axis=1), axis=-1)
             for pair in (body.HIPS, (body.HIP, body.LEFT_HIP), (body.HIP, body.RIGHT_HIP))]
    assert max(np.ptp(side) for side in sides) < 1e-5 and sides[0][0] > 0.15
    before = stabilise(lifted_from(make_track(walk), walk - walk[:, :1]), SHOT, 6.0)
    assert np.linalg.norm(lifted.positions - before.positions, axis=-1).mean() < 0.02


@pytest.mark.parametrize('degrees', [90, -90, 180, 120])
def test_who_lies_or_stands_on_the_hands_is_on_the_floor(walk, degrees):
    """The floor was fitted to the feet, so that a lying trunk hung below it."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    turned = (walk - walk[:, :1]) @ np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]]) + (0, 0, 5.0)
    lifted = stabilise(lifted_from(make_track(turned), turned - turned[:, :1]), SHOT, 6.0)
    pitch = camera_pitch([lifted.positions])
    heights = in_room(lifted, pitch)[..., 2]
    assert pitch == mean_camera_pitch() and heights.min() == pytest.approx(0, abs=1e-9)
    expected = to_upright(lifted.positions.astype(float), pitch)[..., 2]
    relative = heights - heights[:, :1] - expected  # the pose is not sheared
    assert np.abs(relative).max() < 1e-6


def test_a_crouch_after_standing_is_on_the_floor(walk):
    lifted = stabilise(lifted_from(make_track(walk), walk - walk[:, :1]), SHOT, 6.0)
    lifted.positions[40:60, body.HEAD, 1] = lifted.positions[40:60, body.FEET, 1].max() + 0.3  # below the feet
    assert in_room(lifted, 0.0)[..., 2].min() == pytest.approx(0, abs=1e-9)


def test_nobody_and_a_single_frame(walk):
    lifted = stabilise(lifted_from(make_track(walk[:1]), walk[:1] - walk[:1, :1]), SHOT, 6.0)
    np.testing.assert_allclose(lifted.root, walk[:1, 0], atol=0.01)
    nobody = stabilise(lifted_from(make_track(walk[:1]), np.full((1, 16, 3), np.nan)), SHOT, 6.0)
    assert np.isnan(nobody.root).all() and np.isnan(in_room(nobody, 0.0)).all()
    assert default_focal((1920, 1080)) == pytest.approx(np.hypot(1920, 1080), rel=1e-4)


def test_frames_without_a_pose_stay_empty(walk):
    """The hip of an empty frame was at the origin of the file, and its root was the place of the hip."""
    positions = walk[:60] - walk[:60, :1]
    positions[20:40] = np.nan
    whole = stabilise(lifted_from(make_track(walk[:60]), positions), SHOT, 6.0)
    for values in (whole.positions, whole.root[:, None], in_room(whole, 0.0)):
        assert np.isnan(values[20:40]).all() and np.isfinite(np.delete(values, range(20, 40), 0)).all()
