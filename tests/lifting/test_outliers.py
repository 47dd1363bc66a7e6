"""Joints that a detector throws away for a moment are left out; real motion is not."""

import numpy as np
import pytest

from common.datasets import h36m
from common.geometry.camera import image_coordinates, project, world_to_camera
from common.lifting.tracks.outliers import drop_outliers
from common.lifting.tracks.tracking import Track
from tests.helpers.make_detections import demo_walking

FPS = 30.0


def track_of(keypoints):
    count = len(keypoints)
    return Track('0', np.arange(count), keypoints.copy(), np.ones((count, 16)), np.zeros((count, 16), bool),
                 np.zeros((count, 2), bool))


@pytest.fixture(scope='module')
def walking():
    return demo_walking(2)


def test_a_foot_that_is_thrown_away_and_comes_back_is_left_out(walking, capsys):
    standing = np.concatenate([walking[:9], np.repeat(walking[9:10], 7, 0), walking[16:]])
    thrown, height = standing.copy(), np.ptp(walking[9, :, 1])
    thrown[10:14, 3] += np.array([0.5, -0.4]) * height
    thrown[20, [12, 15]] -= 0.3 * height
    track = track_of(thrown)
    assert drop_outliers(track, FPS) == 6 and '6 in all' in capsys.readouterr().err
    assert np.argwhere(np.isnan(track.keypoints).any(-1)).tolist() == [*([frame, 3] for frame in range(10, 14)),
                                                                       [20, 12], [20, 15]]
    assert (track.scores[10:14, 3] == 0).all() and track.scores.sum() == track.scores.size - 6
    kept = np.isfinite(track.keypoints)
    np.testing.assert_array_equal(track.keypoints[kept], thrown[kept])


@pytest.mark.parametrize('change', [
    lambda points, height: points[10:, 3].__iadd__(0.5 * height),  # it stays away: a cut, or somebody else
    lambda points, height: points[10:20, 3].__iadd__(0.5 * height),  # too long for an error of a moment
    lambda points, height: points[10:14, 3].__iadd__(0.1 * height),  # too near
])
def test_other_motion_is_kept(walking, change):
    points = walking.copy()
    change(points, np.ptp(walking[10, :, 1]))
    assert drop_outliers(track_of(points), FPS) == 0


def test_short_slow_and_empty_tracks_are_kept(walking):
    thrown = walking.copy()
    thrown[10, 3] += 300
    assert drop_outliers(track_of(thrown), FPS) == 1
    assert drop_outliers(track_of(thrown), 10.0) == 0
    assert drop_outliers(track_of(thrown[9:11]), FPS) == 0
    assert drop_outliers(track_of(np.full((9, 16, 2), np.nan)), FPS) == 0
    assert drop_outliers(track_of(np.random.default_rng(0).uniform(0, 1000, (60, 16, 2))), FPS) == 0  # nothing is near


def test_gymnasts_and_karate_are_kept(shared):
    """Of their joints at most one in 10,000 is left out; the recordings have jumps of single frames themselves."""
    entries = np.load(shared('mocap/free_mocap.npz'))
    names, clip, positions = (entries[name] for name in ('names', 'clip', 'positions'))
    frames = dropped = 0
    for index, name in enumerate(names):
        if name.startswith(('cmu_049', 'cmu_135')):
            poses, camera = positions[clip == index], h36m.cameras()['S9'][index % 4]
            seen = project(world_to_camera((poses - poses[:, :1] * (1, 1, 0)).astype(np.float32), camera), camera)
            frames += len(poses)
            dropped += drop_outliers(track_of(image_coordinates(seen.astype(float), 1000, 1000)), FPS)
    assert frames > 5000 and dropped < 1e-4 * 16 * frames
