"""Make data_3d_3dhp.npz and data_2d_3dhp_gt.npz from the test set of MPI-INF-3DHP (Mehta et al., 3DV 2017).

    python data/prepare_data_3dhp.py --from-source mpi_inf_3dhp_test_set     # has TS1/annot_data.mat, ..., TS6
    python main_gcn.py --dataset 3dhp --evaluate checkpoint/pretrained/semgcn_wild.pth.tar

Positions are in camera coordinates, so no calibration is needed. Frames that the set marks as invalid are left out.
Each run of consecutive frames of one activity is a sequence, and the activity is its kind of action.
"""

import argparse
import json
import os
import re
import sys
from collections import Counter

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # so that it runs from any folder

from common.datasets import h36m
from common.errors import UserError, run_script
from data import archives, preparation

NAMES = 'data_3d_3dhp.npz', 'data_2d_3dhp_gt.npz'
SUBJECTS = tuple(f'TS{number}' for number in range(1, 7))
SIZES = {subject: (1920, 1080) if subject in ('TS5', 'TS6') else (2048, 2048) for subject in SUBJECTS}
ACTIVITIES = ('Standing', 'Exercise', 'Sitting', 'Crouching', 'OnTheFloor', 'Sports', 'Miscellaneous')
# The set's joints by Human3.6M's names: Thorax is the set's neck, Neck/Nose its head, and Head its top of the head.
JOINTS = ('Head', 'Thorax', 'RShoulder', 'RElbow', 'RWrist', 'LShoulder', 'LElbow', 'LWrist', 'RHip', 'RKnee', 'RFoot',
          'LHip', 'LKnee', 'LFoot', 'Hip', 'Spine', 'Neck/Nose')
SKELETONS = {16: h36m.skeleton, 17: h36m.skeleton_17}
PCK_JOINTS = JOINTS[:14]  # of the official script
ANNOTATIONS = {'universal': 'univ_annot3', 'measured': 'annot3'}
FRAMES = 2929  # valid frames of the test set


def get_args_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f'Make {NAMES[0]} and {NAMES[1]} from the test set of MPI-INF-3DHP.')
    parser.add_argument('--from-source', metavar='DIR', required=True, help='folder with TS1/annot_data.mat to TS6')
    parser.add_argument('--scale', choices=ANNOTATIONS, default='universal',
                        help='people scaled to one height, as papers evaluate them, or as measured (%(default)s)')
    parser.add_argument('--joints', type=int, choices=SKELETONS, default=16, help='17 adds Neck/Nose (%(default)s)')
    parser.add_argument('--fps', type=int, default=25, help='frames a second, which the files lack (%(default)s)')
    parser.add_argument('--output', metavar='DIR', default=preparation.DATA_FOLDER, help='data folder (%(default)s)')
    parser.add_argument('--force', action='store_true', help='replace existing files')
    return parser


def main() -> None:
    args = get_args_parser().parse_args()
    paths = [os.path.join(args.output, name) for name in NAMES]
    for path in paths:
        preparation.keep_existing(path, args.force)
    skeleton = SKELETONS[args.joints]()
    positions, keypoints = read_test_set(args.from_source, ANNOTATIONS[args.scale], skeleton.names)
    cameras = {subject: [{'width': width, 'height': height}] for subject, (width, height) in SIZES.items()}
    preparation.save(paths[0], positions_3d=positions, fps=np.array(args.fps), cameras=np.array(json.dumps(cameras)),
                     test_subjects=np.array(list(positions)), pck_joints=np.array(PCK_JOINTS),
                     **preparation.skeleton_entries(skeleton))
    preparation.save(paths[1], positions_2d=keypoints, metadata=preparation.keypoints_metadata(skeleton))
    print_table(paths[0], positions)


