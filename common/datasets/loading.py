"""Reading datasets and keypoints from their files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from common.argument_types import comma_separated, file_name_part, names_or_all, positive_int
from common.datasets.checking.agreement import check_agreement, expected_keypoints
from common.datasets.checking.arrays import check_lengths, checked_pixels, checked_positions, two_levels
from common.datasets.checking.joint_order import Sample, choose_order, known_orders, usable_orders
from common.datasets.checking.people import check_people
from common.datasets.checking.views import check_views
from common.datasets.entries import ENTRIES, describe
from common.datasets.h36m import FILES, SHIFTED
from common.datasets.mocap import Keypoints, MocapDataset
from common.errors import UserError, listing, warn
from common.files.npz import read_npz
from common.flags import flag
from common.geometry.camera import behind, camera_to_world, normalize_screen, project, world_to_camera

SAMPLES = 3  # frames of a sequence that are compared with the 3D to find the order of the joints


@dataclass(frozen=True)
class DataOptions:
    """The choice of data, named as the flags."""

    dataset: str = flag('h36m', 'dataset: data_3d_NAME.npz in the data folder, or demo, which is made at first use',
                        short='-d', type=file_name_part, metavar='NAME')
    keypoints: str = flag('gt', '2D keypoints: data_2d_DATASET_NAME.npz; gt is projected from the 3D where there is no '
                                'such file', short='-k', type=file_name_part, metavar='NAME')
    actions: tuple[str, ...] | None = flag(None, 'kinds of action to train and test on, separated by commas; *: all',
                                           short='-a', type=names_or_all, metavar='A,B')
    downsample: int = flag(1, 'use every Nth frame', type=positive_int, metavar='N')
    data_dir: str = flag('data', 'folder of the datasets', metavar='DIR')
    val_subjects: tuple[str, ...] = flag((), 'training subjects that are kept out of training and choose the epoch; '
                                             'the test subjects are then evaluated once, at the end (default: the test '
                                             'subjects choose the epoch, as published)', type=comma_separated,
                                         metavar='S,S')
    train_subjects: tuple[str, ...] = flag((), "subjects to train on (default: the data set's)", type=comma_separated,
                                           metavar='S,S')
    test_subjects: tuple[str, ...] = flag((), "subjects to test on (default: the data set's)", type=comma_separated,
                                          metavar='S,S')

    skip_shifted_s9: bool = flag(False, "leave out Human3.6M's three sequences of S9 whose 3D is shifted against the "
                                        'video', more=True)

    def as_recipe(self) -> dict[str, Any]:
        """The options that a checkpoint records: all but the folder, and subjects only if flags chose them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
                if name != 'data_dir' and (value or name not in ('train_subjects', 'test_subjects'))}


def source_paths(dataset: str, keypoints: str, data_dir: str) -> tuple[str, str]:
    """Paths of a dataset's 3D and 2D; the 2D may be missing for keypoints 'gt'."""
    dataset = FILES.get(dataset, dataset)
    return (os.path.join(data_dir, f'data_3d_{dataset}.npz'),
            os.path.join(data_dir, f'data_2d_{dataset}_{keypoints}.npz'))


def load_dataset(name: str, data_dir: str, skip_shifted_s9: bool = False) -> MocapDataset:
    """Read `data_3d_<name>.npz`.

    Args:
        skip_shifted_s9: as of `DataOptions`.
    Raises:
        UserError: the file is missing or damaged, or its content is not as in docs/datasets.md.
    """
    path, _ = source_paths(name, '', data_dir)
    if not os.path.exists(path):
        raise UserError(f'{path} is missing: data/README.md describes how to make it, and --data_dir names another '
                        f'folder; or try --dataset demo, which needs no files.')
    entries = read_npz(path, ('positions_3d',), optional=ENTRIES)
    content = two_levels(path, 'positions_3d', entries.pop('positions_3d'))
    spec = describe(path, name, entries, list(content))
    if skip_shifted_s9:
        if FILES.get(name, name) != 'h36m':
            raise UserError(f'--skip_shifted_s9 leaves out sequences of Human3.6M, and --dataset is {name}.')
        spec.left_out += SHIFTED
        warn(f'{path}: S9 {listing(action for _, action in SHIFTED)} are left out, because their 3D is shifted against '
             'the video.')
    positions: dict[str, dict[str, np.ndarray]] = {}
    for subject, actions in content.items():
        for action, sequence in actions.items():
            if subject in spec.cameras and (subject, action) not in spec.left_out:
                checked = checked_positions(f'{path}: {subject} {action}', sequence, spec)
                if subject in spec.camera_coordinates:
                    checked = camera_to_world(checked, spec.cameras[subject][0])
                positions.setdefault(subject, {})[action] = checked
    if not positions:
        raise UserError(f'{path} has subjects without a single sequence: {listing(content)}; make the file again.')
    if others := [subject for subject in content if subject not in spec.cameras]:
        warn(f'{path}: no camera is known for {listing(others)}, left out.')
    spec.cameras = {subject: spec.cameras[subject] for subject in positions}
    dataset = MocapDataset(**vars(spec), positions=positions)
    check_people(path, dataset)
    if 'cameras' in entries:
        check_views(path, dataset)
    return dataset


