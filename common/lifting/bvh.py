"""Writes a person's motion as BVH, for animation programs.

A BVH joint rotates all bones below it together. The bones at a joint with several children (the hip, the thorax) rotate
independently, so each gets an additional joint of length zero, named like `HipToRHip`. The rest pose is a T-pose with
the clip's median bone lengths, y up, facing z, the left hand along x; the unit is the metre.
"""

from __future__ import annotations

import numpy as np

from common.datasets import h36m
from common.errors import UserError
from common.files.atomic import atomic_write
from common.geometry import body
from common.lifting.motion.bones import bone_lengths

CHANNELS = 'Zrotation Xrotation Yrotation'  # applied as R = Rz Rx Ry
REST = {'RHip': (-1, 0, 0), 'LHip': (1, 0, 0), 'RKnee': (0, -1, 0), 'LKnee': (0, -1, 0), 'RFoot': (0, -1, 0),
        'LFoot': (0, -1, 0), 'Spine': (0, 1, 0), 'Thorax': (0, 1, 0), 'Head': (0, 1, 0), 'LShoulder': (1, 0, 0),
        'LElbow': (1, 0, 0), 'LWrist': (1, 0, 0), 'RShoulder': (-1, 0, 0), 'RElbow': (-1, 0, 0), 'RWrist': (-1, 0, 0)}
_SHORTEST = 1e-3  # metres; a shorter bone has no direction


def write_bvh(path: str, positions: np.ndarray, fps: float) -> int:
    """Write the motion of one person.

    An animation needs a pose in every frame, so frames without a pose are interpolated.

    Args:
        positions: (T, 16, 3) metres in the room, y up from the floor, z toward the viewer; NaN where there is no pose.
        fps: frames a second.
    Returns:
        the number of interpolated frames.
    Raises:
        UserError: there is no pose at all, or the file cannot be written.
    """
    there = np.isfinite(positions).all((1, 2))
    if not there.any():
        raise UserError(f'{path}: there is no pose to write.')
    filled = _filled(positions, there)
    turns = local_rotations(filled)
    names = h36m.skeleton().names
    hierarchy = _Hierarchy(dict(zip(names, bone_lengths(filled[there], h36m.skeleton()).tolist())))
    angles = [np.degrees(np.unwrap(euler(turns[name]), axis=0)) for name in hierarchy.order]
    motion = np.concatenate([filled[:, body.HIP], *angles], axis=1)
    with atomic_write(path, 'w') as file:
        file.write('\n'.join(hierarchy.lines) + f'\nMOTION\nFrames: {len(motion)}\nFrame Time: {1 / fps:.8f}\n')
        for row in motion:
            file.write(_row(row) + '\n')
    return int((~there).sum())


def _filled(positions: np.ndarray, there: np.ndarray) -> np.ndarray:
    rows, known = np.arange(len(positions)), np.flatnonzero(there)
    flat = positions.reshape(len(positions), -1).astype(np.float64)
    return np.stack([np.interp(rows, known, column[known]) for column in flat.T], 1).reshape(-1, body.JOINTS, 3)


def bone_directions(positions: np.ndarray) -> dict[str, np.ndarray]:
    """{joint: (T, 3) unit direction of the bone that ends there}; bones without length have their rest direction."""
    skeleton = h36m.skeleton()
    found = {}
    for parent, child in skeleton.bones:
        bone = (positions[:, child] - positions[:, parent]).astype(np.float64)
        length = np.linalg.norm(bone, axis=-1, keepdims=True)
        name = skeleton.names[child]
        found[name] = np.where(length < _SHORTEST, np.array(REST[name], float), bone / np.maximum(length, _SHORTEST))
    return found


def local_rotations(positions: np.ndarray) -> dict[str, np.ndarray]:
    """{BVH joint: (T, 3, 3) rotation relative to its parent} of (T, 16, 3).

    The hip rotates with the line between the hips and with the spine. Every other joint has the smallest rotation that
    turns its bone from the direction that the parent's rotation gives it.
    """
    skeleton = h36m.skeleton()
    directions = bone_directions(positions)
    across = directions['LHip'] - directions['RHip']
    found: dict[str, np.ndarray] = {'Hip': _frame(across, directions['Spine'])}
    carried = {body.HIP: found['Hip']}
    for parent, child in skeleton.bones:
        name = skeleton.names[child]
        rest = np.broadcast_to(np.array(REST[name], float), directions[name].shape)
        expected = np.einsum('tij,tj->ti', carried[parent], rest)
        whole = shortest_turn(expected, directions[name]) @ carried[parent]
        found[_turner(parent, child)] = carried[parent].transpose(0, 2, 1) @ whole
        carried[child] = whole
        if len(_children(child)) > 1:  # additional joints rotate its bones
            found[name] = np.broadcast_to(np.eye(3), whole.shape)
    return found


