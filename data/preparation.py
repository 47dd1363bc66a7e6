"""Shared by preparation scripts: flags, names of sequences, checks of arrays, entries and table of a file."""

import argparse
import glob
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from common.datasets.h36m import ACTIONS, CORRUPTED, TEST_SUBJECTS, TRAIN_SUBJECTS
from common.datasets.loading import load_dataset, load_keypoints
from common.datasets.mocap import kind_of
from common.errors import UserError
from common.files.npz import read_npz, write_npz
from common.geometry.skeleton import Skeleton
from data.archives import damage_as_sentence

DATA_FOLDER = os.path.dirname(os.path.abspath(__file__))
SUBJECTS = TRAIN_SUBJECTS + TEST_SUBJECTS
CAMERAS = 4
TAKES = 2  # every subject performs every kind of action twice
# Human3.6M's number of poses over four cameras at 50 Hz. Detections may have a few frames more or fewer.
POSES = {'train': (TRAIN_SUBJECTS, 1_559_752), 'test': (TEST_SUBJECTS, 543_344)}
DETECTIONS_TOLERANCE = 0.01
ABSURD = 1e6  # millimetres or pixels
_OTHER_NAMES = {'TakingPhoto': 'Photo', 'WalkingDog': 'WalkDog'}


def add_output_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--output', metavar='DIR', default=DATA_FOLDER, help='data folder (%(default)s)')
    parser.add_argument('--force', action='store_true', help='replace existing files')


def keep_existing(path: str, force: bool) -> None:
    """Raise UserError if an output exists, unless forced."""
    if os.path.exists(path) and not force:
        raise UserError(f'{path} exists already; give --force to replace it, or another --output.')


def save(path: str, **entries: Any) -> None:
    """Write an `.npz` atomically, and print its path first, because compressing Human3.6M takes a while."""
    print(f'Writing {path} ...', file=sys.stderr, flush=True)
    write_npz(path, **entries)


def skeleton_entries(skeleton: Skeleton) -> dict[str, np.ndarray]:
    """The entries of a 3D file that describe its skeleton; `common.datasets.entries` reads them."""
    return {'joints': np.array(skeleton.names), 'parents': np.array(skeleton.parents),
            'joints_left': np.array(skeleton.left), 'joints_right': np.array(skeleton.right),
            'groups': np.array(json.dumps(skeleton.groups))}


def keypoints_metadata(skeleton: Skeleton) -> dict[str, Any]:
    """The metadata of a 2D file, as in VideoPose3D's files."""
    return {'num_joints': len(skeleton), 'keypoints_symmetry': [list(skeleton.left), list(skeleton.right)]}


def sequence(subject: str, text: str) -> tuple[str, str] | None:
    """Subject and action as in the prepared file (`TakingPhoto 1`: `Photo 1`); None if Human3.6M lacks them."""
    match = re.fullmatch(r'([A-Za-z]+)( \d+)?', text)
    if not match or subject not in SUBJECTS:
        return None
    kind = _OTHER_NAMES.get(match[1], match[1])
    return (subject, kind + (match[2] or '')) if kind in ACTIONS else None


def checked(array: np.ndarray, shape: tuple[int | None, ...], where: str) -> np.ndarray:
    """The array, if it has the shape (None: any length but 0) and only finite numbers; otherwise raise UserError."""
    fits = array.ndim == len(shape) and array.size > 0 and all(b in (None, a) for a, b in zip(array.shape, shape))
    if array.dtype.kind not in 'fiu' or not fits:
        wanted = ', '.join('frames' if length is None else str(length) for length in shape)
        raise UserError(f'{where} holds {array.dtype} of shape {array.shape}, but numbers of ({wanted}) belong there; '
                        'this is another file.')
    if not (np.abs(array) < ABSURD).all():  # also if NaN
        raise UserError(f'{where} holds values that are not finite or absurdly large; fetch it again, or take it out.')
    return array


def add_sequence(sequences: dict[str, dict[str, Any]], subject: str, action: str, value: Any, where: str) -> None:
    """Add a sequence unless it is the corrupted video; raise UserError if it was added before."""
    if (subject, action) == CORRUPTED:
        return
    if action in sequences.setdefault(subject, {}):
        raise UserError(f'{where} is {subject} {action!r} a second time; take one of the two out.')
    sequences[subject][action] = value


