"""Reading datasets and keypoints from their files, checking them, and pairing 2D with 3D."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.datasets import h36m
from common.datasets.checks import checked_fps, checked_positions, checked_views, two_levels
from common.datasets.mocap import MocapDataset, kind_of
from common.errors import UserError, listing
from common.files.npz import read_npz
from common.geometry.camera import Camera, project, world_to_camera

Keypoints = dict[str, dict[str, list[np.ndarray]]]
Range = dict[str, list[float]]
RANGE_PERCENTILES = (1, 50, 99)
RANGE_POSES = 100_000  # as many as are looked at


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


@dataclass
class Poses:
    """Paired poses of many sequences and cameras, as tensors.

    Attributes:
        keypoints: (N, J, 2) float32, normalised image coordinates.
        positions: (N, J, 3) float32, camera coordinates relative to the hip, metres.
        roots: (N, 3) float32, the hip in camera coordinates, metres.
        kinds: (N,) int64, index into `kind_names`.
        views: (N,) int64, index into `cameras`.
        kind_names: the kinds of action, in the order of tables.
        cameras: those that look on.
    """

    keypoints: Tensor
    positions: Tensor
    roots: Tensor
    kinds: Tensor
    views: Tensor
    kind_names: list[str] = field(kw_only=True)
    cameras: list[Camera] = field(kw_only=True)

    def __len__(self) -> int:
        return len(self.keypoints)

    def tensors(self) -> dict[str, Tensor]:
        """Those attributes that have a row for each pose."""
        return {part.name: getattr(self, part.name) for part in fields(self) if not part.kw_only}

    def to(self, device: torch.device) -> Poses:
        return Poses(**{name: tensor.to(device) for name, tensor in self.tensors().items()},
                     kind_names=self.kind_names, cameras=self.cameras)


_listeners: list[list[str]] = []


def warn(sentence: str) -> None:
    """Tell the user something that does not stop the program."""
    print(f'Warning: {sentence}', file=sys.stderr)
    for listener in _listeners:
        listener.append(sentence)


@contextmanager
def heard_warnings() -> Iterator[list[str]]:
    """The sentences that `warn` tells meanwhile."""
    _listeners.append([])
    try:
        yield _listeners[-1]
    finally:
        _listeners.pop()


def source_paths(dataset: str, keypoints: str, data_dir: str) -> tuple[str, str]:
    """Where a dataset's 3D lies, and where its 2D, which need not be there for keypoints 'gt'."""
    return (os.path.join(data_dir, f'data_3d_{dataset}.npz'),
            os.path.join(data_dir, f'data_2d_{dataset}_{keypoints}.npz'))


def load_dataset(name: str, data_dir: str) -> MocapDataset:
    """Read `data_3d_<name>.npz`; the demo dataset is made if it is not there yet.

    Raises:
        UserError: the file is missing, is damaged, or does not hold what it should.
    """
    path, _ = source_paths(name, '', data_dir)
    if not os.path.exists(path):
        if name != 'demo':
            raise UserError(f'{path} is not there: data/README.md tells how to make it, --data_dir where to look; '
                            f'or try --dataset demo, which needs no files.')
        from data.prepare_data_demo import prepare
        print(f'Making the demo dataset {path} ...')
        prepare(path)

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


def pair(dataset: MocapDataset, keypoints: Keypoints, subjects: Iterable[str], kinds: list[str],
         downsample: int = 1) -> Poses:
    """Pair the 2D of every camera with the 3D in that camera's coordinates, relative to the hip.

    Sequences whose 2D and 3D differ in length are cut to the shorter, and counted in one warning.

    Raises:
        UserError: nothing is left to pair.
    """
    subjects = list(subjects)
    cameras = [(subject, camera) for subject in subjects for camera in dataset.cameras[subject]]
    parts, cut, without = [], [], []
    for subject, action in dataset.sequences(subjects, kinds):
        world, views = dataset.positions[subject][action], keypoints.get(subject, {}).get(action)
        if views is None:
            without.append(f'{subject} {action}')
            continue
        looking = [index for index, (owner, _) in enumerate(cameras) if owner == subject]
        for index, view in zip(looking, views, strict=True):
            frames = min(len(view), len(world))
            if len(view) != len(world):
                cut.append(f'{subject} {action} camera {index - looking[0]} ({len(view)} and {len(world)})')
            positions = world_to_camera(world[:frames:downsample], cameras[index][1])
            parts.append((view[:frames:downsample], positions - positions[:, :1], positions[:, 0],
                          np.full(len(positions), kinds.index(kind_of(action))), np.full(len(positions), index)))
    if cut:
        warn(f'{len(cut)} sequences have different numbers of 2D and 3D frames and are cut to the shorter: '
             f'{listing(cut, 3)}.')
    if without:
        warn(f'{len(without)} sequences have no 2D and are left out: {listing(without, 3)}.')
    if not any(len(part[0]) for part in parts):
        raise UserError(f'{dataset.name} has no frames of {listing(subjects) or "any subject of this split"} in '
                        f'{listing(kinds) or "any action"}: nothing is left to work on.')
    tensors = [torch.from_numpy(np.concatenate(arrays)) for arrays in zip(*parts, strict=True)]
    return Poses(*tensors, kind_names=kinds, cameras=[camera for _, camera in cameras])


def measure_range(keypoints: np.ndarray) -> Range:
    """Where in the image poses are and how large, as percentiles 1, 50 and 99.

    Args:
        keypoints: (N, 16, 2) normalised image coordinates.
    Returns:
        {'height': of the box around the joints, 'hip_x': ..., 'hip_y': ...}, three numbers each.
    """
    some = keypoints[::max(len(keypoints) // RANGE_POSES, 1)]
    measured = {'height': np.ptp(some[..., 1], axis=1), 'hip_x': some[:, 0, 0], 'hip_y': some[:, 0, 1]}
    return {name: [round(float(value), 4) for value in np.percentile(values, RANGE_PERCENTILES)]
            for name, values in measured.items()}


def _known_keypoints(dataset_name, data_dir):
    prefix, suffix = f'data_2d_{dataset_name}_', '.npz'
    found = {name[len(prefix):-len(suffix)] for name in os.listdir(data_dir)
             if name.startswith(prefix) and name.endswith(suffix)}
    return ['gt', *sorted(found - {'gt'})]
