"""Checks the axes and the unit of 3D poses by their people, who stand along z and are 1 to 2.2 m tall."""

from __future__ import annotations

import numpy as np

from common.datasets.checking.handedness import check_handedness, mirrored_sequences
from common.datasets.mocap import MocapDataset
from common.errors import UserError
from common.geometry.skeleton import Skeleton

FRAMES = 50  # number of frames of a sequence that are checked, at most
SYMMETRIC = 1.25  # ratio of the lengths of left and right bones, at most, of a human skeleton
HEIGHT = (1.0, 2.2)  # metres, along the bones from foot to head
UPRIGHT = 0.7  # share of the length of the vector from feet to head
UNITS = {'millimetres': 0.001, 'centimetres': 0.01, 'inches': 0.0254, "CMU's ASF units": 0.0254 / 0.45,
         'decimetres': 0.1, 'feet': 0.3048}
# For each vertical axis: its name, how to write right-handed axes, and how to write left-handed ones.
TURNS = {(0, 1): ('x', '(-z, y, x)', '(z, y, x)'), (0, -1): ('-x', '(z, y, -x)', '(-z, y, -x)'),
         (1, 1): ('y', '(x, -z, y)', '(x, z, y)'), (1, -1): ('-y', '(x, z, -y)', '(x, -z, -y)'),
         (2, -1): ('-z', '(x, -y, -z)', '(x, y, -z)')}


def some_frames(takes: dict[str, np.ndarray]) -> np.ndarray:
    """(N, J, 3): at most `FRAMES` evenly spaced frames of each sequence of a subject."""
    return np.concatenate([take[::-(-len(take) // FRAMES)] for take in takes.values()])


def check_people(path: str, dataset: MocapDataset) -> None:
    """Refuse positions that are not in metres or whose vertical axis is not z. Other skeletons than human ones pass.

    Raises:
        UserError: the sentence names the axis or the factor.
    """
    some = {subject: some_frames(takes) for subject, takes in dataset.positions.items()}
    ends = feet_and_head(dataset.skeleton)
    if not _has_equal_sides(np.concatenate(list(some.values())), dataset.skeleton):
        return
    if ends is None:
        check_handedness(path, dataset)
        return
    feet, head = ends
    height = np.median(np.concatenate([_length_of_path(poses, dataset.skeleton, feet[0], head)
                                       for poses in some.values()]))
    if not HEIGHT[0] <= height <= HEIGHT[1]:
        raise UserError(f'{path}: its people are {height:.3g} units tall, and positions must be in metres: '
                        f'{unit_of(height)}.')
    for local in (False, True):  # camera coordinates may be tilted, so only upside-down people are refused there
        body = [poses[:, head] - poses[:, feet].mean(1) for subject, poses in some.items()
                if (subject in dataset.camera_coordinates) == local]
        if not body:
            continue
        vectors = np.concatenate(body)
        upward = np.median(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9), axis=0)
        axis = int(np.abs(upward).argmax())
        turn = TURNS.get((axis, int(np.sign(upward[axis]))))
        if turn and abs(upward[axis]) > UPRIGHT and not local:
            mirrored = _are_mirrored(dataset)
            left = ' (the axes are left-handed)' if mirrored else ''
            raise UserError(f'{path}: its people stand along {turn[0]}, and z must point up: write (x, y, z) as '
                            f'{turn[2 if mirrored else 1]}{left}.')
        if turn and abs(upward[axis]) > UPRIGHT and axis == 2:
            rewriting = '(x, -y, z)' if _are_mirrored(dataset) else '(x, -y, -z)'
            raise UserError(f'{path}: its people stand on their heads: in camera coordinates y must point down and z '
                            f'forward; write (x, y, z) as {rewriting}.')
    check_handedness(path, dataset)


def _are_mirrored(dataset: MocapDataset) -> bool:
    return mirrored_sequences(dataset)[1] * 2 > sum(map(len, dataset.positions.values()))


def unit_of(height: float) -> str:
    """The most likely unit of a person's height, as part of a sentence."""
    unit = min(UNITS, key=lambda unit: abs(np.log(height * UNITS[unit] / 1.65)))
    return f'they seem to be in {unit}, multiply them by {UNITS[unit]:.4g}'


def feet_and_head(skeleton: Skeleton) -> tuple[list[int], int] | None:
    """Indices of both feet (or ankles) and of the head (or nose), found by name; None if joints are missing."""
    names = [name.lower() for name in skeleton.names]
    for word in ('foot', 'ankle'):
        feet = [joint for joint in (*skeleton.left, *skeleton.right) if word in names[joint]]
        if len(feet) == 2:
            break
    heads = [joint for word in ('head', 'nose') for joint, name in enumerate(names)
             if word in name and joint not in (*skeleton.left, *skeleton.right)]
    return (feet, heads[0]) if len(feet) == 2 and heads else None


def _has_equal_sides(poses: np.ndarray, skeleton: Skeleton) -> bool:
    lengths = [[np.median(np.linalg.norm(poses[:, joint] - poses[:, skeleton.parents[joint]], axis=1))
                for joint in side] for side in (skeleton.left, skeleton.right)]
    left, right = np.array(lengths) + 1e-9
    return bool((np.maximum(left / right, right / left) < SYMMETRIC).all())


def _length_of_path(poses: np.ndarray, skeleton: Skeleton, start: int, end: int) -> np.ndarray:
    """(N,) length of the bones between two joints."""
    joints = set(skeleton.ancestors(start)) ^ set(skeleton.ancestors(end))
    return sum((np.linalg.norm(poses[:, joint] - poses[:, skeleton.parents[joint]], axis=1) for joint in joints),
               np.zeros(len(poses)))
