"""The demo data set: people of constant bones who move as people can, in sight of every camera."""

import numpy as np
import pytest

from common.datasets import h36m
from common.datasets.poses import measure_range
from common.files.npz import read_npz
from common.geometry.camera import image_coordinates, project, world_to_camera
from common.lifting.tracks.framing import DEFAULT_RANGE
from data import prepare_data_demo

RATE = 50
HIP, SPINE, THORAX, NOSE = 0, 12, 13, 14
LEGS = {'right': (1, 2, 3, 4), 'left': (6, 7, 8, 9)}  # hip, knee, ankle, ball of the foot
ARMS = {'right': (25, 26, 27), 'left': (17, 18, 19)}  # shoulder, elbow, wrist
FEET = [3, 4, 5, 8, 9, 10]
BONES = [(1, 2), (2, 3), (3, 4), (6, 7), (7, 8), (8, 9), (0, 1), (0, 6), (0, 12), (12, 13), (13, 14), (14, 15),
         (13, 17), (17, 18), (18, 19), (13, 25), (25, 26), (26, 27)]


@pytest.fixture(scope='module')
def demo():
    return prepare_data_demo.make_demo()


@pytest.fixture(scope='module')
def takes(demo):
    """[(subject, kind, positions in float64)]"""
    return [(subject, action.split(' ')[0], positions.astype(float))
            for subject, actions in demo.items() for action, positions in actions.items()]


def of_kind(takes, *kinds):
    return [positions for _, kind, positions in takes if kind in kinds]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def degrees_between(first, second):
    return np.degrees(np.arccos(np.clip((unit(first) * unit(second)).sum(axis=-1), -1, 1)))


def forward(positions):
    """The horizontal direction (T, 2) that the pelvis faces."""
    left = positions[:, 6] - positions[:, 1]
    return unit(np.stack([left[:, 1], -left[:, 0]], axis=-1))


def test_counts_and_layout(demo):
    assert list(demo) == ['S1', 'S5', 'S6', 'S7', 'S8', 'S9', 'S11']
    for actions in demo.values():
        assert list(actions) == [name for kind in h36m.ACTIONS for name in (kind, f'{kind} 1')]
    sequences = [positions for actions in demo.values() for positions in actions.values()]
    assert all(positions.shape[1:] == (32, 3) and positions.dtype == np.float32 for positions in sequences)
    assert all(np.isfinite(positions).all() for positions in sequences)
    assert 7500 <= sum(map(len, sequences)) <= 8500
    assert len({len(positions) for positions in sequences}) > 3


def test_the_same_each_time(demo):
    again = prepare_data_demo.make_demo()
    assert all(positions.tobytes() == again[subject][action].tobytes()
               for subject, actions in demo.items() for action, positions in actions.items())


def test_doubled_joints_lie_on_their_originals(takes):
    for _, _, positions in takes:
        for double, original in ((11, 0), (16, 13), (24, 13), (20, 19), (23, 22), (28, 27), (31, 30)):
            np.testing.assert_array_equal(positions[:, double], positions[:, original])


def test_bones_keep_their_length_and_subjects_differ(takes):
    builds = {}
    for subject, _, positions in takes:
        lengths = np.stack([np.linalg.norm(positions[:, b] - positions[:, a], axis=-1) for a, b in BONES], axis=1)
        assert np.ptp(lengths, axis=0).max() < 1e-4
        builds.setdefault(subject, []).append(lengths.mean(axis=0))
    for lengths in builds.values():
        assert np.ptp(lengths, axis=0).max() < 1e-4
    means = np.array([np.mean(lengths, axis=0) for lengths in builds.values()])
    assert ((means > 0.09) & (means < 0.55)).all()
    differences = np.abs(means[:, None] - means).max(axis=-1)[~np.eye(len(means), dtype=bool)]
    assert differences.min() > 0.005  # any two subjects, in the bone that sets them apart most


def test_knees_bend_only_backward_and_within_limits(takes):
    for _, _, positions in takes:
        for hip, knee, ankle, ball in LEGS.values():
            thigh, shin, foot = (positions[:, end] - positions[:, start]
                                 for start, end in ((hip, knee), (knee, ankle), (ankle, ball)))
            bend = degrees_between(thigh, shin)
            assert bend.max() < 150.5
            # The knee points to where the toes point: both turn in one sense about the leg's sideways axis.
            bent = bend > 8
            assert (np.cross(thigh, shin) * np.cross(foot, shin)).sum(axis=-1)[bent].min(initial=1) > 0


def test_elbows_bend_only_forward_and_within_limits(takes):
    for _, _, positions in takes:
        up = unit(positions[:, THORAX] - positions[:, SPINE])
        right = unit(positions[:, 25] - positions[:, 17])
        for shoulder, elbow, wrist in ARMS.values():
            upper, fore = positions[:, elbow] - positions[:, shoulder], positions[:, wrist] - positions[:, elbow]
            bend = degrees_between(upper, fore)
            assert bend.max() < 150.5
            # Shoulders turn, so only where the upper arm hangs is it certain which way is wrong: behind the body.
            hangs = ((unit(upper) * up).sum(axis=-1) < -0.8) & (bend > 8)
            forward_of_elbow = (np.cross(right, upper) * fore).sum(axis=-1)
            assert (forward_of_elbow[hangs] > -0.005).all()


