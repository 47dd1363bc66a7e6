"""Make data_3d_3dhp.npz and data_2d_3dhp_gt.npz from MPI-INF-3DHP (Mehta et al., 3DV 2017).

    python data/prepare_data_3dhp.py --from-source mpi_inf_3dhp_test_set     # has TS1/annot_data.mat, ..., TS6
    python main_gcn.py --dataset 3dhp --evaluate checkpoint/pretrained/semgcn_wild.pth.tar

    python data/prepare_data_3dhp.py --train mpi_inf_3dhp --from-source mpi_inf_3dhp_test_set   # S1/Seq1/annot.mat, ...
    python data/prepare_data_3dhp.py --train data_train_3dhp.npz --from-source data_test_3dhp.npz  # of P-STMO
    python main_gcn.py --dataset 3dhp --non_local

Test: positions are in camera coordinates, so no calibration is needed. Frames that the set marks as invalid are left
out. Each run of consecutive frames of one activity is a sequence, and the activity is its kind of action.
Training: the 3D of all cameras of a sequence becomes one world, in which the cameras are placed.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # so that it runs from any folder

from common.datasets import h36m
from common.errors import UserError, run_script
from data import preparation
from data.sources_3dhp import ACTIVITIES, JOINTS, RATE, SUBJECTS, Recording, read_test_set, read_training_set

NAMES = 'data_3d_3dhp.npz', 'data_2d_3dhp_gt.npz'
SKELETONS = {16: h36m.skeleton, 17: h36m.skeleton_17}
PCK_JOINTS = JOINTS[:14]  # of the official script
ANNOTATIONS = {'universal': 'univ_annot3', 'measured': 'annot3'}
FRAMES = 2929  # valid frames of the test set
APART = 0.01  # metres between the 3D of two cameras, at most
TURNED = 3.0  # degrees between the 3D and the calibration, at most


def get_args_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f'Make {NAMES[0]} and {NAMES[1]} from MPI-INF-3DHP.')
    parser.add_argument('--from-source', metavar='PATH',
                        help='test set: folder with TS1/annot_data.mat to TS6, or an .npz file of P-STMO or GraphMLP')
    parser.add_argument('--train', metavar='PATH',
                        help='training set: folder with S1/Seq1/annot.mat to S8, or such an .npz file')
    parser.add_argument('--scale', choices=ANNOTATIONS, default='universal',
                        help='people scaled to one height, as papers evaluate them, or as measured (%(default)s)')
    parser.add_argument('--joints', type=int, choices=SKELETONS, default=16, help='17 adds Neck/Nose (%(default)s)')
    parser.add_argument('--fps', type=int, default=RATE,
                        help='frames a second of the test set, which its files lack; faster training sequences are '
                             'thinned to it (%(default)s)')
    preparation.add_output_flags(parser)
    return parser


def main() -> None:
    args = get_args_parser().parse_args()
    paths = [os.path.join(args.output, name) for name in NAMES]
    for path in paths:
        preparation.keep_existing(path, args.force)
    if not args.from_source and not args.train:
        raise UserError('--from-source or --train must name a part of MPI-INF-3DHP, or both its parts.')
    skeleton, annotation = SKELETONS[args.joints](), ANNOTATIONS[args.scale]
    prepared = Prepared(skeleton.names, args.fps)
    if args.train:
        prepared.add(read_training_set(args.train, annotation))
    train = list(prepared.positions)
    if args.from_source:
        prepared.add(read_test_set(args.from_source, annotation))
    test = [subject for subject in SUBJECTS if subject in prepared.positions]
    subjects = [*train, *test]
    preparation.save(paths[0], positions_3d={subject: prepared.positions[subject] for subject in subjects},
                     fps=np.array(args.fps), cameras=np.array(json.dumps(prepared.cameras)),
                     frame_numbers=np.array(json.dumps(prepared.frame_numbers)),
                     train_subjects=np.array(train, str), test_subjects=np.array(test, str),
                     pck_joints=np.array(PCK_JOINTS), **preparation.skeleton_entries(skeleton))
    preparation.save(paths[1], positions_2d={subject: prepared.keypoints[subject] for subject in subjects},
                     metadata=preparation.keypoints_metadata(skeleton))
    print(paths[0])
    print_training_table({subject: prepared.positions[subject] for subject in train}, prepared.cameras)
    if test:
        tested = {subject: prepared.positions.get(subject, {}) for subject in SUBJECTS}
        total = preparation.print_frames(tested, ACTIVITIES)
        if total != FRAMES:
            print(f'Warning: {paths[0]} has {total:,} frames to test, the test set has {FRAMES:,}.', file=sys.stderr)


class Prepared:
    """The content of both files.

    Attributes:
        positions: {subject: {action: (T, J, 3) float32}}, metres; in camera axes where the subject has one camera.
        keypoints: {subject: {action: [(T, J, 2) float32 pixels for each camera]}}.
        cameras: {subject: [camera]}, as in docs/datasets.md.
        frame_numbers: {subject: {action: [number of the first frame in the video, step to the next]}}.
    """

    def __init__(self, joints: tuple[str, ...], fps: int) -> None:
        self.order, self.fps = [JOINTS.index(name) for name in joints], fps
        self.positions: dict[str, dict[str, np.ndarray]] = {}
        self.keypoints: dict[str, dict[str, list[np.ndarray]]] = {}
        self.cameras: dict[str, list[dict[str, Any]]] = {}
        self.frame_numbers: dict[str, dict[str, list[int]]] = {}

    def add(self, recordings: Iterable[Recording]) -> None:
        """Add recordings. A training sequence has cameras of its own, so it is a subject of its own: S1/Seq1."""
        for recording in recordings:
            test = recording.subject in SUBJECTS
            subject = recording.subject if test else f'{recording.subject}/{recording.action}'
            rate = recording.rate or self.fps
            if rate % self.fps:
                raise UserError(f'{subject} was recorded at {rate} frames a second, which --fps {self.fps} does not '
                                'divide: choose another rate.')
            step = rate // self.fps
            world, self.cameras[subject] = in_world(recording, subject)
            self.frame_numbers.setdefault(subject, {})[recording.action] = [recording.first, step]
            self.positions.setdefault(subject, {})[recording.action] = world[::step, self.order].astype(np.float32)
            self.keypoints.setdefault(subject, {})[recording.action] = [
                pixels[::step, self.order].astype(np.float32) for pixels in recording.keypoints]


def in_world(recording: Recording, name: str) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The positions in a world whose z points up, (T, 17, 3) metres, and the cameras with their place in it.

    The places follow from the 3D, which is the same motion in the axes of each camera. So they are also right for
    people who were scaled to one height, whom the calibration's places do not fit. The vertical is the calibration's,
    or else perpendicular to the images' rows, because the cameras stand on tripods. One camera alone has no place.

    Raises:
        UserError: the 3D of a camera is another motion, or the calibration is of other cameras.
    """
    first = recording.positions[0]
    if len(recording.positions) == 1:
        return first, [{key: value for key, value in recording.cameras[0].items() if key not in ('R', 't')}]
    places = [rigid(first, view) for view in recording.positions]
    for (rotation, shift), view, camera in zip(places, recording.positions, recording.cameras, strict=True):
        apart = np.abs(first @ rotation.T + shift - view).max()
        if apart > APART:
            raise UserError(f'{name}: the 3D of camera {camera["name"]} is up to {apart:.3f} m away from the 3D of '
                            f'camera {recording.cameras[0]["name"]}, so it is another motion; fetch the files again.')
        if 'R' in camera:
            difference = camera['R'] @ recording.cameras[0]['R'].T @ rotation.T
            turned = np.degrees(np.arccos(np.clip((np.trace(difference) - 1) / 2, -1, 1)))
            if turned > TURNED:
                raise UserError(f'{name}: camera.calibration turns camera {camera["name"]} by {turned:.0f} degrees '
                                'against the 3D, so it is of other cameras; fetch the files again.')
    if 'R' in recording.cameras[0]:
        up = recording.cameras[0]['R'][:, 1]
    else:
        rows, downs = (np.stack([rotation[axis] for rotation, _ in places]) for axis in (0, 1))
        up = -np.linalg.solve(rows.T @ rows + 1e-3 * np.eye(3), downs.sum(0))
        up /= np.linalg.norm(up)
    forward = np.array([0, 0, 1]) - up[2] * up
    forward /= np.linalg.norm(forward)
    axes = np.stack([np.cross(forward, up), forward, up])  # of the world, in the axes of the first camera
    cameras = [{**camera, 'R': (rotation @ axes.T).tolist(), 't': shift.tolist()}
               for camera, (rotation, shift) in zip(recording.cameras, places, strict=True)]
    return first @ axes.T, cameras


def rigid(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R and t of the rigid motion `target = R source + t` that fits best (Kabsch 1976); both are (..., 3)."""
    source, target = (points.reshape(-1, 3).astype(np.float64) for points in (source, target))
    middle, other = source.mean(0), target.mean(0)
    u, _, v = np.linalg.svd((target - other).T @ (source - middle))
    rotation = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v
    return rotation, other - rotation @ middle


def print_training_table(positions: dict[str, dict[str, np.ndarray]], cameras: dict[str, list]) -> None:
    """Print the frames and cameras of each training sequence."""
    for subject, actions in positions.items():
        frames, views = sum(map(len, actions.values())), len(cameras[subject])
        print(f'{subject:10}{frames:9,} frames{views:4} cameras{frames * views:11,} poses')


if __name__ == '__main__':
    run_script(main)