def _children(joint: int) -> list[int]:
    return [child for parent, child in h36m.skeleton().bones if parent == joint]


def _turner(parent: int, child: int) -> str:
    """The BVH joint that rotates the bone from parent to child."""
    names = h36m.skeleton().names
    return names[parent] if len(_children(parent)) == 1 else f'{names[parent]}To{names[child]}'


def _frame(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(T, 3, 3) rotations whose first column is along `across` and whose second column leans toward `up`."""
    first = across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-9)
    third = np.cross(first, up)
    size = np.linalg.norm(third, axis=-1, keepdims=True)
    third = third / np.maximum(size, 1e-9)
    frame = np.stack([first, np.cross(third, first), third], axis=-1)
    return np.where((size > 1e-6)[..., None], frame, np.eye(3))


def shortest_turn(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(T, 3, 3) rotations by the smallest angle from unit vectors (T, 3) to unit vectors (T, 3)."""
    axis = np.cross(start, end)
    cosine = (start * end).sum(-1)
    skew = np.zeros((len(start), 3, 3))
    skew[:, (2, 0, 1), (1, 2, 0)], skew[:, (1, 2, 0), (2, 0, 1)] = axis, -axis
    turn = np.eye(3) + skew + skew @ skew / np.maximum(1 + cosine, 1e-12)[:, None, None]
    opposite = cosine < -1 + 1e-9
    if opposite.any():  # half a turn about any axis across
        helper = np.where(np.abs(start[opposite, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]])
        across = np.cross(start[opposite], helper)
        across /= np.linalg.norm(across, axis=-1, keepdims=True)
        turn[opposite] = 2 * across[:, :, None] * across[:, None, :] - np.eye(3)
    return turn


def euler(turn: np.ndarray) -> np.ndarray:
    """(T, 3) angles about z, x and y, radians, of R = Rz Rx Ry."""
    x = np.arcsin(np.clip(turn[:, 2, 1], -1, 1))
    z = np.arctan2(-turn[:, 0, 1], turn[:, 1, 1])
    y = np.arctan2(-turn[:, 2, 0], turn[:, 2, 2])
    locked = np.abs(turn[:, 2, 1]) > 1 - 1e-9  # gimbal lock, z and y turn about the same axis: y is 0
    z = np.where(locked, np.arctan2(turn[:, 1, 0], turn[:, 0, 0]), z)
    return np.stack([z, x, np.where(locked, 0, y)], axis=1)


class _Hierarchy:
    """The lines of HIERARCHY, and the joints in the order of the channels."""

    def __init__(self, lengths: dict[str, float]) -> None:
        self.names = h36m.skeleton().names
        self.lengths = lengths
        self.lines, self.order = ['HIERARCHY'], []  # type: tuple[list[str], list[str]]
        self._joint(body.HIP, np.zeros(3), 0)

    def _joint(self, joint: int, offset: np.ndarray, depth: int) -> None:
        """Add a joint of the skeleton and everything below it."""
        self._open(self.names[joint], offset, depth)
        children = _children(joint)
        for child in children:
            if len(children) == 1:
                self._tip(child, depth + 1)
            else:
                self._open(_turner(joint, child), np.zeros(3), depth + 1)
                self._tip(child, depth + 2)
                self._line(depth + 1, '}')
        self._line(depth, '}')

    def _tip(self, child: int, depth: int) -> None:
        """Add the end of a bone: another joint, or an end site."""
        offset = np.array(REST[self.names[child]]) * self.lengths[self.names[child]]
        if _children(child):
            self._joint(child, offset, depth)
        else:
            for line in ('End Site', '{', f'\tOFFSET {_row(offset)}', '}'):
                self._line(depth, line)

    def _open(self, name: str, offset: np.ndarray, depth: int) -> None:
        channels = f'3 {CHANNELS}' if depth else f'6 Xposition Yposition Zposition {CHANNELS}'
        kind = 'JOINT' if depth else 'ROOT'
        for line in (f'{kind} {name}', '{', f'\tOFFSET {_row(offset)}', f'\tCHANNELS {channels}'):
            self._line(depth, line)
        self.order.append(name)

    def _line(self, depth: int, text: str) -> None:
        self.lines.append('\t' * depth + text)


def _row(values: np.ndarray) -> str:
    return ' '.join(f'{value:.6f}' for value in values)
