"""Small files in the layouts of MPI-INF-3DHP, P-STMO and GraphMLP, with the demo's walker in them."""

import h5py
import numpy as np
import scipy.io

from common.datasets import h36m
from data.sources_3dhp import CAMERAS, JOINTS, SIZES
from tests.helpers.make_detections import demo_person

FRAMES = 12
ACTIVITY = {'TS1': [1] * 4 + [2] * 4 + [1] * 4, 'TS6': [7] * 12}
INVALID = {'TS1': [0, 6], 'TS6': []}
RUNS = {'TS1': {'Standing': [1, 2, 3], 'Exercise': [4, 5], 'Exercise 1': [7], 'Standing 1': [8, 9, 10, 11]},
        'TS6': {'Miscellaneous': list(range(12))}}  # frames of each sequence
TRAINING = {('S1', 'Seq1'): 25, ('S1', 'Seq2'): 50, ('S8', 'Seq1'): 25}  # frames a second
FOCAL, CENTER = np.array([1497.7, 1497.1]), np.array([1024.7, 1051.4])
SCALE = 0.95  # of the universal people
# Where the joints of the test set are among the 28 of the training set, as P-STMO's script has it.
AMONG_28 = [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]


def person(first: int = 0) -> np.ndarray:
    """(12, 17, 3) m of `JOINTS`, z up."""
    poses = demo_person()['Walking'][first:first + FRAMES]
    joints = dict(zip(h36m.skeleton().names, np.moveaxis(poses, 1, 0)))
    joints['Neck/Nose'] = (joints['Thorax'] + joints['Head']) / 2 + (0, 0.02, 0)
    return np.stack([joints[name] for name in JOINTS], 1).astype(np.float64)


def write_test_set(folder) -> np.ndarray:
    """TS1/annot_data.mat and TS6; returns the people in both, (12, 17, 3) mm in camera coordinates."""
    x, y, z = np.moveaxis(person(), -1, 0)
    poses = np.stack([x, 1.2 - z, y + 4], -1) * 1000
    for subject, activity in ACTIVITY.items():
        (folder / subject).mkdir(parents=True)
        valid = np.ones(FRAMES)
        valid[INVALID[subject]] = 0
        pixels = poses[..., :2] / poses[..., 2:] * 1500 + np.array(SIZES[subject]) / 2
        with h5py.File(folder / subject / 'annot_data.mat', 'w', userblock_size=512) as file:
            file['annot2'], file['annot3'], file['univ_annot3'] = pixels[:, None], poses[:, None] * 1.1, poses[:, None]
            file['valid_frame'], file['activity_annotation'] = valid[:, None], np.array(activity, float)[:, None]
    return poses


def extrinsics() -> np.ndarray:
    """(14, 3, 4): cameras around a world whose y points up, mm; x right, y down, z forward."""
    places = []
    for camera in range(14):
        angle, height = 2.4 * camera, 1200 + 100 * camera
        forward = np.array([-np.sin(angle), -0.03 * camera, -np.cos(angle)])
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, (0, 1, 0))
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        position = np.array([4000 * np.sin(angle), height, 4000 * np.cos(angle)])
        places.append(np.column_stack([rotation, -rotation @ position]))
    return np.array(places)