def test_feet_stay_on_the_floor(takes):
    seated = {'Eating', 'Phoning', 'Sitting', 'SittingDown', 'Smoking', 'Waiting'}
    for _, kind, positions in takes:
        lowest = positions[:, FEET, 2].min(axis=1)
        assert lowest.min() > -0.02 and positions[..., 2].min() > -0.02
        assert lowest.max() < (0.09 if kind in seated else 0.035)  # legs may be crossed or stretched out when seated


def test_standing_feet_do_not_slide(takes):
    for positions in of_kind(takes, 'Walking', 'WalkDog', 'WalkTogether', 'Directions'):
        feet = positions[:, [4, 9]]  # the balls of the feet
        on_floor = (feet[1:, :, 2] < 0.02) & (feet[:-1, :, 2] < 0.02)
        speed = np.linalg.norm(np.diff(feet, axis=0), axis=-1) * RATE
        assert np.median(speed[on_floor]) < 0.5


def test_walkers_walk_with_arms_against_legs(takes):
    for positions in of_kind(takes, 'Walking'):
        travel = np.linalg.norm(np.diff(positions[:, HIP, :2], axis=0), axis=-1).sum() * RATE / len(positions)
        assert 0.5 < travel < 2.0
        along = np.einsum('tjc,tc->tj', positions[..., :2] - positions[:, :1, :2], forward(positions))
        for side in LEGS:
            ankle, wrist = along[:, LEGS[side][2]], along[:, ARMS[side][2]]
            assert np.corrcoef(ankle, wrist)[0, 1] < -0.5
        assert np.corrcoef(along[:, 3], along[:, 8])[0, 1] < -0.5  # one leg forward, the other back


def test_sitting_bends_hips_and_knees(takes):
    for positions in of_kind(takes, 'Sitting'):
        trunk = positions[:, HIP] - positions[:, THORAX]
        for hip, knee, ankle, _ in LEGS.values():
            thigh, shin = positions[:, knee] - positions[:, hip], positions[:, ankle] - positions[:, knee]
            assert degrees_between(trunk, thigh).min() > 45 and degrees_between(thigh, shin).min() > 35
        assert positions[:, HIP, 2].min() > 0.4 and positions[:, HIP, 2].max() < 0.7


def test_sitting_down_changes_the_height_of_the_hips(takes):
    ranges = [np.ptp(positions[:, HIP, 2]) for positions in of_kind(takes, 'SittingDown')]
    assert max(ranges) > 0.25 and np.median(ranges) > 0.05


@pytest.mark.parametrize('kind, hands', [('Phoning', 1), ('Eating', 1), ('Smoking', 1), ('Photo', 2)])
def test_hands_come_to_the_face(takes, kind, hands):
    for positions in of_kind(takes, kind):
        nearest = np.linalg.norm(positions[:, [19, 27]] - positions[:, [NOSE]], axis=-1).min(axis=0)
        assert (nearest < 0.35).sum() >= hands  # from the wrist


def test_every_camera_sees_every_joint(demo):
    for subject, actions in demo.items():
        points = np.concatenate(list(actions.values())).astype(float)
        for camera in h36m.cameras()[subject]:
            seen = world_to_camera(points, camera)
            assert seen[..., 2].min() > 1
            pixels = image_coordinates(project(seen, camera), camera.width, camera.height)
            assert (pixels > 0).all() and (pixels < (camera.width, camera.height)).all()


def test_the_range_assumed_of_published_checkpoints_is_that_of_these_people(demo):
    poses = [project(world_to_camera(take[:, h36m.KEPT_JOINTS], camera), camera)
             for subject in h36m.TRAIN_SUBJECTS for take in demo[subject].values()
             for camera in h36m.cameras()[subject]]
    for name, measured in measure_range(np.concatenate(poses)).items():
        assert measured == pytest.approx(DEFAULT_RANGE[name], abs=2e-4), name


def test_people_face_every_way_and_stand_in_many_places(takes):
    facing = np.concatenate([forward(positions) for _, _, positions in takes])
    shares, _ = np.histogram(np.arctan2(facing[:, 1], facing[:, 0]), 8, (-np.pi, np.pi))
    assert shares.min() > 0.5 * shares.mean()
    places = np.array([positions[:, HIP, :2].mean(axis=0) for _, _, positions in takes])
    assert (places.std(axis=0) > 0.25).all()


def test_motion_is_smooth(takes):
    for _, _, positions in takes:
        velocity = np.diff(positions, axis=0) * RATE
        acceleration = np.diff(velocity, axis=0) * RATE
        assert 0.05 < np.linalg.norm(velocity, axis=-1).max() < 6
        assert np.linalg.norm(acceleration, axis=-1).max() < 60


def test_the_script_writes_the_same_file_each_time(demo, tmp_path, script, monkeypatch):
    monkeypatch.setattr(prepare_data_demo, 'make_demo', lambda: demo)
    output, written = tmp_path / 'demo.npz', set()
    for _ in range(2):
        status, out, err = script(prepare_data_demo.main, '--output', output, '--force')
        assert (status, err) == (0, '')
        written.add(output.read_bytes())
    assert len(written) == 1
    assert ['all', '210', str(sum(map(len, [p for a in demo.values() for p in a.values()])))] in map(
        str.split, out.splitlines())
    read = read_npz(str(output))['positions_3d']
    assert list(read) == list(demo) and list(read['S9']) == list(demo['S9'])
    np.testing.assert_array_equal(read['S9']['Walking 1'], demo['S9']['Walking 1'])
