"""Make data_3d_cmu.npz from the motions of the Carnegie Mellon database (http://mocap.cs.cmu.edu), free for all uses.

    python data/prepare_data_cmu.py --from-asfamc DIR              # has 02.asf, 02_01.amc, ..., in any folders below
    python data/prepare_data_cmu.py --from-bvh DIR                 # has 02_01.bvh, ..., made for MotionBuilder
    python data/prepare_data_cmu.py --from-asfamc DIR --fps 50 --table my_trials.csv
"""

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # so that it runs from any folder

from common.datasets.h36m import TEST_SUBJECTS, TRAIN_SUBJECTS
from common.errors import UserError, listing, run_script
from data import archives, cmu, preparation

NAME = 'data_3d_cmu.npz'
TABLE = os.path.join(preparation.DATA_FOLDER, 'cmu_trials.csv')
REACH = 2.0  # metres from the centre, along x and along y, that Human3.6M's cameras can see
FLOOR_PERCENTILE = 5
COLUMNS = 'actor,trial,subject,action'
LEFT_OUT = '-'


def get_args_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=f'Make {NAME} from motion of the Carnegie Mellon database.')
    cmu.add_source_flag(parser.add_mutually_exclusive_group(required=True))
    parser.add_argument('--table', metavar='FILE', default=TABLE,
                        help='which subject an actor becomes and which action a trial (%(default)s)')
    parser.add_argument('--fps', type=int, choices=(50, 60), default=60, help='frames a second (%(default)s)')
    preparation.add_output_flags(parser)
    return parser


def main() -> None:
    args = get_args_parser().parse_args()
    output = os.path.join(args.output, NAME)
    preparation.keep_existing(output, args.force)
    positions = read_database(args.database, read_table(args.table), args.fps)
    preparation.save(output, positions_3d=positions, fps=np.array(args.fps))
    print_table(output, positions)


@dataclass
class Table:
    """The subject of each actor and the kind of action of each trial."""

    subjects: dict[int, str] = field(default_factory=dict)
    kinds: dict[tuple[int, int | None], str] = field(default_factory=dict)  # None: the actor's other trials

    def subject(self, actor: int) -> str:
        """The subject of an actor; actors that the table lacks are spread over the training subjects."""
        return self.subjects.get(actor, TRAIN_SUBJECTS[actor % len(TRAIN_SUBJECTS)])

    def kind(self, actor: int, trial: int) -> str:
        """The kind of action of a trial; empty where it is not known."""
        return self.kinds.get((actor, trial), self.kinds.get((actor, None), ''))


def read_table(path: str) -> Table:
    """Read a table of actors and trials; the default, cmu_trials.csv, explains its columns.

    Raises:
        UserError: a line is not understood.
    """
    table = Table()
    with archives.damage_as_sentence(path), open(path, encoding='utf-8-sig') as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, 1):
        cells = ','.join(cell.strip(' \t"') for cell in line.split(','))
        if cells.strip(',') not in ('', COLUMNS) and not line.startswith('#'):
            _add_row(table, cells, f'{path}, line {number}')
    return table


def _add_row(table: Table, cells: str, where: str) -> None:
    match = re.fullmatch(r'(\d{1,4}),(\*|(\d{1,3})(?:-(\d{1,3}))?),(S\d+),([A-Za-z]*|-)', cells)
    trials: Sequence[int | None] = ()
    if match:
        trials = [None] if match[2] == '*' else range(int(match[3]), int(match[4] or match[3]) + 1)
    if not match or not trials or match[5] not in preparation.SUBJECTS:
        raise UserError(f'{where}: {cells[:60]!r} is not understood; it should be like 2,1,S9,Walking or '
                        f'7,1-12,S8,Walking, with a subject out of {listing(preparation.SUBJECTS)}.')
    actor, subject, kind = int(match[1]), match[5], match[6]
    if table.subjects.setdefault(actor, subject) != subject:
        raise UserError(f'{where}: actor {actor} is {table.subjects[actor]} in a line above and {subject} here; an '
                        'actor must be one subject, because test subjects must not be trained on.')
    for trial in trials:
        if (actor, trial) in table.kinds:
            raise UserError(f'{where}: trial {trial or "*"} of actor {actor} is in a line above already; '
                            'remove one of the two.')
        table.kinds[actor, trial] = kind


def read_database(folder: str, table: Table, fps: int) -> dict[str, dict[str, np.ndarray]]:
    """Positions of all trials below a folder: {subject: {action: float32 (T, 32, 3)}}, metres, z up.

    The first Walking of a subject is `Walking`, the next is `Walking 1`. Trials that the table lacks are named like
    `Trial 13_05`, so they are all of one kind.
    """
    taken: Counter = Counter()
    positions: dict[str, dict[str, np.ndarray]] = {}
    for actor, trial, path in archives.progress(cmu.trials(folder)):
        subject, kind = table.subject(actor), table.kind(actor, trial)
        if kind == LEFT_OUT:
            continue
        poses = centred(cmu.joints(path, fps))
        if len(poses) == 0:
            continue  # always out of the cameras' reach
        number = taken[subject, kind]
        taken[subject, kind] += 1
        action = (kind + f' {number}' * (number > 0)) if kind else f'Trial {actor:02}_{trial:02}'
        positions.setdefault(subject, {})[action] = poses
    if not positions:
        raise UserError(f'{folder} has no trial that the table does not leave out.')
    return {subject: positions[subject] for subject in preparation.SUBJECTS if subject in positions}


def centred(positions: np.ndarray) -> np.ndarray:
    """The 32 joints (T, 32, 3), metres, z up, in the place that Human3.6M's cameras see.

    The mean of the hip's path is moved to x = y = 0, and the lowest joint of the lowest frames to the floor, z = 0.
    Frames in which the hip is out of reach of the cameras are dropped. Returns (T, 32, 3) float32.
    """
    positions = positions.copy()
    positions[..., :2] -= positions[:, 0, :2].mean(axis=0)
    positions[..., 2] -= np.percentile(positions[..., 2].min(axis=1), FLOOR_PERCENTILE)
    return positions[(np.abs(positions[:, 0, :2]) <= REACH).all(axis=1)].astype(np.float32)


def print_table(path: str, positions: dict[str, dict[str, np.ndarray]]) -> None:
    """Print the sequences, frames and kinds of action of each subject."""
    print(f'{path}\n{"":10}{"sequences":>10}{"frames":>12}  kinds of action')
    for subject, actions in positions.items():
        kinds = list(dict.fromkeys(action.split(' ')[0] for action in actions))
        print(f'{subject:10}{len(actions):10}{sum(map(len, actions.values())):12,}  {listing(kinds)}')
    sys.stdout.flush()
    for split, subjects in (('train', TRAIN_SUBJECTS), ('test', TEST_SUBJECTS)):
        if not positions.keys() & set(subjects):
            print(f'Warning: {path}: no actor is of the {split} subjects, {listing(subjects)}.', file=sys.stderr)


if __name__ == '__main__':
    run_script(main)