def seen_by_cameras(first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """annot3 (14, 12, 17, 3) mm and annot2 (14, 12, 17, 2) pixels of `JOINTS`."""
    x, y, z = np.moveaxis(person(first) * 1000, -1, 0)
    world = np.stack([x, z, -y], -1)
    seen = np.stack([world @ place[:, :3].T + place[:, 3] for place in extrinsics()])
    return seen, seen[..., :2] / seen[..., 2:] * FOCAL + CENTER


def write_training_set(folder) -> None:
    """S1/Seq1/annot.mat and camera.calibration, and so on; each sequence begins five frames after the one before."""
    for number, (subject, sequence) in enumerate(TRAINING):
        place = folder / subject / sequence
        place.mkdir(parents=True)
        seen, pixels = seen_by_cameras(5 * number)
        cells = {name: np.empty((14, 1), object) for name in ('annot2', 'annot3', 'univ_annot3')}
        for camera in range(14):
            for name, array in (('annot2', pixels), ('annot3', seen), ('univ_annot3', seen * SCALE)):
                all_28 = np.random.default_rng(camera).normal(500, 100, (FRAMES, 28, array.shape[-1]))
                all_28[:, AMONG_28] = array[camera]
                cells[name][camera, 0] = all_28.reshape(FRAMES, -1)
        scipy.io.savemat(place / 'annot.mat', {**cells, 'cameras': np.arange(14)[None],
                                               'frames': np.arange(FRAMES)[:, None]}, do_compression=True)
        write_calibration(place / 'camera.calibration', extrinsics())


def write_calibration(path, places) -> None:
    lines = ['Skeletool Camera Calibration File V1.0']
    for camera, place in enumerate(places):
        intrinsic = [FOCAL[0], 0, CENTER[0], 0, 0, FOCAL[1], CENTER[1], 0, 0, 0, 1, 0, 0, 0, 0, 1]
        lines += [f'name          {camera}', '  sensor      10 10', '  size        2048 2048', '  animated    0',
                  f'  intrinsic   {" ".join(map(str, intrinsic))} ',
                  f'  extrinsic   {" ".join(map(repr, place.ravel().tolist()))} 0 0 0 1 ', '  radial      0']
    path.write_text('\n'.join(lines) + '\n')


def p_stmo_training() -> dict:
    """The entry `data` of P-STMO's data_train_3dhp.npz, of the same people."""
    data = {}
    for number, ((subject, sequence), rate) in enumerate(TRAINING.items()):
        seen, pixels = seen_by_cameras(5 * number)
        views = {str(camera): {'data_2d': pixels[camera], 'data_3d': seen[camera] * SCALE} for camera in CAMERAS}
        data[f'{subject} {sequence}'] = [views, rate]
    return data


def p_stmo_test(poses) -> dict:
    """The entry `data` of P-STMO's data_test_3dhp.npz, of the people of `write_test_set`."""
    data = {}
    for subject in ACTIVITY:
        valid = np.ones(FRAMES)
        valid[INVALID[subject]] = 0
        pixels = poses[..., :2] / poses[..., 2:] * 1500 + np.array(SIZES[subject]) / 2
        data[subject] = {'data_2d': pixels, 'data_3d': poses, 'valid': valid}
    return data


def graphmlp(poses) -> tuple[dict, dict]:
    """positions_3d and positions_2d of GraphMLP's files, of the same people; of the test set only the valid frames."""
    order = [JOINTS.index(name) for name in h36m.skeleton_17().names]
    positions, keypoints = {}, {}
    for number, (subject, sequence) in enumerate(TRAINING):
        seen, pixels = seen_by_cameras(5 * number)
        positions.setdefault(subject, {})[sequence] = [seen[camera][:, order] * SCALE / 1000 for camera in CAMERAS]
        keypoints.setdefault(subject, {})[sequence] = [pixels[camera][:, order] for camera in CAMERAS]
    for subject in ACTIVITY:
        valid = np.delete(poses, INVALID[subject], 0)[:, order]
        positions[subject] = {'Seq1': [valid / 1000]}
        keypoints[subject] = {'Seq1': [valid[..., :2] / valid[..., 2:] * 1500 + np.array(SIZES[subject]) / 2]}
    return positions, keypoints


def write_npz_files(folder, poses) -> None:
    """data_train_3dhp.npz and data_test_3dhp.npz of P-STMO, data_3d_3dhp.npz and data_2d_3dhp.npz of GraphMLP."""
    positions, keypoints = graphmlp(poses)
    np.savez_compressed(folder / 'data_train_3dhp.npz', data=p_stmo_training())
    np.savez_compressed(folder / 'data_test_3dhp.npz', data=p_stmo_test(poses))
    np.savez_compressed(folder / 'data_3d_3dhp.npz', positions_3d=positions)
    np.savez_compressed(folder / 'data_2d_3dhp.npz', positions_2d=keypoints)
