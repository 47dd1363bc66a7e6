"""Reading datasets and keypoints from their files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.datasets import h36m
from common.datasets.checks import checked_fps, checked_positions, checked_views, two_levels
from common.datasets.mocap import Keypoints, MocapDataset
from common.errors import UserError, listing, warn
from common.files.npz import read_npz
from common.geometry.camera import project, world_to_camera


@dataclass(frozen=True)
class DataOptions:
    """Which data to use: as the flags of the same names."""

    dataset: str = 'h36m'
    keypoints: str = 'gt'
    actions: tuple[str, ...] | None = None
    downsample: int = 1
    data_dir: str = 'data'
    val_subjects: tuple[str, ...] = ()

    def kept(self) -> dict[str, Any]:
        """What a checkpoint records of them."""
        actions = None if self.actions is None else list(self.actions)
        return {'dataset': self.dataset, 'keypoints': self.keypoints, 'actions': actions,
                'downsample': self.downsample, 'val_subjects': list(self.val_subjects)}


def source_paths(dataset: str, keypoints: str, data_dir: str) -> tuple[str, str]:
    """Where a dataset's 3D lies, and where its 2D, which need not be there for keypoints 'gt'."""
    return (os.path.join(data_dir, f'data_3d_{dataset}.npz'),
            os.path.join(data_dir, f'data_2d_{dataset}_{keypoints}.npz'))


def load_dataset(name: str, data_dir: str) -> MocapDataset:
    """Read `data_3d_<name>.npz`.

    Raises:
        UserError: the file is missing, is damaged, or does not hold what it should.
    """
    path, _ = source_paths(name, '', data_dir)
    if not os.path.exists(path):
        raise UserError(f'{path} is missing: data/README.md describes how to make it, and --data_dir names another '
                        f'folder; or try --dataset demo, which needs no files.')
    entries = read_npz(path, ('positions_3d',), optional=('fps',))
    content, fps = entries['positions_3d'], checked_fps(path, entries.get('fps', h36m.FPS))
    skeleton, cameras = h36m.skeleton(), h36m.cameras()
    positions: dict[str, dict[str, np.ndarray]] = {}
    for subject, actions in two_levels(path, 'positions_3d', content):
        for action, sequence in actions.items():
            if subject in cameras and (name, subject, action) != ('h36m', *h36m.CORRUPTED):
                positions.setdefault(subject, {})[action] = checked_positions(path, subject, action, sequence)
    others = [subject for subject in content if subject not in cameras]
    if not positions:
        raise UserError(f'{path} has no subject of the splits {listing(h36m.TRAIN_SUBJECTS + h36m.TEST_SUBJECTS)}; '
                        f'it has {listing(others) or "none"}.')
    if others:
        warn(f'{path}: no camera is known for {listing(others)}, left out.')
    return MocapDataset(name, skeleton, cameras, positions,
                        tuple(subject for subject in h36m.TRAIN_SUBJECTS if subject in positions),
                        tuple(subject for subject in h36m.TEST_SUBJECTS if subject in positions),
                        action_order=h36m.ACTIONS, synthetic=name == 'demo', fps=fps)


def load_keypoints(dataset: MocapDataset, keypoints: str, data_dir: str) -> Keypoints:
    """Read `data_2d_<dataset>_<keypoints>.npz`, normalised; ground truth is projected where there is no such file.

    Returns:
        {subject: {action: [(T, J, 2) float32 for every camera]}} for the dataset's sequences, as far as there is 2D.
    Raises:
        UserError: the file is missing, is damaged, or does not hold what it should.
    """
    _, path = source_paths(dataset.name, keypoints, data_dir)
    if not os.path.exists(path):
        if keypoints == 'gt':
            return {subject: {action: [project(world_to_camera(sequence, camera), camera)
                                       for camera in dataset.cameras[subject]]
                              for action, sequence in actions.items()}
                    for subject, actions in dataset.positions.items()}
        raise UserError(f'{path} is not there: {data_dir} has of {dataset.name} the keypoints '
                        f'{listing(_known_keypoints(dataset.name, data_dir))}; data/README.md tells how to make more.')
    content = read_npz(path, ('positions_2d',))['positions_2d']
    found: Keypoints = {}
    for subject, actions in two_levels(path, 'positions_2d', content):
        for action, views in actions.items():
            if action in dataset.positions.get(subject, ()):
                found.setdefault(subject, {})[action] = checked_views(path, dataset, subject, action, views)
    return found


def select_kinds(dataset: MocapDataset, actions: Iterable[str] | None) -> list[str]:
    """The kinds of action that a user names (all: None), in the order of tables.

    Raises:
        UserError: the dataset has no such action.
    """
    if actions is None:
        return dataset.kinds
    unknown = [action for action in actions if action not in dataset.kinds]
    if unknown:
        raise UserError(f'{dataset.name} has no action {listing(unknown)}; it has {listing(dataset.kinds, 40)}.')
    return [kind for kind in dataset.kinds if kind in set(actions)]


def _known_keypoints(dataset_name, data_dir):
    prefix, suffix = f'data_2d_{dataset_name}_', '.npz'
    found = {name[len(prefix):-len(suffix)] for name in os.listdir(data_dir)
             if name.startswith(prefix) and name.endswith(suffix)}
    return ['gt', *sorted(found - {'gt'})]