def load_keypoints(dataset: MocapDataset, keypoints: str, data_dir: str) -> Keypoints:
    """Read `data_2d_<dataset>_<keypoints>.npz`, normalised, in the order of the dataset's joints.

    Without such a file, ground truth is projected from the 3D.

    Returns:
        {subject: {action: [(T, J, 2) float32 for every camera]}} of the dataset's sequences that have 2D; NaN where a
        joint is missing, and for poses that are not wholly in front of the camera.
    Raises:
        UserError: the file is missing, is damaged, or does not fit the dataset.
    """
    _, path = source_paths(dataset.name, keypoints, data_dir)
    if os.path.exists(path):
        return _hide_behind(dataset, _read_keypoints(dataset, path))
    if keypoints != 'gt':
        raise UserError(f'{path} is missing: {data_dir} has of {dataset.name} the keypoints '
                        f'{listing(_known_keypoints(dataset.name, data_dir))}; data/README.md describes how to make '
                        f'more.')
    if blind := [subject for subject in dataset.positions
                 if not all(camera.is_calibrated for camera in dataset.cameras[subject])]:
        raise UserError(f'{path} is missing, and without a focal length the cameras of {listing(blind)} cannot project '
                        f'ground truth: write the file (docs/datasets.md), or choose other --keypoints.')
    with np.errstate(divide='ignore', invalid='ignore'):  # behind the camera, where there is no 2D
        projected = {subject: {action: [project(world_to_camera(sequence, camera), camera)
                                        for camera in dataset.cameras[subject]]
                               for action, sequence in actions.items()}
                     for subject, actions in dataset.positions.items()}
    return _hide_behind(dataset, projected)


def _hide_behind(dataset: MocapDataset, keypoints: Keypoints) -> Keypoints:
    """The keypoints, which become NaN where a pose is not wholly in front of the camera."""
    for subject, actions in keypoints.items():
        for action, views in actions.items():
            world = dataset.positions[subject][action]
            for index, camera in enumerate(dataset.cameras[subject]):
                hidden = behind(world, camera)[:len(views[index])]
                if hidden.any():
                    views[index] = np.where(hidden[:, None, None], np.float32(np.nan), views[index][:len(hidden)])
    return keypoints


def _read_keypoints(dataset: MocapDataset, path: str) -> Keypoints:
    entries = read_npz(path, ('positions_2d',), optional=('metadata',))
    found: Keypoints = {}
    known = known_orders(dataset)
    numbers = {order.joints for order in known}
    joints, first = 0, ''
    for subject, actions in two_levels(path, 'positions_2d', entries['positions_2d']).items():
        for action, views in actions.items():
            world = dataset.positions.get(subject, {}).get(action)
            if world is None:
                continue
            where, cameras = f'{path}: {subject} {action}', dataset.cameras[subject]
            pixels = checked_pixels(where, views, cameras, numbers)
            check_lengths(where, pixels, len(world))
            for index, view in enumerate(pixels):
                if joints and view.shape[1] != joints:
                    raise UserError(f'{where} camera {index} has {view.shape[1]} joints, and {first} has {joints}.')
                joints, first = view.shape[1], first or subject
            found.setdefault(subject, {})[action] = [normalize_screen(view, camera.width, camera.height)
                                                     for view, camera in zip(pixels, cameras, strict=True)]
    if not found:
        return found
    usable = usable_orders(path, dataset, known, entries.get('metadata'), joints)
    order = choose_order(path, dataset, usable, known, _samples(dataset, found))
    for actions in found.values():
        for views in actions.values():
            views[:] = [order.joints_of(view) for view in views]
    check_agreement(path, dataset, found)
    return found


def _samples(dataset: MocapDataset, keypoints: Keypoints) -> list[Sample]:
    """`SAMPLES` frames of each sequence, by subject and camera."""
    samples = []
    for subject, actions in keypoints.items():
        for index, camera in enumerate(dataset.cameras[subject]):
            given, world = [], []
            for action, views in actions.items():
                motion = dataset.positions[subject][action]
                frames = min(len(views[index]), len(motion))
                chosen = slice(0, frames, -(-frames // SAMPLES))
                given.append(views[index][chosen])
                world.append(motion[chosen])
            expected = expected_keypoints(np.concatenate(world), camera)
            samples.append(Sample(subject, index, camera, np.concatenate(given), expected))
    return samples


def select_kinds(dataset: MocapDataset, actions: Iterable[str] | None) -> list[str]:
    """The chosen kinds of action (None: all), in the order of tables.

    Raises:
        UserError: the dataset has no such action.
    """
    if actions is None:
        return dataset.kinds
    unknown = [action for action in actions if action not in dataset.kinds]
    if unknown:
        raise UserError(f'{dataset.name} has no action {listing(unknown)}; it has {listing(dataset.kinds, 40)}.')
    return [kind for kind in dataset.kinds if kind in set(actions)]


def _known_keypoints(dataset_name: str, data_dir: str) -> list[str]:
    prefix, suffix = f'data_2d_{FILES.get(dataset_name, dataset_name)}_', '.npz'
    found = {name[len(prefix):-len(suffix)] for name in os.listdir(data_dir)
             if name.startswith(prefix) and name.endswith(suffix)}
    return ['gt', *sorted(found - {'gt'})]