def in_order(sequences: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The same sequences, subjects in the order of the splits and actions by name."""
    return {subject: dict(sorted(sequences[subject].items())) for subject in SUBJECTS if sequences.get(subject)}


def check_files(folder: str) -> None:
    """Print the tables of Human3.6M's 3D file and of every 2D file that `folder` has."""
    paths = [path for name in ('data_3d_h36m.npz', 'data_2d_h36m_*.npz')
             for path in sorted(glob.glob(os.path.join(glob.escape(folder), name)))]
    if not paths:
        raise UserError(f'{folder} has no data_3d_h36m.npz and no data_2d_h36m_*.npz to check; '
                        'data/README.md describes how to make them.')
    for path in paths:
        print_h36m_table(path)
    detected = [os.path.basename(path)[len('data_2d_h36m_'):-len('.npz')] for path in paths
                if os.path.basename(path).startswith('data_2d')]
    if detected and len(paths) > len(detected):  # the same checks as in training
        dataset = load_dataset('h36m', folder)
        for keypoints in detected:
            load_keypoints(dataset, keypoints, folder)


def print_h36m_table(path: str) -> None:
    """Print the counts of a file beside Human3.6M's, then a warning for every difference."""
    counts = _poses(path)
    print(f'{path}\n{"":10}{"sequences":>10}{"should be":>12}{"poses over 4 cameras":>24}{"should be":>12}')
    for subject in SUBJECTS:
        takes = counts.get(subject, {})
        print(f'{subject:10}{len(takes):10}{_expected_takes(subject):12}{sum(takes.values()):24,}')
    warnings = [warning for subject in SUBJECTS for warning in _missing(subject, counts.get(subject, {}))]
    warnings += [f'{subject} is not a subject of Human3.6M' for subject in counts if subject not in SUBJECTS]
    detected = re.search(r'data_2d_h36m_(?!gt\.)', path) is not None
    for split, (subjects, expected) in POSES.items():
        poses = sum(sum(counts.get(subject, {}).values()) for subject in subjects)
        sequences = sum(len(counts.get(subject, {})) for subject in subjects)
        print(f'{split:10}{sequences:10}{sum(map(_expected_takes, subjects)):12}{poses:24,}{expected:12,}')
        if abs(poses - expected) > expected * DETECTIONS_TOLERANCE * detected:
            warnings.append(f'the {split} subjects have {poses:,} poses, Human3.6M has {expected:,}')
    sys.stdout.flush()
    for warning in warnings:
        print(f'Warning: {path}: {warning}.', file=sys.stderr)


def print_frames(positions: dict[str, dict[str, np.ndarray]], kinds: Sequence[str] = ()) -> int:
    """Print the frames of each kind of action (rows, in the order of `kinds`) and subject. Returns their sum."""
    counts = {subject: Counter[str]() for subject in positions}
    for subject, actions in positions.items():
        for action, take in actions.items():
            counts[subject][kind_of(action)] += len(take)
    print(f'{"frames":16}' + ''.join(f'{subject:>12}' for subject in counts) + f'{"all":>12}')
    found: set[str] = set().union(*counts.values())
    for kind in dict.fromkeys([*(kind for kind in kinds if kind in found), *sorted(found)]):
        row = [count[kind] for count in counts.values()]
        print(f'{kind:16}' + ''.join(f'{frames:12,}' for frames in [*row, sum(row)]))
    sys.stdout.flush()
    return sum(count.total() for count in counts.values())


def _expected_takes(subject: str) -> int:
    return len(ACTIONS) * TAKES - (subject == CORRUPTED[0])


def _missing(subject: str, poses: dict[str, int]) -> list[str]:
    if not poses:
        return [f'{subject} is missing']
    kinds = [action.split(' ')[0] for action in poses]
    wanted = {kind: TAKES - ((subject, kind) == CORRUPTED) for kind in ACTIONS}
    return [f'{subject} has {kinds.count(kind)} of {takes} {kind}' for kind, takes in wanted.items()
            if kinds.count(kind) != takes]


def _poses(path: str) -> dict[str, dict[str, int]]:
    """Poses over the four cameras in a 3D or a 2D file: {subject: {action: poses}}."""
    is_3d = os.path.basename(path).startswith('data_3d')
    entry = 'positions_3d' if is_3d else 'positions_2d'
    sequences = read_npz(path, (entry,))[entry]
    with damage_as_sentence(path):
        return {subject: {action: CAMERAS * len(value) if is_3d else sum(map(len, value))
                          for action, value in actions.items()} for subject, actions in sequences.items()}
