"""Checks the axes and the unit of 3D poses by their people, who stand along z and are 1 to 2.2 m tall."""

from __future__ import annotations

import numpy as np

from common.datasets.checking.handedness import check_handedness, mirrored_sequences
from common.datasets.checking.sides import pairs_of_names
from common.datasets.mocap import MocapDataset
from common.errors import UserError, listing, warn
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


def some_frames(take: np.ndarray) -> np.ndarray:
    """At most `FRAMES` evenly spaced frames of a sequence (T, J, 3)."""
    return take[::-(-len(take) // FRAMES)]


def check_people(path: str, dataset: MocapDataset) -> None:
    """Refuse positions that are not in metres, whose vertical axis is not z, or whose bodies are mirrored.

    Other skeletons than human ones pass.

    Raises:
        UserError: the sentence names the axis or the factor, and sequences where not all are wrong.
    """
    some = {subject: {action: some_frames(take) for action, take in takes.items()}
            for subject, takes in dataset.positions.items()}
    everybody = np.concatenate([take for takes in some.values() for take in takes.values()])
    _check_pairs(path, everybody, dataset.skeleton)
    if not _has_equal_sides(everybody, dataset.skeleton):
        return
    if (ends := feet_and_head(dataset.skeleton)) is not None:
        _check_heights(path, some, dataset.skeleton, ends)
        _check_axes(path, some, dataset, ends)
    check_handedness(path, dataset)


def _check_heights(path: str, some: dict[str, dict[str, np.ndarray]], skeleton: Skeleton,
                   ends: tuple[list[int], int]) -> None:
    """Refuse sequences whose people are too small or too tall along their bones, which no motion changes."""
    heights = {f'{subject} {action}': float(np.median(_length_of_path(take, skeleton, ends[0][0], ends[1])))
               for subject, takes in some.items() for action, take in takes.items()}
    wrong = {name: height for name, height in heights.items() if not HEIGHT[0] <= height <= HEIGHT[1]}
    if wrong:
        height = float(np.median(list(wrong.values())))
        who = 'its people are' if len(wrong) == len(heights) else \
            f'the people of {len(wrong)} of {len(heights)} sequences ({listing(wrong, 5)}) are'
        raise UserError(f'{path}: {who} {height:.3g} units tall, and positions must be in metres: {unit_of(height)}.')


def _check_axes(path: str, some: dict[str, dict[str, np.ndarray]], dataset: MocapDataset,
                ends: tuple[list[int], int]) -> None:
    """Refuse another vertical axis than z. A subject who lies is warned of, where others stand."""
    ups = {subject: _up(np.concatenate(list(takes.values())), ends) for subject, takes in some.items()}
    for local in (False, True):  # camera coordinates may be tilted, so only upside-down people are refused there
        mine = {subject: up for subject, up in ups.items() if (subject in dataset.camera_coordinates) == local}
        if not mine:
            continue
        upward = np.median(np.concatenate(list(mine.values())), axis=0)
        turn = _turn(upward)
        if turn and not local:
            mirrored = _are_mirrored(dataset)
            left = ' (the axes are left-handed)' if mirrored else ''
            raise UserError(f'{path}: its people stand along {turn[0]}, and z must point up: write (x, y, z) as '
                            f'{turn[2 if mirrored else 1]}{left}.')
        if turn and turn[0] == '-z':
            rewriting = '(x, -y, z)' if _are_mirrored(dataset) else '(x, -y, -z)'
            raise UserError(f'{path}: its people stand on their heads: in camera coordinates y must point down and z '
                            f'forward; write (x, y, z) as {rewriting}.')
        if not local and (others := [f'{subject} along {odd[0]}' for subject, up in mine.items()
                                     if (odd := _turn(np.median(up, axis=0)))]):
            warn(f'{path}: people stand along z, which must point up, but {listing(others, 5)}: do they lie in all '
                 f'sequences, or are their axes others?')


def _up(poses: np.ndarray, ends: tuple[list[int], int]) -> np.ndarray:
    """(N, 3) unit vectors from the feet to the head."""
    vectors = poses[:, ends[1]] - poses[:, ends[0]].mean(1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)


def _turn(upward: np.ndarray) -> tuple[str, str, str] | None:
    """The entry of `TURNS` of a vector along which people stand; None if it is z, or not along an axis."""
    axis = int(np.abs(upward).argmax())
    return TURNS.get((axis, int(np.sign(upward[axis])))) if abs(upward[axis]) > UPRIGHT else None


def _are_mirrored(dataset: MocapDataset) -> bool:
    return mirrored_sequences(dataset)[1] * 2 > sum(map(len, dataset.positions.values()))


def _check_pairs(path: str, poses: np.ndarray, skeleton: Skeleton) -> None:
    """Refuse pairs of left and right joints whose names do not show that they are one, and whose bones differ."""
    named = set(pairs_of_names(skeleton.names))
    for left, right in zip(skeleton.left, skeleton.right):
        one, two = (_bone_length(poses, skeleton, joint) for joint in (left, right))
        if (left, right) not in named and max(one, two) > SYMMETRIC * min(one, two):
            raise UserError(f'{path}: joints_left and joints_right pair {skeleton.names[left]} with '
                            f'{skeleton.names[right]}, whose bones are {one:.2f} and {two:.2f} long: list both sides '
                            f'in the same order.')


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
    lengths = [[_bone_length(poses, skeleton, joint) for joint in side] for side in (skeleton.left, skeleton.right)]
    left, right = np.array(lengths) + 1e-9
    return bool((np.maximum(left / right, right / left) < SYMMETRIC).all())


def _bone_length(poses: np.ndarray, skeleton: Skeleton, joint: int) -> float:
    """The median distance of a joint from its parent."""
    return float(np.median(np.linalg.norm(poses[:, joint] - poses[:, skeleton.parents[joint]], axis=1)))


def _length_of_path(poses: np.ndarray, skeleton: Skeleton, start: int, end: int) -> np.ndarray:
    """(N,) length of the bones between two joints."""
    joints = set(skeleton.ancestors(start)) ^ set(skeleton.ancestors(end))
    return sum((np.linalg.norm(poses[:, joint] - poses[:, skeleton.parents[joint]], axis=1) for joint in joints),
               np.zeros(len(poses)))
