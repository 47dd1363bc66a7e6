"""The tables and markers of a lifted person, read back by readers written from the other tools' documentation."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from common.geometry import body
from common.geometry.skeleton import Skeleton
from common.lifting import writers
from common.lifting.lift_output import LiftedTrack
from common.lifting.motion.root import CameraView
from common.lifting.placing import in_room
from common.lifting.tracks.tracking import Track
from common.lifting.writers.arrays import ROWS, write_json
from data.bvh import positions, read_bvh
from tests.helpers.make_detections import demo_person

VIEW = CameraView((1000, 1000), 1100.0, 30.0)
SCENE = writers.Scene('model.pth.tar', 5.0)


@pytest.fixture
def lifted():
    """Nine poses of the demo's walker, every second frame from 10 on, the fourth missing."""
    poses = np.asarray(demo_person()['Walking'][:18:2], float)
    x, y, z = np.moveaxis(poses - poses[:, :1], -1, 0)
    made = np.stack([x, -z, y], -1)
    made[3] = np.nan
    root = np.stack([np.linspace(0, 0.3, 9), np.full(9, 0.1), np.full(9, 4.0)], 1)
    root[3] = np.nan
    empty = np.zeros((9, 16), bool)
    track = Track('0', np.arange(10, 28, 2), np.zeros((9, 16, 2)), np.ones((9, 16)), empty, np.zeros((9, 2), bool))
    return LiftedTrack(track, made, root, empty, np.zeros((9, 2), bool), body.SKELETON)


def read_trc(path):
    """Names, frames, times, positions and the values of the header, with the checks of OpenSim's TRCFileAdapter."""
    lines = path.read_text().split('\n')
    assert lines[0].split()[:3] == ['PathFileType', '4', '(X/Y/Z)'] and lines.pop() == ''
    header = dict(zip(lines[1].split('\t'), lines[2].split('\t'), strict=True))
    assert list(header) == ['DataRate', 'CameraRate', 'NumFrames', 'NumMarkers', 'Units', 'OrigDataRate',
                            'OrigDataStartFrame', 'OrigNumFrames']
    labels = [label for label in lines[3].split('\t') if label]
    assert labels[:2] == ['Frame#', 'Time'] and len(labels) == 2 + int(header['NumMarkers'])
    assert lines[3].split('\t')[2::3][:len(labels) - 2] == labels[2:]  # Pose2Sim takes every third
    axes = [axis for axis in lines[4].split('\t') if axis]
    assert axes == [f'{axis}{number}' for number in range(1, len(labels) - 1) for axis in 'XYZ']
    assert lines[5] == ''
    rows = [line.split('\t') for line in lines[6:]]
    assert len(rows) == int(header['NumFrames']) and {len(row) for row in rows} == {3 * len(labels) - 4}
    values = np.array(rows, float)
    return labels[2:], values[:, 0], values[:, 1], values[:, 2:].reshape(len(rows), -1, 3), header


def test_markers_as_opensim_and_pose2sim_read_them(tmp_path, lifted):
    writers.write(str(tmp_path / 'a.trc'), lifted, VIEW, SCENE)
    names, frames, times, places, header = read_trc(tmp_path / 'a.trc')
    assert names == ['Hip', 'RHip', 'RKnee', 'RAnkle', 'LHip', 'LKnee', 'LAnkle', 'Spine', 'Neck', 'Head', 'LShoulder',
                     'LElbow', 'LWrist', 'RShoulder', 'RElbow', 'RWrist']
    assert header['Units'] == 'm' and float(header['DataRate']) == 15 and header['OrigDataStartFrame'] == '10'
    np.testing.assert_array_equal(frames, np.arange(10, 28, 2))
    np.testing.assert_allclose(times, frames / 30, atol=1e-6)
    x, y, z = np.moveaxis(in_room(lifted, 5.0), -1, 0)
    np.testing.assert_allclose(places, np.stack([x, z, -y], -1), atol=1e-6)
    assert np.isnan(places[3]).all()


def test_a_table_has_the_camera_or_upright_axes_of_the_npz(tmp_path, lifted):
    for upright in (False, True):
        scene = dataclasses.replace(SCENE, upright=upright)
        for name in ('a.csv', 'a.npz'):
            writers.write(str(tmp_path / name), lifted, VIEW, scene)
        with open(tmp_path / 'a.csv', newline='') as file:
            rows = list(csv.DictReader(file))
        arrays = np.load(tmp_path / 'a.npz')
        expected = arrays['positions_3d'] + arrays['root'][:, None]
        columns = [f'{name.lower()}_{axis}' for name in arrays['joint_names'] for axis in 'xyz']
        assert list(rows[0]) == ['frame', 'time', *columns] and columns[0] == 'hip_x' and len(rows) == 9
        made = [[float(row[column] or 'nan') for column in columns] for row in rows]
        np.testing.assert_allclose(np.reshape(made, (9, 16, 3)), expected, atol=2e-6)
        assert rows[3]['hip_x'] == '' and rows[1]['frame'] == '12' and float(rows[1]['time']) == pytest.approx(0.4)


def test_a_bvh_is_where_the_markers_are(tmp_path, lifted):
    said = writers.write(str(tmp_path / 'a.bvh'), lifted, VIEW, SCENE)
    writers.write(str(tmp_path / 'a.trc'), lifted, VIEW, SCENE)
    file, places = read_bvh(str(tmp_path / 'a.bvh')), read_trc(tmp_path / 'a.trc')[3]
    assert file.fps == pytest.approx(15) and said[0].endswith('1 frames without a pose are interpolated.')
    hips = positions(file)['Hips']
    np.testing.assert_allclose(np.delete(hips, 3, 0), np.delete(places[:, 0], 3, 0), atol=1e-5)
    np.testing.assert_allclose(hips[3], (hips[2] + hips[4]) / 2, atol=1e-5)


def test_a_bvh_says_how_far_its_joints_are_from_poses_of_varying_bones(tmp_path, lifted):
    lifted.positions[5, 3] *= 1.1
    said = writers.write(str(tmp_path / 'a.bvh'), lifted, VIEW, SCENE)
    assert 'its bones have constant lengths, so joints are up to' in said[-1]


def test_joints_of_another_skeleton_become_markers_too(tmp_path, lifted):
    hand = Skeleton(('palm root', 'tip'), (-1, 0))
    lifted = dataclasses.replace(lifted, skeleton=hand, positions=lifted.positions[:, :2])
    writers.write(str(tmp_path / 'a.trc'), lifted, VIEW, SCENE)
    assert read_trc(tmp_path / 'a.trc')[0] == ['palm_root', 'tip']


def test_json_of_many_rows_is_what_its_arrays_hold(tmp_path):
    values = np.arange(2.0 * ROWS + 6).reshape(-1, 2) / 3
    values[5, 1], values[-1, 0] = np.nan, np.inf
    names = np.array(['a "b"', 'c'])
    write_json(str(tmp_path / 'a.json'), {'x': values, 'names': names, 'one': np.array(3), 'none': np.zeros((0, 2)),
                                          'nothing': np.array(np.nan),
                                          'yes': np.array([[True], [False]])})
    made = json.loads((tmp_path / 'a.json').read_text())
    assert made['names'] == names.tolist() and made['one'] == 3
    assert made['none'] == [] and made['nothing'] is None and made['yes'] == [[True], [False]]
    assert made['x'][5][1] is None and made['x'][-1][0] is None
    known = np.isfinite(values)
    np.testing.assert_allclose(np.array(made['x'], float)[known], values[known], atol=1e-6)
