"""Make data_3d_free.npz, the training motion of `--recipe wild`: 16 joints at 30 frames a second.

    python data/prepare_data_free.py --from-asfamc DIR           # as for prepare_data_cmu.py, or --from-bvh DIR
    python data/prepare_data_free.py --from-source free_mocap.npz more_mocap.npz  # archives of clips
    python main_gcn.py --recipe wild --dataset free -e 20

Each archive has `positions` (N, 16, 3) float32 in metres, z up, joints as in common/datasets/h36m.py; `clip` (N,), the
number of each frame's clip, in order; `names` and `fps` (clips,). data/free_clips.csv gives each clip its subject and
action; other clips are left out. Five people are test subjects: gymnastics, karate, everyday motion, dance, exercises.
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Sequence

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # so that it runs from any folder

from common.datasets import h36m
from common.errors import UserError, listing, run_script, warn
from common.files.npz import read_npz
from data import archives, cmu, preparation

NAME = 'data_3d_free.npz'
TABLE = os.path.join(preparation.DATA_FOLDER, 'free_clips.csv')
TEST = ('cmu_049', 'cmu_135', 'cmu_013', 'cmu_094', 'prmd_10')
UNKNOWN = 'cmu8'  # clips that may be of a test actor: in neither split, unless --train_subjects names them
FPS = 30
# A camera that sees every clip whole, for scripts that need one; training uses virtual cameras.
CAMERA = {'width': 1000, 'height': 1000, 'focal_length': 2000, 'R': [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
          't': [0, 1, 12]}


def get_args_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f'Make {NAME} from motion of CMU or an archive of clips.')
    group = parser.add_mutually_exclusive_group(required=True)
    cmu.add_source_flag(group)
    group.add_argument('--from-source', metavar='FILE.npz', nargs='+', help='archives of clips')
    preparation.add_output_flags(parser)
    return parser


def read_table() -> dict[str, tuple[str, str]]:
    """{name of a clip: (subject, action)}."""
    with open(TABLE, encoding='utf-8', newline='') as file:
        return {f'{row["clip"]}|{row["copy"]}': (row['subject'], row['action'])
                for row in csv.DictReader(line for line in file if not line.startswith('#'))}


def read_clips(paths: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    """{subject: {action: (T, 16, 3)}} of the clips that the table names, each centred on the origin.

    Raises:
        UserError: an archive is damaged, or the table names none of its clips.
    """
    table = read_table()
    found: dict[str, dict[str, np.ndarray]] = {}
    for path in paths:
        content = read_npz(path, ('positions', 'clip', 'names', 'fps'))
        frames, clip = content['positions'], content['clip']
        preparation.checked(frames, (None, len(h36m.skeleton()), 3), path)
        ends = np.flatnonzero(np.diff(clip)) + 1
        names = [str(content['names'][number]) for number in clip[np.concatenate([[0], ends])]]
        if np.abs(content['fps'] - FPS).max() > 0.5:
            raise UserError(f'{path} has clips that are not at {FPS} frames a second.')
        unknown = [name for name in names if name not in table]
        if len(unknown) == len(names):
            raise UserError(f'{path} has the clips {listing(unknown, 3)}, and {TABLE} does not name any: add a line '
                            f'for each that is to be used.')
        if unknown:
            warn(f'{len(unknown):,} of the {len(names):,} clips of {path} are left out, because {TABLE} does not name '
                 f'them: {listing(unknown, 3)}.')
        for name, take in zip(names, np.split(frames, ends), strict=True):
            if name in table:
                preparation.add_sequence(found, *table[name], around_origin(take), path)
    return found


def read_database(folder: str) -> dict[str, dict[str, np.ndarray]]:
    """{subject: {action: (T, 16, 3)}} of the trials of the database; hip and spine as 2D detectors have them.

    Trials that the table does not name are of the kind `Trial`.

    Raises:
        UserError: the folder has no trials, or a trial is damaged.
    """
    # Pieces of a trial have a name with more behind it: cmu_038_01_part1.
    table = {name[:len('cmu_002_01')]: place for name, place in read_table().items()}
    names = h36m.skeleton().names
    hip, spine, thorax, *hips = (names.index(name) for name in ('Hip', 'Spine', 'Thorax', 'RHip', 'LHip'))
    found: dict[str, dict[str, np.ndarray]] = {}
    for actor, trial, path in archives.progress(cmu.trials(folder)):
        poses = cmu.joints(path, FPS)[:, h36m.KEPT_JOINTS]
        poses[:, hip] = poses[:, hips].mean(1)
        poses[:, spine] = (poses[:, hip] + poses[:, thorax]) / 2
        subject, action = table.get(f'cmu_{actor:03}_{trial:02}', (f'cmu_{actor:03}', f'Trial {trial}'))
        preparation.add_sequence(found, subject, action, around_origin(poses), path)
    return found


def around_origin(poses: np.ndarray) -> np.ndarray:
    """The clip (T, 16, 3) with the mean of its hip at x = y = 0."""
    return (poses - poses[:, 0].mean(0) * (1, 1, 0)).astype(np.float32)


def main() -> None:
    args = get_args_parser().parse_args()
    output = os.path.join(args.output, NAME)
    preparation.keep_existing(output, args.force)
    positions = read_database(args.database) if args.database else read_clips(args.from_source)
    preparation.save(output, positions_3d=positions, fps=np.array(FPS), cameras=np.array(json.dumps([CAMERA])),
                     train_subjects=np.array([name for name in positions if name not in (*TEST, UNKNOWN)]),
                     test_subjects=np.array([name for name in TEST if name in positions]),
                     **preparation.skeleton_entries(h36m.skeleton()))
    frames = {name: sum(map(len, takes.values())) for name, takes in positions.items()}
    print(f'{output}: {sum(frames.values()):,} frames of {len(frames)} subjects, to test ' +
          ', '.join(f'{name} ({frames[name]:,})' for name in TEST if name in frames))


if __name__ == '__main__':
    run_script(main)
