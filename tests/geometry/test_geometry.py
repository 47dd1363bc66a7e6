"""Skeleton, graph, rotations and cameras against the golden tables and closed forms."""

import json
from dataclasses import replace

import numpy as np
import pytest

from common.datasets import h36m
from common.geometry import camera as cameras
from common.geometry import graph
from common.geometry.skeleton import Skeleton
from tests.conftest import GOLDEN


def test_skeleton_is_the_golden_one():
    expected = json.loads((GOLDEN / 'h36m_skeleton.json').read_text())
    full, kept = h36m.SKELETON_32, h36m.skeleton()
    assert list(full.names) == expected['names_32'] and list(full.parents) == expected['parents_32']
    assert list(h36m.KEPT_JOINTS) == expected['kept_32_to_16']
    assert list(kept.names) == expected['names_16'] and list(kept.parents) == expected['parents_16']
    assert list(kept.left) == expected['joints_left_16'] and list(kept.right) == expected['joints_right_16']
    assert [list(pair) for pair in kept.groups] == expected['non_local_groups_16']
    assert list(h36m.TRAIN_SUBJECTS) == expected['train_subjects']
    assert list(h36m.TEST_SUBJECTS) == expected['test_subjects']
    assert list(h36m.ACTIONS) == expected['actions']


def test_keeping_joints_attaches_to_the_nearest_kept_ancestor():
    chain = Skeleton(('a', 'b', 'c', 'd'), (-1, 0, 1, 2), left=(1,), right=(3,))
    kept = chain.keep([0, 3])
    assert kept.parents == (-1, 0) and kept.names == ('a', 'd') and kept.left == kept.right == ()
    assert kept.bones == [(0, 1)]


def test_adjacency_is_the_golden_one(golden):
    matrix = graph.adjacency(h36m.skeleton())
    np.testing.assert_allclose(matrix, golden('cameras')['adjacency'], atol=1e-7)
    assert np.count_nonzero(matrix) == 46


def test_cameras_match_the_golden_arrays(golden):
    arrays = golden('cameras')
    world, seen = arrays['world'], 0
    for subject, rig in h36m.cameras().items():
        for index, camera in enumerate(rig):
            key = f'{subject}/{index}/'
            if key + 'camera' not in arrays:
                continue
            seen += 1
            in_camera = cameras.world_to_camera(world, camera)
            np.testing.assert_allclose(in_camera, arrays[key + 'camera'], rtol=0, atol=1e-5)
            np.testing.assert_allclose(cameras.project(in_camera, camera), arrays[key + 'screen'], rtol=0, atol=1e-5)
            undistorted = np.append(camera.intrinsic[:4], np.zeros(5)).astype(in_camera.dtype)
            np.testing.assert_allclose(cameras.project_by(undistorted, in_camera, camera.limit), arrays[key + 'linear'],
                                       rtol=0, atol=1e-5)
            np.testing.assert_allclose(cameras.camera_to_world(in_camera, camera), arrays[key + 'back'],
                                       rtol=0, atol=1e-5)
            np.testing.assert_allclose(camera.intrinsic, arrays[key + 'intrinsic'], rtol=0, atol=1e-6)
            size = camera.width, camera.height
            np.testing.assert_allclose(cameras.normalize_screen(arrays[key + 'pixels'], *size),
                                       arrays[key + 'normalised'], rtol=0, atol=1e-12)
            np.testing.assert_allclose(cameras.image_coordinates(arrays[key + 'normalised'], *size),
                                       arrays[key + 'pixels'], rtol=0, atol=1e-9)
    assert seen == 12
    assert {len(rig) for rig in h36m.cameras().values()} == {4}


def test_a_camera_rotates_as_its_quaternion(rng):
    unit, points = rng.normal(size=4), rng.normal(size=(5, 16, 3))
    unit /= np.linalg.norm(unit)
    camera = replace(h36m.cameras()['S1'][0], orientation=unit)
    w, axis = unit[0], unit[1:]
    turned = points + 2 * w * np.cross(axis, points) + 2 * np.cross(axis, np.cross(axis, points))
    np.testing.assert_allclose(cameras.camera_to_world(points, camera), turned + camera.translation, atol=1e-12)
    np.testing.assert_allclose(cameras.world_to_camera(turned + camera.translation, camera), points, atol=1e-12)


def test_projection_clamps_what_lies_far_outside_the_image():
    camera = h36m.cameras()['S1'][0]
    plain = replace(camera, radial_distortion=np.zeros(3), tangential_distortion=np.zeros(2))
    far = cameras.project(np.array([[50.0, -50.0, 1.0]]), plain)
    np.testing.assert_allclose(far, [camera.focal_length * (1, -1) + camera.center])


@pytest.mark.parametrize('call', [
    lambda: cameras.normalize_screen(np.zeros((4, 3)), 10, 10),
    lambda: cameras.image_coordinates(np.zeros((4, 3)), 10, 10),
    lambda: cameras.project(np.zeros((4, 2)), h36m.cameras()['S1'][0]),
])
def test_wrong_last_dimension_is_refused(call):
    with pytest.raises(ValueError, match='must be'):
        call()