def read_test_set(folder: str, annotation: str, joints: tuple[str, ...]) -> tuple[dict, dict]:
    """Positions and keypoints of the valid frames.

    Args:
        annotation: 'univ_annot3' or 'annot3'.
        joints: names of the joints to keep, in their order.
    Returns:
        {subject: {action: (T, J, 3) float32 metres, camera coordinates}} and {subject: {action: [(T, J, 2) pixels]}}.
    Raises:
        UserError: a file is damaged or not of this set, or there is none.
    """
    positions: dict[str, dict[str, np.ndarray]] = {}
    keypoints: dict[str, dict[str, list[np.ndarray]]] = {}
    order = [JOINTS.index(name) for name in joints]

    def subject_of(name: str) -> str | None:
        match = re.search(r'(?:^|/)(TS[1-6])/annot_data\.mat$', name)
        return match[1] if match else None

    for where, subject, content in archives.folder_members(folder, subject_of):
        world = _frames(content, annotation, (17, 3), where)[:, order] / 1000
        pixels = _frames(content, 'annot2', (17, 2), where)[:, order]
        valid, activity = (_frames(content, name, (), where) for name in ('valid_frame', 'activity_annotation'))
        if len({len(world), len(pixels), len(valid), len(activity)}) > 1 or subject in positions:
            raise UserError(f'{where} has arrays of different lengths, or {subject} is there twice.')
        if not np.isin(activity[valid > 0], range(1, len(ACTIVITIES) + 1)).all():
            raise UserError(f'{where} has activities that are none of 1 to {len(ACTIVITIES)}.')
        label = np.where(valid > 0, activity, 0).astype(int)
        takes: Counter = Counter()
        positions[subject], keypoints[subject] = {}, {}
        for run in np.split(np.arange(len(label)), np.flatnonzero(np.diff(label)) + 1):
            if label[run[0]]:
                kind = ACTIVITIES[label[run[0]] - 1]
                action = f'{kind} {takes[kind]}' if takes[kind] else kind
                takes[kind] += 1
                positions[subject][action] = world[run].astype(np.float32)
                keypoints[subject][action] = [pixels[run].astype(np.float32)]
        if not positions[subject]:
            raise UserError(f'{where} has no valid frame.')
    if not positions:
        raise UserError(f'{folder} has nothing like TS1/annot_data.mat; unpack the test set of MPI-INF-3DHP there.')
    return ({subject: positions[subject] for subject in SUBJECTS if subject in positions},
            {subject: keypoints[subject] for subject in SUBJECTS if subject in keypoints})


def _frames(content: bytes, name: str, shape: tuple[int, ...], where: str) -> np.ndarray:
    """An annotation, (T, *shape); MATLAB adds dimensions of one."""
    array = archives.read_h5(content, name, where)
    if array.size == 0 or array.size != len(array) * int(np.prod(shape)) or (
            tuple(n for n in array.shape[1:] if n > 1) != shape):
        raise UserError(f'{where}: {name} is {array.shape}, where (frames, 1, 17, 2 or 3) or (frames, 1) belongs.')
    return preparation.checked(array.reshape(len(array), *shape), (None, *shape), f'{where}: {name}')


def print_table(path: str, positions: dict[str, dict[str, np.ndarray]]) -> None:
    """Print the frames of each subject and activity."""
    print(f'{path}\n{"":16}' + ''.join(f'{subject:>7}' for subject in SUBJECTS) + f'{"all":>8}')
    counts = {subject: Counter({kind: sum(len(take) for action, take in positions.get(subject, {}).items()
                                          if action.split(' ')[0] == kind) for kind in ACTIVITIES})
              for subject in SUBJECTS}
    for kind in ACTIVITIES:
        row = [counts[subject][kind] for subject in SUBJECTS]
        print(f'{kind:16}' + ''.join(f'{count:7,}' for count in row) + f'{sum(row):8,}')
    total = sum(sum(counter.values()) for counter in counts.values())
    sys.stdout.flush()
    if total != FRAMES:
        print(f'Warning: {path} has {total:,} frames, the test set has {FRAMES:,}.', file=sys.stderr)


if __name__ == '__main__':
    run_script(main)
